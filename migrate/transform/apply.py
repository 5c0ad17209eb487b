"""A compiled entity over one batch of source rows. Every row comes out: kept, or excluded by a named reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from migrate import failpoints
from migrate.errors import Corrupt
from migrate.model import Kind, Type
from migrate.transform.consent import REFUSED, WITHHELD_TEXT, Judged, judge
from migrate.transform.convert import convert
from migrate.transform.entity import LET, CompiledEntity, CompiledField
from migrate.transform.expressions import Expressions, expressions_of
from migrate.transform.field import Asked
from migrate.transform.field_columns import Columns, field_columns
from migrate.transform.findings import Findings, Stop, Watch
from migrate.transform.keys import combined, hashes_of, hashes_with, keys_of
from migrate.transform.list_rows import list_column
from migrate.transform.origin import Given, given
from migrate.transform.result_types import seen_by_sql
from migrate.transform.retention import Retained, retained
from migrate.transform.road_columns import codes_of, lacking, left_out, left_out_reasons
from migrate.transform.source_rows import Made, SourceRows
from migrate.transform.values import Mask, as_series, emptied, texts_of, values_of

_EXCLUDED_FIELDS: list[pa.Field[Any]] = [
    pa.field("rid", pa.int64()),
    pa.field("key", pa.string()),
    pa.field("reason", pa.string()),
]
EXCLUDED = pa.schema(_EXCLUDED_FIELDS)


@dataclass(frozen=True)
class Transformed:
    """`rows`: every kept row, also those with reasons: `__rid`, `__key` (NULL where a component is), `__hash`, one column
    per field in the target's layout, and the placeholders `__ref.F`, `__ref_to.F`, `__find.F`, `__unique.F`, `__match.C`,
    `__withheld.F` (texts that did not move for want of consent), `__refused.CHANNEL` (of entities with duplicates: rows that
    lack that consent), `__by.N` (the JSON text of the N-th columns by which references name the row; NULL where a part is), and the witnesses of `migrate.transform.witness`.

    `excluded`: rid, key, reason, `__by.N`. `reasons`: rid, field, code, detail (never the value); a row may have several.
    `events`: rid, field, code (lossy_allowed emptied defaulted warned), original. `stops`: why the run has to stop.
    `items`: of lists with references, whose column is NULL so far: their items (see `migrate.transform.lists`)."""

    rows: pa.Table
    excluded: pa.Table
    reasons: pa.Table
    events: pa.Table
    stops: tuple[Stop, ...] = ()
    items: Mapping[str, pa.Table] = dataclasses.field(default_factory=dict)


def apply(
    compiled: CompiledEntity,
    batch: pa.Table,
    rids: npt.NDArray[np.int64] | pa.Array[Any],
    joined: Mapping[str, pa.Table] | None = None,
    watch: Watch | None = None,
) -> Transformed:
    """`batch` has the source table's columns (with `_line`, `_bad`, `_raw` for files), `rids` one id per row; `joined`:
    the rows of joins with `rows: any` by name, `__row` being the ordinal in `batch`; `watch` is told
    of every step of the rows that are kept.

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
    with expressions_of(compiled.columns_of_sql) as expressions:
        kept, unclear = _where(compiled, expressions, source, left_out(batch))
        old = _old(compiled, source, kept)
        kept, unclear = kept & ~old.gone, unclear & ~old.gone
        excluded = _excluded(source, compiled, expressions, numbers, ~kept, old.left_out)
        many = dict(joined or {})
        if not kept.all():
            source, numbers, unclear = source.filtered(kept), numbers[kept], unclear[kept]
            old = Retained(old.left_out.filter(as_series(kept)), old.unread[kept], old.undated[kept])
            many = {name: _of_kept(rows, kept) for name, rows in many.items()}
        result = _rows(compiled, expressions, source, numbers, unclear, many, watch, old)
    failpoints.hit("transform.batch.done")
    return replace(result, excluded=excluded)


def _of_kept(rows: pa.Table, kept: Mask) -> pa.Table:
    """Joined rows of the rows that stay, under the ordinals that those have now."""
    place = rows["__row"].to_numpy()
    mine = kept[place] if len(place) else np.zeros(0, dtype=np.bool_)
    now = np.cumsum(kept)[place[mine]] - 1
    stay = rows.filter(pa.array(mine))
    return stay.set_column(stay.column_names.index("__row"), "__row", pa.array(now, pa.int64()))


def made_keys(compiled: CompiledEntity, batch: pa.Table) -> pa.Array[Any]:
    """The source key of every row of `batch` (columns as for `apply`), NULL where a part of it is empty or failed."""
    source = SourceRows(batch, compiled.types, compiled.nulls)
    with expressions_of(compiled.columns_of_sql) as expressions:
        _make(compiled, expressions, source, [compiled.key])
        return keys_of(source, compiled.key)


def _make(
    compiled: CompiledEntity,
    expressions: Expressions,
    source: SourceRows,
    wanted: Iterable[tuple[str, ...]],
) -> None:
    """The let values that keys are made of, for rows that nothing else is asked of."""
    names = {LET + name for columns in wanted for name in columns}
    if any(let.name in names for let in compiled.lets):
        silent = np.ones(len(source), dtype=np.bool_)
        _lets(compiled, expressions, source, Findings(compiled.name, silent))


def _bad_records(source: SourceRows) -> Mask:
    if "_bad" not in source.batch.column_names:
        return np.zeros(len(source), dtype=np.bool_)
    return source.batch.column("_bad").is_valid().to_numpy()


def _where(
    compiled: CompiledEntity, expressions: Expressions, source: SourceRows, gone: Mask
) -> tuple[Mask, Mask]:
    """Rows that stay, and rows for which the condition cannot be computed (they stay too, with a reason).
    Never asked are records that could not be read, rows that the road itself leaves out (`gone`), and rows without the
    joined row that the condition is about."""
    if compiled.where is None:
        return ~gone, np.zeros(len(source), dtype=np.bool_)
    true, unclear = _true(compiled.where, expressions, source)
    silent = _bad_records(source) | lacking(source.batch, compiled.columns_of_sql[compiled.where])
    unclear = unclear & ~silent & ~gone
    return (true | silent | unclear) & ~gone, unclear


def _old(compiled: CompiledEntity, source: SourceRows, kept: Mask) -> Retained:
    """What retention says of the rows that are `kept` so far; never of records that could not be read."""
    rule = compiled.entity.retention
    if rule is None:
        nothing = np.zeros(len(source), dtype=np.bool_)
        return Retained(pl.Series("", [None] * len(source), dtype=pl.String), nothing, nothing)
    found = retained(rule, source, compiled.today, dict(compiled.date_formats))
    passed_by = _bad_records(source) | ~kept
    return Retained(emptied(found.left_out, passed_by), found.unread & ~passed_by, found.undated & ~passed_by)


def _true(condition: str, expressions: Expressions, source: SourceRows) -> tuple[Mask, Mask]:
    """Rows for which the condition is true, and rows for which it cannot be computed. NULL is not true."""
    values, unclear = expressions.over(condition, source)
    answers: Any = values.cast(pa.bool_())
    true: Mask = answers.fill_null(False).to_numpy()
    return true & ~unclear, unclear


def _excluded(
    source: SourceRows,
    compiled: CompiledEntity,
    expressions: Expressions,
    rids: npt.NDArray[np.int64],
    mask: Mask,
    reasons: pl.Series,
) -> pa.Table:
    """`reasons`: why retention leaves a row out, NULL where it does not; then it is the road, or `where`."""
    names = [pa.field(f"__by.{n}", pa.string()) for n in range(len(compiled.named))]
    schema = pa.schema([*EXCLUDED, *names])
    if not mask.any():
        return schema.empty_table()
    out = source.filtered(mask)
    _make(compiled, expressions, out, (compiled.key, *compiled.named))
    own = pl.Series("", pl.from_arrow(left_out_reasons(out.batch, "where")))
    why = reasons.filter(as_series(mask)).fill_null(own).to_arrow().cast(pa.string())
    found = [pa.array(rids[mask]), keys_of(out, compiled.key), why]
    return pa.Table.from_arrays([*found, *(keys_of(out, by) for by in compiled.named)], schema=schema)


def _rows(
    compiled: CompiledEntity,
    expressions: Expressions,
    source: SourceRows,
    rids: npt.NDArray[np.int64],
    unclear: Mask,
    joined: Mapping[str, pa.Table],
    watch: Watch | None,
    old: Retained,
) -> Transformed:
    bad = _bad_records(source)
    findings = Findings(compiled.name, bad, watch)
    if bad.any():
        findings.bad_records(pl.Series("", pl.from_arrow(source.batch.column("_bad")), dtype=pl.String))
    findings.reason(unclear, "where", "type", "the condition cannot be computed for this row")
    findings.reason(old.unread, "retention", "type", "the date that says how old it is cannot be read")
    findings.reason(old.undated, "retention", "required", "no date says how old it is")
    for mask, code, where in codes_of(source.batch):
        findings.reason(mask, where, code)
    looked = _lets(compiled, expressions, source, findings)
    keys = keys_of(source, compiled.key)
    if keys.null_count:
        failed = source.failed(compiled.key)
        empty = keys.is_null().to_numpy(zero_copy_only=False)
        findings.reason(
            empty if failed is None else empty & ~failed, "", "key_missing", "a part of the key is empty"
        )
    columns: dict[str, pa.Array[Any]] = {"__rid": pa.array(rids), "__key": keys, "__hash": hashes_of(source)}
    columns |= {f"__by.{n}": keys_of(source, by) for n, by in enumerate(compiled.named)}
    for field in compiled.fields:
        made = _field(compiled, field, expressions, source, findings)
        columns.update(made.arrays)
        if made.withheld is not None:
            columns[f"{WITHHELD_TEXT}{field.name}"] = made.withheld.to_arrow().cast(pa.string())
        looked += [] if made.looked is None else [made.looked]
    columns |= _refusals(compiled, source)
    for field in compiled.matches:
        made = _field(compiled, field, expressions, source, findings)
        columns[f"__match.{field.name}"] = made.arrays[field.name]

    def evaluate(field: CompiledField, rows: SourceRows, found: Findings) -> Columns:
        return _field(compiled, field, expressions, rows, found)

    lists = {one.name: list_column(one, source, rids, findings, evaluate, joined) for one in compiled.lists}
    columns |= {name: one.array for name, one in lists.items()}
    looked += [one.looked for one in lists.values() if one.looked is not None]
    columns["__hash"] = hashes_with(columns["__hash"], looked)
    return Transformed(
        rows=pa.table(columns),
        excluded=EXCLUDED.empty_table(),
        reasons=pa.concat_tables([findings.reasons(rids), *(one.reasons for one in lists.values())]),
        events=pa.concat_tables([findings.events(rids), *(one.events for one in lists.values())]),
        stops=(*findings.stops, *(stop for one in lists.values() for stop in one.stops)),
        items={name: one.items for name, one in lists.items() if one.items is not None},
    )


def _lets(
    compiled: CompiledEntity, expressions: Expressions, source: SourceRows, findings: Findings
) -> list[pl.Series]:
    """Makes the let values, each seen by those after it; gives the texts that tables of the source gave for them."""
    looked = []
    for let in compiled.lets:
        made = _field(compiled, let, expressions, source, findings)
        failed = made.failed if made.failed is not None else np.zeros(len(source), dtype=np.bool_)
        array = made.arrays[let.name]
        source.add(let.name.removeprefix(LET), let.type, Made(array, *_seen(array, let.type), failed))
        looked += [] if made.looked is None else [made.looked]
    return looked


def _seen(array: pa.Array[Any], type_: Type) -> tuple[pa.Array[Any], Mask | None]:
    """A let value as SQL sees it, and the rows in which it is a decimal that is too long for that."""
    seen = seen_by_sql(type_)
    if seen == type_:
        return array, None
    done = convert(values_of(array, type_), seen)
    masks = [f.mask for f in done.failures] + ([] if done.lossy is None else [done.lossy])
    return done.array, np.logical_or.reduce(masks) if masks else None


def _field(
    compiled: CompiledEntity,
    field: CompiledField,
    expressions: Expressions,
    source: SourceRows,
    findings: Findings,
) -> Columns:
    silent = source.failed(field.reads)
    if field.when is not None:
        true, unclear = _true(field.when, expressions, source)
        if silent is not None:
            unclear = unclear & ~silent
        findings.reason(unclear, field.name, "type", "the condition cannot be computed for this row")
        passed_by = ~true & ~unclear if silent is None else ~true & ~unclear & ~silent
        if field.guarded:
            findings.reason(
                passed_by, field.name, "required", "`when` is not true, and the target column takes no NULL"
            )
        silent = ~true if silent is None else silent | ~true
    start = given(field.origin, source, expressions)
    if field.type.kind is Kind.BYTES and field.source is not None and not field.has_steps:
        raw = source.mixed_bytes(field.source)
        start = start if raw is None else Given(values_of(raw.to_arrow(), field.type))
    if start.failed is not None:
        failed = start.failed if silent is None else start.failed & ~silent
        findings.reason(failed, field.name, "type", "the expression cannot be computed for this row")
        silent = start.failed if silent is None else silent | start.failed
    asked = Asked(
        compiled.today,
        compiled.servers,
        _broken(field, expressions, source, findings, silent),
        _consent(compiled, field, source),
    )
    made = field_columns(field, source, start, silent, findings, compiled.nul_allowed or field.free, asked)
    if field.witnesses:
        said = combined(texts_of(start.values).to_arrow().cast(pa.string()))
        made.arrays.update(dict.fromkeys(field.witnesses, said))
    return made


def _refusals(compiled: CompiledEntity, source: SourceRows) -> dict[str, pa.Array[Any]]:
    """By channel the rows that lack its consent, for those with which they become one."""
    entity = compiled.entity
    if entity.consent is None or entity.duplicates is None:
        return {}
    return {
        f"{REFUSED}{name}": pa.array(judge(entity.consent, [name], source).refused)
        for name in entity.consent.channels
    }


def _consent(compiled: CompiledEntity, field: CompiledField, source: SourceRows) -> Judged | None:
    """Who agreed to what the field is for; None where nobody has to. (Values inside lists have names of their own.)"""
    consent = compiled.entity.consent
    channels = consent.guarded.get(field.name.removeprefix(LET)) if consent is not None else None
    return judge(consent, channels, source) if consent is not None and channels else None


def _broken(
    field: CompiledField,
    expressions: Expressions,
    source: SourceRows,
    findings: Findings,
    silent: Mask | None,
) -> dict[str, Mask]:
    """By the SQL of the field's `expr` rules: rows for which it is false. NULL is not."""
    found: dict[str, Mask] = {}
    for stated, sql in field.conditions.items():
        values, unclear = expressions.over(sql, source)
        answers: Any = values.cast(pa.bool_())
        if silent is not None:
            unclear = unclear & ~silent
        findings.reason(unclear, field.name, "type", "the condition cannot be computed for this row")
        found[stated] = ~answers.fill_null(True).to_numpy() & ~unclear
    return found


__all__ = ["Transformed", "apply", "made_keys"]
