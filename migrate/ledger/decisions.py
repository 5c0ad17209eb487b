"""What people said of pairs that may be one, as the ledger remembers it. All writes are durable on return.

Errors as of `migrate.ledger.ledger.Ledger`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from migrate.ledger import audit_chain, tables
from migrate.ledger.ledger import Ledger
from migrate.ledger.rows import now


@dataclass(frozen=True)
class Decision:
    """`pair`, `a`, `b`, `content` are keyed hashes, see `migrate.state.deciding`; `columns`: names of what `content` is of;
    `decision`: accept or reject; `run`: whose queue the pair was in."""

    pair: str
    system: str
    entity: str
    a: str
    b: str
    columns: tuple[str, ...]
    content: str
    decision: str
    run: str
    who: str = ""
    at: str = ""


def put_decisions(ledger: Ledger, decisions: Sequence[Decision], digest: str) -> None:
    """All of them or none, and with them their entry in the audit trail: who, when, which pairs. `digest`: of the mapping."""
    if not decisions:
        return
    at = now()
    who = audit_chain.who()
    rows = [{**asdict(d), "columns": list(d.columns), "who": who, "at": at} for d in decisions]
    first = decisions[0]
    facts = {"entity": sorted({d.entity for d in decisions}), "pairs": sorted(d.pair for d in decisions)}
    with ledger.database.transaction("decision") as db:
        db.execute(tables.decision.insert(), rows)
        audit_chain.append(db, f"duplicates {first.decision}", first.run, digest, at, facts)


def newest(ledger: Ledger) -> int:
    """The number of the newest decision of all; 0 where there is none."""
    with ledger.database.reading() as db:
        return int(db.execute(sa.select(sa.func.max(tables.decision.c.seq))).scalar() or 0)


def decisions_on(
    ledger: Ledger, system: str, entity: str, *, until: int | None = None
) -> dict[str, Decision]:
    """Pair → what was last said of it. `until`: as it stood when that was the newest decision."""
    table = tables.decision
    query = sa.select(table).where(table.c.system == system, table.c.entity == entity)
    if until is not None:
        query = query.where(table.c.seq <= until)
    found: dict[str, Decision] = {}
    with ledger.database.reading() as db:
        for row in db.execute(query.order_by(table.c.seq)).mappings():
            values = {k: v for k, v in row.items() if k != "seq"}
            found[row["pair"]] = Decision(**{**values, "columns": tuple(values["columns"])})
    return found


def copy_decisions(ledger: Ledger, to: Ledger) -> None:
    """All of them, as they are, into another ledger that has none."""
    with ledger.database.reading() as db:
        rows = [dict(row) for row in db.execute(sa.select(tables.decision)).mappings()]
    if rows:
        with to.database.transaction("decision") as db:
            db.execute(tables.decision.insert(), rows)
