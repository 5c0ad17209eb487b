"""Transform, before the first row: what the rows are transformed by, and what is known of them already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from migrate import failpoints
from migrate.context import Context
from migrate.errors import MappingError
from migrate.model import Schema, Table
from migrate.stages.transform.roads import make_roads
from migrate.state.created import declared_target
from migrate.state.fixes import place_fixes
from migrate.state.lookups import table_lookups
from migrate.state.mail_servers import mail_servers
from migrate.state.proven import known_crosswalk
from migrate.state.replays import scope_of
from migrate.state.standing import EarlierHashes, earlier_hashes
from migrate.transform.compile import compile_entity
from migrate.transform.entity import CompiledEntity
from migrate.transform.quality.mail_servers import MailServers
from migrate.transform.roads import EntityRows
from migrate.transform.settle import Scope
from migrate.vault.capture import Rows


@dataclass(frozen=True)
class Ready:
    """`rows`, `compiled` and `earlier` are by entity."""

    declared: Schema  # the target's, with what is to be created
    rows: Mapping[str, EntityRows]
    compiled: Mapping[str, CompiledEntity]
    crosswalk: Path | None  # what earlier runs loaded, None where there were none
    scope: Scope | None  # which rows may be written, where the run is a replay
    earlier: EarlierHashes

    def table_of(self, entity: str) -> Table:
        """The target's, which the entity's rows go into."""
        return self.declared.table(self.compiled[entity].entity.into)

    @property
    def counts(self) -> dict[str, int]:
        """Entity → its rows."""
        return {name: road.count for name, road in self.rows.items()}


def make_ready(ctx: Context, sources: Mapping[str, Rows]) -> Ready:
    """Raises MappingError."""
    declared = declared_target(ctx)
    crosswalk = known_crosswalk(ctx)
    rows = make_roads(ctx, sources)
    lookups = table_lookups(ctx, sources)
    servers = mail_servers(ctx)
    compiled = {n: _compiled(ctx, n, rows[n], declared, servers).with_lookups(lookups) for n in ctx.entities}
    place_fixes(ctx, compiled, rows)
    failpoints.hit("transform.fixes_placed")
    return Ready(declared, rows, compiled, crosswalk, scope_of(ctx), earlier_hashes(ctx, crosswalk, declared))


def _compiled(
    ctx: Context, name: str, road: EntityRows, declared: Schema, servers: MailServers
) -> CompiledEntity:
    """The mapping's entity `name`, ready for rows of its road."""
    compiled, problems = compile_entity(
        ctx.mapping,
        name,
        road.table,
        declared.table(ctx.mapping.entities[name].into),
        now=ctx.plan.now,
        joined=road.beside,
    )
    if compiled is None or problems:
        raise MappingError(problems, hint="Nothing was loaded.")
    return replace(compiled, servers=servers)
