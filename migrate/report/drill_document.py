"""report.json of a drill: one restore for practice, how long it took, and how that compares with those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from migrate.report.document import DRILL, FORMAT, VERDICT, only, plain

_TOLD = (
    "drill", "passed", "state", "reason", "backup", "vault", "manifest_sha256", "mapping", "role", "system", "engine", "started", "ended", "snapshot_at",
    "rows", "bytes", "rpo_seconds", "rto_seconds", "rows_per_second", "seconds",
)  # fmt: skip
_QUERY = ("query", "why", "passed", "expected", "found", "reason", "seconds")


def build_drill_report(
    drill: Mapping[str, Any], history: Sequence[Mapping[str, Any]], digests: Mapping[str, Any]
) -> dict[str, Any]:
    """The document of format 1. `drill`: as `migrate drill --json` tells of one; `history`: drills of the same system,
    newest first, this one among them; `digests`: `code` (version) and `audit`, the head of the ledger's chain."""
    return {
        "format": FORMAT,
        "kind": "drill",
        "sentence": _sentence(drill),
        **{key: plain(drill.get(key)) for key in _TOLD},
        "verdicts": [only(v, VERDICT) for v in drill.get("verdicts") or ()],
        "queries": [only(q, _QUERY) for q in drill.get("queries") or ()],
        "history": [only(h, DRILL) for h in history],
        "digests": plain(dict(digests)),
    }


def _sentence(drill: Mapping[str, Any]) -> str:
    rows = f"{int(drill.get('rows') or 0):,} rows"
    role, system = drill.get("role"), drill.get("system")
    what = f"the backup of the {role}{f' {system}' if system != role else ''}"
    asked = len(drill.get("queries") or ())
    queries = f", and gave the {asked} answers that were expected" if asked else ""
    if drill.get("passed"):
        return (
            f"{what[0].upper()}{what[1:]} restores: {rows} came back and every value was compared{queries}."
        )
    failed = sum(not v.get("passed") for v in drill.get("verdicts") or ())
    return f"{what[0].upper()}{what[1:]} is not proven: {failed} {'check' if failed == 1 else 'checks'} failed. Do not rely on it."
