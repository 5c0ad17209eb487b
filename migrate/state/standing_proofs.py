"""Proofs that still hold (F17): tables of a backup whose bytes, schema and scratch engine are those of a proof not long ago.

Constraints are a matter of whole tables and of those they refer to. So what keeps its proof is a group of tables that
foreign keys connect, all of whose parts are the same; one changed table, and its whole group is restored again. Only
proofs in this ledger count, made by the same version of the program; a kept proof hands on the time of the restore, so
that it never becomes younger than that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from migrate import __version__, canon
from migrate.connectors.registry import SERVERS, open_target
from migrate.context import Context
from migrate.errors import Corrupt, MigrateError
from migrate.model import Schema, Table
from migrate.planning import scratch_url
from migrate.vault.reader import Backup, open_backup, sequences_of
from migrate.vault.verdicts import PROVEN

_LOOKED_AT = 20  # earlier backups of the same place, the newest first


@dataclass(frozen=True)
class Standing:
    """Tables that keep their proof → when they were restored, and the scratch engine that proofs of today are made in."""

    tables: Mapping[str, str]
    scratch: str

    @property
    def since(self) -> str:
        """The oldest of the proofs."""
        return min(self.tables.values(), default="")


def standing(ctx: Context, part: str, backup: Backup, violations: object) -> Standing:
    """Which tables of the backup need no restore. `violations`: of the source's own constraints; where there are any,
    everything is restored, for they are told of the whole."""
    scratch = scratch_engine(ctx, part)
    days = ctx.mapping.policy.proof_days
    if not days or violations:
        return Standing({}, scratch)
    now = datetime.now(UTC)
    oldest = now - timedelta(days=days)
    for other, proven in _earlier(ctx, backup, scratch):
        # One of a clock that was ahead would stand for longer than it may.
        recent = {t: at for t, at in proven.items() if oldest <= datetime.fromisoformat(at) <= now}
        kept = _same(backup, other, recent)
        if kept:
            return Standing(kept, scratch)
    return Standing({}, scratch)


def scratch_engine(ctx: Context, part: str) -> str:
    """Engine and version of the place where this backup is restored."""
    role, _, source = part.partition(":")
    engine, url = scratch_url(ctx.mapping, role, source)
    if engine not in SERVERS or url is None:
        return f"sqlite {sqlite3.sqlite_version}"  # files are restored into SQLite too
    if url == ctx.mapping.target.url:
        return f"{engine} {ctx.target.schema([]).version}"
    place = open_target(url, base=Path(ctx.mapping.base), work=ctx.home / "work")
    try:
        return f"{engine} {place.schema([]).version}"
    finally:
        place.close()


def evidence(backup: Backup, kept: Standing) -> dict[str, Any]:
    """What the verdict PROVEN remembers, for a later run to keep."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "scratch": kept.scratch,
        "version": __version__,
        "proven": {name: kept.tables.get(name, now) for name in backup.schema.table_names},
    }


def _earlier(ctx: Context, backup: Backup, scratch: str) -> Iterator[tuple[Backup, dict[str, str]]]:
    """Proven backups of the same place that are whole in the vault still: table → when it was restored."""
    rows = [
        b
        for b in ctx.ledger.backups()
        if (b.role, b.system, b.engine)
        == (backup.manifest.role, backup.manifest.system, backup.manifest.engine)
        and b.manifest_sha256 != backup.manifest_sha256
    ]
    for row in sorted(rows, key=lambda b: b.created_at, reverse=True)[:_LOOKED_AT]:
        tests = [v for _, v in ctx.ledger.verdicts_about(row.manifest_sha256) if v.check == PROVEN]
        told = tests[-1].evidence if tests and tests[-1].passed else {}
        proven = told.get("proven")
        if not isinstance(proven, dict) or (told.get("scratch"), told.get("version")) != (
            scratch,
            __version__,
        ):
            continue
        try:
            other = open_backup(ctx.store, row.id)
        except (Corrupt, MigrateError):
            continue  # pruned, or no longer what it was: it proves nothing about others
        if other.manifest_sha256 == row.manifest_sha256:
            yield other, {str(name): str(at) for name, at in proven.items()}


def _same(backup: Backup, other: Backup, proven: Mapping[str, str]) -> dict[str, str]:
    """Tables that are the same in both, in groups that are the same as a whole."""
    mine, theirs = backup.schema, other.schema
    if backup.manifest.algorithm != canon.ALGORITHM or other.manifest.algorithm != canon.ALGORITHM:
        return {}
    if (mine.engine, mine.version, mine.enums, mine.extensions) != (
        theirs.engine, theirs.version, theirs.enums, theirs.extensions,
    ):  # fmt: skip
        return {}
    if [(f.name, f.sha256) for f in backup.manifest.files] != [
        (f.name, f.sha256) for f in other.manifest.files
    ]:
        return {}
    moved = _moved(mine, theirs)
    used = {t.name: sequences_of(mine, t) for t in mine.tables}
    if moved - set().union(*used.values()):
        return {}  # one that no table says it uses: only a restore shows that it comes back
    equal = {
        table.name
        for table in mine.tables
        if table.name in proven
        and table.name in theirs.table_names
        and repr(table) == repr(theirs.table(table.name))
        and not moved & used[table.name]
        and _bytes(backup, table) == _bytes(other, table)
    }
    return {t: proven[t] for group in _groups(mine) if group <= equal for t in sorted(group)}


def _bytes(backup: Backup, table: Table) -> list[tuple[int, int, str, str]]:
    return [(p.index, p.rows, p.sha256, p.digest) for p in backup.parts_by_table[table.name]]


def _moved(mine: Schema, theirs: Schema) -> set[str]:
    """Sequences that do not stand where they stood."""
    one, two = ({s.name: repr(s) for s in schema.sequences} for schema in (mine, theirs))
    return {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)}


def _groups(schema: Schema) -> list[set[str]]:
    """Tables that foreign keys connect."""
    groups = [{name} for name in schema.table_names]
    for table in schema.tables:
        for fk in table.foreign_keys:
            joined = [g for g in groups if g & {table.name, fk.ref_table}]
            groups = [g for g in groups if g not in joined] + [set().union(*joined)]
    return groups
