"""Levels 0 to 3: what can be said of a backup without restoring it. Only a restore proves (levels 4 and 5).

L0 the manifest is the one that was written · L1 the objects are there, with their sizes, and nothing
else is · L2 every byte · L3 every part decodes, and its rows, columns and digests are the manifest's.
A level that fails ends the check: what lies above it rests on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from migrate import canon
from migrate.arrow import arrow_schema
from migrate.errors import Corrupt, UsageError
from migrate.model import Table, Verdict
from migrate.stores.protocol import Store
from migrate.vault import layout
from migrate.vault.ahead import Part, parts_ahead
from migrate.vault.reader import Backup, object_sha256, open_backup

HIGHEST = 3
_SHOWN = 20  # problems that a verdict lists; it says how many there are


def check_backup(store: Store, id_: str, level: int = HIGHEST, *, known_sha256: str = "") -> list[Verdict]:
    """`check` for a backup that may not even open: then that is what L0 found. Unreachable passes through."""
    try:
        backup = open_backup(store, id_)
    except Corrupt as error:
        return [_verdict("L0 manifest", [str(error)], id_)]
    return check(backup, level, known_sha256=known_sha256)


def check(backup: Backup, level: int = HIGHEST, *, known_sha256: str = "") -> list[Verdict]:
    """One verdict per level from 0 to `level`, ending at the first that fails.

    `known_sha256` is what a ledger remembers of `manifest.json`: one who edits the manifest and
    recomputes all its hashes is found only by that (or by a later level). Raises Unreachable where
    the vault cannot be read, for that is no verdict."""
    if not 0 <= level <= HIGHEST:
        raise UsageError(f"there is no level {level} here.", hint="0 to 3; 4 and 5 need a restore.")
    levels: tuple[tuple[str, Callable[[], Iterator[str]]], ...] = (
        ("L0 manifest", lambda: _manifest(backup, known_sha256)),
        ("L1 objects", lambda: _objects(backup)),
        ("L2 bytes", lambda: _bytes(backup)),
        ("L3 rows", lambda: _rows(backup)),
    )
    verdicts: list[Verdict] = []
    for name, problems in levels[: level + 1]:
        verdicts.append(_verdict(name, _collected(problems()), backup.manifest.id))
        if not verdicts[-1].passed:
            break
    return verdicts


def _manifest(backup: Backup, known_sha256: str) -> Iterator[str]:
    name = layout.manifest_name(backup.manifest.id)
    data = backup.store.read_bytes(name, limit=layout.MANIFEST_LIMIT)
    if hashlib.sha256(data).hexdigest() != backup.manifest_sha256:
        yield f"{name} changed since it was opened"
    if known_sha256 and known_sha256 != backup.manifest_sha256:
        yield f"{name} is not the one that is on record"
    open_backup(backup.store, backup.manifest.id)  # Corrupt is a problem of this level


def _objects(backup: Backup) -> Iterator[str]:
    store, id_ = backup.store, backup.manifest.id
    for sha256, size in layout.objects_of(backup.manifest).items():
        name = layout.object_name(sha256)
        if not store.exists(name):
            yield f"{name} is missing"
        elif store.size(name) != size:
            yield f"{name} has {store.size(name)} bytes, expected {size}"
    own = {layout.manifest_name(id_), layout.checksums_name(id_), *layout.tag_files(backup.manifest)}
    found = set(store.list(f"{id_}/"))
    for name in sorted(own - found):
        yield f"{name} is missing"
    native = backup.manifest.native
    name = layout.native_name(backup.manifest)
    if native is not None and name in found & own and store.size(name) != native.bytes:
        yield f"{name} has {store.size(name)} bytes, expected {native.bytes}"
    for name in sorted(found - own):
        if not name.startswith((f"{id_}/verdicts/", f"{id_}/signatures/")):
            yield f"{name[:200]!r} does not belong here"
    checksums = layout.checksums(backup.manifest)
    if layout.checksums_name(id_) in found and (
        store.size(layout.checksums_name(id_)) != len(checksums)
        or store.read_bytes(layout.checksums_name(id_), limit=len(checksums)) != checksums
    ):
        yield f"{layout.checksums_name(id_)} does not say what the manifest says"


def _bytes(backup: Backup) -> Iterator[str]:
    expected = {layout.object_name(sha): sha for sha in layout.objects_of(backup.manifest)}
    expected |= layout.tag_files(backup.manifest)
    with ThreadPoolExecutor(backup.store.at_once, thread_name_prefix="hash") as pool:
        hashes = pool.map(lambda name: object_sha256(backup.store, name), expected)
        for (name, sha256), found in zip(expected.items(), hashes, strict=True):
            if found != sha256:
                yield f"{name} has another SHA-256"


def _rows(backup: Backup) -> Iterator[str]:
    refs = [ref for table in backup.schema.tables for ref in backup.parts_by_table[table.name]]
    with parts_ahead(backup, refs, raw=True) as brought:
        for table in backup.schema.tables:
            yield from _rows_of(backup, table, islice(brought, len(backup.parts_by_table[table.name])))


def _rows_of(backup: Backup, table: Table, parts: Iterator[Part]) -> Iterator[str]:
    layout_wanted = arrow_schema(table.columns)
    total = canon.Digest.EMPTY
    for part in parts:
        ref, where = part.ref, f"{table.name} part {part.ref.index}"
        try:
            rows = part.rows
            if not rows.schema.equals(layout_wanted):
                yield f"{where} does not have the columns of the schema"
                continue
            digest = canon.digest(rows.to_batches(), table.types, table.primary_key)
        except Corrupt as error:
            yield str(error)
            continue
        total = total + digest
        # digests of an older algorithm cannot be compared; the bytes are protected by L2, and the
        # rows are counted
        if backup.manifest.algorithm == canon.ALGORITHM and digest.text() != ref.digest:
            yield f"{where} has other rows than those that were read: its digest differs"
    if total.rows != backup.rows_stored(table.name):
        yield f"{table.name} has {total.rows} rows, expected {backup.rows_stored(table.name)}"


def _collected(problems: Iterator[str]) -> list[str]:
    found: list[str] = []
    try:
        found.extend(problems)
    except Corrupt as error:
        found.append(str(error))
    return found


def _verdict(name: str, problems: list[str], id_: str) -> Verdict:
    shown = problems[:_SHOWN]
    return Verdict(
        check=name,
        passed=not problems,
        expected="no problem",
        found=f"{len(problems)} problem{'s' if len(problems) != 1 else ''}" if problems else "no problem",
        reason="; ".join(shown),
        evidence={"backup": id_, "problems": shown},
    )
