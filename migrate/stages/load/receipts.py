"""One target transaction per part: fence, receipt, work, reject counts, commit (PROOFS §5)."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa

from migrate import failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.protocol import Target, Transaction
from migrate.errors import Busy, Drift, MigrateError, Transient, Unreachable
from migrate.ledger.receipts import meta_table
from migrate.model import Table
from migrate.parts import write_parquet
from migrate.retry import retried


@dataclass(frozen=True)
class Session:
    """What every part of one process' load shares: the fence it took and our tables as this target names them."""

    run: str
    target: Target
    fence: int
    note: Callable[[str], None]  # told when a part is tried again
    tables: dict[str, Table] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        if name not in self.tables:
            self.tables[name] = meta_table(name, self.target.meta)
        return self.tables[name]


@dataclass(frozen=True)
class Work:
    """What a part did: rows written or removed, and rejects as (rid, entity, source key, code, constraint)."""

    rows: int
    rejects: tuple[tuple[int, str, str | None, str, str], ...] = ()


def once(session: Session, part: str, digest: str, work: Callable[[Transaction], Work]) -> bool:
    """Do `work` exactly once: False if the receipt says it was done already.

    Drift where the receipt is for other rows than `digest` says. Any error rolls the whole
    transaction back; a transient one is tried again. After a commit without an answer the receipt decides.
    """
    return retried(partial(_once, session, part, digest, work), note=session.note)


def _once(session: Session, part: str, digest: str, work: Callable[[Transaction], Work]) -> bool:
    transaction = session.target.begin()
    failpoints.hit("load.part.begun")
    committing = False
    try:
        found = transaction.fence()
        if found != session.fence:
            raise Busy(
                "another process took over this target",
                kept="What was committed stays; this part was rolled back.",
                hint="Let the other process finish.",
            )
        if _receipt(session, transaction, part, digest):
            transaction.rollback()
            return False
        failpoints.hit("load.part.fenced")
        _put_receipt(session, transaction, _receipt_row(session, part, digest))
        done = work(transaction)
        if done.rejects:
            _must_insert(transaction, session.table("reject"), _rejects(session, part, done))
            failpoints.hit("load.part.rejects_written")
        _count(session, transaction, part, done)
        failpoints.hit("load.part.before_commit")
        committing = True
        transaction.commit()
        failpoints.hit("load.part.committed")
    except BaseException as error:
        _roll_back(transaction)
        if committing and isinstance(error, Unreachable) and _was_committed(session, part, digest):
            return True
        raise
    return True


def _roll_back(transaction: Transaction) -> None:
    try:
        transaction.rollback()
    except MigrateError:
        # The connection is gone, and with it the transaction; the first error is the one to report.
        return


def _was_committed(session: Session, part: str, digest: str) -> bool:
    """Commit was sent and no answer came: look at the receipt, on a connection of its own."""
    transaction = session.target.begin()
    try:
        return _receipt(session, transaction, part, digest)
    finally:
        transaction.rollback()


def _receipt(session: Session, transaction: Transaction, part: str, digest: str) -> bool:
    keys = pa.table({"run": [session.run], "part": [part]})
    found = transaction.fetch(session.table("receipt"), ("run", "part"), keys, ["digest"])
    if not found.num_rows:
        return False
    if found["digest"][0].as_py() != digest:
        raise Drift(
            "this part was loaded with other rows than those at hand",
            where=part,
            kept="What was loaded stays.",
            hint=f"Undo it with `migrate rollback {session.run}` and run again.",
        )
    return True


def _receipt_row(session: Session, part: str, digest: str) -> pa.Table:
    row = {
        "run": session.run,
        "part": part,
        "digest": digest,
        "row_count": 0,
        "rejected": 0,
        "written_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    return pa.Table.from_pylist([row], arrow_schema(session.table("receipt").columns))


def _put_receipt(session: Session, transaction: Transaction, row: pa.Table) -> None:
    """Before any row of the part: a commit that had no answer may come through after the receipt was looked for. It is waited
    for here, on the receipt's key, and then the look is repeated; waiting on its rows would take them for refused ones."""
    if transaction.insert(session.table("receipt"), row, stop_after=1):
        raise Transient("the part was committed meanwhile", where=session.target.url)


def _count(session: Session, transaction: Transaction, part: str, done: Work) -> None:
    """What the part came to, into its receipt."""
    table = session.table("receipt")
    row = {"run": session.run, "part": part, "row_count": done.rows, "rejected": len(done.rejects)}
    columns = [table.column(name) for name in row]
    refused = transaction.update(
        table, ("run", "part"), pa.Table.from_pylist([row], arrow_schema(columns)), stop_after=0
    )
    if refused:
        raise RuntimeError(f"{table.name} refused its counts: {refused[0].code} {refused[0].constraint}")


def _rejects(session: Session, part: str, done: Work) -> pa.Table:
    rows = [
        {
            "run": session.run,
            "part": part,
            "rid": rid,
            "entity": entity,
            "source_key": key,
            "code": code,
            "object": constraint or None,
        }
        for rid, entity, key, code, constraint in done.rejects
    ]
    return pa.Table.from_pylist(rows, arrow_schema(session.table("reject").columns))


def _must_insert(transaction: Transaction, table: Table, rows: pa.Table) -> None:
    """Into one of our own tables: a refusal there is a defect, never data."""
    refused = transaction.insert(table, rows, stop_after=0)
    if refused:
        raise RuntimeError(
            f"{table.name} refused {len(refused)} rows: {refused[0].code} {refused[0].constraint}"
        )


def insert_own(session: Session, transaction: Transaction, name: str, rows: pa.Table) -> None:
    """Rows for one of our tables, by its short name."""
    if rows.num_rows:
        table = session.table(name)
        schema = arrow_schema(table.columns)
        _must_insert(transaction, table, rows.select(schema.names).cast(schema))


def image(rows: pa.Table) -> bytes:
    """Rows as Parquet bytes: a before-image that is exact and needs no decoding rules of ours."""
    sink = io.BytesIO()
    write_parquet(rows, sink)
    return sink.getvalue()


def journal(
    session: Session, transaction: Transaction, part: str, kind: str, entity: str, table: str, rows: pa.Table
) -> None:
    """Remember `rows` as they were, for undo."""
    if not rows.num_rows:
        return
    row = {
        "run": session.run,
        "part": part,
        "kind": kind,
        "entity": entity,
        "target_table": table,
        "row_count": rows.num_rows,
        "image": image(rows),
    }
    insert_own(
        session,
        transaction,
        "journal",
        pa.Table.from_pylist([row], arrow_schema(session.table("journal").columns)),
    )
