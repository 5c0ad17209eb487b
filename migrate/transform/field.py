"""One field over one batch: origin → read_as → do → map/bands → ref/find → default → check → target type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from migrate.arrow import layout
from migrate.mapping.model import Check, Default
from migrate.model import Kind
from migrate.transform import bands, checks
from migrate.transform.calendar import DAY, timestamps_of
from migrate.transform.consent import UNKNOWN, WITHHELD, Judged
from migrate.transform.conversion import Failure
from migrate.transform.convert import convert
from migrate.transform.entity import CompiledField
from migrate.transform.findings import Findings
from migrate.transform.functions.dates import TWO_READINGS, Surroundings, read_all
from migrate.transform.parameters import run_step
from migrate.transform.quality import QUALITY, About, Broken
from migrate.transform.quality.mail_servers import MailServers
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import (
    DATE,
    READ_AS,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    Mask,
    Values,
    emptied,
    nulls_of,
    replaced,
    texts_of,
)


@dataclass(frozen=True)
class Asked:
    """What rules need to know beside a value: the day of the plan, the name servers that may be asked, and by the SQL of
    `expr` rules the rows for which it is false."""

    today: date = date(1970, 1, 1)
    servers: MailServers | None = None
    broken: Mapping[str, Mask] = field(default_factory=dict)
    consent: Judged | None = None  # where the value needs one


class FieldRun:
    """The state of one field while it is computed. `dead` rows have failed a step: later steps pass them by.

    `silent`: rows that are NULL and not asked at all, for they have their reason already or `when` is not true."""

    def __init__(
        self,
        field: CompiledField,
        values: Values,
        findings: Findings,
        nul_allowed: bool,
        silent: Mask | None = None,
    ) -> None:
        self.field = field
        self.values = Values(emptied(values.series, silent), values.type)
        self.given = values
        self.findings = findings
        self.nul_allowed = nul_allowed
        self.silent = silent
        self.withheld: Mask = np.zeros(len(values.series), dtype=np.bool_)
        self.dead: Mask = np.zeros(len(values.series), dtype=np.bool_) if silent is None else silent.copy()

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

    def saw(self, step: str, broken: Mask | None = None) -> None:
        """Tells of the values as they are after a step, where somebody watches."""
        if self.findings.watch is not None:
            self.findings.watch(self.field.name, step, self.values, broken)

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
        type_ = READ_AS[wanted]
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
            self.saw(step.words)
        # A function may make a value of nothing; a row that has failed has none.
        self.values = Values(emptied(self.values.series, self.dead), self.values.type)

    def map(self) -> None:
        """A value map, or bands."""
        plain = self.field.field
        if plain.map is not None:
            assert self.field.lookup is not None, "maps of tables are given before rows come"
            texts = texts_of(self.values)
            mapped, known = self.field.lookup.find(texts)
            self._mapped(texts, mapped, ~known & ~nulls_of(texts), "the map does not name it")
        elif plain.bands is not None:
            texts, bad = bands.numbers_of(self.values)
            self.kill(bad, "type", "not a number")
            mapped, beyond = bands.banded(texts, plain.bands)
            self._mapped(texts, mapped, beyond, "above the last band")

    def _mapped(self, texts: pl.Series, mapped: pl.Series, unknown: Mask, detail: str) -> None:
        self.values = Values(mapped, TEXT)
        unknown = unknown & ~self.dead
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
            self.kill(unknown, "unmapped_value", detail, stop=outcome == "stop")

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

    def withhold(self, judged: Judged) -> pl.Series:
        """A value without consent does not move: it is kept beside the row, and the column is left alone. The texts of
        those values, NULL elsewhere."""
        filled = ~nulls_of(self.values.series)
        self.findings.event(judged.unknown & ~self.dead, self.field.name, UNKNOWN, lambda: judged.words)
        self.withheld = judged.refused & filled & ~self.dead
        self.event(self.withheld, WITHHELD)
        needed = self.field.guarded or any(
            r.name == "required" and r.on_fail in ("quarantine", "stop") for r in self.field.field.check
        )
        if needed:
            self.kill(self.withheld, WITHHELD, "nobody may be reached this way without consent")
        texts = emptied(texts_of(self.values), ~self.withheld)
        self.values = Values(emptied(self.values.series, self.withheld), self.values.type)
        return texts

    def check(self, about: Asked, rows: SourceRows, *, only: str = "") -> None:
        told = self._about(about, rows)
        for rule in self.field.field.check:
            if only and rule.name != only:
                continue
            found = checks.failing(rule, self.values, told)
            for broken in found:
                mask = broken.mask & ~self.dead
                if mask.any():
                    self.failed(rule, replace(broken, mask=mask))
            every = [broken.mask for broken in found] or [np.zeros(len(self.dead), dtype=np.bool_)]
            self.saw(f"check: {rule.name}", np.logical_or.reduce(every) & ~self.dead)

    def _about(self, about: Asked, rows: SourceRows) -> About:
        """What rules are told besides the value."""

        def column(name: str) -> Values:
            values, bad = rows.column(name)
            return Values(emptied(values.series, bad), values.type)

        def alike(name: str) -> Values:
            """A column as the field itself is read: by `read_as` and `do`, where it is text."""
            values = column(name)
            if values.kind is not Kind.TEXT or not (self.field.field.read_as or self.field.steps):
                return values
            unheard = Findings(self.findings.entity, np.ones(len(values.series), dtype=np.bool_))
            other = FieldRun(self.field, values, unheard, self.nul_allowed)
            other.read_as()
            other.do(rows)
            return other.values

        return About(
            target=self.field.type,
            zone=self.field.zone,
            today=about.today,
            servers=about.servers,
            column=column,
            alike=alike,
            conditions=about.broken,
        )

    def failed(self, rule: Check, broken: Broken) -> None:
        """A row that is quarantined keeps its value here, so that the rules that follow are all heard."""
        mask, outcome = broken.mask, broken.outcome or rule.on_fail
        own = f"{broken.code}_" if rule.name in QUALITY else ""  # other rules are told by their field alone
        if outcome in ("quarantine", "stop"):
            self.findings.reason(mask, self.field.name, broken.code, broken.detail, stop=outcome == "stop")
        elif outcome == "warn":
            self.event(mask, broken.code if own else "warned")
        elif outcome == "empty_and_flag":
            self.event(mask, f"{own}emptied")
            self.values = Values(emptied(self.values.series, mask), self.values.type)
        else:
            self.event(mask, f"{own}defaulted")
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
