"""The end of an undo: the target is held against the backup that was taken before the load."""

from __future__ import annotations

from collections.abc import Sequence

from migrate import canon
from migrate.context import Context
from migrate.model import Verdict
from migrate.stages.rollback.victims import Undo
from migrate.state.created import Undone
from migrate.vault.reader import Backup


def prove(ctx: Context, undos: Sequence[Undo], backup: Backup, created: Sequence[Undone]) -> Verdict:
    """The touched tables against the backup taken before the load; under `--only` those that it names wholly. A table
    that was not there then must be gone, a column too."""
    undone = {u.entity for u in undos}
    others = {e.into for name, e in ctx.plan.entities.items() if name not in undone}
    tables = [name for name in ctx.plan.touched if name not in others]
    there = ctx.target.schema(tables)
    before = {t.name: t for t in backup.schema.tables}
    differences = [f"{one.what} stays: {one.reason}" for one in created if one.reason]
    told = {one.table for one in created if one.reason}
    for table in there.tables:
        new = table.name not in before
        more = [] if new else [c for c in table.column_names if c not in before[table.name].column_names]
        if table.name not in told and (new or more):
            differences.append(f"{table.name}: {', '.join(more) or 'it'} was not there before the load")
    with ctx.target.snapshot([n for n in tables if n in before]) as snapshot:
        for name in tables:
            if name not in before:
                continue
            table = snapshot.schema.table(name)
            types = {c: t for c, t in table.types.items() if c in before[name].column_names}
            expected = canon.Digest.parse(backup.manifest.digests[name])
            found = canon.digest(snapshot.read(name, list(types)), types)
            if found not in (
                expected,
                backup.expected(name),
            ):  # who was erased by request may be gone here too
                kept = sum(len(u.conflicts) for u in undos if u.table.name == name)
                why = f"{kept} rows kept as conflicts" if kept else "changed by others since the load"
                differences.append(f"{name}: {found.rows} rows, {expected.rows} before the load; {why}")
    return Verdict(
        check="rollback equals the backup before the load",
        passed=not differences,
        expected=f"{len(tables)} tables equal",
        found=f"{max(0, len(tables) - len(differences))} equal",
        reason="; ".join(differences),
        evidence={"differences": differences},
    )
