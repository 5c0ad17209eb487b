"""What a table holds, looked at as a whole: fills, lengths, shapes, frequent values, keys.

A profile holds values of people's data. `as_json()` shows shapes instead of values; only
`as_json(samples=True)` shows them, and belongs into a file of mode 0600.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from migrate import canon
from migrate.arrow import layout
from migrate.errors import UsageError
from migrate.model import Column, Kind, Table, Type, added_columns
from migrate.rules.profiling_engine import BAD, Engine, Parts, engine, open_parts, text_relation
from migrate.rules.profiling_keys import DuplicateKeys, duplicate_keys, load_keys, orphans, value_counts
from migrate.rules.profiling_text import TextFacts, shape
from migrate.rules.profiling_years import DATES, LOOKS_LIKE_DATES, Years, rows_by_year

__all__ = [
    "ColumnProfile",
    "DuplicateKeys",
    "TableProfile",
    "duplicate_keys",
    "orphans",
    "profile_table",
    "value_counts",
]

EXACT_DISTINCT = 5_000_000  # above: distinct and top values are estimates
_TEXTS = (Kind.TEXT, Kind.UUID, Kind.JSON, Kind.OPAQUE, Kind.MIXED)
_NUMBERS = (Kind.INT, Kind.FLOAT, Kind.DECIMAL)
_NATIVE = (Kind.INT, Kind.DECIMAL, Kind.BOOL, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
_CLASSES = ("null", "integer", "real", "text", "blob")


@dataclass(frozen=True)
class ColumnProfile:
    """Counts are rows. Values (min, max, top) are canonical texts; None where they mean nothing (bytes).

    Numbers have their minimum and maximum by value, everything else by its text. Lengths are in
    characters (bytes: in bytes). What concerns text stays 0 for other kinds."""

    name: str
    kind: Kind
    rows: int
    nulls: int
    distinct: int  # of values that are not NULL
    distinct_exact: bool
    min: str | None = None
    max: str | None = None
    top: tuple[tuple[str, int], ...] = ()
    empty: int = 0
    min_length: int | None = None
    max_length: int | None = None
    patterns: tuple[tuple[str, int], ...] = ()
    patterns_exact: bool = True
    leading_space: int = 0
    trailing_space: int = 0
    non_ascii: int = 0
    emoji: int = 0
    control: int = 0
    looks_like: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[str, int] = field(default_factory=dict)  # MIXED: rows by storage class
    years: Years = field(default_factory=Years)  # of dates, and of texts that look like dates

    def as_json(self, *, samples: bool = False) -> dict[str, Any]:
        """`samples=False`: shapes instead of values."""
        filled = self.rows - self.nulls - self.empty
        found = asdict(self) | {
            "kind": self.kind.value,
            "patterns": [{"pattern": p, "rows": n} for p, n in self.patterns],
            "looks_like": {
                name: round(n / filled, 4) if filled else 0.0 for name, n in self.looks_like.items()
            },
            "classes": dict(self.classes),
            "years": [{"year": y, "rows": n} for y, n in self.years.told],
            "years_rare": self.years.rare,
        }
        show = (lambda value: value) if samples else (lambda value: None if value is None else shape(value))
        found["min"], found["max"] = show(self.min), show(self.max)
        found["top"] = [{"value" if samples else "pattern": show(v), "rows": n} for v, n in self.top]
        return found

    @property
    def shares(self) -> dict[str, float]:
        """Share of the filled rows that look like each kind."""
        filled = self.rows - self.nulls - self.empty
        return {name: n / filled if filled else 0.0 for name, n in self.looks_like.items()}


@dataclass(frozen=True)
class TableProfile:
    """`rows` includes the broken ones, which are counted by code in `bad` and not in the columns."""

    table: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    bad: Mapping[str, int] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    keys: DuplicateKeys | None = None  # None: no key asked for

    def column(self, name: str) -> ColumnProfile:
        """Raises KeyError with the name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def as_json(self, *, samples: bool = False) -> dict[str, Any]:
        return {
            "table": self.table,
            "rows": self.rows,
            "bad": dict(self.bad),
            "key": list(self.key),
            "keys": self.keys.as_json() if self.keys else None,
            "columns": [c.as_json(samples=samples) for c in self.columns],
        }


def profile_table(
    paths: Sequence[Path], table: Table, *, key: Sequence[str], temp: Path, top: int = 10
) -> TableProfile:
    """Profile of all parts of one table; `key` may be empty. Memory is bounded, the rest spills into `temp`.

    Raises Corrupt for a part that does not decode, UsageError for a column that the parts do not
    have, Unreachable for a full disk."""
    with engine(temp) as duck:
        parts = open_parts(duck, paths)
        added = added_columns(table.column_names)
        columns = [c for c in table.columns if c.name not in added]
        if parts is None:
            empty = tuple(ColumnProfile(c.name, c.type.kind, 0, 0, 0, True) for c in columns)
            keys = DuplicateKeys(0, 0, 0, 0) if key else None
            return TableProfile(table.name, 0, empty, key=tuple(key), keys=keys)
        absent = [c for c in (*(c.name for c in columns), *key) if c not in parts.schema.names]
        if absent:
            raise UsageError(f"the parts do not have the columns {', '.join(absent)}.", where=table.name)
        rows = int(duck.rows(f"SELECT count(*) FROM {parts.all_rows}")[0][0])
        bad = _bad_codes(duck, parts)
        good = rows - sum(bad.values())
        profiles = tuple(_column(duck, parts, c, good, top) for c in columns)
        keys = load_keys(duck, parts, key, table.types) if key else None
        return TableProfile(table.name, rows, profiles, bad, tuple(key), keys)


def _bad_codes(duck: Engine, parts: Parts) -> dict[str, int]:
    if BAD not in parts.schema.names:
        return {}
    alias = parts.alias(BAD)
    found = duck.rows(
        f"SELECT {alias}, count(*) FROM {parts.all_rows} WHERE {alias} IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    return {str(code): int(count) for code, count in found}


def _column(duck: Engine, parts: Parts, column: Column, rows: int, top: int) -> ColumnProfile:
    if column.type.kind is Kind.BYTES:
        return _bytes_column(duck, parts, column, rows)
    if column.type.kind in _NATIVE and not _as_text(parts, column):
        return _native_column(duck, parts, column, rows, top)
    texts = text_relation(duck, parts, column.name, column.type)
    filled, estimate = duck.rows(f"SELECT count(v), approx_count_distinct(v) FROM {texts}")[0]
    exact = estimate <= EXACT_DISTINCT
    if exact:
        duck.run(
            f"CREATE OR REPLACE TABLE seen AS SELECT v, count(*) AS n FROM {texts} WHERE v IS NOT NULL GROUP BY v"
        )
        distinct = int(duck.rows("SELECT count(*) FROM seen")[0][0])
        source = "SELECT v, n FROM seen"
        frequent = duck.rows(f"SELECT v, n FROM seen ORDER BY n DESC, v LIMIT {top:d}")
    else:
        distinct = int(estimate)
        source = f"SELECT v, 1::BIGINT AS n FROM {texts} WHERE v IS NOT NULL"
        frequent = duck.rows(
            f"SELECT v, count(*) AS n FROM {texts} WHERE v IN (SELECT unnest(approx_top_k(v, {top:d})) FROM {texts}) "
            "GROUP BY v ORDER BY n DESC, v"
        )
    order = _order(column.type)
    low, high = duck.rows(f"SELECT arg_min(v, {order}), arg_max(v, {order}) FROM ({source})")[0]
    facts = TextFacts()
    if column.type.kind in _TEXTS:
        for batch in duck.stream(source):
            facts.add(batch.column(0).cast(pa.string()), batch.column(1).to_numpy().astype(np.int64))
    dated = facts.looks_like["date"] > LOOKS_LIKE_DATES * (int(filled) - facts.empty)
    return ColumnProfile(
        name=column.name,
        kind=column.type.kind,
        rows=rows,
        nulls=rows - int(filled),
        distinct=distinct,
        distinct_exact=exact,
        min=low,
        max=high,
        top=tuple((str(v), int(n)) for v, n in frequent),
        empty=facts.empty,
        min_length=facts.min_length,
        max_length=facts.max_length,
        patterns=facts.top_shapes(10),
        patterns_exact=facts.shapes_exact,
        leading_space=facts.leading_space,
        trailing_space=facts.trailing_space,
        non_ascii=facts.non_ascii,
        emoji=facts.emoji,
        control=facts.control,
        looks_like=facts.looks_like if column.type.kind in _TEXTS else {},
        classes=_classes(duck, parts, column) if column.type.kind is Kind.MIXED else {},
        years=rows_by_year(duck, f"({source})", column.type.kind) if dated else Years(),
    )


def _as_text(parts: Parts, column: Column) -> bool:
    """Values that DuckDB would not tell apart, or not read, as what they are."""
    arrow = parts.type_of(column.name)
    return not (
        pa.types.is_integer(arrow)
        or pa.types.is_boolean(arrow)
        or pa.types.is_temporal(arrow)
        or pa.types.is_decimal128(arrow)
    )


def _native_column(duck: Engine, parts: Parts, column: Column, rows: int, top: int) -> ColumnProfile:
    """Numbers and times are grouped as they are, and only the values that are shown become texts."""
    v = parts.alias(column.name)
    filled, estimate = duck.rows(f"SELECT count({v}), approx_count_distinct({v}) FROM {parts.sql}")[0]
    exact = estimate <= EXACT_DISTINCT
    if exact:
        duck.run(
            f"CREATE OR REPLACE TABLE seen AS SELECT {v} AS v, count(*) AS n FROM {parts.sql} WHERE {v} IS NOT NULL GROUP BY {v}"
        )
        distinct = int(duck.rows("SELECT count(*) FROM seen")[0][0])
        source, frequent = "seen", f"SELECT v, n FROM seen ORDER BY n DESC, v LIMIT {top:d}"
    else:
        distinct = int(estimate)
        source = f"(SELECT {v} AS v FROM {parts.sql} WHERE {v} IS NOT NULL)"
        frequent = (
            f"SELECT v, count(*) AS n FROM {source} WHERE v IN (SELECT unnest(approx_top_k(v, {top:d})) FROM {source}) "
            "GROUP BY v ORDER BY n DESC, v"
        )
    shown = [(t, n) for t, n in _texts_of(duck, column, frequent)]
    counted = source if exact else f"(SELECT v, 1 AS n FROM {source})"
    years = rows_by_year(duck, counted, column.type.kind) if column.type.kind in DATES else Years()
    ends = [
        t for t, _ in _texts_of(duck, column, f"SELECT unnest([min(v), max(v)]) AS v, 0 AS n FROM {source}")
    ]
    return ColumnProfile(
        name=column.name,
        kind=column.type.kind,
        rows=rows,
        nulls=rows - int(filled),
        distinct=distinct,
        distinct_exact=exact,
        min=ends[0],
        max=ends[1],
        top=tuple((str(t), n) for t, n in shown),
        years=years,
    )


def _texts_of(duck: Engine, column: Column, sql: str) -> list[tuple[str | None, int]]:
    """Rows (v, n) of a small result, v as canonical text."""
    found: list[tuple[str | None, int]] = []
    for batch in duck.stream(sql):
        values = batch.column(0).cast(layout(column.type))
        texts = canon.canonical_text(values, column.type).to_pylist()
        found += zip(texts, batch.column(1).to_numpy().tolist(), strict=True)
    return found


def _order(type_: Type) -> str:
    """What minimum and maximum go by; decimals that a double cannot tell apart count as equal."""
    if type_.kind is Kind.INT:
        return "v::BIGINT"
    if type_.kind in _NUMBERS:
        return "v::DOUBLE"
    return "v"


def _bytes_column(duck: Engine, parts: Parts, column: Column, rows: int) -> ColumnProfile:
    """Bytes have no text: fills, lengths and how many differ (by MD5)."""
    v = parts.alias(column.name)
    filled, empty, low, high, distinct = duck.rows(
        f"SELECT count({v}), count(*) FILTER (octet_length({v}) = 0), min(octet_length({v})), "
        f"max(octet_length({v})), count(DISTINCT md5({v})) FROM {parts.sql}"
    )[0]
    return ColumnProfile(
        column.name,
        Kind.BYTES,
        rows,
        rows - int(filled),
        int(distinct),
        True,
        empty=int(empty),
        min_length=low,
        max_length=high,
    )


def _classes(duck: Engine, parts: Parts, column: Column) -> dict[str, int]:
    v = parts.alias(column.name)
    found = duck.rows(f"SELECT coalesce({v}.tag, 0), count(*) FROM {parts.sql} GROUP BY 1 ORDER BY 1")
    return {_CLASSES[tag]: int(count) for tag, count in found}
