"""The engine's own DDL text beside a manifest: `ID/native.sql`, or `ID/native.sql.age` where the backup is encrypted.

Nothing needs it to restore, and nothing runs it. The manifest names its SHA-256 and size; a backup whose text is damaged
opens all the same, and the levels 1 and 2 say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from migrate.connectors.protocol import Database, DdlText, Described
from migrate.errors import Corrupt, UsageError
from migrate.model import NativeText
from migrate.vault import age, layout
from migrate.vault.keyed import keys_of
from migrate.vault.reader import Backup


def described(database: Database, tables: Sequence[str], folder: Path) -> DdlText | None:
    """None for what has no DDL (files). `folder` is private."""
    return database.ddl_text(tables, folder / "ddl") if isinstance(database, Described) else None


def to_store(made: DdlText, recipients: Sequence[str]) -> tuple[NativeText, bytes]:
    """What the manifest says of it, and the bytes to store; none where there is no text."""
    if made.problem or not made.text:
        return NativeText(made.tool[:200], problem=(made.problem or "there is none")[:1000]), b""
    data = made.text.encode("utf-8", "replace")
    if recipients:
        data = age.encrypt(data, recipients)
    return NativeText(made.tool[:200], len(data), layout.sha256(data)), data


def ddl_of(backup: Backup) -> str:
    """The text. Raises UsageError where the backup keeps none, Corrupt where it is not what was stored, Locked."""
    native, id_ = backup.manifest.native, backup.manifest.id
    if native is None or not native.sha256:
        why = (
            f"{native.tool}: {native.problem}" if native else "it was made of files, or by an earlier version"
        )
        raise UsageError(f"the backup keeps no DDL text ({why})", where=id_)
    name = layout.native_name(backup.manifest)
    data = backup.store.read_bytes(name, limit=native.bytes)
    if layout.sha256(data) != native.sha256:
        raise Corrupt("this is not the one that the manifest names.", where=name)
    if backup.manifest.seal is not None:
        data = age.decrypt(data, keys_of(backup.store).identities, name)
    return data.decode("utf-8", "replace")
