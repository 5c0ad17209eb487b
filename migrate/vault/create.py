"""A backup of any database or folder of files, with no migration around it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from migrate import __version__, canon, failpoints
from migrate.connectors.protocol import Database
from migrate.errors import UsageError
from migrate.model import Manifest
from migrate.stores.protocol import Store
from migrate.vault import layout
from migrate.vault.begun import begun
from migrate.vault.capture import capture
from migrate.vault.native import described
from migrate.vault.writer import write_backup


def create(
    database: Database,
    store: Store,
    *,
    system: str,
    tables: Sequence[str],
    folder: Path,
    advance: Callable[[int], None],
    workers: int = 1,
    role: str = "source",
    mapping: tuple[str, str] = ("", ""),
    called: str = "",
) -> Manifest:
    """All `tables` (all user tables where none is named) as of one snapshot. `folder` is private, and emptied again.
    `mapping`: the name and digest of that which it belongs to, if any. `called`: what its id says instead of the system.

    Parts that the vault has already are not stored a second time; into a bucket they go while others are read. Raises UsageError for a table that is not there or
    where there is none, what `capture` and `write_backup` raise; then there is no backup."""
    there = database.schema(list(tables) or None).table_names
    missing = [name for name in tables if name not in there]
    if missing:
        raise UsageError(f"there is no table {', '.join(missing)}", where=database.url)
    if not there:
        raise UsageError("there is no table to back up", where=database.url)
    id_ = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{called or system}-{secrets.token_hex(2)}"
    try:
        with begun(store, layout.checked_id(id_)) as ahead:
            taken = capture(
                database,
                there,
                folder / "rows",
                advance=advance,
                point="create.capture",
                workers=workers,
                written=ahead.part if ahead is not None else lambda _, __: None,
            )
            failpoints.hit("create.captured")
            return write_backup(
                store,
                manifest=Manifest(
                    id=id_,
                    role=role,
                    run="",
                    system=system,
                    engine=database.engine,
                    snapshot=taken.snapshot,
                    snapshot_at=taken.taken_at,
                    created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
                    mapping=mapping[0],
                    mapping_digest=mapping[1],
                    schema_digest="",
                    algorithm=canon.ALGORITHM,
                    parts=tuple(taken.outputs),
                    digests=dict(taken.digests),
                    files=taken.files,
                    violations=taken.violations,
                    code_version=__version__,
                ),
                schema=taken.schema,
                parts=[(p, folder / "rows" / p.path) for p in taken.outputs],
                files=taken.files,
                native=described(database, there, folder),
                ahead=ahead,
            )
    finally:
        shutil.rmtree(folder / "rows", ignore_errors=True)
