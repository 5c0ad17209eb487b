"""Encryption for recipients in the format of age (https://age-encryption.org/v1), by pyrage."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from migrate import durable
from migrate.errors import Corrupt, GateClosed, UsageError

SUFFIX = ".age"
T = TypeVar("T")


class Locked(GateClosed):
    """What is encrypted cannot be read with the identities at hand: nothing can be proven of it."""


def encrypt(data: bytes, recipients: Sequence[str]) -> bytes:
    """Raises UsageError where a recipient is none, or pyrage is not installed."""
    sealed: bytes = _pyrage().encrypt(data, _recipients(recipients))
    return sealed


def encrypt_file(path: Path, to: Path, recipients: Sequence[str]) -> None:
    """A new file `to` (0600), in bounded memory. Raises as `encrypt`, and Unreachable for what the disk refuses."""
    _new_private(to)
    with durable.disk_errors("Encrypting the file", path):
        _pyrage().encrypt_file(str(path), str(to), _recipients(recipients))


def decrypt(data: bytes, identities: Sequence[str], where: str) -> bytes:
    """Raises Locked where no identity opens it, Corrupt where it is not whole."""
    return _opened(lambda: bytes(_pyrage().decrypt(data, _identities(identities, where))), where)


def decrypt_file(path: Path, to: Path, identities: Sequence[str], where: str) -> None:
    """A new file `to` (0600), in bounded memory; none where it does not open. Raises as `decrypt`, and Unreachable."""
    keys = _identities(identities, where)
    _new_private(to)
    try:
        with durable.disk_errors("Decrypting the file", to):
            _opened(lambda: _pyrage().decrypt_file(str(path), str(to), keys), where)
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def check_recipients(recipients: Sequence[str]) -> None:
    """Raises as `encrypt`, before anything was read."""
    _recipients(recipients)


def check_pair(recipients: Sequence[str], identities: Sequence[str]) -> None:
    """That what is encrypted for the recipients opens with one of the identities. Raises Locked."""
    decrypt(encrypt(b"open me", recipients), identities, "")


def new_identity() -> tuple[str, str]:
    """(secret identity, public recipient)"""
    identity = _pyrage().x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def _opened(decrypting: Callable[[], T], where: str) -> T:
    try:
        return decrypting()
    except _pyrage().DecryptError as error:
        if "No matching keys" in str(error):  # the library has one class for every failure
            raise locked("the identity that was given does not open it", where) from None
        raise Corrupt("it does not decrypt: it is no age file, or not all of one", where=where) from None


def locked(why: str, where: str) -> Locked:
    return Locked(
        f"the backup is encrypted, and {why}",
        where=where,
        kept="The backup is as it was.",
        hint="Give the identity of one of its recipients: --identity FILE, MIGRATE_BACKUP_IDENTITY or "
        "`policy.backup.encrypt.identity`; `migrate backup show` names the recipients.",
    )


def _recipients(texts: Sequence[str]) -> list[Any]:
    pyrage = _pyrage()
    found = []
    for text in texts:
        kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
        try:
            found.append(kind.Recipient.from_str(text))
        except pyrage.RecipientError:
            raise UsageError(
                "this is no recipient of age",
                where=text[:80],
                hint="It is the public key that `age-keygen` or `migrate backup keygen` shows: age1….",
            ) from None
    return found


def _identities(texts: Sequence[str], where: str) -> list[Any]:
    pyrage = _pyrage()
    found = []
    for text in texts:
        try:
            if text.lstrip().startswith("-----BEGIN"):
                found.append(pyrage.ssh.Identity.from_buffer(text.encode()))
                continue
            lines = [line.strip() for line in text.splitlines()]
            found += [
                pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")
            ]
        except pyrage.IdentityError:
            raise UsageError(  # its text may hold the secret, so nothing of it is said
                "what was given as identity is none",
                kept="The backups are as they were.",
                hint="It is the file that `age-keygen` or `migrate backup keygen` wrote: AGE-SECRET-KEY-1….",
            ) from None
    if not found:
        raise locked("no identity was given", where)
    return found


def _new_private(path: Path) -> None:
    with durable.disk_errors("Creating the file", path):
        os.close(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW, 0o600))


def _pyrage() -> Any:
    try:
        import pyrage
    except ImportError:
        raise UsageError(
            "encrypted backups need a library that is not installed",
            hint="Install it: pip install 'migrate-crm[age]'.",
        ) from None
    return pyrage
