"""Finds and opens backups. Nothing here believes a manifest: sizes are capped, names strict, bytes hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from migrate import canon, durable, parts
from migrate.errors import Corrupt, GateClosed, UsageError
from migrate.model import FileRef, Manifest, PartRef, Schema, Table
from migrate.stores.protocol import Store
from migrate.vault import age, erasures, layout, schema_json, sealing, signature
from migrate.vault.erasing import NO_EFFECTS, Effects, effects_of
from migrate.vault.keyed import keys_of


@dataclass(frozen=True)
class BackupInfo:
    """One backup as `list_backups` shows it; `problem` says why it cannot be opened, if so."""

    id: str
    manifest: Manifest | None
    problem: str = ""

    @property
    def created_at(self) -> str:
        return self.manifest.created_at if self.manifest else ""


@dataclass(frozen=True)
class Backup:
    """`manifest` is, where the backup is encrypted and opens, the one that speaks plainly of its digests; where it does not
    open, the one that is stored, and everything that needs more raises Locked."""

    store: Store
    manifest: Manifest
    typed: Schema | None
    manifest_sha256: str  # of manifest.json: what verdicts and the ledger know it by
    hash_key: bytes = field(default=b"", repr=False)
    locked: Exception | None = None  # why it does not open
    signed_by: str = ""  # the trusted key that signed the manifest
    whole: Backup | None = None  # that of all tables, where this is a view of some

    @property
    def schema(self) -> Schema:
        """Raises Locked, or what else kept it from opening."""
        if self.typed is None:
            raise self.locked or age.locked("it was not opened", self.manifest.id)
        return self.typed

    @cached_property
    def parts_by_table(self) -> dict[str, tuple[PartRef, ...]]:
        """In order; a table without rows has none."""
        found: dict[str, list[PartRef]] = {name: [] for name in self.schema.table_names}
        for ref in self.manifest.parts:
            found[ref.table].append(ref)
        return {name: tuple(refs) for name, refs in found.items()}

    @cached_property
    def effects(self) -> Effects:
        """What erasures by request take out of it (F31). Raises GateClosed where that cannot be told, Locked, Corrupt."""
        if self.whole is not None:
            return self.whole.effects
        asked = erasures.requests(self.store, *erasures.names_of(self.manifest))
        if not asked.tables:
            return NO_EFFECTS
        return effects_of(asked, self.schema, self.parts_by_table, self.raw)

    def rows(self, table: str) -> int:
        """How many a restore brings back: all but those that were erased by request."""
        return self.rows_stored(table) - self.effects.rows.get(table, 0)

    def rows_stored(self, table: str) -> int:
        return sum(ref.rows for ref in self.parts_by_table[table])

    def expected(self, table: str) -> canon.Digest:
        """The digest of what a restore brings back: the manifest's without what was erased by request."""
        return self.effects.expected(table, canon.Digest.parse(self.manifest.digests[table]))

    def only(self, tables: Collection[str]) -> Backup:
        """A view of some of its tables, to be restored. Not to be checked: the manifest is that of all."""
        chosen = tuple(t for t in self.schema.tables if t.name in tables)
        others = {s for t in self.schema.tables if t.name not in tables for s in sequences_of(self.schema, t)}
        needed = {s for t in chosen for s in sequences_of(self.schema, t)}
        sequences = tuple(s for s in self.schema.sequences if s.name in needed or s.name not in others)
        return replace(
            self,
            whole=self,
            typed=replace(self.schema, tables=chosen, sequences=sequences),
            manifest=replace(self.manifest, parts=tuple(p for p in self.manifest.parts if p.table in tables)),
        )

    def part(self, ref: PartRef) -> pa.Table:
        """Rows of one part, decoded from bytes read out of the vault whose SHA-256 is the manifest's, without those that
        were erased by request. Raises Corrupt, Locked, GateClosed."""
        return self.decoded(ref, self.opened(ref, self.stored(ref)))

    def stored(self, ref: PartRef) -> bytes:
        """The bytes of a part as the vault has them, not yet verified. Raises Corrupt where they are not there."""
        return self.store.read_bytes(ref.path, limit=ref.bytes)

    def opened(self, ref: PartRef, data: bytes) -> bytes:
        """Those bytes without what protects them in the vault; what was encrypted is verified before and after. Raises
        Corrupt, Locked."""
        if self.manifest.seal is None:
            return data
        where = self._where(ref)
        if len(data) != ref.bytes or layout.sha256(data) != ref.sha256:
            raise Corrupt("the part is not what was stored: its SHA-256 differs.", where=where)
        self.schema  # noqa: B018 - what is locked says so
        plain = age.decrypt(data, keys_of(self.store).identities, where)
        sealing.check_keyed(plain, ref, self.hash_key, where)
        return plain

    def decoded(self, ref: PartRef, data: bytes) -> pa.Table:
        """The rows in what `opened` gave, without those that were erased by request. Raises Corrupt where they are not what
        the manifest says."""
        return self.effects.applied(ref, self.decoded_raw(ref, data))

    def raw(self, ref: PartRef) -> pa.Table:
        """As `part`, with every row that was backed up: for checks of the bytes, never for restoring."""
        return self.decoded_raw(ref, self.opened(ref, self.stored(ref)))

    def decoded_raw(self, ref: PartRef, data: bytes) -> pa.Table:
        """As `decoded`, with every row that was backed up."""
        if self.manifest.seal is None:
            return parts.decode_part(data, ref, self._where(ref))
        return parts.decode_rows(data, ref, self._where(ref))

    def _where(self, ref: PartRef) -> str:
        return f"{ref.table} part {ref.index} of backup {self.manifest.id}"

    def batches(self, table: str) -> Iterator[pa.RecordBatch]:
        """All rows of a table, part by part in order; each part is verified before its first row is given."""
        for ref in self.parts_by_table[table]:
            yield from self.part(ref).to_batches(max_chunksize=65_536)

    def part_file(self, ref: PartRef | FileRef, cache: Path) -> Path:
        """A verified private copy of one object in the folder `cache`, decrypted, by its SHA-256; made once. A part out of
        which rows were erased by request is made anew without them. Raises Corrupt, Locked, GateClosed."""
        if isinstance(ref, PartRef) and self.effects.touches(ref):
            path = durable.make_private_folder(cache) / f"{ref.sha256}-left"
            parts.write_rows(self.part(ref), path, point="vault.part_file")
            return path
        path = cache / ref.sha256
        if path.is_file() and not path.is_symlink():
            if self._is(path, ref):
                return path
            path.unlink()
        self._fetch(ref, path)
        return path

    def _fetch(self, ref: PartRef | FileRef, to: Path) -> None:
        """A private copy of what the object holds, verified as it is stored and, where it was encrypted, as it was before."""
        where = f"{ref.path} of backup {self.manifest.id}"
        self.store.fetch(ref.path, to)
        if to.stat().st_size != ref.bytes or durable.sha256_file(to) != ref.sha256:
            to.unlink()
            raise Corrupt("the object is not what was stored.", where=where)
        if self.manifest.seal is None:
            return
        sealed = to.with_name(f"{durable.TEMPORARY_PREFIX}{to.name}{age.SUFFIX}")
        to.rename(sealed)
        try:
            self.schema  # noqa: B018 - what is locked says so
            age.decrypt_file(sealed, to, keys_of(self.store).identities, where)
        finally:
            sealed.unlink()
        if not self._is(to, ref):
            to.unlink()
            raise Corrupt("the object does not hold what the manifest says that was encrypted.", where=where)

    def _is(self, path: Path, ref: PartRef | FileRef) -> bool:
        if self.manifest.seal is not None:
            return sealing.keyed_hash_file(self.hash_key, path) == ref.keyed
        return path.stat().st_size == ref.bytes and durable.sha256_file(path) == ref.sha256

    def restore_files(self, folder: Path) -> list[Path]:
        """The original files, byte for byte, under their names below `folder` (private). Raises Corrupt."""
        if self.effects.rows:  # they hold what was erased, in a form of their own
            raise GateClosed(
                "rows of this backup were erased by request, and its original files hold them still",
                where=self.manifest.id,
                kept="The files were not brought back; the tables can be restored.",
            )
        restored = []
        for ref in self.manifest.files:
            path = folder / ref.name
            durable.make_private_folder(path.parent)
            self._fetch(ref, path)
            restored.append(path)
        return restored


def sequences_of(schema: Schema, table: Table) -> set[str]:
    """Names of the sequences that give keys to a table: of a column, or by the table's own name where engines do that."""
    named = {c.sequence for c in table.columns if c.sequence}
    return {
        s.name
        for s in schema.sequences
        if s.name in named or s.name == table.name or s.name.startswith(f"{table.name}.")
    }


def list_backups(store: Store) -> list[BackupInfo]:
    """Every folder with a manifest, oldest first by the time recorded in it (names and file times say
    nothing); those that cannot be read come first, with their problem."""
    found = []
    for name in store.list():
        id_, _, rest = name.partition("/")
        if rest == "manifest.json" and layout.is_id(id_):
            found.append(_info(store, id_))
    return sorted(found, key=lambda info: (info.created_at, info.id))


def _info(store: Store, id_: str) -> BackupInfo:
    try:
        data = store.read_bytes(layout.manifest_name(id_), limit=layout.MANIFEST_LIMIT)
        return BackupInfo(id_, layout.load_manifest(data, id_))
    except Corrupt as error:
        return BackupInfo(id_, None, str(error))


def open_backup(store: Store, id_: str) -> Backup:
    """Raises Corrupt (missing, damaged, hostile, or not signed though that is required) or UsageError (no such name, a
    newer program's). An encrypted backup that does not open with the keys of the store is given all the same: see `Backup`."""
    layout.checked_id(id_)
    data = store.read_bytes(layout.manifest_name(id_), limit=layout.MANIFEST_LIMIT)
    manifest = layout.load_manifest(data, id_)
    signed_by = _signed_by(store, id_, data)
    store = store.at(manifest.versions)
    # all that it takes to read the backup; a text for people is looked at by the levels, and when it is asked for
    needed = replace(manifest, native=None)
    tags = {name: _tag(store, name, sha256) for name, sha256 in layout.tag_files(needed).items()}
    backup = Backup(store, manifest, None, layout.sha256(data), signed_by=signed_by)
    if manifest.seal is None:
        return replace(backup, typed=_schema(manifest, tags[layout.schema_name(id_)]))
    try:
        key = _hash_key(store, manifest, tags[layout.hash_key_name(id_)])
        name = layout.sealed_schema_name(id_)
        plain = age.decrypt(tags[name], keys_of(store).identities, name)
    except (age.Locked, UsageError) as error:
        return replace(backup, locked=error)
    return replace(
        backup,
        manifest=sealing.unmasked(manifest, key),
        typed=_schema(manifest, plain),
        hash_key=key,
    )


def _signed_by(store: Store, id_: str, manifest: bytes) -> str:
    """The trusted key that signed these bytes, "" where none did. Raises Corrupt where one must have."""
    keys = keys_of(store)
    if not signature.checks(keys) and not keys.require_signature:
        return ""
    signature.check_keys(keys)
    name = layout.signature_name(id_, layout.sha256(manifest))
    there = store.exists(name)
    found = signature.signer(store.read_bytes(name, limit=signature.BYTES), manifest, keys) if there else ""
    if keys.require_signature and not found:
        raise Corrupt(
            f"the manifest is {'not signed by a key that is trusted' if there else 'not signed'}, and signatures are required.",
            where=layout.manifest_name(id_),
            hint="Where did it come from? If you trust it, name the public key of its signer, or do without `require_signature`.",
        )
    return found


def _tag(store: Store, name: str, sha256: str) -> bytes:
    data = store.read_bytes(name, limit=layout.SCHEMA_LIMIT)
    if layout.sha256(data) != sha256:
        raise Corrupt("this is not the one that the manifest names.", where=name)
    return data


def _schema(manifest: Manifest, data: bytes) -> Schema:
    schema = schema_json.load(data, layout.schema_name(manifest.id))
    misfit = layout.tables_fit(manifest, schema)
    if misfit:
        raise Corrupt(f"{misfit}.", where=layout.manifest_name(manifest.id))
    return schema


def _hash_key(store: Store, manifest: Manifest, sealed: bytes) -> bytes:
    """Raises Locked, Corrupt."""
    where = layout.hash_key_name(manifest.id)
    text = age.decrypt(sealed, keys_of(store).identities, where)
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != sealing.KEY_BYTES or manifest.seal is None or sealing.key_id(key) != manifest.seal.key:
        raise Corrupt("the hash key is not the one that the manifest was written with.", where=where)
    return key


def is_trusted(store: Store, id_: str) -> bool:
    """Whether a trusted key signed the manifest, or no signature counts here."""
    if not signature.checks(keys_of(store)):
        return True
    try:
        data = store.read_bytes(layout.manifest_name(id_), limit=layout.MANIFEST_LIMIT)
        return bool(_signed_by(store, id_, data))
    except Corrupt:
        return False


def hash_key_of(store: Store, id_: str) -> bytes:
    """The hash key of an encrypted backup that opens here; else b""."""
    try:
        return open_backup(store, id_).hash_key
    except (Corrupt, UsageError):
        return b""


def object_sha256(store: Store, name: str) -> str:
    """Of the bytes as the store gives them. Raises Corrupt where it is missing."""
    with store.open_read(name) as stream, durable.disk_errors("Reading the object", Path(name)):
        found = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            found.update(chunk)
        return found.hexdigest()
