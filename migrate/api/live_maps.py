"""Value maps that come from tables, read from the sources as they are now."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from migrate.connectors.registry import open_source
from migrate.errors import UsageError
from migrate.mapping.model import Entity, Mapping
from migrate.mapping.usage import table_maps
from migrate.transform.lookup import Lookup
from migrate.transform.said import Said
from migrate.transform.table_maps import table_lookup


def live_lookups(mapping: Mapping, entity: Entity, work: Path) -> dict[str, Lookup]:
    """The maps from tables that fields of the entity look values up in, by name.

    Raises UsageError for a table or column that is not there, GateClosed for a table that is no map, Unreachable."""
    made = {}
    for name, (value_map, of) in table_maps([entity]).items():
        spec = mapping.sources[of.source]
        database = open_source(spec.url, base=Path(mapping.base), work=work, options=spec)
        try:
            with database.snapshot([of.table]) as snapshot:
                table = snapshot.schema.table(of.table) if of.table in snapshot.schema.table_names else None
                lacks = [c for c in (of.from_, of.to) if table is None or c not in table.column_names]
                if table is None or lacks:
                    what = f"column {lacks[0]}" if table is not None else "such table"
                    raise UsageError(
                        f"the map {name} reads {of.table}, and there is no {what}", where=database.url
                    )
                batches = (pa.Table.from_batches([batch]) for batch in snapshot.read(of.table))
                said = Said.of(mapping, of.source, of.table)
                made[name] = table_lookup(value_map, of, table, said, batches)
        finally:
            database.close()
    return made
