"""The columns of a source batch as the pipeline sees them: NULL words applied, mixed storage classes as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from migrate.arrow import layout
from migrate.canon import canonical_text
from migrate.model import Kind, Type
from migrate.transform.values import TEXT, Mask, Values, emptied, mask_of, values_of


@dataclass(frozen=True)
class Made:
    """A let value of one batch: `stored` in the layout of its type, `seen` as SQL sees it, the rows that SQL cannot see
    (None: it sees all), and the rows that it failed in."""

    stored: pa.Array[Any]
    seen: pa.Array[Any]
    unseen: Mask | None
    failed: Mask


class SourceRows:
    """One batch. Columns are prepared when they are first asked for, and once; let values come in by `add`."""

    def __init__(
        self, batch: pa.Table, types: Mapping[str, Type], nulls: Mapping[str, tuple[str, ...]]
    ) -> None:
        self.batch = batch
        self.types = types
        self.nulls = nulls
        self._columns: dict[str, tuple[Values, Mask | None]] = {}
        self._made: dict[str, Made] = {}

    def __len__(self) -> int:
        return self.batch.num_rows

    def column(self, name: str) -> tuple[Values, Mask | None]:
        """Values, and rows whose bytes are no text (None: there are none). KeyError for a column that is not there."""
        if name not in self._columns:
            self._columns[name] = self._prepared(name)
        return self._columns[name]

    def arrow(self, name: str) -> pa.ChunkedArray[Any]:
        """As `column`, in the Arrow layout; MIXED as text. For SQL."""
        if name in self._made:
            return pa.chunked_array([self._made[name].seen])
        type_ = self.types[name]
        if type_.kind not in (Kind.TEXT, Kind.MIXED, Kind.DECIMAL):
            return self.batch.column(name)
        if type_.kind is Kind.DECIMAL and pa.types.is_decimal256(self.batch.column(name).type):
            return pa.chunked_array([self.column(name)[0].series.to_arrow().cast(pa.string())])
        if type_.kind is Kind.DECIMAL or (type_.kind is Kind.TEXT and not self.nulls.get(name)):
            return self.batch.column(name)
        return pa.chunked_array([self.column(name)[0].series.to_arrow().cast(pa.string())])

    def stored(self, name: str) -> pa.ChunkedArray[Any]:
        """The column as it came, without regard to NULL words."""
        return pa.chunked_array([self._made[name].stored]) if name in self._made else self.batch.column(name)

    def add(self, name: str, type_: Type, made: Made) -> None:
        """A let value; `types` knows its name."""
        self._made[name] = made
        self._columns[name] = (values_of(made.stored, type_), None)

    def is_made(self, name: str) -> bool:
        """Whether the name is that of a let value."""
        return name in self._made

    def failed(self, names: Iterable[str]) -> Mask | None:
        """Rows in which a let value among these names failed, or None."""
        return _any(self._made[n].failed for n in names if n in self._made)

    def unseen(self, names: Iterable[str]) -> Mask | None:
        """Rows in which SQL cannot see a let value among these names as it is, or None."""
        return _any(mask for n in names if n in self._made and (mask := self._made[n].unseen) is not None)

    def filtered(self, keep: Mask) -> SourceRows:
        """The same with fewer rows, before there are let values; what has been prepared is kept."""
        assert not self._made, "let values are made for the rows that stay"
        rows = SourceRows(self.batch.filter(pa.array(keep)), self.types, self.nulls)
        series = pl.Series(keep, dtype=pl.Boolean)
        for name, (values, bad) in self._columns.items():
            rows._columns[name] = (
                Values(values.series.filter(series), values.type),
                None if bad is None else bad[keep],
            )
        return rows

    def spread(
        self,
        place: npt.NDArray[np.int64],
        names: Iterable[str],
        more: pa.Table,
        types: Mapping[str, Type] | None = None,
    ) -> SourceRows:
        """Other rows, each with what row `place` of these has under `names`, and the columns of `more` (as long as
        `place`), whose types are among `types` or those of these rows. Hidden columns stay behind."""
        taken = pa.array(place)
        columns = {name: more.column(name) for name in more.column_names}
        wanted = [n for n in names if n not in columns]
        columns |= {n: self.batch.column(n).take(taken) for n in wanted if n in self.batch.column_names}
        kinds = dict(self.types) | dict(types or {})
        rows = SourceRows(pa.table(columns), kinds, self.nulls)
        for name in wanted:
            if name in self._made:
                made = self._made[name]
                unseen = None if made.unseen is None else made.unseen[place]
                rows.add(
                    name,
                    kinds[name],
                    Made(made.stored.take(taken), made.seen.take(taken), unseen, made.failed[place]),
                )
        return rows

    def mixed_bytes(self, name: str) -> pl.Series | None:
        """The bytes of a MIXED column for a target of bytes: texts and blobs as they are, numbers as their text."""
        if self.types[name].kind is not Kind.MIXED:
            return None
        array = _combined(self.batch.column(name))
        texts, _ = _mixed_texts(array)
        raw = pl.Series("", pl.from_arrow(_bytes_of(array, _tags_of(array))), dtype=pl.Binary)
        return texts.cast(pl.Binary).zip_with(raw.is_null(), raw)

    def _prepared(self, name: str) -> tuple[Values, Mask | None]:
        type_ = self.types[name]
        array = self.batch.column(name)
        bad: Mask | None = None
        if type_.kind is Kind.MIXED:
            texts, bad = _mixed_texts(_combined(array))
            values = Values(texts, TEXT)
        else:
            values = values_of(array, type_)
        words = self.nulls.get(name, ())
        if words and values.kind is Kind.TEXT:
            values = Values(emptied(values.series, mask_of(values.series.is_in(list(words)))), values.type)
        return values, bad


def _any(masks: Iterable[Mask]) -> Mask | None:
    some = [mask for mask in masks if mask.any()]
    return np.logical_or.reduce(some) if some else None


def _combined(array: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    combined = array.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def _mixed_texts(array: pa.Array[Any]) -> tuple[pl.Series, Mask | None]:
    """Integers and reals as their canonical text, texts and blobs as UTF-8; what is not UTF-8 is NULL and marked."""
    if pa.types.is_null(array.type):
        array = array.cast(layout(Type(Kind.MIXED)))
    tags = _tags_of(array)
    raw = _bytes_of(array, tags)
    bad: Mask | None = None
    try:
        texts = raw.cast(pa.string())
    except pa.ArrowInvalid:
        decoded = [_decoded(value) for value in raw.to_pylist()]
        texts = pa.array(decoded, pa.string())
        bad = np.array(
            [value is not None for value in raw.to_pylist()], dtype=np.bool_
        ) & ~texts.is_valid().to_numpy(zero_copy_only=False)
    for tag, field, type_ in ((1, "int", Type(Kind.INT, bits=64)), (2, "real", Type(Kind.FLOAT, bits=64))):
        mine = tags == tag
        if mine.any():
            numbers = canonical_text(_part(array, field), type_)
            texts = pc.if_else(pa.array(mine), numbers, texts)
    series = pl.Series("", pl.from_arrow(texts), dtype=pl.String)
    return series, bad if bad is not None and bad.any() else None


def _tags_of(array: pa.Array[Any]) -> npt.NDArray[np.int8]:
    tags: npt.NDArray[np.int8] = _part(array, "tag").fill_null(0).to_numpy(zero_copy_only=False)
    if array.null_count:
        # The fields under a NULL struct hold anything, also an empty text.
        return np.where(array.is_valid().to_numpy(zero_copy_only=False), tags, 0)
    return tags


def _bytes_of(array: pa.Array[Any], tags: npt.NDArray[np.int8]) -> pa.Array[Any]:
    """Bytes of texts and blobs only; NULL elsewhere."""
    choose: Any = pc.if_else
    chosen: pa.Array[Any] = choose(
        pa.array((tags == 3) | (tags == 4)), _part(array, "bytes"), pa.scalar(None, pa.binary())
    )
    return chosen


def _part(array: Any, name: str) -> pa.Array[Any]:
    """One field of a struct array, without regard to which structs are NULL."""
    part: pa.Array[Any] = array.field(name)
    return part


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
