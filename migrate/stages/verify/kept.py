"""Rows that this run left alone because they are as an earlier one loaded them: are they still there, and as loaded?"""

from __future__ import annotations

from pathlib import Path

from migrate.context import Context
from migrate.duck import literal, parquet, workspace
from migrate.model import Verdict
from migrate.planning import identity_of


def unchanged_of(
    ctx: Context, name: str, expected: Path, found: Path, crosswalk: Path, as_of: str
) -> Verdict:
    """Every unchanged row of an entity against the target as it stands now, or stood at `as_of`.

    A row that is gone fails. A row that somebody edited in the target since it was loaded is theirs: it
    stays, and is counted, so that "verified" never speaks of values that nobody compared.
    """
    entity = ctx.mapping.entities[name]
    settled = ctx.folder / "transform" / name / "settled.parquet"
    rejects = ctx.folder / "quarantine" / f"{name}.rejects.parquet"
    own = f"entity = {literal(name)} AND system = {literal(identity_of(ctx.mapping, name)[0])}"
    refused = f"ANTI JOIN {parquet([rejects])} r ON r.rid = s.rid" if rejects.exists() else ""
    ours = {"link": "FALSE", "add_or_link": "x.origin <> 'link'"}.get(entity.write, "TRUE")
    compared = f"{ours} AND x.target_hash IS NOT NULL AND x.target_hash <> f.owned"
    with workspace(ctx.room("temp"), on_disk=False) as db:
        row = db.execute(
            f"""
            SELECT count(*), count(*) FILTER (f.key IS NULL), count(*) FILTER (f.key IS NOT NULL AND {compared})
            FROM (SELECT s.key AS source_key FROM {parquet([settled])} s
                  ANTI JOIN {parquet([expected])} e ON e.rid = s.rid {refused}) s
            JOIN (SELECT * FROM {parquet([crosswalk])} WHERE {own}) x ON x.source_key = s.source_key
            LEFT JOIN {parquet([found])} f ON f.key = x.target_key
            """
        ).fetchone()
    rows, gone, edited = (int(n) for n in row) if row else (0, 0, 0)
    facts = ctx.ledger.run_facts(ctx.run).get("edited")
    known = dict(facts) if isinstance(facts, dict) else {}
    ctx.ledger.put_run_facts(ctx.run, {"edited": {**known, name: edited}})
    return Verdict(
        check=f"verify unchanged {name}",
        passed=gone == 0,
        expected=f"{rows} rows in place",
        found=f"{rows - gone} rows in place, {edited} of them edited in the target since they were loaded"
        + (f", as it was backed up at {as_of}" if as_of else ""),
        reason=f"{gone} rows are no longer in the target" if gone else "",
    )
