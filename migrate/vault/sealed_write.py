"""Objects of an encrypted backup on their way into the vault: hashed with the key, encrypted, stored, read back."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from migrate import durable, failpoints
from migrate.errors import Corrupt
from migrate.model import FileRef, Manifest, PartRef, Seal
from migrate.stores.protocol import Store
from migrate.vault import age, layout, sealing
from migrate.vault.keyed import keys_of
from migrate.vault.reader import hash_key_of, is_trusted, list_backups, object_sha256

Ref = TypeVar("Ref", PartRef, FileRef)


def store_sealed(
    store: Store,
    complete: Manifest,
    parts: Sequence[tuple[PartRef, Path]],
    schema: bytes,
    put: Callable[[PartRef | FileRef, Path], None],
) -> tuple[Manifest, dict[str, bytes], bytes]:
    """Encrypts and stores every object, one temporary file per call at the same time; the manifest that names them (masked),
    what is to be stored beside it, and the hash key. `complete` is the manifest as if nothing were encrypted.

    An object of an earlier backup is named instead of stored again where it holds the same bytes for the same
    recipients and an identity is at hand that tells so. Raises Locked, before anything is stored, where an identity is
    given that opens nothing of what would be written."""
    keys = keys_of(store)
    recipients = tuple(sorted(set(keys.recipients)))
    if keys.identities:
        age.check_pair(recipients, keys.identities)
    known = _known(store, recipients)

    def one(ref: Ref, path: Path, folder: Path) -> Ref:
        _check_plain(ref, path)
        keyed = sealing.keyed_hash_file(known.key, path)
        there = known.objects.get(keyed)
        if there is not None and _holds(store, *there):
            failpoints.hit("vault.object.reused")
            return _stored(ref, keyed, *there)
        sealed = folder / secrets.token_hex(8)
        try:
            age.encrypt_file(path, sealed, recipients)
            failpoints.hit("vault.object.sealed")
            found = _stored(ref, keyed, durable.sha256_file(sealed), sealed.stat().st_size)
            put(found, sealed)
        finally:
            sealed.unlink(missing_ok=True)
        known.objects[keyed] = (found.sha256, found.bytes)
        return found

    with (
        tempfile.TemporaryDirectory(prefix="migrate-seal-", dir=_beside(parts)) as name,
        ThreadPoolExecutor(store.at_once, thread_name_prefix="seal") as pool,
    ):
        try:
            sealed_parts = list(pool.map(lambda each: one(each[0], each[1], Path(name)), parts))
            sealed_files = list(pool.map(lambda ref: one(ref, Path(ref.path), Path(name)), complete.files))
        finally:
            pool.shutdown(cancel_futures=True)
    tags = {
        layout.sealed_schema_name(complete.id): age.encrypt(schema, recipients),
        layout.hash_key_name(complete.id): age.encrypt(known.key.hex().encode(), recipients),
    }
    schema_sha256, key_sha256 = (layout.sha256(data) for data in tags.values())
    sealed = replace(
        complete,
        format=layout.SEALED,
        schema_digest=schema_sha256,
        parts=tuple(sealed_parts),
        files=tuple(sealed_files),
        seal=Seal(recipients, sealing.key_id(known.key), key_sha256),
    )
    return sealing.masked(sealed, known.key), tags, known.key


def _check_plain(ref: PartRef | FileRef, path: Path) -> None:
    """What is encrypted cannot be compared afterwards, so it is before."""
    if path.stat().st_size != ref.bytes or durable.sha256_file(path) != ref.sha256:
        raise Corrupt("the file is no longer what was written: its SHA-256 differs.", where=str(path))


def _stored(ref: Ref, keyed: str, sha256: str, size: int) -> Ref:
    return replace(ref, keyed=keyed, sha256=sha256, bytes=size, path=layout.object_name(sha256))


def _holds(store: Store, sha256: str, size: int) -> bool:
    """Read and hashed again: another backup's object counts no more than one that was just sent."""
    name = layout.object_name(sha256)
    return store.exists(name) and store.size(name) == size and object_sha256(store, name) == sha256


def _known(store: Store, recipients: tuple[str, ...]) -> sealing.Reusable:
    """The hash key of the newest backup for the same recipients that opens here, and what was written with it; else a new key.

    Where signatures can be checked, only backups that a trusted key signed count: whoever can write in the vault could
    else plant a key that they know."""
    if not keys_of(store).identities:
        return sealing.Reusable(secrets.token_bytes(sealing.KEY_BYTES), {})
    sealed = [
        info.manifest
        for info in list_backups(store)
        if info.manifest is not None
        and info.manifest.seal
        and info.manifest.seal.recipients == recipients
        and is_trusted(store, info.id)
    ]
    for manifest in reversed(sealed):
        key = hash_key_of(store, manifest.id)
        if key:
            name = sealing.key_id(key)
            same = [m for m in sealed if m.seal is not None and m.seal.key == name]
            return sealing.Reusable(key, sealing.objects_of(same))
    return sealing.Reusable(secrets.token_bytes(sealing.KEY_BYTES), {})


def _beside(parts: Sequence[tuple[PartRef, Path]]) -> Path | None:
    """On the disk of the parts, where there is room for one more of each; ciphertext only."""
    return parts[0][1].parent if parts else None
