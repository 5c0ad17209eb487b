"""Ed25519 signatures over manifests and verdicts: who holds the private key said so, and nothing was changed since.

The signature of a manifest is 64 bytes over the very bytes of `manifest.json`, so that other tools check it too:
`openssl pkeyutl -verify -pubin -inkey signing.pub -rawin -in manifest.json -sigfile signatures/SHA256.sig`.
A verdict is signed with a word before it that no manifest begins with.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from migrate.errors import UsageError
from migrate.vault.keys import Keys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

BYTES = 64
VERDICT = b"migrate verdict 1\n"
ERASURE = b"migrate erasure 1\n"
_PREFIX = "ed25519:"


def sign(data: bytes, keys: Keys) -> bytes:
    """64 bytes. Raises UsageError where the key is none, or the library is missing."""
    return _private(keys.signing).sign(data)


def signer(signature: bytes, data: bytes, keys: Keys) -> str:
    """The trusted key (`ed25519:…`) whose signature this is; "" where it is nobody's that counts.

    Trusted are the keys named so and, where there is one, the own signing key."""
    from cryptography.exceptions import InvalidSignature

    for name, key in _trusted(keys).items():
        try:
            key.verify(signature, data)
        except InvalidSignature:
            continue
        return name
    return ""


def checks(keys: Keys) -> bool:
    """Whether any signature could count."""
    return bool(keys.trusted or keys.signing)


def check_keys(keys: Keys) -> None:
    """Raises UsageError where a key for signatures is none, or they are required and nobody is trusted."""
    if checks(keys):
        _trusted(keys)
    elif keys.require_signature:
        raise UsageError(
            "signatures are required, and no key is trusted",
            hint="Name the public key: `policy.backup.sign.trusted` or MIGRATE_BACKUP_TRUSTED.",
        )


def new_key() -> tuple[str, str]:
    """(private key as PEM, public key as `ed25519:…`)"""
    _need_library()
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()
    return pem, _name(key.public_key())


def public_pem(name: str) -> str:
    """A public key `ed25519:…` as other tools read it."""
    from cryptography.hazmat.primitives import serialization as form

    return _public(name).public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo).decode()


def _trusted(keys: Keys) -> dict[str, Ed25519PublicKey]:
    found = [_public(text) for text in keys.trusted]
    if keys.signing:
        found.append(_private(keys.signing).public_key())
    return {_name(key): key for key in found}


def _name(key: Ed25519PublicKey) -> str:
    return _PREFIX + base64.b64encode(key.public_bytes_raw()).decode()


def _private(pem: str) -> Ed25519PrivateKey:
    _need_library()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
    ):  # its text may hold the secret: nothing of it is said
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(
            "what was given as signing key is no Ed25519 private key without a password",
            hint="`migrate backup keygen --signing` makes one, and so does `openssl genpkey -algorithm ed25519`.",
        )
    return key


def _public(text: str) -> Ed25519PublicKey:
    _need_library()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        if text.startswith(_PREFIX):
            return Ed25519PublicKey.from_public_bytes(
                base64.b64decode(text.removeprefix(_PREFIX), validate=True)
            )
        key = load_pem_public_key(text.encode())
        if isinstance(key, Ed25519PublicKey):
            return key
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        pass
    # What it is instead is not shown: it may be a secret.
    raise UsageError("a trusted key is no Ed25519 public key", hint="It is written ed25519:BASE64.")


def _need_library() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise UsageError(
            "signed backups need a library that is not installed",
            hint="Install it: pip install 'migrate-crm[sign]'.",
        ) from None
