"""What an admin mends before any gate: values that no map has, values that would lose something, references that fail.

Counted from the rows that transform set aside and from what it changed by rule. The values are those of the source:
personal data, for the person who asked for a plan and for nobody's report.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb

from migrate.context import Context
from migrate.duck import identifier, literal, parquet, workspace
from migrate.mapping.model import Entity
from migrate.mapping.usage import source_columns

EXAMPLES = 10
UNSEEN = ("unmapped_value",)
LOSSY = ("lossy", "too_long", "lossy_allowed")
REFERENCES = (
    "ref_missing", "ref_ambiguous", "parent_quarantined", "parent_excluded", "find_missing", "find_ambiguous",
)  # fmt: skip


def outlook(ctx: Context) -> dict[str, dict[str, Any]]:
    """Per entity: `unseen` and `lossy`: field → {rows, examples: [{value, rows}, …], the most frequent first};
    `references`: field → code → rows, also of those that a rule emptied or replaced. What is nothing is left out."""
    found: dict[str, dict[str, Any]] = {}
    with workspace(ctx.room("temp")) as db:
        for name, entity in ctx.entities.items():
            quarantine = ctx.folder / "quarantine" / f"{name}.parquet"
            if not quarantine.exists():
                continue
            _collect(ctx, db, name, entity)
            told = {"unseen": _values(db, UNSEEN), "lossy": _values(db, LOSSY), "references": _references(db)}
            found[name] = {what: facts for what, facts in told.items() if facts}
    return found


def _collect(ctx: Context, db: duckdb.DuckDBPyConnection, name: str, entity: Entity) -> None:
    """`met(field, code, value)`: one line for each reason of a quarantined row and each event that matters here."""
    reasons = f"SELECT unnest(fields) AS field, unnest(codes) AS code, row FROM {parquet([ctx.folder / 'quarantine' / f'{name}.parquet'])}"
    values = " ".join(
        f"WHEN {literal(f)} THEN {_of_row(columns)}" for f, columns in _columns(entity) if columns
    )
    value = f"CASE field {values} END" if values else "NULL"
    folder = ctx.folder / "transform" / name
    events = [*sorted(folder.glob("events-*.parquet")), *folder.glob("events.parquet")]
    db.execute(f"CREATE OR REPLACE TABLE met AS SELECT field, code, {value} AS value FROM ({reasons})")
    if events:
        db.execute(f"INSERT INTO met SELECT field, code, original FROM {parquet(events)}")


def _columns(entity: Entity) -> Iterator[tuple[str, list[str]]]:
    for name, field in entity.fields.items():
        yield name, source_columns(entity, field)


def _of_row(columns: list[str]) -> str:
    """The values of these columns in the JSON of a source row."""
    parts = ", ".join(f"row->>{literal(chr(36) + '.' + identifier(c))}" for c in columns)
    return f"concat_ws(' | ', {parts})"


def _values(db: duckdb.DuckDBPyConnection, codes: tuple[str, ...]) -> dict[str, Any]:
    rows = db.execute(
        f"""
        SELECT field, value, n, sum(n) OVER (PARTITION BY field) AS total
        FROM (SELECT field, value, count(*) AS n FROM met WHERE code IN ({_texts(codes)}) GROUP BY field, value)
        QUALIFY row_number() OVER (PARTITION BY field ORDER BY n DESC, value) <= {EXAMPLES}
        ORDER BY field, n DESC, value
        """
    ).fetchall()
    found: dict[str, Any] = {}
    for field, value, count, total in rows:
        told = found.setdefault(field, {"rows": int(total), "examples": []})
        if value is not None:
            told["examples"].append({"value": value, "rows": int(count)})
    return found


def _references(db: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """By rule emptied or defaulted ones count under the code of what was wrong."""
    rows = db.execute(
        f"""
        SELECT field, regexp_replace(code, '_(emptied|defaulted)$', '') AS what, count(*) FROM met
        WHERE what IN ({_texts(REFERENCES)}) GROUP BY field, what ORDER BY field, what
        """
    ).fetchall()
    found: dict[str, dict[str, int]] = {}
    for field, code, count in rows:
        found.setdefault(field, {})[code] = int(count)
    return found


def _texts(texts: tuple[str, ...]) -> str:
    return ", ".join(literal(t) for t in texts)
