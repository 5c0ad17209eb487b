"""One field over one batch: from → read_as → do → map → ref/find → default → check → target type."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from migrate.arrow import layout
from migrate.canon import canonical_text
from migrate.mapping.model import Check, Default, ValueMap
from migrate.model import Kind, Type
from migrate.transform import checks
from migrate.transform.calendar import DAY, timestamps_of
from migrate.transform.conversion import Failure, nulls
from migrate.transform.convert import convert, to_arrow
from migrate.transform.entity import CompiledField
from migrate.transform.findings import Findings
from migrate.transform.functions.dates import TWO_READINGS, Surroundings, read_all
from migrate.transform.keys import combined, reference_keys
from migrate.transform.parameters import run_step
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import (
    BOOLEAN,
    DATE,
    DECIMAL,
    FLOAT,
    INTEGER,
    TEXT,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    Mask,
    Values,
    emptied,
    mask_of,
    nulls_of,
    replaced,
    texts_of,
)

_READ_AS: dict[str, Type] = {
    "text": TEXT,
    "integer": INTEGER,
    "decimal": DECIMAL,
    "float": FLOAT,
    "boolean": BOOLEAN,
    "date": DATE,
    "timestamp": TIMESTAMP,
    "timestamptz": TIMESTAMPTZ,
    "time": TIME,
}


class FieldRun:
    """The state of one field while it is computed. `dead` rows have failed a step: later steps pass them by."""

    def __init__(self, field: CompiledField, values: Values, findings: Findings, nul_allowed: bool) -> None:
        self.field = field
        self.values = values
        self.given = values
        self.findings = findings
        self.nul_allowed = nul_allowed
        self.dead: Mask = np.zeros(len(values.series), dtype=np.bool_)

    def originals(self) -> pl.Series:
        return texts_of(self.given)

    def kill(self, mask: Mask, code: str, detail: str, *, stop: bool = False) -> None:
        mask = mask & ~self.dead
        if mask.any():
            self.findings.reason(mask, self.field.name, code, detail, stop=stop)
            self.dead |= mask
            self.values = Values(emptied(self.values.series, mask), self.values.type)

    def kill_all(self, failures: tuple[Failure, ...]) -> None:
        for failure in failures:
            self.kill(failure.mask, failure.code, failure.detail)

    def event(self, mask: Mask, code: str) -> None:
        self.findings.event(mask & ~self.dead, self.field.name, code, self.originals)

    # -- steps, in order

    def read_as(self) -> None:
        wanted = self.field.field.read_as
        if wanted is None:
            return
        if (
            self.field.dates
            and wanted in ("date", "timestamp", "timestamptz")
            and self.values.series.dtype == pl.String
        ):
            self._read_dates(wanted)
            return
        if wanted == "text":
            self.values = Values(texts_of(self.values), TEXT)
            return
        type_ = _READ_AS[wanted]
        done = convert(self.values, type_, zone=self.field.zone)
        if done.lossy is not None:
            # Reading is exact: what a type cannot hold whole is not of that type.
            self.kill(done.lossy, "type", done.lossy_detail)
        series = pl.Series("", pl.from_arrow(done.array))
        self.values = Values(emptied(series, self.dead), type_)
        self.kill_all(done.failures)

    def _read_dates(self, wanted: str) -> None:
        """By the formats that the source states; they stand alone, ISO is not tried beside them."""
        texts = texts_of(self.values)
        read = read_all(texts, self.field.dates)
        given = ~nulls_of(texts)
        self.kill(given & read.twice, "type", TWO_READINGS)
        ok = read.ok
        if wanted == "date":
            at_midnight = ok & (read.micros % DAY == 0)
            self.kill(given & ~at_midnight, "type", "no date format of the source reads it")
            days = np.where(at_midnight, read.micros // DAY, 0).astype(np.int32)
            self.values = Values(emptied(pl.Series(days).cast(pl.Date), ~at_midnight), DATE)
            return
        self.kill(given & ~ok, "type", "no date format of the source reads it")
        if wanted == "timestamp":
            self.kill(ok & read.zoned, "type", "it names a zone, the field has none")
            self.values = Values(timestamps_of(read.micros, ok & ~read.zoned), TIMESTAMP)
            return
        zoned = timestamps_of(read.micros, ok & read.zoned, utc=True)
        local = convert(
            Values(timestamps_of(read.micros, ok & ~read.zoned), TIMESTAMP), TIMESTAMPTZ, zone=self.field.zone
        )
        moments = pl.Series("", pl.from_arrow(local.array)).zip_with(pl.Series(~read.zoned), zoned)
        self.values = Values(moments, TIMESTAMPTZ)
        self.kill_all(local.failures)

    def do(self, rows: SourceRows) -> None:
        around = Surroundings(self.field.zone, wants_moment=self.field.type.kind is Kind.TIMESTAMPTZ)
        for step in self.field.steps:
            self.values, failures = run_step(step, self.values, rows, around)
            self.kill_all(failures)

    def map(self) -> None:
        value_map = self.field.field.map
        if value_map is None:
            return
        texts = texts_of(self.values)
        mapped, known = looked_up(value_map, texts)
        unknown = ~known & ~nulls_of(texts)
        self.values = Values(mapped, TEXT)
        if not unknown.any():
            return
        outcome = self.field.field.unmapped
        if outcome == "keep":
            self.values = Values(replaced(mapped, unknown, texts), TEXT)
        elif isinstance(outcome, Default):
            self.event(unknown, "defaulted")
            self.values = Values(
                replaced(mapped, unknown, pl.Series([outcome.default], dtype=pl.String)), TEXT
            )
        else:
            self.kill(unknown, "unmapped_value", "the map does not name it", stop=outcome == "stop")

    def default(self) -> None:
        literal = self.field.field.default
        if literal is not None:
            self.fill(nulls_of(self.values.series) & ~self.dead, literal)

    def fill(self, mask: Mask, literal: str) -> None:
        """Puts a literal of the mapping in; where the values are not of its kind, all of them become text."""
        if not mask.any():
            return
        one = (
            convert(Values(pl.Series([literal]), TEXT), self.values.type, zone=self.field.zone)
            if self._literal_fits()
            else None
        )
        if one is None or one.array.null_count or one.lossy is not None:
            self.values = Values(texts_of(self.values), TEXT)
            new = pl.Series([literal])
        else:
            new = pl.Series("", pl.from_arrow(one.array)).cast(self.values.series.dtype)
        self.values = Values(replaced(self.values.series, mask, new), self.values.type)

    def _literal_fits(self) -> bool:
        return self.values.kind not in (Kind.ARRAY, Kind.MIXED) and self.values.type.length is None

    def check(self) -> None:
        for rule in self.field.field.check:
            mask, detail = checks.failing(rule, self.values, self.field.type, self.field.zone)
            mask = mask & ~self.dead
            if mask.any():
                self._failed(rule, mask, detail)

    def _failed(self, rule: Check, mask: Mask, detail: str) -> None:
        """A row that is quarantined keeps its value here, so that the rules that follow are all heard."""
        if rule.on_fail in ("quarantine", "stop"):
            self.findings.reason(mask, self.field.name, rule.name, detail, stop=rule.on_fail == "stop")
        elif rule.on_fail == "warn":
            self.event(mask, "warned")
        elif rule.on_fail == "empty_and_flag":
            self.event(mask, "emptied")
            self.values = Values(emptied(self.values.series, mask), self.values.type)
        else:
            self.event(mask, "defaulted")
            self.values = Values(emptied(self.values.series, mask), self.values.type)
            if self.field.field.default is not None:
                self.fill(mask, self.field.field.default)

    def finish(self) -> pa.Array[Any]:
        """To the target's type, with `lossy`; NULL where the row has failed."""
        arrow = layout(self.field.type)
        done = convert(self.values, self.field.type, zone=self.field.zone, nul_allowed=self.nul_allowed)
        array = done.array
        self.kill_all(done.failures)
        if done.lossy is not None:
            lossy = done.lossy & ~self.dead
            if self.field.lossy == "allow":
                self.event(lossy, "lossy_allowed")
            else:
                # A text that is too long spoils its row only; digits that would get lost spoil the column's meaning.
                stop = self.field.lossy == "error" and done.lossy_code == "lossy"
                self.kill(lossy, done.lossy_code, done.lossy_detail, stop=stop)
        if self.field.guarded:
            empty = array.is_null().to_numpy(zero_copy_only=False)
            heard = np.zeros(len(array), dtype=np.bool_)
            for rule in self.field.field.check:
                if rule.name == "required" and rule.on_fail in ("quarantine", "stop"):
                    heard |= empty
            self.kill(empty & ~heard, "required", "the target column takes no NULL")
        if self.dead.any():
            array = pc_null(array, self.dead, arrow)
        return array


def pc_null(array: pa.Array[Any], mask: Mask, arrow: pa.DataType) -> pa.Array[Any]:
    """The array with NULL where the mask is true, for every Arrow type."""
    places: Any = pa.array(np.arange(len(array), dtype=np.int64), mask=mask)
    return array.take(places).cast(arrow) if mask.any() else array


def looked_up(value_map: ValueMap, texts: pl.Series) -> tuple[pl.Series, Mask]:
    """Mapped texts (NULL where unknown, and where the map empties), and which texts the map names."""
    if not value_map.values:
        return pl.Series("", [None] * len(texts), dtype=pl.String), np.zeros(len(texts), dtype=np.bool_)
    words = list(value_map.values)
    places = texts.replace_strict(words, list(range(len(words))), default=-1, return_dtype=pl.Int32)
    known = mask_of(places >= 0)
    results = pl.Series("", list(value_map.values.values()), dtype=pl.String)
    return results.gather(places.set(pl.Series(~known), None)), known & ~nulls_of(texts)


def field_columns(
    field: CompiledField,
    rows: SourceRows,
    start: Values,
    bad: Mask | None,
    findings: Findings,
    nul_allowed: bool,
) -> dict[str, pa.Array[Any]]:
    """The columns that one field gives `rows` of the transform: its own and its placeholders."""
    if _passes(field, rows, start, bad):
        array = to_arrow(combined(rows.batch.column(field.source or "")), layout(field.type))
        return {field.name: array}
    run_ = FieldRun(field, start, findings, nul_allowed)
    if bad is not None:
        run_.kill(bad, "bad_encoding", "bytes that are not UTF-8")
    run_.read_as()
    run_.do(rows)
    run_.map()
    if field.refers:
        return _reference_columns(run_, rows)
    run_.default()
    run_.check()
    columns = {field.name: run_.finish()}
    if field.unique is not None:
        columns[f"__unique.{field.name}"] = combined(canonical_text(columns[field.name], field.type))
    return columns


def _passes(field: CompiledField, rows: SourceRows, start: Values, bad: Mask | None) -> bool:
    """Nothing to do and nothing to check: the same type on both sides, without any text of its own rules."""
    plain = field.field
    return (
        (bad is None or field.type.kind is Kind.MIXED)
        and field.source is not None
        and not rows.nulls.get(field.source)
        and field.source_type == field.type
        and field.type.kind
        in (
            Kind.INT,
            Kind.BOOL,
            Kind.FLOAT,
            Kind.DATE,
            Kind.TIME,
            Kind.TIMESTAMP,
            Kind.TIMESTAMPTZ,
            Kind.DECIMAL,
            Kind.ARRAY,
            Kind.MIXED,
        )
        and not (
            plain.read_as or plain.do or plain.map or field.refers or plain.check or plain.default is not None
        )
        and not (field.guarded and start.series.null_count())
    )


def _reference_columns(run_: FieldRun, rows: SourceRows) -> dict[str, pa.Array[Any]]:
    """`__ref.`, `__ref_to.`, `__find.` for the settlement over all rows; the target column holds the default only."""
    field, name = run_.field, run_.field.name
    size = len(rows)
    columns: dict[str, pa.Array[Any]] = {}
    texts = combined(
        canonical_text(
            to_arrow(run_.values.series, layout(_widest(run_.values.type))), _widest(run_.values.type)
        )
    )
    named = run_.values
    empty = nulls_of(named.series)
    ref, find = field.field.ref, field.finds
    if ref is not None:
        columns[f"__ref.{name}"] = reference_keys(Values(named.series, _widest(named.type)))
        columns[f"__ref_to.{name}"] = _entities(run_, rows, empty)
    if find is not None:
        constant = find.by is None and ref is None
        columns[f"__find.{name}"] = pa.repeat(pa.scalar("", pa.string()), size) if constant else texts
        if constant:
            empty = empty & False
    literal = nulls(size, layout(field.type))
    defaulted = empty & ~run_.dead
    if field.field.default is not None and defaulted.any():
        one = convert(Values(pl.Series([field.field.default]), TEXT), field.type, zone=field.zone)
        places: Any = pa.array(np.zeros(size, dtype=np.int64), mask=~defaulted)
        literal = one.array.take(places)
        empty = empty & False
    for rule in field.field.check:
        if rule.name == "required":
            run_._failed(rule, empty & ~run_.dead, "empty")
    if field.guarded and not any(
        r.name == "required" and r.on_fail in ("quarantine", "stop") for r in field.field.check
    ):
        run_.kill(empty, "required", "the target column takes no NULL")
    if field.unique is not None:
        columns[f"__unique.{name}"] = columns.get(f"__ref.{name}", texts)
    return {name: literal, **columns}


def _widest(type_: Type) -> Type:
    """Working values are 64 bits wide, and decimals are texts."""
    if type_.kind is Kind.INT or type_.kind is Kind.FLOAT:
        return Type(type_.kind, bits=64)
    return Type(Kind.DECIMAL) if type_.kind is Kind.DECIMAL else type_


def _entities(run_: FieldRun, rows: SourceRows, empty: Mask) -> pa.Array[Any]:
    """The entity that every reference points into; "" where the kind names none, so that it is missing and not NULL."""
    ref = run_.field.field.ref
    assert ref is not None
    if ref.kind is None:
        target: pa.Array[Any] = pa.repeat(pa.scalar(ref.to, pa.string()), len(rows))
    else:
        kinds = texts_of(rows.column(ref.kind)[0])
        mapped, _ = looked_up(ValueMap(values=dict(ref.kinds)), kinds)
        target = to_arrow(mapped.fill_null(""), pa.string())
    return pc_null(target, empty, pa.string())
