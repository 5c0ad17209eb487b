"""Quality before and after, and what the source holds, as the templates are given it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from migrate.report.html import charts
from migrate.report.html.bounds import COLUMNS, ENTITIES, PICTURES, YEARS, Document, cut

_DIMENSIONS = ("completeness", "validity", "uniqueness", "timeliness", "consistency")


def quality_of(quality: Mapping[str, Document]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for name, one in quality.items():
        scores = one.get("scores") or {}
        ends = {d: scores.get(d) or {} for d in _DIMENSIONS}
        rows.append({"entity": name, "rows": one.get("rows") or {}, "scores": ends})
    shown = [
        d for d in _DIMENSIONS if any(r["scores"][d].get(end) is not None for r in rows for end in ("before", "after"))
    ]  # fmt: skip
    valid = [
        (r["entity"], 100 * before, 100 * after)
        for r in rows
        if (before := r["scores"]["validity"].get("before")) is not None
        and (after := r["scores"]["validity"].get("after")) is not None
    ]
    drawn = sorted(valid, key=lambda v: v[1])[:10]
    chart = None
    if len(drawn) > 1:
        told = "; ".join(f"{n} {b:.0f} before, {a:.0f} after" for n, b, a in drawn)
        series = {"before": [round(v[1], 1) for v in drawn], "after": [round(v[2], 1) for v in drawn]}
        chart = charts.bars(f"Validity in percent, at the source and of the rows that go on: {told}.", [v[0] for v in drawn], series, top=100)  # fmt: skip
    return {**cut(rows, ENTITIES), "dimensions": shown, "chart": chart}


def profile_of(profile: Mapping[str, Document], samples: Mapping[str, Document]) -> dict[str, Any]:
    tables, room, more, pictures = [], COLUMNS, 0, 0
    for name, table in profile.items():
        if "columns" not in table:
            continue
        values = samples.get(name) or {}
        every = table.get("columns") or ()
        shown = [_column(c, values.get(c.get("name"))) for c in every[:room]]
        for column, drawn in zip(every, shown, strict=False):
            if pictures < PICTURES:
                drawn["years"] = _years(column)
                pictures += drawn["years"] is not None
        room -= len(shown)
        more += len(every) - len(shown)
        if shown:
            tables.append({"name": name, "rows": table.get("rows"), "key": table.get("key") or [], "keys": table.get("keys") or {}, "bad": table.get("bad") or {}, "columns": shown})  # fmt: skip
    return {"tables": tables, "more": more}


def _column(column: Document, values: Sequence[Document] | None) -> dict[str, Any]:
    """`values`: the most frequent ones as they are, in the place of their shapes."""
    rows = int(column.get("rows") or 0)
    filled = rows - int(column.get("nulls") or 0) - int(column.get("empty") or 0)
    patterns = [p for p in column.get("patterns") or () if p.get("pattern")][:3]
    if values is not None:
        patterns = [{"pattern": v.get("value"), "rows": v.get("rows")} for v in values if v.get("value")][:3]
    notes = [
        f"{int(column[what]):,} {words}"
        for what, words in (
            ("leading_space", "begin with a space"),
            ("trailing_space", "end with a space"),
            ("control", "hold control characters"),
            ("emoji", "hold pictures"),
            ("non_ascii", "hold letters beyond ASCII"),
        )
        if column.get(what)
    ]
    looks = [f"{100 * share:.0f} % look like {what}" for what, share in (column.get("looks_like") or {}).items() if share >= 0.5]  # fmt: skip
    return {
        "name": column.get("name"),
        "kind": column.get("kind"),
        "fill": filled / rows if rows else None,
        "distinct": column.get("distinct"),
        "exact": column.get("distinct_exact", True),
        "patterns": patterns,
        "notes": [*looks, *notes],
        "years": None,
        "years_rare": int(column.get("years_rare") or 0),
    }


def _years(column: Document) -> Any:
    """A picture of dates over time, where the document has them. Years between that it does not tell are gaps."""
    counts = {int(y["year"]): int(y["rows"]) for y in column.get("years") or ()}
    if len(counts) < 2:
        return None
    first, last = min(counts), max(counts)
    shown = range(first, last + 1) if last - first < 2 * YEARS else sorted(counts)
    told = ", ".join(f"{y}: {n:,}" for y, n in sorted(counts.items()))
    return charts.columns(f"Rows of {column.get('name')} by year: {told}.", [str(y) for y in shown], {"rows": [counts.get(y) for y in shown]})  # fmt: skip
