"""Erasure requests of a vault (F31): which rows no restore brings back, as keyed hashes that say nothing of whose they are.

    erasures/000000.json   append-only; each names the one before it; every manifest names the last one of its time

A request names a system and a table in the open, and the key of a row by HMAC under a secret that is kept elsewhere. The
secret also seals every record, so that nobody else makes one; where a signing key is configured it is signed, too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from migrate import canon, failpoints
from migrate.errors import Busy, Corrupt, GateClosed, UsageError
from migrate.model import Manifest, Table
from migrate.stores.protocol import Store
from migrate.vault import layout, signature, strict_json
from migrate.vault.keyed import keys_of
from migrate.vault.keys import Keys

PREFIX = "erasures/"
TARGET = "target"
_LIMIT = 1 << 20
_ATTEMPTS = 20


@dataclass(frozen=True)
class Erasure:
    """One row of a table of a system; `columns` are those of its key."""

    number: int
    previous: str  # SHA-256 of the record before, "" for the first
    at: str  # ISO 8601 UTC
    system: str
    table: str
    columns: tuple[str, ...]
    keyed: str  # HMAC-SHA256 of what row it is
    mac: str = ""  # HMAC-SHA256 over all the above
    signature: str = ""  # Ed25519 over the same, in hexadecimal

    def words(self) -> bytes:
        return signature.ERASURE + strict_json.canonical(
            strict_json.encode(replace(self, mac="", signature=""))
        )


@dataclass(frozen=True)
class Requests:
    """What is asked for of one system: table → columns of the key → keyed hashes."""

    secret: bytes = field(default=b"", repr=False)
    system: str = ""
    by_table: Mapping[str, Mapping[tuple[str, ...], frozenset[str]]] = field(default_factory=dict)
    also: tuple[Requests, ...] = ()  # under further names of the system

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.by_table, *(t for more in self.also for t in more.tables))))

    def matching(self, table: Table, rows: pa.Table) -> npt.NDArray[np.bool_]:
        """Which rows are to go. Raises GateClosed where the table lacks a column by which a request knows them."""
        found = np.zeros(rows.num_rows, np.bool_)
        for columns, wanted in self.by_table.get(table.name, {}).items():
            missing = [c for c in columns if c not in table.column_names]
            if missing:
                raise GateClosed(
                    f"an erasure knows rows of {table.name} by {', '.join(missing)}, which this backup does not have: "
                    "whether they are in it cannot be told",
                    kept="Nothing was restored.",
                    hint="Record the erasure by a column that the backup has too.",
                )
            for place, key in enumerate(canon.source_keys(rows, columns, table.types).to_pylist()):
                if key is not None and _keyed(self.secret, self.system, table.name, columns, key) in wanted:
                    found[place] = True
        for more in self.also:
            found |= more.matching(table, rows)
        return found


def record(
    store: Store, *, system: str, table: str, columns: Sequence[str], keys: Sequence[str]
) -> list[Erasure]:
    """Appends a record for each of `keys` (JSON arrays of canonical texts, as `canon.source_keys` makes them) that is not
    recorded yet; returns the new ones. Killed anywhere, it can be asked again.

    Raises GateClosed without the vault's secret, Corrupt where the records so far are not whole, Busy."""
    held = keys_of(store)
    secret = _secret(held)
    known = _read(store, secret)
    _refuse_cut(store, [data for data, _ in known])
    there = {e.keyed for _, e in known}
    added = []
    for key in keys:
        keyed = _keyed(secret, system, table, tuple(columns), key)
        if keyed in there:
            continue
        for _ in range(_ATTEMPTS):
            last = hashlib.sha256(known[-1][0]).hexdigest() if known else ""
            now = datetime.now(UTC).isoformat(timespec="seconds")
            made = Erasure(len(known), last, now, system, table, tuple(columns), keyed)
            made = replace(made, mac=hmac.digest(secret, made.words(), "sha256").hex())
            if held.signing:
                made = replace(made, signature=signature.sign(made.words(), held).hex())
            data = strict_json.readable(strict_json.encode(made))
            if store.put_if_absent(_name(len(known)), data):
                break
            known = _read(store, secret)
        else:
            raise Busy("others keep recording erasures in this vault.", where=store.location)
        failpoints.hit("vault.erasure.recorded")
        known.append((data, made))
        there.add(keyed)
        added.append(made)
    return added


def target_of(mapping: str) -> str:
    """What requests call the target of one migration. Its manifests say "target", as those of every other."""
    return f"{TARGET}:{mapping}"


def names_of(manifest: Manifest) -> tuple[str, ...]:
    """What requests may call the system of a backup. "target" alone is of the targets of all migrations."""
    if manifest.system == TARGET and manifest.role != "source" and manifest.mapping:
        return TARGET, target_of(manifest.mapping)
    return (manifest.system,)


def without_owner(manifest: Manifest) -> bool:
    """Whether it is a backup of what a restore replaced, and does not say of which system or migration that was."""
    if manifest.system == "replaced" and "-replaced-" in manifest.id:
        return True
    return manifest.role == "replaced" and manifest.system == TARGET and not manifest.mapping


def requests(store: Store, system: str, *also: str) -> Requests:
    """All that is recorded of a system, under this name and others. Raises GateClosed where there is something and the secret is missing or another
    one, Corrupt where the records are not whole, or not signed though that is required."""
    if not store.list(PREFIX):
        _refuse_cut(store, [])
        return Requests()
    secret = _secret(keys_of(store))
    known = _read(store, secret)
    _refuse_cut(store, [data for data, _ in known])
    under = [_under(secret, name, [e for _, e in known]) for name in (system, *also)]
    return replace(under[0], also=tuple(under[1:]))


def _under(secret: bytes, system: str, known: Sequence[Erasure]) -> Requests:
    found: defaultdict[str, defaultdict[tuple[str, ...], set[str]]] = defaultdict(lambda: defaultdict(set))
    for erasure in known:
        if erasure.system == system:
            found[erasure.table][erasure.columns].add(erasure.keyed)
    frozen = {t: {c: frozenset(k) for c, k in by.items()} for t, by in found.items()}
    return Requests(secret, system, frozen)


def head(store: Store) -> str:
    """What a manifest keeps of the erasures that are recorded now: their number and the SHA-256 of the last; "" for none.
    Needs no secret."""
    names = list(store.list(PREFIX))
    return (
        f"{len(names)}:{hashlib.sha256(store.read_bytes(names[-1], limit=_LIMIT)).hexdigest()}"
        if names
        else ""
    )


def _refuse_cut(store: Store, known: Sequence[bytes]) -> None:
    """Raises Corrupt where a manifest of this vault was written after erasures that are not here any more: the end of
    the chain is missing, or it is another one. A vault that was put back as a whole, manifests and all, shows nothing: that is
    what the ledger's audit trail is for."""
    heads = {str(n): hashlib.sha256(data).hexdigest() for n, data in enumerate(known, 1)}
    for name in store.list():
        id_, _, rest = name.partition("/")
        if rest != "manifest.json" or not layout.is_id(id_):
            continue
        try:
            said = layout.load_manifest(store.read_bytes(name, limit=layout.MANIFEST_LIMIT), id_).erasures
        except (Corrupt, UsageError):
            continue  # damaged, or a newer program's: whoever opens it hears of that
        number, _, last = said.partition(":")
        if said and heads.get(number) != last:
            raise Corrupt(
                f"erasures by request are missing from this vault, or were replaced: backup {id_} was made when there were "
                f"{number}, and the {len(known)} that are here are not these and later ones.",
                kept="Nothing was restored or recorded: rows that were to be forgotten would come back.",
                hint="Bring the objects under erasures/ back from a copy of the vault.",
                where=f"{store.location}/{PREFIX}",
            )


def _name(number: int) -> str:
    return f"{PREFIX}{number:06d}.json"


def _keyed(secret: bytes, system: str, table: str, columns: tuple[str, ...], key: str) -> str:
    said = json.dumps(["row", system, table, list(columns), key], ensure_ascii=False).encode()
    return hmac.digest(secret, said, "sha256").hex()


def _secret(keys: Keys) -> bytes:
    if not keys.erasure:
        raise _no_secret("it was not given")
    return hashlib.sha256(b"migrate erasure secret\n" + keys.erasure.strip().encode()).digest()


def _no_secret(why: str) -> GateClosed:
    return GateClosed(
        f"rows are to be left out of what this vault holds, and the secret that tells which is needed: {why}",
        kept="Nothing was restored or recorded.",
        hint="Give it: --erasure-secret FILE, MIGRATE_ERASURE_SECRET or `policy.backup.erasure_secret`.",
    )


def _read(store: Store, secret: bytes) -> list[tuple[bytes, Erasure]]:
    held = keys_of(store)
    chain: list[tuple[bytes, Erasure]] = []
    for number, name in enumerate(store.list(PREFIX)):
        if name != _name(number):
            raise Corrupt("the erasures are not numbered one after the other.", where=name[:200])
        data = store.read_bytes(name, limit=_LIMIT)
        found = strict_json.decode(Erasure, strict_json.parse(data, name), name)
        if not hmac.compare_digest(hmac.digest(secret, found.words(), "sha256").hex(), found.mac):
            raise _no_secret(f"the one that was given did not make {name}, or that was changed")
        previous = hashlib.sha256(chain[-1][0]).hexdigest() if chain else ""
        if found.previous != previous or found.number != number:
            raise Corrupt("the erasure before it is not the one that it was recorded after.", where=name)
        if held.require_signature and not _signed(found, held):
            raise Corrupt(
                "the erasure is not signed by a key that is trusted, and signatures are required.", where=name
            )
        chain.append((data, found))
    return chain


def _signed(found: Erasure, keys: Keys) -> bool:
    try:
        given = bytes.fromhex(found.signature)
    except ValueError:
        return False
    return bool(given) and bool(signature.signer(given, found.words(), keys))
