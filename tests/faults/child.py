"""What runs in a forked process: one command, with failpoints armed, in parts of a few rows.

The fork server imports this module once, and with it all that a command loads only when it needs it: a command
then costs no imports. What it still had to import is told in `Ended.imported`.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest  # noqa: F401 - a child of `python -m pytest` imports it again, which preloading makes cheap
from migrate import api, failpoints, parts
from migrate.cli.failure import failure_of

for _lazy in (
    "adbc_driver_postgresql.dbapi", "encodings.utf_8_sig", "importlib.readers", "importlib_metadata", "jinja2.ext",
    "migrate.api.running",
    "migrate.connectors.bisect", "migrate.connectors.mysql.native", "migrate.connectors.mysql.scratch",
    "migrate.connectors.native", "migrate.connectors.postgres.native", "migrate.connectors.sqlite.native",
    "migrate.connectors.postgres.pieces",
    "migrate.connectors.postgres.scratch", "migrate.connectors.postgres.violations",
    "migrate.connectors.sqlite.references", "migrate.connectors.sqlite.scratch",
    "migrate.connectors.sqlite.violations", "numpy.ma", "psycopg", "pgpq", "pwd", "pygal", "pyarrow.acero", "quickjs",
    "sqlalchemy.dialects.sqlite",
):  # fmt: skip
    import_module(_lazy)

ROWS_PER_PART = 3
TIMEOUT = 120.0

_context: Any = None


@dataclass(frozen=True)
class Ended:
    """`code`: the process' exit code, negative for a signal; `answer`: what the command returned, or its error;
    `imported`: modules of the program and of its libraries that were loaded only now."""

    code: int
    answer: Mapping[str, Any]
    imported: Sequence[str] = ()


def server() -> Any:
    """The context whose children are forked from a process that has imported everything already."""
    global _context
    if _context is None:
        _context = multiprocessing.get_context("forkserver")
        _context.set_forkserver_preload([__name__])
    return _context


def start(
    what: str,
    mapping: Path,
    *,
    arm: str = "",
    log: Path | None = None,
    answer: Path | None = None,
    since: str = "",
) -> Any:
    """Start `run`, `replay` of the folder `fix` beside it, or `rollback`, of a mapping; returns the process. `arm` holds from the first passing of `since` on."""
    arguments = (what, str(mapping), arm, since, str(log) if log else None, str(answer or os.devnull))
    process = server().Process(target=_main, args=arguments)
    process.start()
    return process


def ended(process: Any, answer: Path | None = None) -> Ended:
    """Wait for it."""
    process.join(TIMEOUT)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"the command did not end within {TIMEOUT} s")
    text = answer.read_text() if answer is not None and answer.exists() else ""
    return Ended(process.exitcode, **(json.loads(text) if text else {"answer": {}}))


def command(what: str, mapping: Path, *, arm: str = "", log: Path | None = None, since: str = "") -> Ended:
    """Run to the end of the process, however it ends."""
    answer = mapping.parent / "answer.json"
    answer.unlink(missing_ok=True)
    return ended(start(what, mapping, arm=arm, log=log, answer=answer, since=since), answer)


def _arm_from(since: str, arm: str) -> None:
    """Arm at the first passing of `since`, so that passings count from there."""
    armed = failpoints.hit

    def hit(name: str) -> None:
        if name == since:
            failpoints.hit = armed
            failpoints.arm(arm)
            armed(name)

    failpoints.hit = hit


def _main(what: str, mapping: str, arm: str, since: str, log: str | None, answer: str) -> None:
    gc.freeze()  # what was inherited is not looked through again, which would also copy its pages
    os.environ["POLARS_MAX_THREADS"] = "1"
    keywords = parts.write_parts.__kwdefaults__
    assert keywords is not None
    keywords["max_rows"] = ROWS_PER_PART
    home = Path(mapping).parent / ".migrate"
    if since:
        _arm_from(since, arm)
    else:
        failpoints.arm(arm, log)
    code, known = 0, set(sys.modules)
    result: Mapping[str, Any]
    try:
        if what == "run":
            result = api.run(Path(mapping), home=home)
        elif what == "replay":
            result = api.quarantine_replay("latest", [Path(mapping).parent / "fix"], home=home)
        else:
            result = api.rollback("latest", home=home)
    except BaseException as error:  # noqa: BLE001 - what the command line does with it
        failure = failure_of(error)
        code, result = failure.code, failure.document
        if code == 1:
            import traceback

            result = {**result, "traceback": traceback.format_exc()}
    failpoints.arm()
    imported = sorted(m for m in set(sys.modules) - known if m.split(".")[0] not in sys.stdlib_module_names)
    Path(answer).write_text(json.dumps({"answer": result, "imported": imported}, default=str))
    os._exit(code)


def passings(log: Path) -> list[str]:
    """Every point in the order passed."""
    return log.read_text().split()


# Where a long stage, and a rollback, is divided; no other thread is at work there. A point whose first passing in a process is the same moment of the run, whichever of
# the kills before it came: all that is passed earlier in its stage is passed again by the next process, up to it, or is done already.
# A chain has one kill per section, so the longest section says how many chains, and whole runs, there are.
_WITHIN_STAGES = (
    "backup.checkpointed", "transform.before_settle", "load.assigned",
    "rollback.fence_raised", "rollback.executed", "rollback.marked",
)  # fmt: skip


def cases(passed: Sequence[str], *, all_of_them: bool = False) -> dict[str, list[tuple[str, int]]]:
    """By where passings count from (a section: a stage's start or a point within it; "" is what comes before):
    (point, which passing), the first and the last of the whole run, or every one."""
    total: dict[str, int] = {}
    for name in passed:
        total[name] = total.get(name, 0) + 1
    seen: dict[str, int] = {}
    within: dict[str, int] = {}
    found: dict[str, list[tuple[str, int]]] = {"": []}
    since = ""
    for name in passed:
        seen[name] = seen.get(name, 0) + 1
        if (name.startswith("stage.") and name.endswith(".started")) or (
            name in _WITHIN_STAGES and seen[name] == 1
        ):
            since = name
            found[since] = []
            within = {}
        within[name] = within.get(name, 0) + 1
        if all_of_them or seen[name] in (1, total[name]):
            found[since].append((name, within[name]))
    return found
