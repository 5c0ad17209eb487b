"""Single values that a rule of the mapping emptied, held back or replaced, with what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from migrate.api.places import ledger_of, run_id
from migrate.duck import literal, parquet, workspace
from migrate.errors import UsageError


def quarantine_cells(
    run: str,
    *,
    entity: str | None = None,
    code: str | None = None,
    limit: int | None = None,
    home: Path | None = None,
) -> list[dict[str, Any]]:
    """entity, key, field, code, value: in the order of the rows; at most `limit` of an entity. Holds personal data.

    Raises UsageError for an entity that the run does not have."""
    with ledger_of(home) as ledger:
        folder = ledger.root / run_id(ledger, run)
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
            sql = f"""SELECT r.__key, e.field, e.code, e.original FROM {parquet(events)} e
                LEFT JOIN {parquet(rows)} r ON r.__rid = e.rid {only} ORDER BY e.rid, e.field, e.code {most}"""
            names = ("key", "field", "code", "value")
            found += [
                {"entity": place.name, **dict(zip(names, row, strict=True))}
                for row in db.execute(sql).fetchall()
            ]
    return found
