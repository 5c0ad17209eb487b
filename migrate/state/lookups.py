"""Value maps that come from tables of a source, read from what the run keeps of it."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.context import Context
from migrate.mapping.usage import table_maps
from migrate.transform.lookup import Lookup
from migrate.transform.said import Said
from migrate.transform.table_maps import table_lookup
from migrate.vault.capture import Rows


def table_lookups(ctx: Context, sources: Mapping[str, Rows]) -> dict[str, Lookup]:
    """The maps from tables that the run's entities use, by name. `sources` by name.

    Raises GateClosed for a table that is no map, Corrupt for a part that is not as it was."""
    made = {}
    for name, (value_map, of) in table_maps(ctx.entities.values()).items():
        rows = sources[of.source]
        batches = (rows.read(ref) for ref in rows.parts[of.table])
        said = Said.of(ctx.mapping, of.source, of.table)
        made[name] = table_lookup(value_map, of, rows.schema.table(of.table), said, batches)
    return made
