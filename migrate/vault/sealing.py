"""What an encrypted backup says of its rows in the open, and what of that only the holder of its hash key understands.

Every encrypted backup has a hash key of 32 bytes, itself encrypted for the recipients (`hash-key.age`). With it the
manifest names the bytes of a part before encryption (HMAC-SHA256: ciphertext never repeats, and a plain hash would tell
who guesses a row that it is there), and with it the digests of rows are masked: a number that the key gives is added
to both lanes, so that the parts of a table still add up for those who have no key. A later backup for the same
recipients, made where one of them can be opened, goes on with the same key, and needs no second copy of equal parts.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from migrate import canon, durable
from migrate.errors import Corrupt
from migrate.model import FileRef, Manifest, PartRef

KEY_BYTES = 32
_WRAP = 2**64


@dataclass(frozen=True)
class Reusable:
    """Of earlier backups for the same recipients: keyed hash of the bytes → (SHA-256, size) of the object that holds them."""

    key: bytes = field(repr=False)
    objects: dict[str, tuple[str, int]]


def key_id(key: bytes) -> str:
    """A name for the key that says nothing of it."""
    return hashlib.sha256(b"migrate: the name of a hash key\n" + key).hexdigest()[:32]


def keyed_hash(key: bytes, data: bytes) -> str:
    return hmac.digest(key, data, "sha256").hex()


def keyed_hash_file(key: bytes, path: Path) -> str:
    """Raises Unreachable."""
    found = hmac.new(key, digestmod="sha256")
    with durable.disk_errors("Reading the file", path), path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()


def masked(manifest: Manifest, key: bytes) -> Manifest:
    """The manifest as it is stored: what it says of rows is understood only with the key."""
    return _with_digests(manifest, key, 1)


def unmasked(manifest: Manifest, key: bytes) -> Manifest:
    """The opposite of `masked`."""
    return _with_digests(manifest, key, -1)


def _with_digests(manifest: Manifest, key: bytes, sign: int) -> Manifest:
    parts, totals = [], {t: canon.Digest(0, 0, 0, (), manifest.algorithm) for t in manifest.digests}
    for ref in manifest.parts:
        digest = _moved(canon.Digest.parse(ref.digest), _mask(key, ref), sign)
        parts.append(replace(ref, digest=digest.text()))
        totals[ref.table] = totals[ref.table] + digest
    return replace(manifest, parts=tuple(parts), digests={t: d.text() for t, d in totals.items()})


def _mask(key: bytes, ref: PartRef) -> tuple[int, int]:
    said = "\0".join(("digest", ref.table, str(ref.index), ref.keyed)).encode()
    data = hmac.digest(key, said, "sha256")
    return int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")


def _moved(digest: canon.Digest, mask: tuple[int, int], sign: int) -> canon.Digest:
    low, high = (digest.low + sign * mask[0]) % _WRAP, (digest.high + sign * mask[1]) % _WRAP
    return canon.Digest(digest.rows, low, high, (), digest.algorithm)


def check_keyed(data: bytes, ref: PartRef, key: bytes, where: str) -> None:
    """That the decrypted bytes are those that were encrypted for this place. Raises Corrupt."""
    if not hmac.compare_digest(keyed_hash(key, data), ref.keyed):
        raise Corrupt("what the object holds is not what the manifest says that was encrypted.", where=where)


def objects_of(manifests: Iterable[Manifest]) -> dict[str, tuple[str, int]]:
    """Keyed hash → (SHA-256, size); the newest, that is the last, counts."""
    found: dict[str, tuple[str, int]] = {}
    for manifest in manifests:
        refs: list[PartRef | FileRef] = [*manifest.parts, *manifest.files]
        found |= {ref.keyed: (ref.sha256, ref.bytes) for ref in refs if ref.keyed}
    return found
