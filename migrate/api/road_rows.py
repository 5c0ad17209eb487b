"""The rows of an entity's road that one source key names, read from the source as it is now."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migrate.api.live_maps import live_lookups
from migrate.arrow import arrow_schema
from migrate.connectors.registry import open_source
from migrate.errors import MappingError, UsageError
from migrate.mapping.model import Entity, Mapping
from migrate.model import Table
from migrate.transform.apply import made_keys
from migrate.transform.compile import compile_entity
from migrate.transform.keys import keys_of
from migrate.transform.said import Said
from migrate.transform.source_rows import SourceRows


@dataclass(frozen=True)
class RoadRows:
    """`table`: the columns of the road; `rows`: those of the key; `joined`, `beside`: the rows and the columns of joins
    with many rows, by name, as `apply` and `compile_entity` want them."""

    table: Table
    rows: pa.Table
    joined: Dict[str, pa.Table] = field(default_factory=dict)
    beside: Dict[str, Table] = field(default_factory=dict)


def rows_with_key(mapping: Mapping, entity: Entity, key: str, work: Path) -> RoadRows:
    """Streams the entity's tables, inside one snapshot, and keeps what belongs to `key`; nothing stays on disk.

    Raises UsageError for a table that is not there, Unreachable."""
    spec = mapping.sources[entity.source]
    database = open_source(spec.url, base=Path(mapping.base), work=work, options=spec)
    try:
        with database.snapshot([entity.table]) as snapshot:
            if entity.table not in snapshot.schema.table_names:
                raise UsageError(f"the source has no table {entity.table}", where=database.url)
            table = snapshot.schema.table(entity.table)
            keys = _keys(mapping, entity, table, work)
            found = [arrow_schema(table.columns).empty_table()]
            for batch in snapshot.read(entity.table):
                rows = pa.Table.from_batches([batch])
                found.append(rows.filter(pc.fill_null(pc.equal(keys(rows), key), False)))
    finally:
        database.close()
    return RoadRows(table, pa.concat_tables(found).combine_chunks())


def _keys(mapping: Mapping, entity: Entity, table: Table, work: Path) -> Callable[[pa.Table], pa.Array[Any]]:
    """What gives the source keys of rows; a key that is made of let values takes the entity's own pipeline."""
    if not entity.let.keys() & set(entity.key):
        nulls = Said.of(mapping, entity.source, entity.table).nulls_of(table.columns)
        columns = () if entity.key_is_content else ("_line",) if entity.key_is_line else entity.key
        return lambda rows: keys_of(SourceRows(rows, table.types, nulls), columns)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    compiled, problems = compile_entity(mapping, entity.name, table, None, now=now)
    if compiled is None:
        raise MappingError(problems, hint="`migrate plan` shows all that is wrong with the mapping.")
    ready = compiled.with_lookups(live_lookups(mapping, entity, work))
    return lambda rows: made_keys(ready, rows)
