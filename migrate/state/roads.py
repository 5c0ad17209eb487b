"""The rows of every entity's road, from the proven backups of a run or, in dry runs, from captures."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.context import Context
from migrate.state.proven import source_rows
from migrate.transform.roads import EntityRows, road_table
from migrate.transform.roads.rows import no_joins
from migrate.vault.capture import Rows


def entity_rows(ctx: Context, name: str, sources: Mapping[str, Rows] | None = None) -> EntityRows:
    """The road of the entity `name`. `sources` by name; without them the proven backups are opened."""
    entity = ctx.mapping.entities[name]
    if sources is None:
        sources = {entity.source: source_rows(ctx, entity.source)}
    rows = sources[entity.source]
    table = road_table(ctx.mapping, name, {source: r.schema for source, r in sources.items()})
    return EntityRows(table, tuple(rows.parts[entity.table]), rows.read, no_joins)
