"""What the templates are given: lists of bounded length, made of a report's document and of nothing else.

Every number stands in the document, or is a sum, a share or a rate of numbers that stand there. What is cut says how
much was left out, so that a page stays small whatever the run was like.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrate.report.document import MEASURES, total
from migrate.report.first_screen import caught, needs_a_human, unfinished
from migrate.report.gates import LAMPS, lamp_of
from migrate.report.html import sankey
from migrate.report.html.bounds import ENTITIES, KINDS, LINES, Document, cut
from migrate.report.html.view_profile import profile_of, quality_of
from migrate.report.html.view_reference import dictionary_of, drills_of, split, stages_of, trend, undo
from migrate.report.html.view_rows import budgets, changed, check_of, columns_of, kind_of, left_out, passed

_PARTS = MEASURES[1:]
_LAMP_WORDS = {
    "backup source": "The source was backed up, and what was loaded was read from that backup.",
    "backup target": "The target was backed up, and nobody changed it before the first write.",
    "restore test": "The backups were restored into a scratch database and compared, value by value.",
    "verification": "The target was read again, on a new connection, and compared with what was expected.",
}
# A report of an earlier version lacks some of these; a template knows no missing names.
_PARTS_OF_A_RUN: dict[str, Any] = {
    "archived": {},
    "created": [],
    "glossary": {},
    "peak_mb": None,
    "exit_code": None,
    "balanced": True,
    "total": dict.fromkeys(MEASURES, 0),
    "incomplete": None,
    "started": None,
    "ended": None,
    "rebuilt": None,
}
_ENVIRONMENT: dict[str, Any] = dict.fromkeys(("migrate", "python", "system", "machine", "engines"))
_BACKUP: dict[str, Any] = dict.fromkeys(
    ("id", "role", "system", "engine", "snapshot_at", "rows", "bytes", "level", "manifest_sha256", "signed")
)
_VERDICT: dict[str, Any] = dict.fromkeys(("check", "expected", "found", "reason"))
_STATES = {  # state → how the verdict looks, and its word
    "verified": ("good", "Verified"),
    "rolled_back": ("calm", "Rolled back"),
    "failed": ("bad", "Not verified"),
    "partial": ("warn", "In part"),
    "rebuilt": ("warn", "Rebuilt"),
}


def run(document: Document, samples: Document) -> dict[str, Any]:
    """Everything that run.html.j2 shows."""
    state = str(document.get("state") or "")
    look, word = _STATES.get(state, ("warn", "Did not finish"))
    verdicts = document.get("verdicts") or ()
    return {
        "doc": {
            **_PARTS_OF_A_RUN,
            **document,
            "plan": {"digest": None, **(document.get("plan") or {})},
            "environment": {**_ENVIRONMENT, **(document.get("environment") or {})},
        },
        "digests": {"mapping": None, "schemas": None, "audit": None, **(document.get("digests") or {})},
        "look": look,
        "word": word,
        "unfinished": unfinished(document),
        "stopped_by": document.get("stopped_by") or {},
        "seconds": sum(float(s.get("seconds") or 0) for s in document.get("stages") or ()),
        "lamps": _lamps(document),
        "flows": cut([_flow(n, b) for n, b in (document.get("balances") or {}).items()], ENTITIES),
        "picture": sankey.flow(document.get("balances") or {}, _PARTS),
        "whole": _flow("all rows", total(document.get("balances") or {})),
        "measures": MEASURES,
        "left_out": cut(left_out(document), LINES),
        "humans": needs_a_human(document),
        "caught": caught(document),
        "failed": cut([{**_VERDICT, **v} for v in verdicts if not v.get("passed")], LINES),
        "passed": passed(verdicts),
        "quality": quality_of(document.get("quality") or {}),
        "profile": profile_of(document.get("profile") or {}, samples.get("profile") or {}),
        "quarantine": cut([kind_of(k, samples) for k in document.get("quarantine") or ()], KINDS),
        "duplicates": cut(
            [{"entity": n, **d} for n, d in (document.get("duplicates") or {}).items()], ENTITIES
        ),
        "budgets": budgets(document),
        "lossy": (document.get("policy") or {}).get("lossy"),
        "undo": undo(document),
        "drills": drills_of(document.get("drills") or ()),
        "changed": cut(changed(document.get("events") or {}), KINDS),
        "columns": columns_of(document),
        "checks": cut([check_of(c) for c in document.get("checks") or ()], LINES),
        "backups": cut([{**_BACKUP, **b} for b in document.get("backups") or ()], LINES),
        "stages": stages_of(document),
        "dictionary": dictionary_of(document.get("dictionary") or {}),
        "with_samples": bool(samples),
    }


def drill(document: Document) -> dict[str, Any]:
    """Everything that drill.html.j2 shows."""
    verdicts = document.get("verdicts") or ()
    return {
        "doc": document,
        "look": "good" if document.get("passed") else "bad",
        "word": "Restored and proven" if document.get("passed") else "Not proven",
        "failed": cut([{**_VERDICT, **v} for v in verdicts if not v.get("passed")], LINES),
        "passed": passed(verdicts),
        "split": split(document.get("seconds") or {}),
        "trend": trend(document.get("history") or ()),
    }


# ------------------------------------------------------------------ first screen


def _lamps(document: Document) -> list[dict[str, Any]]:
    counts = {lamp: [0, 0] for lamp in LAMPS}
    for verdict in document.get("verdicts") or ():
        lamp = lamp_of(str(verdict.get("check", "")))
        if lamp is not None:
            counts[lamp][bool(verdict.get("passed"))] += 1
    gates = document.get("gates") or {}
    return [
        {"lamp": lamp, "on": gates.get(lamp), "failed": counts[lamp][0], "passed": counts[lamp][1], "says": says}
        for lamp, says in _LAMP_WORDS.items()
    ]  # fmt: skip


def _flow(name: str, balance: Mapping[str, int]) -> dict[str, Any]:
    """The parts of a bar of 1000, left to right; a part that holds a row is never too narrow to be seen."""
    rows = int(balance.get("in", 0))
    parts, x = [], 0.0
    filled = [(m, int(balance.get(m, 0))) for m in _PARTS if int(balance.get(m, 0)) > 0]
    widths = [max(6.0, 1000 * n / rows) if rows else 0.0 for _, n in filled]
    scale = 1000 / sum(widths) if sum(widths) else 0
    for (measure, count), width in zip(filled, widths, strict=True):
        parts.append({"measure": measure, "count": count, "x": round(x, 1), "width": round(width * scale, 1)})
        x += width * scale
    return {"name": name, "in": rows, "parts": parts, "balance": balance}
