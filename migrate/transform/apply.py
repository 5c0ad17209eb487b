"""A compiled entity over one batch of source rows. Every row comes out: kept, or excluded by a named reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from migrate import failpoints
from migrate.errors import Corrupt
from migrate.transform.entity import CompiledEntity, CompiledField
from migrate.transform.expressions import evaluate, locked_connection
from migrate.transform.field import field_columns
from migrate.transform.findings import Findings
from migrate.transform.keys import HIDDEN, hashes_of, keys_of
from migrate.transform.kinds import type_of_arrow
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import TEXT, Mask, Values, values_of

_EXCLUDED_FIELDS: list[pa.Field[Any]] = [
    pa.field("rid", pa.int64()),
    pa.field("key", pa.string()),
    pa.field("reason", pa.string()),
]
EXCLUDED = pa.schema(_EXCLUDED_FIELDS)


@dataclass(frozen=True)
class Transformed:
    """`rows`: every kept row, also those with reasons: `__rid`, `__key` (NULL where a component is), `__hash`, one column
    per field in the target's layout, and the placeholders `__ref.F`, `__ref_to.F`, `__find.F`, `__unique.F`, `__match.C`.

    `excluded`: rid, key, reason. `reasons`: rid, field, code, detail (never the value); a row may have several.
    `events`: rid, field, code (lossy_allowed emptied defaulted warned), original. `stops`: why the run has to stop."""

    rows: pa.Table
    excluded: pa.Table
    reasons: pa.Table
    events: pa.Table
    stops: tuple[str, ...] = ()


def apply(
    compiled: CompiledEntity, batch: pa.Table, rids: npt.NDArray[np.int64] | pa.Array[Any]
) -> Transformed:
    """`batch` has the source table's columns (with `_line`, `_bad`, `_raw` for files), `rids` one id per row.

    Raises UsageError where an expression cannot be computed for any row, Corrupt where the rows are not of their types."""
    failpoints.hit("transform.batch.start")
    numbers = (
        rids.to_numpy(zero_copy_only=False)
        if isinstance(rids, pa.Array)
        else np.asarray(rids, dtype=np.int64)
    )
    if len(numbers) != batch.num_rows:
        raise Corrupt(f"{batch.num_rows} rows came with {len(numbers)} ids", where=compiled.source.name)
    source = SourceRows(batch, compiled.types, compiled.nulls)
    with _sql(compiled) as connection:
        kept, unclear = _where(compiled, connection, source)
        excluded = _excluded(source, compiled, numbers, ~kept)
        if not kept.all():
            source, numbers, unclear = source.filtered(kept), numbers[kept], unclear[kept]
        result = _rows(compiled, connection, source, numbers, unclear)
    failpoints.hit("transform.batch.done")
    return Transformed(result[0], excluded, result[1], result[2], result[3])


class _sql:  # noqa: N801 - a context manager reads like a function
    """A connection only where the entity has SQL: most have none."""

    def __init__(self, compiled: CompiledEntity) -> None:
        self._manager = locked_connection() if compiled.columns_of_sql else None

    def __enter__(self) -> duckdb.DuckDBPyConnection | None:
        return self._manager.__enter__() if self._manager else None

    def __exit__(self, *error: object) -> None:
        if self._manager:
            self._manager.__exit__(None, None, None)


def _bad_records(source: SourceRows) -> Mask:
    if "_bad" not in source.batch.column_names:
        return np.zeros(len(source), dtype=np.bool_)
    return source.batch.column("_bad").is_valid().to_numpy()


def _where(
    compiled: CompiledEntity, connection: duckdb.DuckDBPyConnection | None, source: SourceRows
) -> tuple[Mask, Mask]:
    """Rows that stay, and rows for which the condition cannot be computed (they stay too, with a reason).
    Records that could not be read are never asked."""
    bad = _bad_records(source)
    if compiled.where is None or connection is None:
        return np.ones(len(source), dtype=np.bool_), np.zeros(len(source), dtype=np.bool_)
    values, unclear = _computed(compiled, connection, compiled.where, source)
    answers: Any = values.cast(pa.bool_())
    true: Mask = answers.fill_null(False).to_numpy()
    unclear = unclear & ~bad
    return true | bad | unclear, unclear


def _computed(
    compiled: CompiledEntity, connection: duckdb.DuckDBPyConnection, sql: str, source: SourceRows
) -> tuple[pa.ChunkedArray[Any], Mask]:
    columns = {name: source.arrow(name) for name in compiled.columns_of_sql[sql]}
    return evaluate(connection, sql, columns, len(source))


def _excluded(
    source: SourceRows, compiled: CompiledEntity, rids: npt.NDArray[np.int64], mask: Mask
) -> pa.Table:
    if not mask.any():
        return EXCLUDED.empty_table()
    out = source.filtered(mask)
    return pa.Table.from_arrays(
        [pa.array(rids[mask]), keys_of(out, compiled.key), pa.repeat(pa.scalar("where"), len(out))],
        schema=EXCLUDED,
    )


def _rows(
    compiled: CompiledEntity,
    connection: duckdb.DuckDBPyConnection | None,
    source: SourceRows,
    rids: npt.NDArray[np.int64],
    unclear: Mask,
) -> tuple[pa.Table, pa.Table, pa.Table, tuple[str, ...]]:
    bad = _bad_records(source)
    findings = Findings(compiled.name, bad)
    if bad.any():
        findings.bad_records(pl.Series("", pl.from_arrow(source.batch.column("_bad")), dtype=pl.String))
    findings.reason(unclear, "where", "type", "the condition cannot be computed for this row")
    keys = keys_of(source, compiled.key)
    if keys.null_count:
        findings.reason(
            keys.is_null().to_numpy(zero_copy_only=False), "", "key_missing", "a part of the key is empty"
        )
    columns: dict[str, pa.Array[Any]] = {"__rid": pa.array(rids), "__key": keys, "__hash": hashes_of(source)}
    for field in compiled.fields:
        columns.update(_field(compiled, field, connection, source, findings))
    for field in compiled.matches:
        made = _field(compiled, field, connection, source, findings)
        columns[f"__match.{field.name}"] = made[field.name]
    return pa.table(columns), findings.reasons(rids), findings.events(rids), tuple(findings.stops)


def _field(
    compiled: CompiledEntity,
    field: CompiledField,
    connection: duckdb.DuckDBPyConnection | None,
    source: SourceRows,
    findings: Findings,
) -> dict[str, pa.Array[Any]]:
    bad: Mask | None = None
    if field.source is not None:
        values, bad = source.column(field.source)
        raw = (
            source.mixed_bytes(field.source)
            if field.type.kind.value == "bytes" and not _has_steps(field)
            else None
        )
        if raw is not None:
            values, bad = values_of(raw.to_arrow(), field.type), None
    elif field.sql is not None:
        assert connection is not None
        computed, failed = _computed(compiled, connection, field.sql, source)
        array, type_ = type_of_arrow(computed)
        values = values_of(array, type_)
        findings.reason(failed, field.name, "type", "the expression cannot be computed for this row")
        if failed.any():
            return _without(compiled, field, source, values, findings, failed)
    else:
        values = Values(pl.repeat(field.field.value, len(source), dtype=pl.String, eager=True), TEXT)
    return field_columns(field, source, values, bad, findings, compiled.nul_allowed)


def _without(
    compiled: CompiledEntity,
    field: CompiledField,
    source: SourceRows,
    values: Values,
    findings: Findings,
    failed: Mask,
) -> dict[str, pa.Array[Any]]:
    """A field whose expression failed for some rows: they have had their reason, the rules are not asked again."""
    silent = findings.silent
    findings.silent = silent | failed
    try:
        return field_columns(field, source, values, None, findings, compiled.nul_allowed)
    finally:
        findings.silent = silent


def _has_steps(field: CompiledField) -> bool:
    plain = field.field
    return bool(plain.read_as or plain.do or plain.map or field.refers)


__all__ = ["HIDDEN", "Transformed", "apply"]
