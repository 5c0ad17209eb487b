"""What texts look like: shapes such as `Aaaa 99`, lengths, blanks at the ends, odd characters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # its stubs do not know arrays of one element type in, another out
Array: TypeAlias = "pa.Array[Any]"
SHAPE_LENGTH = 100
_KEEP_SHAPES = 50_000
_EMOJI = r"[\x{1F300}-\x{1FAFF}\x{2600}-\x{27BF}\x{1F1E6}-\x{1F1FF}\x{2B00}-\x{2BFF}]"
_BOOLEANS = pa.array(["true", "false", "yes", "no", "y", "n", "t", "f", "1", "0", "on", "off"])
_LOOKS = {  # over shapes: 9 a digit, A and a letters, x any other letter
    "integer": r"^[+-]?9+$",
    "decimal": r"^[+-]?(9{1,3}(,999)+(\.9+)?|9{1,3}(\.999)+,9+|9*[.,]9+)$",
    "date": r"^(9{4}[-/.]9{1,2}[-/.]9{1,2}([T ]9{1,2}:99.*)?|9{1,2}[-/.]9{1,2}[-/.](99|9999)([T ]9{1,2}:99.*)?)$",
    "email": r"^[Aa9x._%+'-]+@([Aa9x-]+\.)+[Aax]{2,}$",
}


def _shape_table() -> npt.NDArray[np.uint8]:
    table = np.arange(256, dtype=np.uint8)
    table[:32] = table[127] = table[128:] = ord("?")
    table[ord("0") : ord("9") + 1] = ord("9")
    table[ord("A") : ord("Z") + 1] = ord("A")
    table[ord("a") : ord("z") + 1] = ord("a")
    return table


_SHAPE = _shape_table()
_BLANK = np.zeros(256, bool)
_BLANK[[9, 10, 11, 12, 13, 32]] = True


@dataclass
class TextFacts:
    """Sums over rows; `add` may be called with distinct values and their counts."""

    empty: int = 0
    min_length: int | None = None
    max_length: int | None = None
    leading_space: int = 0
    trailing_space: int = 0
    non_ascii: int = 0
    emoji: int = 0
    control: int = 0
    looks_like: dict[str, int] = field(default_factory=lambda: dict.fromkeys([*_LOOKS, "boolean"], 0))
    shapes_exact: bool = True
    _shapes: list[pa.Table] = field(default_factory=list)

    def add(self, values: Array, counts: npt.NDArray[np.int64]) -> None:
        """`values`: string array without nulls; `counts`: how many rows hold each."""
        if not len(values):
            return
        offsets, data = _content(values)
        lengths = np.diff(offsets)
        ascii_only = data.tobytes().isascii()
        is_ascii = None if ascii_only else pc.string_is_ascii(values)
        characters = lengths if ascii_only else pc.utf8_length(values).to_numpy()
        low, high = int(characters.min()), int(characters.max())
        self.min_length = low if self.min_length is None else min(low, self.min_length)
        self.max_length = high if self.max_length is None else max(high, self.max_length)
        self.empty += int(counts[lengths == 0].sum())
        filled = lengths > 0
        at = np.flatnonzero(filled)
        leading, trailing = np.zeros(len(values), bool), np.zeros(len(values), bool)
        leading[at] = _BLANK[data[offsets[:-1][at]]]
        trailing[at] = _BLANK[data[offsets[1:][at] - 1]]
        odd = (data < 32) | (data == 127)
        control = np.zeros(len(values), bool)
        if odd.any():
            before = np.concatenate(([0], np.cumsum(odd)))
            control = before[offsets[1:]] > before[offsets[:-1]]
        if is_ascii is not None:
            places = np.flatnonzero(~is_ascii.to_numpy(zero_copy_only=False))
            some = values.take(places)
            self.non_ascii += int(counts[places].sum())
            self.emoji += int(counts[places][_mask(some, _EMOJI)].sum())
            control[places] |= _mask(some, r"\p{Cc}")
            leading[places] |= _differs(pc.utf8_ltrim_whitespace(some), some)
            trailing[places] |= _differs(pc.utf8_rtrim_whitespace(some), some)
        self.leading_space += int(counts[leading].sum())
        self.trailing_space += int(counts[trailing].sum())
        self.control += int(counts[control].sum())
        short = np.flatnonzero(characters <= 5)
        if len(short):
            words = pc.is_in(pc.utf8_lower(values.take(short)), _BOOLEANS)
            self.looks_like["boolean"] += int(counts[short][words.to_numpy(zero_copy_only=False)].sum())
        self._add_shapes(shapes(values), counts)

    def top_shapes(self, count: int) -> tuple[tuple[str, int], ...]:
        """The most frequent shapes with their rows; equal ones in order of the text."""
        if not self._shapes:
            return ()
        merged: Any = (
            _summed(self._shapes).sort_by([("n", "descending"), ("shape", "ascending")]).slice(0, count)
        )
        return tuple(zip(merged["shape"].to_pylist(), merged["n"].to_pylist(), strict=True))

    def _add_shapes(self, found: Array, counts: npt.NDArray[np.int64]) -> None:
        grouped = _summed([pa.table({"shape": found, "n": pa.array(counts)})])
        numbers = grouped["n"].to_numpy()
        whole: Any = grouped["shape"].combine_chunks()
        for name, pattern in _LOOKS.items():
            self.looks_like[name] += int(numbers[_mask(whole, pattern)].sum())
        self._shapes.append(grouped)
        if sum(t.num_rows for t in self._shapes) > 4 * _KEEP_SHAPES:
            merged = _summed(self._shapes)
            if merged.num_rows > _KEEP_SHAPES:
                merged = merged.sort_by([("n", "descending"), ("shape", "ascending")]).slice(0, _KEEP_SHAPES)
                self.shapes_exact = False
            self._shapes = [merged]


def shapes(values: Array) -> Array:
    """`Ada-7` → `Aaa-9`. Other letters become A, a or x, other characters *, control characters ?: no value
    shows through except its punctuation. At most SHAPE_LENGTH characters."""
    offsets, data = _content(values)
    shape = _SHAPE[data]
    parts: list[Any] = [offsets.astype(np.int32), shape]
    result: Any = pa.Array.from_buffers(pa.string(), len(values), [None, *map(pa.py_buffer, parts)])
    if not data.tobytes().isascii():
        other = pc.invert(pc.string_is_ascii(values))
        text = values.filter(other)
        for pattern, mark in (
            (r"\p{Cc}", "?"),
            (r"\p{Lu}|\p{Lt}", "A"),
            (r"\p{Ll}", "a"),
            (r"\p{M}", ""),
            (r"\p{Lo}|\p{Lm}", "x"),
            (r"\p{Nd}", "9"),
            (r"[^\x00-\x7F]", "*"),
        ):
            text = pc.replace_substring_regex(text, pattern=pattern, replacement=mark)
        result = pc.replace_with_mask(result, other, text)
    cut: Array = pc.utf8_slice_codeunits(result, 0, SHAPE_LENGTH)
    return cut


def shape(value: str) -> str:
    """The shape of one value."""
    return str(shapes(pa.array([value], pa.string()))[0].as_py())


def _content(values: Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Offsets from 0, and the bytes."""
    buffers: list[Any] = values.buffers()
    _, where, what = buffers
    offsets = np.frombuffer(where, np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    data = np.frombuffer(what, np.uint8) if what is not None else np.empty(0, np.uint8)
    return offsets - offsets[0], data[offsets[0] : offsets[-1]]


def _mask(values: Array, pattern: str) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False)
    return found


def _differs(a: Array, b: Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = pc.not_equal(a, b).to_numpy(zero_copy_only=False)
    return found


def _summed(tables: list[pa.Table]) -> pa.Table:
    grouped = pa.concat_tables(tables).group_by("shape").aggregate([("n", "sum")])
    return pa.table({"shape": grouped["shape"], "n": grouped["n_sum"]})
