"""Checks over tables, as verify makes them: what came on the road against what stands in the target now."""

from __future__ import annotations

from pathlib import Path

from migrate.context import Context
from migrate.duck import literal, parquet
from migrate.model import Schema, Verdict
from migrate.state.totals import Side, checks_of, columns_in, columns_of, verdicts


def totals_of(ctx: Context, declared: Schema, expected: dict[str, Path], crosswalk: Path) -> list[Verdict]:
    """One verdict per check. A row of the target belongs to a row that came where the crosswalk says so, whichever run loaded it."""

    def side(entity: str, came: str) -> Side:
        spec = ctx.mapping.entities[entity]
        system = ctx.mapping.sources[spec.source].system
        own = f"x.entity = {literal(entity)} AND x.system = {literal(system)}"
        found = parquet([ctx.place("verify", f"{entity}.found.parquet")])
        # What this run wrote is compared by `verify ENTITY`; in other rows a person may have had a hand since.
        edited = "e.key IS NULL AND x.target_hash IS NOT NULL AND x.target_hash <> f.owned"
        columns = columns_of(checks_of(ctx), entity)
        lost = [
            ctx.folder / "transform" / entity / "quarantine.parquet",
            ctx.folder / "quarantine" / f"{entity}.rejects.parquet",
        ]
        return Side(
            lost=f"SELECT rid FROM {parquet([f for f in lost if f.exists()])}",
            there=f"""SELECT x.source_key AS key, {edited} AS edited{columns_in(columns, "f")}
                FROM {parquet([crosswalk])} x
                JOIN {found} f ON f.key = x.target_key
                LEFT JOIN {parquet([expected[entity]])} e ON e.key = f.key
                WHERE {own} AND x.source_key IN (SELECT key FROM {came})""",
        )

    return verdicts(ctx, declared, side)
