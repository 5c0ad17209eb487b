"""The keys of a vault: for whom backups are encrypted, what opens them, what signs them and whose signatures count.

A secret comes from a file, from the system's keyring, or from the environment; it travels in memory only and never
shows in a representation, a log, a ledger, a file or the arguments of a process.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from migrate.errors import Unreachable, UsageError
from migrate.mapping.model import Backup

RECIPIENTS = "MIGRATE_BACKUP_RECIPIENTS"
IDENTITY = "MIGRATE_BACKUP_IDENTITY"
SIGNING_KEY = "MIGRATE_BACKUP_SIGNING_KEY"
TRUSTED = "MIGRATE_BACKUP_TRUSTED"
ERASURE_SECRET = "MIGRATE_ERASURE_SECRET"
REQUIRE_SIGNATURE = "MIGRATE_BACKUP_REQUIRE_SIGNATURE"

_KEYRING = "keyring:"
_LIMIT = 1 << 20  # bytes of a file of keys
_PUBLIC = re.compile(r"age1|ssh-|ed25519:")
_SECRET = re.compile(r"AGE-SECRET-KEY-|AGE-PLUGIN-|-----BEGIN|MIGRATE-ERASURE-SECRET-", re.IGNORECASE)

_PRIVATE = re.compile(
    r"AGE-SECRET-KEY-|AGE-PLUGIN-|BEGIN [A-Z ]*PRIVATE KEY|MIGRATE-ERASURE-SECRET-", re.IGNORECASE
)


@dataclass(frozen=True)
class Keys:
    """`recipients` as age writes them (age1…, ssh-ed25519 …); `identities` the texts of identity files; `signing` an
    Ed25519 private key (PEM); `trusted` public keys (`ed25519:…`, or PEM). Nothing at all: plain, unsigned backups."""

    recipients: tuple[str, ...] = ()
    identities: tuple[str, ...] = field(default=(), repr=False)
    signing: str = field(default="", repr=False)
    trusted: tuple[str, ...] = ()
    require_signature: bool = False
    erasure: str = field(default="", repr=False)  # the secret that tells which rows are erased

    def over(self, other: Keys) -> Keys:
        """These, and where they say nothing, the other's."""
        return replace(
            self,
            recipients=self.recipients or other.recipients,
            identities=self.identities or other.identities,
            signing=self.signing or other.signing,
            trusted=self.trusted or other.trusted,
            require_signature=self.require_signature or other.require_signature,
            erasure=self.erasure or other.erasure,
        )


NO_KEYS = Keys()


def keys_from(
    *,
    recipients: Iterable[str] = (),
    identity: str | None = None,
    signing: str | None = None,
    trusted: Iterable[str] = (),
    require_signature: bool = False,
    erasure: str | None = None,
    base: Path,
) -> Keys:
    """Keys out of what a user wrote: public ones by themselves or as files of them, secret ones as `read_secret` reads them.

    Raises Unreachable where a file is not there, UsageError where it holds no key."""
    return Keys(
        recipients=_public(recipients, "recipient", base),
        identities=(read_secret(identity, "the identity that opens backups", base),) if identity else (),
        signing=read_secret(signing, "the key that signs backups", base) if signing else "",
        trusted=_public(trusted, "trusted key", base),
        require_signature=require_signature,
        erasure=read_secret(erasure, "the secret of erasures", base) if erasure else "",
    )


def keys_of_environment(environment: Mapping[str, str] | None = None) -> Keys:
    """What the variables MIGRATE_BACKUP_… say; relative files are those of the current folder."""
    there = os.environ if environment is None else environment
    return keys_from(
        recipients=_listed(there.get(RECIPIENTS, "")),
        identity=there.get(IDENTITY),
        signing=there.get(SIGNING_KEY),
        trusted=_listed(there.get(TRUSTED, "")),
        require_signature=there.get(REQUIRE_SIGNATURE, "").lower() in ("1", "true", "yes", "on"),
        erasure=there.get(ERASURE_SECRET),
        base=Path.cwd(),
    )


def keys_of_policy(policy: Backup, base: Path) -> Keys:
    """What a mapping says of its backups' keys, and where it says nothing, the environment.

    Raises as `keys_from`."""
    encrypt, sign = policy.encrypt, policy.sign
    return keys_from(
        recipients=encrypt.recipients if encrypt else (),
        identity=encrypt.identity if encrypt else None,
        signing=sign.key if sign else None,
        trusted=sign.trusted if sign else (),
        require_signature=policy.require_signature,
        erasure=policy.erasure_secret,
        base=base,
    ).over(keys_of_environment())


def read_secret(reference: str, what: str, base: Path) -> str:
    """The secret that a reference means: `keyring:SERVICE/NAME`, a file, or (out of the environment) the secret itself.

    Raises Unreachable where it is not there, UsageError where there is nothing in it."""
    text = reference.strip()
    if is_secret(text):
        return text
    if text.startswith(_KEYRING):
        return _of_keyring(text.removeprefix(_KEYRING), what)
    found = _file(text, what, base)
    if not found.strip():
        raise UsageError(f"the file of {what} is empty", where=text)
    return found


def is_secret(text: str) -> bool:
    """Whether the text is a secret key rather than a place where one lies."""
    return bool(_SECRET.match(text.strip()))


def _of_keyring(name: str, what: str) -> str:
    service, _, user = name.partition("/")
    if not service or not user:
        raise UsageError(f"{what} in a keyring is written keyring:SERVICE/NAME", where=f"{_KEYRING}{name}")
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise UsageError(
            f"{what} is in a keyring, and the library for that is not installed",
            hint="Install it: pip install 'migrate-crm[keyring]'.",
        ) from None
    try:
        found = keyring.get_password(service, user)
    except KeyringError as error:
        raise Unreachable(
            f"the keyring did not give {what}: {type(error).__name__}",
            where=f"{_KEYRING}{name}",
            hint="Unlock it, or give the key in a file.",
        ) from error
    if not found:
        raise Unreachable(
            f"the keyring has nothing under that name for {what}",
            where=f"{_KEYRING}{name}",
            hint=f"Put it there: keyring set {service} {user}.",
        )
    return found


def _public(given: Iterable[str], what: str, base: Path) -> tuple[str, ...]:
    """Public keys, each by itself or as a file with one on every line."""
    found: list[str] = []
    for text in (g.strip() for g in given):
        if is_secret(text) and "PUBLIC" not in text:
            raise UsageError(
                f"a secret key was given as {what}",
                hint="Give the public one; and make a new pair if this text went anywhere.",
            )
        if _PUBLIC.match(text) or text.startswith("-----BEGIN PUBLIC"):
            found.append(text)
            continue
        content = _file(text, f"a {what}", base)
        if _PRIVATE.search(content):
            raise UsageError(
                f"the file given as {what} holds a secret key",
                where=text,
                hint="Give a file with the public one alone.",
            )
        if "-----BEGIN PUBLIC" in content:
            found.append(content.strip())
            continue
        lines = [line.strip() for line in content.splitlines()]
        good = [line for line in lines if line and not line.startswith("#")]
        if not good or not all(_PUBLIC.match(line) for line in good):
            raise UsageError(f"the file holds no {what}, or something else besides", where=text)
        found += good
    return tuple(dict.fromkeys(found))


def _file(name: str, what: str, base: Path) -> str:
    path = base / Path(name).expanduser()
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "no name of a file"
        raise Unreachable(
            f"{what} cannot be read: {why.lower()}",
            where=name[:200],
            hint="Give the file that holds it, or keyring:SERVICE/NAME.",
        ) from error
    try:
        if len(data) > _LIMIT:
            raise ValueError
        return data.decode()
    except ValueError:
        raise UsageError(f"this is no file of keys, where {what} was expected", where=name[:200]) from None


def _listed(text: str) -> list[str]:
    """Of a variable: parted by commas or line ends (an ssh key has blanks inside)."""
    return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
