"""Writes a backup: objects, then schema and checksum file, then the manifest, last."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from migrate import canon, failpoints
from migrate.errors import Corrupt, UsageError
from migrate.model import FileRef, Manifest, PartRef, Schema
from migrate.stores.protocol import Store
from migrate.vault import layout, schema_json
from migrate.vault.reader import object_sha256


def write_backup(
    store: Store,
    *,
    manifest: Manifest,
    schema: Schema,
    parts: Sequence[tuple[PartRef, Path]],
    files: Sequence[FileRef] = (),
) -> Manifest:
    """Stores everything, reads it back, and only then writes the manifest, which it returns complete.

    `manifest` gives what is known before: id, role, run, system, engine, snapshot, mapping …; its
    `parts`, `digests`, `files`, `schema_digest` and (if empty) `created_at` are filled here. Parts
    are linked where the store can; `files` (absolute paths) are copied, for they are the user's.
    Any part that fails raises (Corrupt: not what its ref says; Unreachable) and there is no manifest.
    UsageError where the id is taken by a backup with other content; written again with the same
    content it is left as it is (resuming after a kill).
    """
    id_ = layout.checked_id(manifest.id)
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
    if _is_there_already(store, complete):
        return layout.load_manifest(
            store.read_bytes(layout.manifest_name(id_), limit=layout.MANIFEST_LIMIT), id_
        )

    _store_objects(
        store, [*((ref, path, True) for ref, path in parts), *((f, Path(f.path), False) for f in files)]
    )
    _put(store, layout.schema_name(id_), schema_bytes)
    failpoints.hit("vault.schema.stored")
    _put(store, layout.checksums_name(id_), layout.checksums(complete))
    failpoints.hit("vault.checksums.stored")
    # parts that two tables share are stored once, so what counts is asked for once more, by name
    for sha256, size in layout.objects_of(complete).items():
        if store.size(layout.object_name(sha256)) != size:
            raise Corrupt("an object changed while the backup was written.", where=layout.object_name(sha256))
    complete = replace(complete, versions=_versions(store, complete))
    failpoints.hit("vault.manifest.before")
    if not store.put_if_absent(layout.manifest_name(id_), layout.dump_manifest(complete)):
        raise UsageError(f"another backup named {id_} was written at the same time.")
    failpoints.hit("vault.manifest.stored")
    return complete


def _versions(store: Store, complete: Manifest) -> dict[str, str]:
    names = [
        *(layout.object_name(sha256) for sha256 in layout.objects_of(complete)),
        layout.schema_name(complete.id),
    ]
    return {name: version for name in names if (version := store.version(name))}


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


def _is_there_already(store: Store, complete: Manifest) -> bool:
    name = layout.manifest_name(complete.id)
    if not store.exists(name):
        return False
    there = layout.load_manifest(store.read_bytes(name, limit=layout.MANIFEST_LIMIT), complete.id)
    same = replace(there, created_at=complete.created_at, audit_head=complete.audit_head, versions={})
    if same != complete:
        raise UsageError(f"there is a backup named {complete.id} already, with other content.")
    return True


def _store_objects(store: Store, objects: Sequence[tuple[PartRef | FileRef, Path, bool]]) -> None:
    """One after the other, or several at the same time; the first that fails ends it, once those under way are done."""
    if store.at_once <= 1:
        for ref, path, link in objects:
            _store_object(store, ref, path, link=link)
        return
    with ThreadPoolExecutor(store.at_once, thread_name_prefix="store") as pool:
        running = [pool.submit(_store_object, store, ref, path, link=link) for ref, path, link in objects]
        try:
            for done in running:
                done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _store_object(store: Store, ref: PartRef | FileRef, path: Path, *, link: bool) -> None:
    name = layout.object_name(ref.sha256)
    store.put_file(name, path, sha256=ref.sha256, link=link)
    failpoints.hit("vault.object.stored")
    # hashed again from the store: what was sent is not yet what is kept
    if store.size(name) != ref.bytes or object_sha256(store, name) != ref.sha256:
        store.delete(name)
        raise Corrupt("the object in the vault is not what was stored.", where=name)
    failpoints.hit("vault.object.verified")


def _put(store: Store, name: str, data: bytes) -> None:
    store.put_bytes(name, data)
    if store.read_bytes(name, limit=len(data)) != data:
        raise Corrupt("the object in the vault is not what was stored.", where=name)
