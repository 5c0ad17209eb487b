"""Rows of the same key against each other: which cells differ, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import pyarrow as pa

from migrate.canon import Tag, canonical_bytes, canonical_text
from migrate.errors import Corrupt
from migrate.model import Kind, Type

SHOWN = 200  # characters of a value in a cell difference


@dataclass(frozen=True)
class CellDifference:
    """One cell that is not as expected; None is NULL. `column` is empty where a whole row is on one side only."""

    key: str
    column: str
    expected: str | None
    found: str | None


def cell_differences(
    expected: pa.Table, found: pa.Table, key: str, types: Mapping[str, Type], limit: int
) -> list[CellDifference]:
    """The first `limit` cells, by key and column, whose canonical forms differ between rows of the same key.

    For rows that `compare_sets` has named already: works row by row in memory. `key` is the column that
    pairs the rows (rows of a repeated key are paired in order); a column of one table only counts as
    different in every row. Values are shortened to 200 characters around the first difference. They are
    customers' data: write them to a local file of mode 0600, never to a log or a report that travels.
    Raises Corrupt if `key` is missing, or a column is not of its type.
    """
    sides = [_Side.of(table, key, types) for table in (expected, found)]
    columns = [name for name in dict.fromkeys([*expected.column_names, *found.column_names]) if name != key]
    differences: list[CellDifference] = []
    for text in sorted(set(sides[0].places) | set(sides[1].places)):
        for left, right in _paired(sides[0], sides[1], text):
            if left is None or right is None:
                here = (None, "a row") if left is None else ("a row", None)
                differences.append(CellDifference(text, "", *here))
            else:
                differences += _cells(text, columns, sides, (left, right))
            if len(differences) >= limit:
                return differences[:limit]
    return differences


@dataclass(frozen=True)
class _Side:
    places: Mapping[str, Sequence[int]]  # key → rows
    forms: Mapping[str, Sequence[tuple[int, bytes]]]
    texts: Mapping[str, Sequence[str | None]]

    @classmethod
    def of(cls, table: pa.Table, key: str, types: Mapping[str, Type]) -> _Side:
        for name in (key, *table.column_names):
            if table.schema.get_field_index(name) < 0:
                raise Corrupt("is missing from the rows, or there twice", where=name)
            if name not in types and name != key:
                raise Corrupt("has no declared type", where=name)
        places: dict[str, list[int]] = {}
        keys = canonical_text(table.column(key), types.get(key, Type(Kind.TEXT))).to_pylist()
        for row, text in enumerate(keys):
            places.setdefault("NULL" if text is None else text, []).append(row)
        names = [name for name in table.column_names if name != key]
        forms = {
            name: [
                pair
                for chunk in table.column(name).chunks
                for pair in canonical_bytes(chunk, types[name], name)
            ]
            for name in names
        }
        texts = {name: canonical_text(table.column(name), types[name]).to_pylist() for name in names}
        return cls(places, forms, texts)


def _paired(expected: _Side, found: _Side, key: str) -> Iterable[tuple[int | None, int | None]]:
    """Rows of one key: equal ones leave in pairs first, the rest is paired in order."""
    left, right = (list(side.places.get(key, ())) for side in (expected, found))
    if len(left) > 1 or len(right) > 1:
        names = sorted(expected.forms.keys() & found.forms.keys())
        for row in list(left):
            form = [expected.forms[name][row] for name in names]
            twin = next((r for r in right if [found.forms[name][r] for name in names] == form), None)
            if twin is not None:
                left.remove(row)
                right.remove(twin)
    return zip_longest(left, right)


def _cells(
    key: str, columns: Iterable[str], sides: Sequence[_Side], rows: tuple[int, int]
) -> list[CellDifference]:
    differences = []
    for name in columns:
        if not all(name in side.forms for side in sides):
            here = ("a column", None) if name in sides[0].forms else (None, "a column")
            differences.append(CellDifference(key, name, *here))
            continue
        forms = [side.forms[name][row] for side, row in zip(sides, rows, strict=True)]
        if forms[0] == forms[1]:
            continue
        texts = [side.texts[name][row] for side, row in zip(sides, rows, strict=True)]
        if texts[0] == texts[1]:  # the same to the eye: say it by kind and bytes
            texts = [
                f"{text} (kind {Tag(form[0]).name.lower()}, bytes {form[1].hex()})"
                for text, form in zip(texts, forms, strict=True)
            ]
        differences.append(CellDifference(key, name, *_shortened(texts[0], texts[1])))
    return differences


def _shortened(expected: str | None, found: str | None) -> tuple[str | None, str | None]:
    """Both cut to SHOWN characters, such that the first difference is in sight."""
    if len(expected or "") <= SHOWN and len(found or "") <= SHOWN:
        return expected, found
    start = 0
    if expected is not None and found is not None:
        same = next(
            (n for n, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b),
            min(len(expected), len(found)),
        )
        start = max(0, same - SHOWN // 2)

    def cut(text: str | None) -> str | None:
        if text is None:
            return None
        piece = ("…" if start else "") + text[start:]
        return piece if len(piece) <= SHOWN else piece[: SHOWN - 1] + "…"

    return cut(expected), cut(found)
