"""The run's own database: runs, stages, checkpoints, verdicts, backups, scratch databases, audit trail.

It is a cache of the truth: what was loaded is known from the target's receipts, what is backed up
from the vault's manifests. It never holds row content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import sqlalchemy as sa

from migrate.errors import UsageError
from migrate.ledger import audit_chain, checkpoints, tables
from migrate.ledger import verdicts as verdict_rows
from migrate.ledger.database import LedgerDatabase
from migrate.ledger.records import (
    JSON,
    NEXT_STATES,
    UNFINISHED,
    BackupRow,
    Checkpoint,
    Output,
    ScratchRow,
    StageRow,
)
from migrate.ledger.rows import now, plain, where
from migrate.model import Manifest, RunInfo, Verdict


class Ledger:
    """All methods are safe from any thread and durable when they return.

    They raise Unreachable (disk), Corrupt (file), Busy (another process writes for too long) and
    UsageError (no such run, a step that a run in this state cannot take)."""

    def __init__(self, database: LedgerDatabase, root: Path) -> None:
        self._db = database
        self.root = root

    @classmethod
    def open(cls, path: Path, *, root: Path | None = None) -> Ledger:
        """Opens, creates or upgrades (a copy of the old one is kept beside it).

        `root` holds the run folders, by default `runs` beside the ledger; checkpoint paths are
        relative to `root/RUN`. A newer ledger raises UsageError, a damaged one Corrupt."""
        return cls(LedgerDatabase(path), root or path.parent / "runs")

    @property
    def path(self) -> Path:
        return self._db.path

    @property
    def database(self) -> LedgerDatabase:
        """For the parts of the ledger that lie in modules of their own."""
        return self._db

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ runs

    def begin_run(
        self, run: str, mapping: str, mapping_digest: str, facts: Mapping[str, JSON] | None = None
    ) -> RunInfo:
        """A new run in state running. UsageError where the name is taken."""
        with self._db.transaction("run") as db:
            if db.execute(sa.select(tables.run.c.run).where(tables.run.c.run == run)).first():
                raise UsageError(f"run {run} exists already.")
            db.execute(
                tables.run.insert().values(
                    run=run,
                    mapping=mapping,
                    mapping_digest=mapping_digest,
                    state="running",
                    started=now(),
                    ended=None,
                    facts=plain(facts),
                )
            )
            return _run_info(self._run(db, run))

    def run(self, run: str) -> RunInfo:
        with self._db.reading() as db:
            return _run_info(self._run(db, run))

    def runs(self) -> list[RunInfo]:
        """Newest first."""
        query = sa.select(tables.run).order_by(tables.run.c.started.desc(), sa.literal_column("rowid").desc())
        with self._db.reading() as db:
            return [_run_info(row) for row in db.execute(query).mappings()]

    def latest_unfinished(self, mapping: str) -> RunInfo | None:
        """The newest run of the mapping, if it can be resumed; an older one was overtaken and never is."""
        newest = next((r for r in self.runs() if r.mapping == mapping), None)
        return newest if newest is not None and newest.state in UNFINISHED else None

    def set_state(self, run: str, state: str) -> None:
        """UsageError where the run's state does not allow it (a rolled-back run cannot be resumed)."""
        with self._db.transaction("run") as db:
            before = self._run(db, run)["state"]
            if state not in NEXT_STATES:
                raise UsageError(f"{state!r} is no state of a run.")
            if state not in NEXT_STATES[before]:
                raise UsageError(
                    f"run {run} is {before.replace('_', ' ')} and cannot become {state.replace('_', ' ')}."
                )
            ended = None if state == "running" else now()
            db.execute(tables.run.update().where(tables.run.c.run == run).values(state=state, ended=ended))

    def run_facts(self, run: str) -> dict[str, JSON]:
        with self._db.reading() as db:
            return dict(self._run(db, run)["facts"])

    def put_run_facts(self, run: str, facts: Mapping[str, JSON]) -> None:
        """Merged into what is there, key by key."""
        with self._db.transaction("run") as db:
            merged = {**self._run(db, run)["facts"], **plain(facts)}
            db.execute(tables.run.update().where(tables.run.c.run == run).values(facts=merged))

    # ---------------------------------------------------------------- stages

    def stage_started(self, run: str, stage: str) -> None:
        """Idempotent; a stage that is done becomes running again, and keeps the seconds that it took before."""
        with self._db.transaction("stage") as db:
            facts = self._run(db, run)["facts"]
            before = where(sa.select(tables.stage.c.seconds), tables.stage, run=run, stage=stage)
            seconds = db.execute(before).scalar()
            db.execute(where(tables.stage.delete(), tables.stage, run=run, stage=stage))
            db.execute(
                tables.stage.insert().values(
                    run=run, stage=stage, state="running", started=now(), seconds=seconds, rows=None
                )
            )
            attempts = dict(facts.get(_ATTEMPTS) or {})
            attempts[stage] = int(attempts.get(stage, 0)) + 1
            merged = {**facts, _ATTEMPTS: attempts}
            db.execute(tables.run.update().where(tables.run.c.run == run).values(facts=merged))

    def stage_finished(self, run: str, stage: str, rows: int | None, seconds: float) -> None:
        """`seconds` of this attempt; those of earlier ones that ended stay in the sum."""
        with self._db.transaction("stage") as db:
            spent = sa.func.coalesce(tables.stage.c.seconds, 0.0) + seconds
            values = {"state": "done", "rows": rows, "seconds": spent}
            done = db.execute(where(tables.stage.update(), tables.stage, run=run, stage=stage).values(values))
            if done.rowcount != 1:
                raise UsageError(f"stage {stage} of run {run} was not started.")

    def stages(self, run: str) -> list[StageRow]:
        """In the order in which they were (last) started."""
        query = where(sa.select(tables.stage), tables.stage, run=run).order_by(
            tables.stage.c.started, sa.literal_column("rowid")
        )
        with self._db.reading() as db:
            known = sa.select(tables.run.c.facts, tables.run.c.state).where(tables.run.c.run == run)
            mine = db.execute(known).mappings().first()
            attempts = (mine["facts"] if mine else {}).get(_ATTEMPTS) or {}
            # Of a run that has ended no stage is at work: it ended there.
            ended = mine is not None and mine["state"] != "running"
            return [
                StageRow(
                    stage=r["stage"],
                    state="stopped" if ended and r["state"] == "running" else r["state"],
                    seconds=r["seconds"],
                    rows=r["rows"],
                    attempts=int(attempts.get(r["stage"], 1)),
                )
                for r in db.execute(query).mappings()
            ]

    # ----------------------------------------------------------- checkpoints

    def checkpoint(
        self, run: str, stage: str, part: str, inputs: str, *, folder: Path | None = None
    ) -> Checkpoint | None:
        """The checkpoint, if its inputs are equal AND every output is there with its size and SHA-256.

        One that no longer holds is forgotten, so that the part is done again, never trusted.
        `folder` is the run folder where it is not `root/run`."""
        with self._db.reading() as db:
            recorded = checkpoints.recorded(db, run=run, stage=stage, part=part)
        if not recorded:
            return None
        if checkpoints.holds(recorded[0], inputs, folder or self.root / run):
            return recorded[0]
        self.forget(run, stage, part)
        return None

    def put_checkpoint(
        self,
        run: str,
        stage: str,
        part: str,
        inputs: str,
        outputs: Sequence[Output] = (),
        facts: Mapping[str, JSON] | None = None,
        *,
        folder: Path | None = None,
    ) -> None:
        """Replaces an older one. The files must be on disk already: Corrupt where one is not there."""
        checkpoints.prove_there(outputs, folder or self.root / run)
        with self._db.transaction("checkpoint") as db:
            self._run(db, run)
            checkpoints.put(db, run, stage, part, inputs, outputs, facts)

    def checkpoints(self, run: str, stage: str) -> list[Checkpoint]:
        """As recorded, not checked against the files; ordered by part."""
        with self._db.reading() as db:
            return checkpoints.recorded(db, run=run, stage=stage)

    def forget(self, run: str, stage: str, part: str | None = None) -> None:
        """One part's checkpoint, or all of the stage. Idempotent."""
        keys = {"run": run, "stage": stage} | ({} if part is None else {"part": part})
        with self._db.transaction("checkpoint") as db:
            checkpoints.forget(db, **keys)

    # -------------------------------------------------------------- verdicts

    def put_verdict(self, run: str, stage: str, verdict: Verdict, *, subject: str = "") -> None:
        """Appended. `subject` is the SHA-256 of the manifest that it is about, if any; `run` may be "" for drills."""
        self.put_verdicts(run, stage, [verdict], subject=subject)

    def put_verdicts(self, run: str, stage: str, verdicts: Sequence[Verdict], *, subject: str = "") -> None:
        """All of them or none; see `put_verdict`."""
        if verdicts:
            with self._db.transaction("verdict") as db:
                verdict_rows.append(db, run, stage, verdicts, subject)

    def verdicts(self, run: str) -> list[tuple[str, Verdict]]:
        """(stage, verdict) in the order given, without those superseded."""
        with self._db.reading() as db:
            return verdict_rows.standing(db, run=run)

    def verdicts_about(self, subject: str) -> list[tuple[str, Verdict]]:
        """All that this ledger recorded about a manifest (by its SHA-256), oldest first."""
        with self._db.reading() as db:
            return verdict_rows.standing(db, subject=subject)

    def supersede_verdicts(self, run: str, stage: str) -> None:
        """When a stage is started over: its earlier verdicts stay on record, but no longer count."""
        with self._db.transaction("verdict") as db:
            verdict_rows.supersede(db, run, stage)

    # --------------------------------------------------- backups and scratch

    def put_backup(self, manifest: Manifest, manifest_sha256: str, *, vault: str = "") -> None:
        """Summary of a backup whose manifest is in the vault, whose location (safe to show) is `vault`. Idempotent."""
        row = BackupRow(
            id=manifest.id,
            vault=vault,
            role=manifest.role,
            run=manifest.run,
            system=manifest.system,
            engine=manifest.engine,
            snapshot_at=manifest.snapshot_at,
            created_at=manifest.created_at,
            mapping=manifest.mapping,
            manifest_sha256=manifest_sha256,
            rows=sum(p.rows for p in manifest.parts),
            bytes=sum(p.bytes for p in manifest.parts) + sum(f.bytes for f in manifest.files),
        )
        with self._db.transaction("backup") as db:
            for name in {"", vault}:  # an earlier version did not say in which vault it is
                db.execute(where(tables.backup.delete(), tables.backup, id=row.id, vault=name))
            db.execute(tables.backup.insert().values(asdict(row)))

    def backups(self) -> list[BackupRow]:
        """Newest first, by recorded time."""
        query = sa.select(tables.backup).order_by(tables.backup.c.created_at.desc(), tables.backup.c.id)
        with self._db.reading() as db:
            return [BackupRow(**row) for row in db.execute(query).mappings()]

    def remove_backup(self, id_: str) -> None:
        """After a prune, whatever its vault was called when it was made. Idempotent."""
        with self._db.transaction("backup") as db:
            db.execute(where(tables.backup.delete(), tables.backup, id=id_))

    def put_scratch(self, name: str, location: str, run: str) -> None:
        """BEFORE the database is created, so that a killed run can be cleaned up. `location` holds no password."""
        with self._db.transaction("scratch") as db:
            db.execute(where(tables.scratch.delete(), tables.scratch, name=name))
            db.execute(tables.scratch.insert().values(name=name, location=location, run=run, at=now()))

    def remove_scratch(self, name: str) -> None:
        """After it was dropped. Idempotent."""
        with self._db.transaction("scratch") as db:
            db.execute(where(tables.scratch.delete(), tables.scratch, name=name))

    def scratches(self) -> list[ScratchRow]:
        """Oldest first."""
        query = sa.select(tables.scratch).order_by(tables.scratch.c.at, tables.scratch.c.name)
        with self._db.reading() as db:
            return [ScratchRow(r["name"], r["location"], r["run"]) for r in db.execute(query).mappings()]

    # ----------------------------------------------------------------- audit

    def audit(self, event: str, run: str = "", facts: Mapping[str, JSON] | None = None) -> str:
        """Appends who, when, what, mapping digest and code version to the chain; returns its new head."""
        with self._db.transaction("audit") as db:
            digest = self._run(db, run)["mapping_digest"] if run else ""
            return audit_chain.append(db, event, run, digest, now(), plain(facts))

    def audit_head(self) -> str:
        """ "" where nothing was recorded yet."""
        with self._db.reading() as db:
            return audit_chain.head(db)

    def verify_audit(self, heads: Iterable[str] = ()) -> list[str]:
        """Broken links, empty if none. `heads` are those that manifests recorded: each must be in the chain
        (a chain cut off at its end is whole in itself)."""
        with self._db.reading() as db:
            return audit_chain.broken_links(audit_chain.entries(db), heads)

    def audit_entries(self) -> list[dict[str, Any]]:
        """The whole chain, oldest first, as `migrate.ledger.audit_chain.entries` gives it."""
        with self._db.reading() as db:
            return audit_chain.entries(db)

    def _run(self, db: sa.Connection, run: str) -> sa.RowMapping:
        row = db.execute(sa.select(tables.run).where(tables.run.c.run == run)).mappings().first()
        if row is None:
            raise UsageError(
                f"there is no run {run}.", where=str(self.path), hint="`migrate runs` lists them."
            )
        return row


_ATTEMPTS = "attempts"  # of a run's facts: stage → how often it was begun


def _run_info(row: sa.RowMapping) -> RunInfo:
    ended = datetime.fromisoformat(row["ended"]) if row["ended"] else None
    started = datetime.fromisoformat(row["started"])
    return RunInfo(row["run"], row["mapping"], row["mapping_digest"], row["state"], started, ended)
