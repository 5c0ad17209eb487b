"""What the ledger remembers of drills and of scheduled jobs. The newest come first; all writes are durable on return.

Errors as of `migrate.ledger.ledger.Ledger`.
"""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa

from migrate.ledger import tables
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import DrillRow, JobRow
from migrate.ledger.rows import plain


def put_drill(ledger: Ledger, row: DrillRow) -> None:
    """Replaces what was said of the same drill before. Idempotent."""
    with ledger.database.transaction("drill") as db:
        db.execute(tables.drill.delete().where(tables.drill.c.id == row.id))
        db.execute(tables.drill.insert().values(plain(asdict(row))))


def drills(ledger: Ledger) -> list[DrillRow]:
    query = sa.select(tables.drill).order_by(tables.drill.c.started.desc(), tables.drill.c.id)
    with ledger.database.reading() as db:
        return [DrillRow(**{**r, "verdicts": tuple(r["verdicts"])}) for r in db.execute(query).mappings()]


def put_job(ledger: Ledger, row: JobRow) -> int:
    """Appended where its `seq` is 0, else in place of that one; returns its number."""
    values = plain(asdict(row))
    del values["seq"]
    with ledger.database.transaction("job") as db:
        if row.seq:
            db.execute(tables.job.update().where(tables.job.c.seq == row.seq).values(values))
            return row.seq
        key = db.execute(tables.job.insert().values(values)).inserted_primary_key
        return int(key[0]) if key else 0


def jobs(ledger: Ledger, *, schedule: str | None = None) -> list[JobRow]:
    query = sa.select(tables.job).order_by(tables.job.c.seq.desc())
    if schedule is not None:
        query = query.where(tables.job.c.schedule == schedule)
    with ledger.database.reading() as db:
        return [JobRow(**r) for r in db.execute(query).mappings()]


def newest_jobs(ledger: Ledger) -> list[JobRow]:
    """Of every job of every schedule the newest row."""
    newest: dict[tuple[str, str], JobRow] = {}
    for row in jobs(ledger):
        newest.setdefault((row.schedule, row.job), row)
    return list(newest.values())
