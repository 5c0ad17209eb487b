"""report.json: what a run did and what proves it, as one versioned document without row values or secrets.

`build_report` is pure: it takes the facts that the run gathered, in any order and with any extras, and
gives the same document for the same facts. Only what is named here gets in; a fact that is not
named stays out, so that nothing slips into a file that people send to each other.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from migrate import failpoints
from migrate.durable import atomic_file, make_private_folder
from migrate.errors import Corrupt, UsageError
from migrate.report.gates import lamps
from migrate.report.rebuilt import sentence_of

FORMAT = 1
FILE_NAME = "report.json"
MEASURES = ("in", "loaded", "unchanged", "merged", "quarantined", "excluded")
_ENVIRONMENT = ("migrate", "python", "system", "machine", "cpus", "memory_mb", "engines", "libraries")
_BACKUP = (
    "id", "role", "system", "engine", "snapshot_at", "created_at", "level", "rows", "bytes", "tables",
    "schema_digest", "manifest_sha256", "algorithm", "not_carried", "signed",
)  # fmt: skip
DRILL = (
    "id", "backup", "role", "system", "engine", "state", "started", "ended", "snapshot_at", "rows", "bytes",
    "rpo_seconds", "rto_seconds", "seconds",
)  # fmt: skip
_ERROR = ("message", "where", "kept", "hint")
_REPLAY = ("run", "state", "corrected", "loaded", "quarantined")
_PLAN = ("mapping", "digest", "order", "entities", "problems", "deferred", "left_behind", "touched")


def build_report(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The document of format 1; keys in a fixed order, all JSON-able.

    `facts`: the run's shape (`run`, `mapping`, `state`, `stages`, `balances`, `verdicts`) and, where known,
    `tables` (source table → what became of its rows, as `migrate.state.accounts` tells it), `joins` (ENTITY.JOIN → rows,
    used, unused), `kept` (rows that a rollback left alone), `replays` (runs that sent corrected rows again: run, state, corrected, loaded, quarantined), `columns` (unmapped, empty, rare: source columns and how far they are filled), `stale` (ENTITY.FIELD → rows, amount, sum), `known_as` (entity → then, rows, rules, shared: rows that are somebody who is known already), `quality` (entity → rows and scores, as `migrate.state.quality` gives them), `archived` (entity → rows and the backup in which retention keeps them), `created` (tables and columns, in words), `gone` (entity → known, gone, left_out, verdict → rows of earlier runs), `conflicts`
    (entity → kept, overwritten, quarantined: rows that changed on both sides), `started`, `ended` (ISO 8601 UTC or datetime), `exit_code`, `plan`,
    `stopped_by` (message, where, kept, hint of an error), `incomplete` (why parts are missing), `rebuilt` (what target and vault say where the ledger is lost, as `migrate.api.rebuilding` gathers it), `duplicates` (entity → merged, clusters, largest, review, placeholders), `policy` (budgets), `drills` (newest first), `digests`, `dictionary` (as `migrate.report.dictionary.brief` gives it), `glossary`, `checks` (evidence of `migrate.rules.totals`), `quarantine` (dicts of entity, field,
    code, count), `review` (entity → pairs that may be one and wait for a person), `events` (name → count), `profile` (masked by whoever made it), `backups`, `timings`
    (name → seconds), `peak_mb`, `environment`. Raises UsageError where the run's shape is incomplete."""
    missing = [key for key in ("run", "mapping", "state") if not facts.get(key)]
    if missing:
        raise UsageError(f"a report needs {', '.join(missing)}.")
    balances = {name: _balance(b) for name, b in _mapping(facts.get("balances")).items()}
    verdicts = [_verdict(v) for v in facts.get("verdicts") or ()]
    stages = [
        only(s, ("stage", "state", "seconds", "rows", "attempts", "notes")) for s in facts.get("stages") or ()
    ]
    return {
        "format": FORMAT,
        "run": plain(facts["run"]),
        "mapping": plain(facts["mapping"]),
        "state": plain(facts["state"]),
        "exit_code": plain(facts.get("exit_code")),
        "stopped_by": only(facts["stopped_by"], _ERROR) if facts.get("stopped_by") else None,
        "incomplete": str(facts["incomplete"]) if facts.get("incomplete") else None,
        "started": plain(facts.get("started")),
        "ended": plain(facts.get("ended")),
        "rebuilt": plain(facts["rebuilt"]) if facts.get("rebuilt") else None,
        "sentence": sentence_of(facts["rebuilt"])
        if facts.get("rebuilt")
        else sentence(
            str(facts["state"]),
            balances,
            verdicts,
            edited=sum(_mapping(facts.get("edited")).values()),
            stages=stages,
        ),
        "edited": {str(k): int(v) for k, v in sorted(_mapping(facts.get("edited")).items()) if v},
        "gone": plain(_mapping(facts.get("gone"))),
        "conflicts": plain(_mapping(facts.get("conflicts"))),
        "gates": lamps(verdicts),
        "balances": balances,
        "replays": [only(r, _REPLAY) for r in facts.get("replays") or ()],
        "total": total(balances),
        "tables": plain(_mapping(facts.get("tables"))),
        "joins": plain(_mapping(facts.get("joins"))),
        "kept": plain(facts.get("kept")),
        "archived": plain(_mapping(facts.get("archived"))),
        "created": [str(what) for what in facts.get("created") or ()],
        "balanced": all(balanced(b) for b in balances.values()),
        "columns": plain(_mapping(facts.get("columns"))),
        "stale": plain(_mapping(facts.get("stale"))),
        "known_as": plain(_mapping(facts.get("known_as"))),
        "quality": plain(_mapping(facts.get("quality"))),
        "quarantine": quarantine_counts(facts.get("quarantine") or ()),
        "duplicates": plain(_mapping(facts.get("duplicates"))),
        "policy": plain(_mapping(facts.get("policy"))),
        "review": {str(k): int(v) for k, v in sorted(_mapping(facts.get("review")).items())},
        "verdicts": verdicts,
        "checks": [only(c, _CHECK) for c in facts.get("checks") or ()],
        "stages": stages,
        "timings": plain(_mapping(facts.get("timings"))) or {s["stage"]: s.get("seconds") for s in stages},
        "peak_mb": plain(facts.get("peak_mb")),
        "events": {str(k): plain(v) for k, v in sorted(_mapping(facts.get("events")).items())},
        "backups": [only(b, _BACKUP) for b in facts.get("backups") or ()],
        "drills": [only(d, DRILL) for d in facts.get("drills") or ()],
        "digests": plain(_mapping(facts.get("digests"))),
        "plan": only(_mapping(facts.get("plan")), _PLAN),
        "dictionary": plain(_mapping(facts.get("dictionary"))),
        "glossary": plain(_mapping(facts.get("glossary"))),
        "profile": plain(_mapping(facts.get("profile"))),
        "environment": only(_mapping(facts.get("environment")), _ENVIRONMENT),
    }


def write_report(folder: Path, document: Mapping[str, Any]) -> Path:
    """`report.json` in `folder`, wholly or not at all; the same document gives the same bytes. Raises Unreachable."""
    make_private_folder(folder)
    path = folder / FILE_NAME
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    failpoints.hit("report.document.built")
    with atomic_file(path, point="report.document") as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
    return path


def read_report(path: Path) -> dict[str, Any]:
    """Raises Corrupt where the file is no report, UsageError where a newer version wrote it."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Corrupt("the report cannot be read.", where=str(path)) from error
    if not isinstance(document, dict) or not isinstance(document.get("format"), int):
        raise Corrupt("this is no report of a run.", where=str(path))
    if document["format"] > FORMAT:
        raise UsageError(
            f"the report has format {document['format']}, this version knows {FORMAT}.",
            where=str(path),
            hint="Read it with the version that wrote it.",
        )
    return document


def sentence(
    state: str,
    balances: Mapping[str, Mapping[str, int]],
    verdicts: Iterable[Mapping[str, Any]] = (),
    *,
    edited: int = 0,
    stages: Iterable[Mapping[str, Any]] = (),
) -> str:
    """The run in one sentence; `Verified` is said of a verified run only, and never of values that somebody
    changed in the target since (`edited` rows). `stages`: those that were begun, where they are known."""
    sums = total(balances)
    rows, arrived = sums["in"], sums["loaded"] + sums["unchanged"]
    kept = [f"{sums[m]:,} {word}" for m, word in _ELSEWHERE if sums[m]]
    flow = f"{arrived:,} of {rows:,} rows are in the target" + (f", {_joined(kept)}" if kept else "")
    failed = sum(not v.get("passed") for v in verdicts)
    begun = {str(s.get("stage")) for s in stages}
    match state:
        case "failed" if begun and "load" not in begun:
            return "Stopped before the load: nothing was written to the target's rows."
        case "verified":
            theirs = f", but for {edited:,} rows edited there since they were loaded" if edited else ""
            return f"Verified: {flow}; the target was read again and holds exactly what was expected{theirs}."
        case "failed" if failed:
            return f"Not verified: {failed} {'check' if failed == 1 else 'checks'} failed. Do not use the target before you know why."
        case "failed":
            return "Failed before the target could be verified. Do not use it before you know why."
        case "stopped":
            return "Stopped where it was asked to stop; nothing is verified yet. The same command without --to goes on."
        case "partial":
            return f"Only the entities asked for: {flow}. The whole migration is not verified."
        case "interrupted" | "running":
            return "Not finished. Run the same command again to resume."
        case "rolled_back":
            return "Rolled back: what this run wrote is undone."
        case _:
            return f"{state}: {flow}."


_ELSEWHERE = (
    ("merged", "merged into others"),
    ("quarantined", "in quarantine"),
    ("excluded", "left out by rule"),
)


def total(balances: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {m: sum(int(b.get(m, 0)) for b in balances.values()) for m in MEASURES}


def balanced(balance: Mapping[str, int]) -> bool:
    return balance["in"] == sum(balance[m] for m in MEASURES[1:])


def quarantine_counts(counts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Entity, field, code and count, the most frequent first; a code that came twice is added up. `examples`, masked by
    whoever made them, where there are any."""
    sums: dict[tuple[str, str, str], int] = {}
    shown: dict[tuple[str, str, str], list[str]] = {}
    for count in counts:
        key = (str(count.get("entity") or ""), str(count.get("field") or ""), str(count.get("code") or ""))
        sums[key] = sums.get(key, 0) + int(count.get("count", 1))
        shown.setdefault(key, []).extend(map(str, count.get("examples") or ()))
    ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return [
        {
            "entity": e,
            "field": f,
            "code": c,
            "count": n,
            **({"examples": shown[e, f, c]} if shown[e, f, c] else {}),
        }
        for (e, f, c), n in ordered
    ]


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: exact decimals as text, moments as ISO 8601, what is no number as null."""
    match value:
        case None | bool() | int():
            return value
        case Enum():
            return plain(value.value)
        case str():
            return str(value)
        case float():
            return value if math.isfinite(value) else None
        case Decimal() | Path():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case Mapping():
            return {str(k): plain(v) for k, v in value.items()}
        case set() | frozenset():
            return sorted(map(plain, value), key=str)
        case _ if is_dataclass(value) and not isinstance(value, type):
            return plain(asdict(value))
        case _ if isinstance(value, Iterable):
            return [plain(v) for v in value]
        case _:
            return str(value)


def _balance(balance: Any) -> dict[str, int]:
    counts = balance.as_json() if hasattr(balance, "as_json") else balance
    return {m: int(counts.get(m, 0)) for m in MEASURES}


def _verdict(verdict: Any) -> dict[str, Any]:
    """Without its evidence: that may name rows, and stays with the run."""
    return only(
        asdict(verdict) if is_dataclass(verdict) and not isinstance(verdict, type) else verdict, VERDICT
    )


# Values of the columns that a check groups by are in it: the mapping says that they may be shown.
_CHECK = ("check", "within", "passed", "edited", "unread", "merged", "whole", "groups", "more")
VERDICT = ("check", "passed", "expected", "found", "reason")


def only(value: Any, keys: Iterable[str]) -> dict[str, Any]:
    """Those of `keys` that `value` has, JSON-able."""
    given = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    return {key: plain(given[key]) for key in keys if key in given}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
