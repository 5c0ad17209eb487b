"""How much the source columns are used: filled and unmapped, mapped and empty, and hardly filled at all."""

from __future__ import annotations

import json

from migrate.context import Context
from migrate.ledger.records import JSON
from migrate.mapping.left_behind import left_behind
from migrate.mapping.usage import ALL, used_columns
from migrate.vault.capture import table_folder


def column_use(ctx: Context) -> dict[str, JSON]:
    """`unmapped`: filled columns that nothing uses; `empty`: columns that the mapping uses and that hold nothing; `rare`: used
    ones that are filled in less than `policy.low_use` of the rows. Each with its table and the share of rows that fill it, as
    the profile found them; of tables with rows only."""
    found: dict[str, list[JSON]] = {"unmapped": [], "empty": [], "rare": []}
    for source, tables in ctx.plan.source_tables.items() if (ctx.folder / "plan.json").exists() else ():
        for table in tables:
            path = ctx.folder / "profile" / f"{source}.{table_folder(table)}.masked.json"
            if not path.exists():
                continue
            used = {name.lower() for name in used_columns(ctx.mapping, source, table)}
            for column in json.loads(path.read_text(encoding="utf-8"))["columns"]:
                rows = int(column["rows"])
                if not rows:
                    continue
                filled = round((rows - int(column["nulls"]) - int(column["empty"])) / rows, 4)
                kind = _kind(
                    filled, ALL in used or column["name"].lower() in used, ctx.mapping.policy.low_use
                )
                if kind == "unmapped" and left_behind(
                    ctx.mapping, column["name"], f"{table}.{column['name']}", table
                ):
                    continue  # decided, not forgotten
                if kind:
                    name = table if len(ctx.mapping.sources) == 1 else f"{source}.{table}"
                    found[kind].append({"table": name, "column": column["name"], "filled": filled})
    return {kind: list(columns) for kind, columns in found.items()}


def _kind(filled: float, is_used: bool, low: float) -> str:
    if not is_used:
        return "unmapped" if filled else ""
    if not filled:
        return "empty"
    return "rare" if filled < low else ""
