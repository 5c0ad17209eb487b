"""Stages, drills, undo and the data dictionary, as the templates are given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from migrate.report.clean import clean
from migrate.report.html import charts
from migrate.report.html.bounds import COLUMNS, ENTITIES, LINES, Document, cut

_STAGE: dict[str, Any] = dict.fromkeys(("stage", "state", "seconds", "rows", "attempts"))


def stages_of(document: Document) -> dict[str, Any]:
    rows = []
    for stage in document.get("stages") or ():
        spent, many = float(stage.get("seconds") or 0), stage.get("rows")
        rows.append(
            {
                **_STAGE,
                **stage,
                "seconds": stage.get("seconds"),
                # What a killed attempt spent is not known, so there is no speed to tell.
                "rate": round(many / spent)
                if many and spent >= 0.001 and int(stage.get("attempts") or 1) == 1
                else None,
            }
        )
    timed = [r for r in rows if r["seconds"] is not None]
    chart = None
    if len(timed) > 1:
        told = ", ".join(f"{r['stage']} {r['seconds']:.2f}" for r in timed)
        chart = charts.bars(f"Seconds by stage: {told}.", [r["stage"] for r in timed], {"seconds": [round(r["seconds"], 2) for r in timed]})  # fmt: skip
    return {"rows": rows, "chart": chart}  # fmt: skip


def drills_of(drills: Sequence[Document]) -> dict[str, Any]:
    rows = [{**d, "split": split(d.get("seconds") or {})["rows"]} for d in drills]
    return {**cut(rows, 10), "trend": trend(drills)}


def split(seconds: Mapping[str, float]) -> dict[str, Any]:
    """The time of a restore, phase by phase, with its share."""
    whole = sum(seconds.values())
    rows = [{"phase": p, "seconds": s, "share": s / whole if whole else 0.0} for p, s in seconds.items()]
    return {"rows": rows, "whole": whole}


def trend(history: Sequence[Document]) -> Any:
    """A picture of past drills' RTO, oldest first."""
    timed = [h for h in history if h.get("rto_seconds") is not None][:30]
    if len(timed) < 2:
        return None
    timed = timed[::-1]
    told = ", ".join(f"{str(h['started'])[:10]} {h['rto_seconds']:.2f} s" for h in timed)
    return charts.lines(f"Recovery time of {len(timed)} drills: {told}.", [str(h["started"])[:10] for h in timed], {"seconds": [h["rto_seconds"] for h in timed]})  # fmt: skip


def dictionary_of(dictionary: Document) -> dict[str, Any]:
    entities, room, more = [], COLUMNS, 0
    for name, entity in (dictionary.get("entities") or {}).items():
        every = entity.get("columns") or []
        shown = every[:room]
        room -= len(shown)
        more += len(every) - len(shown)
        if shown or not every:
            entities.append({**entity, "name": clean(name), "columns": shown})
    reasons = [r for r in dictionary.get("reasons") or () if r.get("why")]
    return {"entities": entities[:ENTITIES], "more": more, "reasons": cut(reasons, LINES)}


def undo(document: Document) -> dict[str, str]:
    """Whether the run can be, or was, taken back: {look, says, command}."""
    if document.get("rebuilt"):
        images = int(document["rebuilt"].get("journal") or 0)
        return {
            "look": "warn",
            "says": f"Not by this program as things are: it needs the ledger. The journal with {images:,} rows as they were before this run is in the target.",
            "command": "",
        }
    run = str(document.get("run") or "")
    begun = any(s.get("stage") == "load" for s in document.get("stages") or ())
    if document.get("state") == "rolled_back":
        kept = int(document.get("kept") or 0)
        if kept:
            return {
                "look": "warn",
                "says": f"Rolled back, but for {kept:,} rows that were kept.",
                "command": f"migrate rollback {run} --preview",
            }
        return {
            "look": "good",
            "says": "Rolled back: what this run wrote is undone, and the target was compared with its backup.",
            "command": "",
        }
    if begun:
        return {
            "look": "calm",
            "says": "Can be undone, row by row, from the journal in the target; rows that somebody changed since are kept.",
            "command": f"migrate rollback {run} --preview",
        }
    return {
        "look": "calm",
        "says": "Nothing was written to the target: there is nothing to undo.",
        "command": "",
    }
