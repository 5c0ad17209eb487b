"""Transform's gates: what keeps settled rows from being loaded at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from migrate.context import Context
from migrate.durable import write_bytes
from migrate.errors import Drift, GateClosed, TooManyQuarantined
from migrate.ledger.records import JSON
from migrate.model import Verdict
from migrate.planning import limit_of, may_be_quarantined
from migrate.rules.scores import below
from migrate.transform.settle import Settled


def refuse_mistaken(ctx: Context, settled: Settled) -> None:
    """Rows whose identity is in doubt are neither loaded again nor taken for others (F15)."""
    if settled.doubles:
        raise Drift(
            "rows are known under an earlier name (`was`) and under the present one, and no row can be two: "
            + "; ".join(settled.doubles),
            where=ctx.mapping.path,
            kept="Nothing was loaded.",
            hint="Roll back the run that loaded them under one of the names, or take that name out of `was`.",
        )
    if settled.astray:
        raise GateClosed(
            "with these corrections rows would change that nobody corrected: " + "; ".join(settled.astray),
            where=ctx.mapping.path,
            kept="Nothing was loaded.",
            hint="They meet other rows, by `duplicates` or by references. Correct the rows at the source, and run the mapping again.",
        )
    if settled.strangers:
        raise Drift(
            "rows are known under another identity and would be loaded a second time: "
            + "; ".join(s.found for s in settled.strangers),
            where=ctx.mapping.path,
            kept="Nothing was loaded.",
            hint=" ".join(s.way_out for s in settled.strangers)
            + " Else give entity, system and key their earlier names.",
        )


def refuse_quarantined(ctx: Context, settled: Settled, counts: Mapping[str, int], stops: list[str]) -> None:
    kept = "Nothing was loaded; the backups are kept."
    if stops:
        raise GateClosed(
            f"the mapping says stop: {'; '.join(sorted(set(stops))[:20])}",
            kept=kept,
            hint="Correct the mapping or the source; `migrate quarantine list` shows the rows.",
        )
    for name, entity in ctx.entities.items():
        rows = counts[name]
        if settled.quarantined[name] > may_be_quarantined(ctx.mapping, entity, rows):
            share, limit = settled.quarantined[name] / rows, limit_of(ctx.mapping, entity)
            raise TooManyQuarantined(
                f"{settled.quarantined[name]} of {rows} rows are quarantined ({share:.1%}), the limit is {limit:.1%}",
                where=name,
                kept=kept,
                hint=f"See `migrate quarantine list {ctx.run}`; correct the mapping, or set max_quarantine.",
            )


def refuse_poor(ctx: Context, quality: Mapping[str, JSON]) -> None:
    """Rows that are worse than the mapping asks for do not go on."""
    for name, entity in ctx.entities.items():
        found: Any = quality.get(name) or {}
        wrong = below(found.get("scores") or {}, entity.min_quality)
        if wrong:
            raise GateClosed(
                f"the rows are not good enough: {'; '.join(wrong)}",
                where=name,
                kept="Nothing was loaded; the backups are kept.",
                hint=f"See `migrate report {ctx.run}`; correct source or mapping, or min_quality.",
            )


def refuse_totals(ctx: Context, verdicts: list[Verdict]) -> None:
    """A check over a table that cannot hold is told now, and not after the load. Which groups differ is told in a file
    of the run alone: what names a group is a value."""
    failed = [v for v in verdicts if not v.passed]
    path = ctx.place("transform", "checks.differences.json")
    path.unlink(missing_ok=True)  # of an attempt before this one
    if failed:
        first = failed[0]
        raise GateClosed(
            f"{first.check} would not be the same in the target: {first.expected} before, {first.found} after ({first.reason})",
            where=ctx.mapping.path,
            kept="Nothing was loaded; the backups are kept.",
            hint=f"See `migrate quarantine list {ctx.run}`{_told_apart(failed, path)}; correct mapping or source, or say "
            "`within` in the check.",
        )


def _told_apart(failed: list[Verdict], path: Path) -> str:
    """Writes `transform/checks.differences.json` (0600, holds values): a list of {check, expected, found, reason, groups} of
    the failed checks that are made group by group, groups that differ by more than is allowed, at most
    `migrate.rules.totals.GROUPS_SHOWN` of each. Gives the words that name it, or "" where there is none."""
    told = []
    for verdict in failed:
        groups: Any = verdict.evidence.get("groups") or []
        apart = [group for group in groups if not group["passed"]]
        if apart:
            said = {"check": verdict.check, "expected": verdict.expected, "found": verdict.found}
            told.append({**said, "reason": verdict.reason, "groups": apart})
    if not told:
        return ""
    text = json.dumps(told, indent=1, ensure_ascii=False)
    write_bytes(path, text.encode("utf-8", "surrogatepass"), point="transform.checks")
    return f", and the groups that differ in {path}"
