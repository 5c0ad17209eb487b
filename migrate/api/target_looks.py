"""Looking into the target as it is now, for single rows: read only, in one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from migrate import canon
from migrate.connectors.protocol import Snapshot, Target
from migrate.model import Schema
from migrate.state.records import meta_rows

CANDIDATES = 5


@dataclass(frozen=True)
class Ask:
    """Rows of `table` whose columns have these canonical texts."""

    table: str
    values: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, table: str, values: Mapping[str, str]) -> Ask:
        return cls(table, tuple(sorted(values.items())))


def found_rows(target: Target, declared: Schema, asks: Iterable[Ask]) -> dict[Ask, list[str]]:
    """Per question the primary keys found, each the JSON array of its canonical texts, CANDIDATES of them at most.
    A table without rows, or with columns that it does not have, gives none."""
    wanted = {ask: list[str]() for ask in asks}
    tables = [t for t in dict.fromkeys(ask.table for ask in wanted) if t in declared.table_names]
    if not tables:
        return wanted
    with target.snapshot(tables) as snapshot:
        for name in tables:
            _look(target, declared, snapshot, name, {a: f for a, f in wanted.items() if a.table == name})
    return wanted


def _look(
    target: Target, declared: Schema, snapshot: Snapshot, name: str, asks: Mapping[Ask, list[str]]
) -> None:
    table, stored = declared.table(name), snapshot.schema.table(name)
    asked = {column for ask in asks for column, _ in ask.values}
    columns = [c for c in table.column_names if c in asked or c in table.primary_key]
    for batch in snapshot.read(name, columns):
        rows = target.as_declared(pa.Table.from_batches([batch]), stored, table)
        texts = {c: canon.canonical_text(rows[c], table.column(c).type) for c in columns if c in asked}
        frame = pl.DataFrame({c: pl.Series(c, pl.from_arrow(t), dtype=pl.String) for c, t in texts.items()})
        keys = canon.source_keys(rows, table.primary_key, table.types).to_pylist()
        for ask, found in asks.items():
            if not all(column in frame.columns for column, _ in ask.values):
                continue
            mask = pl.Series([True] * len(frame))
            for column, text in ask.values:
                mask &= (frame[column] == text).fill_null(False)
            found += [str(keys[n]) for n in mask.arg_true()][: CANDIDATES - len(found)]


def known_rows(target: Target, wanted: Iterable[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
    """(system, entity, source key) → the target key of a row that some run loaded, as far as there is one."""
    asked = set(wanted)
    found = {}
    for rows in (
        meta_rows(target, "crosswalk", ["system", "entity", "source_key", "target_key"]) if asked else ()
    ):
        frame = pl.DataFrame(pl.from_arrow(rows))
        keys = [key for _, _, key in asked]
        for system, entity, key, to in frame.filter(pl.col("source_key").is_in(keys)).iter_rows():
            if (system, entity, key) in asked:
                found[system, entity, key] = str(to)
    return found
