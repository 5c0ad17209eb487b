"""Single values that a rule of the mapping emptied, held back or replaced, with what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from migrate.api.places import ledger_of, run_id
from migrate.duck import identifier, literal, parquet, workspace
from migrate.errors import UsageError
from migrate.ledger.records import JSON


def quarantine_cells(
    run: str,
    *,
    entity: str | None = None,
    code: str | None = None,
    limit: int | None = None,
    home: Path | None = None,
) -> list[dict[str, Any]]:
    """entity, key, field, code, value, and the amount of a stale deal: in the order of the rows; at most `limit` of an entity. Holds personal data.

    Raises UsageError for an entity that the run does not have."""
    with ledger_of(home) as ledger:
        name = run_id(ledger, run)
        folder, stale = ledger.root / name, ledger.run_facts(name).get("stale")
    transformed = sorted(p for p in (folder / "transform").glob("*") if p.is_dir())
    if entity is not None and entity not in {p.name for p in transformed}:
        raise UsageError(f"the run has no rows of an entity {entity!r}")
    found: list[dict[str, Any]] = []
    with workspace(folder / "temp") as db:
        for place in transformed:
            events, rows = sorted(place.glob("events*.parquet")), sorted(place.glob("rows-*.parquet"))
            if not events or not rows or entity not in (None, place.name):
                continue
            only = f"WHERE e.code = {literal(code)}" if code is not None else ""
            most = f"LIMIT {limit}" if limit is not None else ""
            sql = f"""SELECT r.__key AS key, e.field, e.code, e.original AS value, {_amount(place.name, stale)} AS amount
                FROM {parquet(events)} e LEFT JOIN {parquet(rows)} r ON r.__rid = e.rid {only}
                ORDER BY e.rid, e.field, e.code {most}"""
            for key, field, what, value, amount in db.execute(sql).fetchall():
                cell = {"entity": place.name, "key": key, "field": field, "code": what, "value": value}
                found.append(cell if amount is None else cell | {"amount": amount})
    return found


def _amount(entity: str, stale: JSON) -> str:
    """SQL of what a stale deal is worth, by what the run knows of its `stale` rules."""
    cases = [
        f"WHEN e.field = {literal(name.partition('.')[2])} THEN r.{identifier(str(told['amount']))}::VARCHAR"
        for name, told in (stale.items() if isinstance(stale, dict) else ())
        if name.partition(".")[0] == entity and isinstance(told, dict) and told.get("amount")
    ]
    return f"CASE WHEN e.code LIKE 'stale%' THEN CASE {' '.join(cases)} END END" if cases else "NULL"
