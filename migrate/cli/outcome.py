"""Exit codes of documents that came back without an exception, but not with success either."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from migrate.errors import Corrupt, GateClosed, Interrupted

_LEVEL = re.compile(r"\bL([0-5])\b", re.IGNORECASE)
_OF_STATE = {
    "verified": 0,
    "rolled_back": 0,
    "stopped": 0,
    "partial": 0,
    "failed": GateClosed.exit_code,
    "interrupted": Interrupted.exit_code,
}


def code_of_run(document: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The run's exit code and its document; where that is not 0 it carries an `error` as every failure does."""
    state = str(document.get("state"))
    code = int(document.get("exit_code", _OF_STATE.get(state, 1)))
    if code == 0 or "error" in document:
        return code, dict(document)
    from migrate.report.document import sentence

    error = {
        "code": code,
        "message": sentence(
            state,
            document.get("balances") or {},
            document.get("verdicts") or (),
            stages=document.get("stages") or (),
        ),
        "where": str(document.get("run") or ""),
        "kept": "",
        "hint": f"See: migrate report {document.get('run')}",
    }
    return code, {**document, "error": error}


def code_of_verdicts(verdicts: Sequence[Mapping[str, Any]]) -> int:
    """0 if checks were made and all passed. A failed L0 to L3 is damage to bytes (6), everything else a closed gate (3)."""
    failed = [v for v in verdicts if not v.get("passed")]
    if verdicts and not failed:
        return 0
    levels = [
        int(match[1]) for v in failed if (match := _LEVEL.search(str(v.get("check", "")).replace("_", " ")))
    ]
    return Corrupt.exit_code if levels and min(levels) <= 3 else GateClosed.exit_code
