"""The rows of every entity's road, from the proven backups of a run or, in dry runs, from captures.

A plain road is the source's own parts. Any other lies in `roads/ENTITY/`, and where a table is split its
rows' places lie in `splits/TABLE/`; the transform stage makes both.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from migrate.context import Context
from migrate.errors import Corrupt
from migrate.ledger.records import Output
from migrate.mapping.usage import read_tables
from migrate.state.fixed_rows import fixed
from migrate.state.proven import source_rows
from migrate.transform.roads import EntityRows
from migrate.transform.roads.rows import no_joins
from migrate.transform.roads.shape import Chosen, Shaped, read_shaped, shape, shaped_rows
from migrate.transform.roads.spec import RoadSpec
from migrate.transform.roads.splitting import chosen
from migrate.transform.roads.table import road_spec
from migrate.vault.capture import Rows, table_folder


def all_sources(ctx: Context) -> dict[str, Rows]:
    """The proven backups of all sources."""
    return {source: source_rows(ctx, source) for source in read_tables(ctx.mapping)}


def entity_rows(ctx: Context, name: str, sources: Mapping[str, Rows] | None = None) -> EntityRows:
    """The road of the entity `name`, its corrected rows as they were corrected. `sources` by name; without them the proven backups are opened.

    Raises Corrupt where the rows are no longer there that the transform stage made."""
    return fixed(ctx, name, _as_it_came(ctx, name, all_sources(ctx) if sources is None else sources))


def _as_it_came(ctx: Context, name: str, sources: Mapping[str, Rows]) -> EntityRows:
    spec = spec_of(ctx, name, sources)
    if spec.plain:
        rows = sources[spec.entity.source]
        return EntityRows(spec.table, tuple(rows.parts[spec.entity.table]), rows.read, no_joins)
    folder = road_folder(ctx, name)
    shaped = read_shaped(folder)
    if shaped is None:
        raise Corrupt(
            "the rows of this entity are no longer there",
            where=str(folder),
            kept="The target and the backups are as they were.",
            hint="Run the same command again to make them anew.",
        )
    return shaped_rows(spec, shaped, folder)


def table_rows(source: Rows, table: str) -> EntityRows:
    """The rows of one source table as they are."""
    return EntityRows(source.schema.table(table), tuple(source.parts[table]), source.read, no_joins)


def spec_of(ctx: Context, name: str, sources: Mapping[str, Rows]) -> RoadSpec:
    """How the rows of the entity `name` get onto its road."""
    return road_spec(ctx.mapping, name, {source: rows.schema for source, rows in sources.items()})


def road_folder(ctx: Context, name: str) -> Path:
    return ctx.folder / "roads" / name


def split_folder(ctx: Context, table: str) -> Path:
    return ctx.folder / "splits" / table_folder(table)


def make_road(ctx: Context, spec: RoadSpec, sources: Mapping[str, Rows]) -> tuple[Shaped, list[Output]]:
    """The road of an entity that is not plain, and its files. Raises as `shape`."""
    name = spec.entity.name
    given: Chosen | None = None
    if spec.split:
        split = ctx.mapping.split[spec.entity.table]
        given = partial(chosen, split_folder(ctx, split.table), split, name)
    folder = ctx.room("roads", name)
    shaped = shape(ctx.mapping, spec, sources, given, folder, ctx.room("temp"))
    return shaped, [ctx.output(folder / path) for path in shaped.outputs()]
