"""Backups, drills and prunes by the clock, and whether they keep their promise."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from migrate.api.drilling import drill, drills
from migrate.api.places import find_home
from migrate.api.vault import backup_create, backup_prune
from migrate.context import Progress, Silent
from migrate.durable import disk_errors, make_private_folder
from migrate.errors import Busy, Corrupt, GateClosed, UsageError
from migrate.ledger import practice
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import JSON, JobRow
from migrate.mapping.environment import absolute
from migrate.mapping.schedule_file import AsWritten, Job, Schedule, load_schedule
from migrate.scheduling import loop
from migrate.scheduling.units import units
from migrate.timetable import last_until, next_after

TOLERANCE = timedelta(minutes=30)  # how late a job may begin before it counts as missed

Facts = tuple[int, str, dict[str, JSON]]


def schedule(
    file: Path | str,
    *,
    job: str | None = None,
    until: datetime | None = None,
    told: Callable[[dict[str, Any]], None] | None = None,
    home: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Carries out the jobs of a schedule file at their times, one after the other, until it is interrupted (or `until`);
    with `job` that one, now, and once.

    `told` gets every outcome as it is kept in the ledger: {schedule, job, kind, due, state, exit_code, reason, …}. What
    a job fails by never raises; with `job`, `exit_code` of the answer says it. Raises MappingError for a wrong file,
    Busy where the schedule (or that job) is at work already."""
    loaded = load_schedule(file)
    root = make_private_folder(_home(loaded, home))
    outcomes: list[dict[str, Any]] = []

    def record(row: JobRow) -> JobRow:
        with Ledger.open(root / "ledger.db") as ledger:
            kept = replace(row, seq=practice.put_job(ledger, row))
            if kept.state not in ("running", "known", "retired"):
                ledger.audit(
                    f"job {kept.state}",
                    "",
                    {"schedule": kept.schedule, "job": kept.job, "exit_code": kept.exit_code},
                )
        if kept.state not in ("known", "retired"):
            document = _line(kept)
            if kept.state != "running":
                outcomes.append(document)
            if told is not None:
                told(document)
        return kept

    def work(one: Job) -> Facts:
        with _held(root, f"{loaded.name}.{one.name}", f"job {one.name}"):
            return _carried_out(one, loaded, root, progress)

    if job is not None:
        if job not in loaded.jobs:
            raise UsageError(
                f"the schedule has no job {job}", where=loaded.path, hint=f"It has: {', '.join(loaded.jobs)}."
            )
        chosen = loaded.jobs[job]
        now = datetime.now(UTC)
        due = last_until(chosen.cron, loaded.timezone, now) or now
        row = loop.one(loaded, chosen, due, work, record)
        return {"schedule": loaded.name, "outcomes": outcomes, "exit_code": row.exit_code or 0}
    with _held(root, loaded.name, f"schedule {loaded.name}"):
        with Ledger.open(root / "ledger.db") as ledger:
            newest = practice.newest_jobs(ledger)
        (progress or Silent()).note(f"{loaded.name}: {len(loaded.jobs)} jobs, times of {loaded.timezone}")
        try:
            loop.run(loaded, newest, work, record, until=until)
        except KeyboardInterrupt:
            if outcomes and outcomes[-1]["state"] == "interrupted":
                raise  # a job was broken off
    return {"schedule": loaded.name, "outcomes": outcomes, "exit_code": 0}


def schedule_units(file: Path | str, kind: str) -> str:
    """Units for a scheduler outside: `systemd`, `cron` or `k8s`. Nothing of the environment is in them, and it need not be set."""
    names = AsWritten()
    return units(kind, load_schedule(file, names), names.asked)


def _carried_out(job: Job, schedule: Schedule, home: Path, progress: Progress | None) -> Facts:
    base = Path(schedule.base)
    store = _below(job.store, base) if job.store else str(base / "backups")
    if job.kind == "backup":
        made = backup_create(
            _what(job.what, base),
            tables=job.tables,
            system=job.system,
            scratch=job.scratch and absolute(job.scratch, base),
            prove_it=True,
            store=store,
            home=home,
            progress=progress,
        )
        facts: dict[str, JSON] = {"backup": made["backup"], "rows": made["rows"], "bytes": made["bytes"]}
        if made["proven"]:
            return 0, "", facts
        failed = [v["check"] for v in made["verdicts"] if not v["passed"]]
        return GateClosed.exit_code, f"the backup does not restore: {', '.join(failed)}", facts
    if job.kind == "drill":
        is_mapping = job.what.lower().endswith((".yaml", ".yml"))
        done = drill(
            str(base / job.what) if is_mapping else job.what,
            file=job.file and base / job.file,
            scratch=job.scratch and absolute(job.scratch, base),
            store=_below(job.store, base) if job.store else None if is_mapping else store,
            home=home,
            progress=progress,
        )
        facts = {
            "drills": [d["drill"] for d in done["drills"]],
            "rto_seconds": [d["rto_seconds"] for d in done["drills"]],
        }
        failed = list(dict.fromkeys(c for d in done["drills"] for c in d["failed"] if c != "drill"))
        damaged = any(c.startswith(("L0", "L1", "L2", "L3")) for c in failed)
        code = Corrupt.exit_code if damaged else GateClosed.exit_code
        return (0, "", facts) if done["passed"] else (code, f"the drill failed: {', '.join(failed)}", facts)
    keep = job.keep.model_dump(exclude_none=True) if job.keep is not None else {}
    pruned = backup_prune(
        base / job.what if job.what else None,
        **keep,
        really=True,
        store=_below(job.store, base) if job.store else None if job.what else store,
        home=home,
    )
    return 0, "", {"removed": pruned["removed"], "objects": pruned["objects"], "bytes": pruned["bytes"]}


def _what(text: str, base: Path) -> str:
    """URLs as they are but for relative files, which count from the schedule's folder like paths."""
    if text.startswith(("sqlite:///", "files:")):
        return absolute(text, base)
    return text if ":" in text and not (base / text).exists() else str(base / Path(text).expanduser())


def _below(store: str, base: Path) -> str:
    return store if "://" in store else str(base / store)


def _home(schedule: Schedule, home: Path | None) -> Path:
    given = home or (Path(os.environ["MIGRATE_HOME"]) if os.environ.get("MIGRATE_HOME") else None)
    return given or Path(schedule.base) / ".migrate"


@contextmanager
def _held(root: Path, name: str, what: str) -> Iterator[None]:
    """A lock that lives as long as this process holds it. Raises Busy."""
    path = make_private_folder(root / "schedules") / f"{name}.lock"
    with disk_errors("Taking the lock", path):
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                f"the {what} is at work already",
                where=str(path),
                kept="Nothing was begun.",
                hint="Wait until it has ended, or end it.",
            ) from None
        yield
    finally:
        os.close(handle)


def _is_held(root: Path, name: str) -> bool:
    if not (root / "schedules" / f"{name}.lock").exists():
        return False
    try:
        with _held(root, name, name):
            return False
    except Busy:
        return True


def _line(row: JobRow) -> dict[str, Any]:
    document = asdict(row)
    del document["seq"]
    return document


# -- whether all is as it should be ---------------------------------------------------------------


def practice_checks(home: Path | None = None, *, now: datetime | None = None) -> list[dict[str, Any]]:
    """{check, passed, found, hint, exit_code} of every scheduled job and of the last drill of every system: failed, missed,
    or well. Empty where there are none."""
    try:
        root = find_home(home)
    except UsageError:
        return []
    if not (root / "ledger.db").is_file():
        return []
    now = now or datetime.now(UTC)
    with Ledger.open(root / "ledger.db") as ledger:
        rows = practice.jobs(ledger)
    newest: dict[tuple[str, str], JobRow] = {}
    last_done: dict[tuple[str, str], JobRow] = {}
    for row in rows:
        newest.setdefault((row.schedule, row.job), row)
        if row.state not in ("overlapped",):
            last_done.setdefault((row.schedule, row.job), row)
    checks = [
        _job_check(last_done.get(key, row), root, now)
        for key, row in newest.items()
        if row.state != "retired"
    ]
    for one in drills(home=root)["trend"]:
        name = one["system"] if one["role"] == "source" else one["role"]
        label = f"last drill of {name}" + (f" ({one['mapping']})" if one["mapping"] else "")
        passed = one["last"] in ("passed", "running")
        found = f"{one['last']}, {one['last_at'][:16].replace('T', ' ')}"
        checks.append(_check(label, passed, found, "See migrate drills, and docs/drills.md for what to do."))
    return checks


def _job_check(row: JobRow, root: Path, now: datetime) -> dict[str, Any]:
    label = f"{row.kind} {row.job} of schedule {row.schedule}"
    following = next_after(row.cron, row.timezone, datetime.fromisoformat(row.due))
    at_work = row.state == "running" and _is_held(root, f"{row.schedule}.{row.job}")
    if row.state == "running" and not at_work:
        return _check(
            label,
            False,
            "broken off: the process ended",
            "Start migrate schedule again; it goes on by itself.",
        )
    if row.state in ("failed", "interrupted", "missed"):
        return _check(
            label,
            False,
            f"{row.state}, due {_at(row.due)}: {row.reason}",
            "See docs/drills.md for what to do.",
        )
    if not at_work and following is not None and now - following > TOLERANCE:
        return _check(
            label,
            False,
            f"missed: it was due {_at(following.isoformat())} and nobody ran it",
            "Start migrate schedule, or look at the scheduler that should.",
        )
    return _check(label, True, f"{row.state}, due {_at(row.due)}", "")


def _at(text: str) -> str:
    return text[:16].replace("T", " ") + " UTC"


def _check(check: str, passed: bool, found: str, hint: str) -> dict[str, Any]:
    document = {"check": check, "passed": passed, "found": found, "hint": "" if passed else hint}
    return document if passed else document | {"exit_code": GateClosed.exit_code}
