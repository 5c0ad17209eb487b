"""Verdicts beside the manifest, append-only: each names the manifest's SHA-256 and the verdict before it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from migrate import failpoints
from migrate.errors import Busy, Corrupt
from migrate.model import Verdict
from migrate.stores.protocol import Store
from migrate.vault import layout, signature, strict_json
from migrate.vault.keyed import keys_of
from migrate.vault.keys import Keys
from migrate.vault.reader import Backup
from migrate.vault.sealing import keyed_hash

PROVEN = "L5"  # the check that sums up a restore test: passed means that every value came back
_ATTEMPTS = 20
_DIGEST = re.compile(r"(canon-\d+):(\d+):[0-9a-f]{32}")


@dataclass(frozen=True)
class StoredVerdict:
    manifest_sha256: str
    previous: str  # SHA-256 of the verdict file before, "" for the first
    at: str  # ISO 8601 UTC
    verdict: Verdict
    number: int = 0
    signature: str = ""  # Ed25519 over all the rest, in hexadecimal; "" where no key was configured

    def signer(self, keys: Keys) -> str:
        """The trusted key that signed it; "" where none did."""
        if not signature.checks(keys) or not self.signature:
            return ""
        try:
            signed = bytes.fromhex(self.signature)
        except ValueError:
            return ""
        return signature.signer(signed, self._words(), keys)

    def signed(self, keys: Keys) -> StoredVerdict:
        """The same, signed where there is a key."""
        if not keys.signing:
            return self
        return replace(self, signature=signature.sign(self._words(), keys).hex())

    def _words(self) -> bytes:
        return signature.VERDICT + strict_json.canonical(strict_json.encode(replace(self, signature="")))


def put_verdict(store: Store, backup: Backup, verdict: Verdict) -> str:
    """Appends; returns the object's name. Nothing is ever replaced: of two at the same time one goes behind.

    Raises Corrupt where the chain so far is broken, Busy where others append without end."""
    return put_verdicts(store, backup, [verdict])[0]


def put_verdicts(store: Store, backup: Backup, verdicts: Sequence[Verdict]) -> list[str]:
    """One after the other; see `put_verdict`."""
    id_ = backup.manifest.id
    chain = _Chain.of(_read(store, id_))
    names = []
    for verdict in verdicts:
        for _ in range(_ATTEMPTS):
            stored = StoredVerdict(
                backup.manifest_sha256,
                chain.last,
                datetime.now(UTC).isoformat(timespec="microseconds"),
                _in_the_open(verdict, backup),
                chain.length,
            ).signed(keys_of(store))
            name = layout.verdict_name(id_, chain.length)
            data = strict_json.readable(strict_json.encode(stored))
            if store.put_if_absent(name, data):
                break
            chain = _Chain.of(_read(store, id_))
        else:
            raise Busy("others keep writing verdicts about this backup.", where=id_)
        failpoints.hit("vault.verdict.stored")
        chain = _Chain(chain.length + 1, hashlib.sha256(data).hexdigest())
        names.append(name)
    return names


def _in_the_open(verdict: Verdict, backup: Backup) -> Verdict:
    """Verdicts are readable though the backup may be encrypted: the digests of rows that they compare are keyed then, so
    that nobody tries values against them."""
    if backup.manifest.seal is None:
        return verdict

    def keyed(match: re.Match[str]) -> str:
        return f"{match[1]}:{match[2]}:keyed-{keyed_hash(backup.hash_key, match[0].encode())[:32]}"

    expected, found = (_DIGEST.sub(keyed, text) for text in (verdict.expected, verdict.found))
    return replace(verdict, expected=expected, found=found)


@dataclass(frozen=True)
class _Chain:
    length: int
    last: str  # SHA-256 of its last verdict file, "" where there is none

    @classmethod
    def of(cls, chain: Sequence[tuple[bytes, StoredVerdict]]) -> _Chain:
        return cls(len(chain), hashlib.sha256(chain[-1][0]).hexdigest() if chain else "")


def verdicts(store: Store, id_: str) -> list[StoredVerdict]:
    """Oldest first. Raises Corrupt where one was changed, removed or inserted (the last ones excepted:
    a chain that was cut off at its end is whole in itself; the ledger remembers more)."""
    layout.checked_id(id_)
    return [stored for _, stored in _read(store, id_)]


def is_proven(store: Store, id_: str, manifest_sha256: str) -> bool:
    """Whether the newest restore test of exactly this manifest passed. A broken chain proves nothing, and where keys for
    signatures came with the store, nor does a verdict that none of them signed (F29)."""
    keys = keys_of(store)
    try:
        tests = [
            v
            for v in verdicts(store, id_)
            if v.verdict.check == PROVEN
            and v.manifest_sha256 == manifest_sha256
            and (not signature.checks(keys) or v.signer(keys))
        ]
    except Corrupt:
        return False
    return bool(tests) and tests[-1].verdict.passed


def _read(store: Store, id_: str) -> list[tuple[bytes, StoredVerdict]]:
    names = store.list(f"{id_}/verdicts/")
    chain: list[tuple[bytes, StoredVerdict]] = []
    for number, name in enumerate(names):
        if name != layout.verdict_name(id_, number):
            raise Corrupt("the verdicts are not numbered one after the other.", where=name[:200])
        data = store.read_bytes(name, limit=layout.VERDICT_LIMIT)
        stored = strict_json.decode(StoredVerdict, strict_json.parse(data, name), name)
        previous = hashlib.sha256(chain[-1][0]).hexdigest() if chain else ""
        if stored.previous != previous or stored.number != number:
            raise Corrupt("the verdict before it is not the one that it was given after.", where=name)
        chain.append((data, stored))
    return chain
