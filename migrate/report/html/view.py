"""What the templates are given: lists of bounded length, made of a report's document and of nothing else.

Every number stands in the document, or is a sum, a share or a rate of numbers that stand there. What is cut says how
much was left out, so that a page stays small whatever the run was like.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from migrate.report.clean import clean
from migrate.report.document import MEASURES, total
from migrate.report.first_screen import caught, needs_a_human, unfinished
from migrate.report.gates import LAMPS, lamp_of
from migrate.report.html import charts, sankey
from migrate.report.meanings import MEANINGS, change

Document = Mapping[str, Any]
ENTITIES, COLUMNS, KINDS, LINES, PICTURES, YEARS = 120, 600, 150, 200, 12, 60  # at most, in the whole page
_PARTS = MEASURES[1:]
_DIMENSIONS = ("completeness", "validity", "uniqueness", "timeliness", "consistency")
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
_WHOLE: dict[str, Any] = dict.fromkeys(("before", "after", "difference", "quarantined"))
_CHECK: dict[str, Any] = dict.fromkeys(
    ("check", "within", "passed", "edited", "unread", "whole", "groups", "more")
)
_STAGE: dict[str, Any] = dict.fromkeys(("stage", "state", "seconds", "rows", "attempts"))
_VERDICT: dict[str, Any] = dict.fromkeys(("check", "expected", "found", "reason"))
_REASONS = {"where": "the mapping's `where` leaves them out"}
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
        "flows": _cut([_flow(n, b) for n, b in (document.get("balances") or {}).items()], ENTITIES),
        "picture": sankey.flow(document.get("balances") or {}, _PARTS),
        "whole": _flow("all rows", total(document.get("balances") or {})),
        "measures": MEASURES,
        "left_out": _cut(_left_out(document), LINES),
        "humans": needs_a_human(document),
        "caught": caught(document),
        "failed": _cut([{**_VERDICT, **v} for v in verdicts if not v.get("passed")], LINES),
        "passed": _passed(verdicts),
        "quality": _quality(document.get("quality") or {}),
        "profile": _profile(document.get("profile") or {}, samples.get("profile") or {}),
        "quarantine": _cut([_kind(k, samples) for k in document.get("quarantine") or ()], KINDS),
        "duplicates": _cut(
            [{"entity": n, **d} for n, d in (document.get("duplicates") or {}).items()], ENTITIES
        ),
        "budgets": _budgets(document),
        "lossy": (document.get("policy") or {}).get("lossy"),
        "undo": _undo(document),
        "drills": _drills(document.get("drills") or ()),
        "changed": _cut(_changed(document.get("events") or {}), KINDS),
        "columns": _columns(document),
        "checks": _cut([_check(c) for c in document.get("checks") or ()], LINES),
        "backups": _cut([{**_BACKUP, **b} for b in document.get("backups") or ()], LINES),
        "stages": _stages(document),
        "dictionary": _dictionary(document.get("dictionary") or {}),
        "with_samples": bool(samples),
    }


def drill(document: Document) -> dict[str, Any]:
    """Everything that drill.html.j2 shows."""
    verdicts = document.get("verdicts") or ()
    return {
        "doc": document,
        "look": "good" if document.get("passed") else "bad",
        "word": "Restored and proven" if document.get("passed") else "Not proven",
        "failed": _cut([{**_VERDICT, **v} for v in verdicts if not v.get("passed")], LINES),
        "passed": _passed(verdicts),
        "split": split(document.get("seconds") or {}),
        "trend": _trend(document.get("history") or ()),
    }


def _cut(found: Sequence[Any], most: int) -> dict[str, Any]:
    """`shown`: at most `most`; `more`: how many are not shown."""
    return {"shown": list(found[:most]), "more": max(0, len(found) - most)}


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


def _left_out(document: Document) -> list[dict[str, Any]]:
    """Why rows of source tables went nowhere: {table, entity, reason, rows}."""
    found = []
    for table, account in (document.get("tables") or {}).items():
        for entity, reasons in (account.get("excluded") or {}).items():
            found += [
                {"table": table, "entity": entity, "reason": _REASONS.get(r, r), "rows": n}
                for r, n in reasons.items()
            ]
        found += [
            {"table": table, "entity": "", "reason": r, "rows": n}
            for r, n in (account.get("left_out") or {}).items()
        ]
        if account.get("left_behind"):
            found.append(
                {
                    "table": table,
                    "entity": "",
                    "reason": f"left behind: {account['left_behind']}",
                    "rows": account.get("rows"),
                }
            )
    return found  # fmt: skip


def _check(check: Document) -> dict[str, Any]:
    groups = [{**_WHOLE, "of": {}, "passed": True, **g} for g in check.get("groups") or ()]
    whole = check.get("whole")
    return {**_CHECK, **check, "whole": {**_WHOLE, **whole} if whole else None, "groups": groups}


def _passed(verdicts: Iterable[Document]) -> list[dict[str, Any]]:
    """Checks that passed, those of one kind together: {kind, count, examples}."""
    kinds: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.get("passed"):
            name = str(verdict.get("check", ""))
            head, _, rest = name.partition(" ")
            kind = f"{head} {rest}" if head[:1] == "L" and head[1:].isdigit() else head
            kinds.setdefault(kind.strip(), []).append(rest)
    return [
        {"kind": kind, "count": len(of), "of": [*dict.fromkeys(o for o in of if o and o not in kind)][:12]}
        for kind, of in kinds.items()
    ]


# ------------------------------------------------------------------ quality and profile


def _quality(quality: Mapping[str, Document]) -> dict[str, Any]:
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
    return {**_cut(rows, ENTITIES), "dimensions": shown, "chart": chart}


def _profile(profile: Mapping[str, Document], samples: Mapping[str, Document]) -> dict[str, Any]:
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


# ------------------------------------------------------------------ rows and values


def _kind(kind: Document, samples: Document) -> dict[str, Any]:
    place = ".".join(filter(None, (str(kind.get("entity") or ""), str(kind.get("field") or ""))))
    code = str(kind.get("code") or "")
    examples = samples.get("quarantine", {}).get((kind.get("entity"), kind.get("field") or "", code))
    return {
        "place": place,
        "code": code,
        "count": kind.get("count"),
        "means": MEANINGS.get(code, ""),
        "examples": (examples if examples is not None else kind.get("examples") or [])[:3],
    }


def _changed(events: Mapping[str, int]) -> list[dict[str, Any]]:
    found = []
    for name, count in sorted(events.items(), key=lambda item: (-int(item[1]), item[0])):
        place, _, code = name.rpartition(": ")
        found.append({"place": place, "code": code, "count": count, "means": change(code)})
    return found


def _budgets(document: Document) -> list[dict[str, Any]]:
    """How much of what the mapping allows to stay behind did: {what, count, of, share, most}."""
    policy, balances = document.get("policy") or {}, document.get("balances") or {}
    if policy.get("max_quarantine") is None or not balances:
        return []
    own = policy.get("own") or {}
    whole = total(balances)
    asked = [("all rows", whole, float(policy["max_quarantine"]))]
    asked += [(name, balances[name], float(most)) for name, most in own.items() if name in balances]
    return [
        {
            "what": what,
            "count": b["quarantined"],
            "of": b["in"],
            "share": b["quarantined"] / b["in"] if b["in"] else 0.0,
            "most": most,
        }
        for what, b, most in asked
    ]


def _undo(document: Document) -> dict[str, str]:
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


def _drills(drills: Sequence[Document]) -> dict[str, Any]:
    rows = [{**d, "split": split(d.get("seconds") or {})["rows"]} for d in drills]
    return {**_cut(rows, 10), "trend": _trend(drills)}


def _columns(document: Document) -> dict[str, Any]:
    use = document.get("columns") or {}
    return {
        "decided": _cut(list((document.get("plan") or {}).get("left_behind") or ()), LINES),
        **{kind: _cut(list(use.get(kind) or ()), LINES) for kind in ("unmapped", "empty", "rare")},
    }


# ------------------------------------------------------------------ stages, drills, dictionary


def _stages(document: Document) -> dict[str, Any]:
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


def split(seconds: Mapping[str, float]) -> dict[str, Any]:
    """The time of a restore, phase by phase, with its share."""
    whole = sum(seconds.values())
    rows = [{"phase": p, "seconds": s, "share": s / whole if whole else 0.0} for p, s in seconds.items()]
    return {"rows": rows, "whole": whole}


def _trend(history: Sequence[Document]) -> Any:
    """A picture of past drills' RTO, oldest first."""
    timed = [h for h in history if h.get("rto_seconds") is not None][:30]
    if len(timed) < 2:
        return None
    timed = timed[::-1]
    told = ", ".join(f"{str(h['started'])[:10]} {h['rto_seconds']:.2f} s" for h in timed)
    return charts.lines(f"Recovery time of {len(timed)} drills: {told}.", [str(h["started"])[:10] for h in timed], {"seconds": [h["rto_seconds"] for h in timed]})  # fmt: skip


def _dictionary(dictionary: Document) -> dict[str, Any]:
    entities, room, more = [], COLUMNS, 0
    for name, entity in (dictionary.get("entities") or {}).items():
        every = entity.get("columns") or []
        shown = every[:room]
        room -= len(shown)
        more += len(every) - len(shown)
        if shown or not every:
            entities.append({**entity, "name": clean(name), "columns": shown})
    reasons = [r for r in dictionary.get("reasons") or () if r.get("why")]
    return {"entities": entities[:ENTITIES], "more": more, "reasons": _cut(reasons, LINES)}
