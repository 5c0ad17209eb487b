"""Before the first part: the target's crosswalk follows a mapping that gave system or entity another name (F15)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from migrate import failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.protocol import Transaction
from migrate.errors import Drift
from migrate.planning import digest_of
from migrate.stages.load.receipts import Session, Work, insert_own, once
from migrate.state.identity import Rename
from migrate.state.records import RENAMED


def rename(session: Session, wanted: Sequence[Rename]) -> None:
    """All entries of `wanted` under their new names, and a record of it, in one transaction with a receipt.

    Done once, whenever a run was killed. Rows of the target stay as they are, so this needs no gate."""
    if not wanted:
        return

    def work(transaction: Transaction) -> Work:
        crosswalk, rows = session.table("crosswalk"), 0
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        records = []
        for one in wanted:
            names = ("system", "entity")
            changed = transaction.rewrite(
                crosswalk, dict(zip(names, one.old, strict=True)), dict(zip(names, one.new, strict=True))
            )
            transaction.rewrite(
                session.table("merged"),
                dict(zip(names, one.old, strict=True)),
                dict(zip(names, one.new, strict=True)),
            )
            failpoints.hit("load.names.rewritten")
            if changed != one.rows:
                raise Drift(
                    f"the target knows {changed} rows of {one.old[1]} ({one.old[0]}), and {one.rows} when its backup was taken",
                    where=crosswalk.name,
                    kept="Nothing was loaded.",
                    hint="Another migration wrote meanwhile: run again with --fresh.",
                )
            rows += changed
            records.append(
                {
                    "run": session.run,
                    "old_system": one.old[0],
                    "old_entity": one.old[1],
                    "system": one.new[0],
                    "entity": one.new[1],
                    "row_count": changed,
                    "renamed_at": now,
                }
            )
        schema = arrow_schema(session.table("renamed").columns)
        insert_own(session, transaction, "renamed", pa.Table.from_pylist(records, schema))
        failpoints.hit("load.names.recorded")
        return Work(rows)

    once(session, RENAMED, digest_of([[one.old, one.new] for one in wanted]), work)
    failpoints.hit("load.names.done")


def mapped_columns(columns: Sequence[str]) -> str:
    """As the table `mapped` keeps them."""
    return json.dumps(sorted(columns), ensure_ascii=False)
