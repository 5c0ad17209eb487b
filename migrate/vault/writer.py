"""Writes a backup: objects, then schema and checksum file, then the manifest, last."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from migrate import canon, failpoints
from migrate.connectors.protocol import DdlText
from migrate.errors import Corrupt, UsageError
from migrate.model import FileRef, Manifest, PartRef, Schema
from migrate.stores.protocol import Store
from migrate.vault import erasures, layout, lease, schema_json, sealing, signature
from migrate.vault.begun import Begun, Sent
from migrate.vault.keyed import keys_of
from migrate.vault.native import to_store
from migrate.vault.objects import each, named_already, store_object, store_objects
from migrate.vault.reader import hash_key_of
from migrate.vault.sealed_write import store_sealed


def write_backup(
    store: Store,
    *,
    manifest: Manifest,
    schema: Schema,
    parts: Sequence[tuple[PartRef, Path]],
    files: Sequence[FileRef] = (),
    native: DdlText | None = None,
    ahead: Begun | None = None,
) -> Manifest:
    """Stores everything, reads it back, and only then writes the manifest, which it returns complete.

    `manifest` gives what is known before: id, role, run, system, engine, snapshot, mapping …; its
    `parts`, `digests`, `files`, `schema_digest` and (if empty) `created_at` are filled here. Parts
    are linked where the store can; `files` (absolute paths) are copied, for they are the user's. Where the store comes
    with recipients, everything is encrypted for them; where it comes with a signing key, the manifest is signed.
    `native` is kept beside it. `ahead`: what sent parts already, while others were read.
    Any part that fails raises (Corrupt: not what its ref says; Unreachable) and there is no manifest.
    UsageError where the id is taken by a backup with other content; written again with the same
    content it is left as it is (resuming after a kill).
    """
    id_ = layout.checked_id(manifest.id)
    keys = keys_of(store)
    signature.check_keys(keys)
    schema_bytes = schema_json.dump(schema)
    complete = replace(
        manifest,
        created_at=manifest.created_at or datetime.now(UTC).isoformat(timespec="microseconds"),
        schema_digest=hashlib.sha256(schema_bytes).hexdigest(),
        algorithm=manifest.algorithm or canon.ALGORITHM,
        parts=tuple(replace(ref, path=layout.object_name(ref.sha256)) for ref, _ in parts),
        files=tuple(replace(ref, path=layout.object_name(ref.sha256)) for ref in files),
        digests=_table_digests(schema, [ref for ref, _ in parts]),
    )
    _refuse_contradictions(complete, schema, declared=manifest)
    there = _there_already(store, complete)
    if there is not None:
        return there

    sent = ahead.sent() if ahead is not None else None
    if sent is not None:
        return _written(store, complete, parts, files, schema_bytes, sent.held, native, sent)
    with lease.shared(store, lease.BACKUP, id_, required=True) as held:
        assert held is not None
        return _written(store, complete, parts, files, schema_bytes, held, native, None)


def _written(
    store: Store,
    complete: Manifest,
    parts: Sequence[tuple[PartRef, Path]],
    files: Sequence[FileRef],
    schema_bytes: bytes,
    held: lease.Lease,
    native: DdlText | None,
    sent: Sent | None,
) -> Manifest:
    """Everything in its order, the manifest last; `held` is looked at once more before it."""
    id_, keys = complete.id, keys_of(store)
    key, shared = b"", False
    if keys.recipients:
        complete, tags, key = store_sealed(
            store,
            replace(complete, files=tuple(files)),
            parts,
            schema_bytes,
            lambda ref, path: store_object(store, ref, path, link=True),
        )
    else:
        known = named_already(store) if sent is None else sent.known
        shared = bool(known & layout.objects_of(complete).items())
        there = sent.objects if sent is not None else frozenset()
        objects: list[tuple[PartRef | FileRef, Path, bool]] = [(ref, path, True) for ref, path in parts]
        objects += [(file, Path(file.path), False) for file in files]
        store_objects(store, [o for o in objects if (o[0].sha256, o[0].bytes) not in there], known)
        tags = {layout.schema_name(id_): schema_bytes}
    if native is not None:
        said, text = to_store(native, keys.recipients)
        complete = replace(complete, native=said)
        if text:
            tags[layout.native_name(complete)] = text
    for name, data in tags.items():
        _put(store, name, data)
        failpoints.hit("vault.schema.stored")
    _put(store, layout.checksums_name(id_), layout.checksums(complete))
    failpoints.hit("vault.checksums.stored")
    # parts that two tables share are stored once, so what counts is asked for once more, by name
    _check_sizes(store, complete)
    complete = replace(complete, versions=_versions(store, complete), erasures=erasures.head(store))
    held.must_hold()
    written = layout.dump_manifest(complete)
    if keys.signing:  # before the manifest: from its first moment on it is signed
        _put(store, layout.signature_name(id_, layout.sha256(written)), signature.sign(written, keys))
        failpoints.hit("vault.signature.stored")
    failpoints.hit("vault.manifest.before")
    if not store.put_if_absent(layout.manifest_name(id_), written):
        raise UsageError(f"another backup named {id_} was written at the same time.")
    failpoints.hit("vault.manifest.stored")
    if (
        key or shared
    ):  # objects of earlier backups are named in it: a prune that ran meanwhile did not see that
        try:
            _check_sizes(store, complete)
        except Corrupt:
            store.delete(layout.manifest_name(id_))  # never a backup that is not whole
            raise
    return sealing.unmasked(complete, key) if key else complete


def _check_sizes(store: Store, complete: Manifest) -> None:
    objects = {layout.object_name(sha256): size for sha256, size in layout.objects_of(complete).items()}
    for (name, size), found in zip(objects.items(), each(store, store.size, objects), strict=True):
        if found != size:
            raise Corrupt("an object changed while the backup was written.", where=name)


def _versions(store: Store, complete: Manifest) -> dict[str, str]:
    names = [
        *(layout.object_name(sha256) for sha256 in layout.objects_of(complete)),
        *layout.tag_files(complete),
    ]
    found = zip(names, each(store, store.version, names), strict=True)
    return {name: version for name, version in found if version}


def _table_digests(schema: Schema, parts: Sequence[PartRef]) -> dict[str, str]:
    totals = dict.fromkeys(schema.table_names, canon.Digest.EMPTY)
    for ref in parts:
        if ref.table not in totals:
            raise UsageError("a part belongs to a table that the schema does not have.", where=ref.table)
        totals[ref.table] = totals[ref.table] + canon.Digest.parse(ref.digest)
    return {table: total.text() for table, total in totals.items()}


def _refuse_contradictions(complete: Manifest, schema: Schema, *, declared: Manifest) -> None:
    problems = layout.contradictions(complete)
    misfit = layout.tables_fit(complete, schema)
    if misfit:
        problems.append(misfit)
    if declared.digests and dict(declared.digests) != dict(complete.digests):
        problems.append("the tables' digests are not the sums of their parts")
    if declared.schema_digest and declared.schema_digest != complete.schema_digest:
        problems.append("the schema is not the one that was planned for")
    if problems:
        raise Corrupt(f"the backup would contradict itself: {problems[0]}.", where=complete.id)


def _there_already(store: Store, complete: Manifest) -> Manifest | None:
    """What an earlier try of this backup wrote; UsageError where the name is taken by other content."""
    name = layout.manifest_name(complete.id)
    if not store.exists(name):
        return None
    there = layout.load_manifest(store.read_bytes(name, limit=layout.MANIFEST_LIMIT), complete.id)
    encrypted = bool(keys_of(store).recipients)
    same = (there.seal is not None) == encrypted
    if same and encrypted:
        key = hash_key_of(store, complete.id)
        plain = sealing.unmasked(there, key) if key else there
        same = _in_the_open(there) == _in_the_open(complete) and (
            not key or dict(plain.digests) == dict(complete.digests)
        )
        there = plain
    elif same:
        facts: dict[str, object] = {
            "created_at": complete.created_at,
            "audit_head": complete.audit_head,
            "versions": {},
            "native": None,
            "erasures": "",
        }
        same = replace(there, **facts) == complete  # type: ignore[arg-type]
    if not same:
        raise UsageError(f"there is a backup named {complete.id} already, with other content.")
    return there


def _in_the_open(manifest: Manifest) -> Manifest:
    """What encryption does not change: whose rows they are, of which tables and how many."""
    parts = [replace(p, path="", bytes=0, sha256="", digest="", keyed="") for p in manifest.parts]
    files = [replace(f, path="", bytes=0, sha256="", keyed="") for f in manifest.files]
    nothing = dict.fromkeys(manifest.digests, "")
    return replace(
        manifest, parts=tuple(parts), files=tuple(files), digests=nothing, schema_digest="", seal=None,
        versions={}, native=None, format=layout.FORMAT, created_at="", audit_head="", erasures="",
    )  # fmt: skip


def _put(store: Store, name: str, data: bytes) -> None:
    store.put_bytes(name, data)
    if store.read_bytes(name, limit=len(data)) != data:
        raise Corrupt("the object in the vault is not what was stored.", where=name)
