"""`policy`: limits, and what happens by default."""

from __future__ import annotations

import re
from typing import Any

from migrate.mapping.model import (
    Backup,
    Encrypt,
    Keep,
    Policy,
    Sign,
)
from migrate.mapping.reference_shapes import (
    TABLE,
)
from migrate.mapping.shapes import (
    Choice,
    Key,
    Many,
    Reading,
    Record,
    Schema,
    Share,
    Whole,
    Words,
    build,
    place,
)
from migrate.mapping.tree import Node, Pairs, Path_, Text


class VaultPlace(Words):
    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        value = super().read(node, reading, path)
        scheme = re.match(r"(\w+)://", value) if isinstance(value, str) else None
        if scheme and scheme[1] != "s3":
            return reading.wrong(
                "wrong_value",
                node.at,
                "`to` is a folder or a bucket, not an address",
                "for example backups/ or s3://BUCKET/PREFIX",
            )
        return value


SECRET_KEY = re.compile(r"(?i)AGE-SECRET-KEY-|AGE-PLUGIN-|-----BEGIN|MIGRATE-ERASURE-SECRET-")


class YesNo(Choice):
    def __init__(self) -> None:
        super().__init__(("true", "false"))

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        value = super().read(node, reading, path)
        return value == "true" if isinstance(value, str) else value

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"enum": [True, False, *self.choices]}


class Secret(Words):
    """Where a secret key lies; the key itself only by ${NAME}."""

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Text) and SECRET_KEY.search(node.value):
            return reading.wrong(
                "secret",
                node.at,
                f"{place(path)} holds a secret key",
                "write ${NAME} and set NAME in the environment, or name the file that holds it",
            )
        return super().read(node, reading, path)


def _public(text: str) -> str | None:
    return (
        "this is a secret key; public ones belong here, and a key that stood in a file is no secret any more"
        if SECRET_KEY.search(text) and "PUBLIC" not in text
        else None
    )


def _backup(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    sign = values.get("sign")
    if values.get("require_signature") and (sign is None or not (sign.key or sign.trusted)):
        at = reading.at(*path, "require_signature")
        return reading.wrong(
            "missing_key",
            at,
            "signatures are required, and nobody is trusted to sign",
            "add `sign: {key: …}` or `sign: {trusted: [ed25519:…]}`",
        )
    return build(Backup, values, node, reading)


ENCRYPT = Record(
    "encrypt",
    {
        "recipients": Key(
            Many(Words("a public key of age such as age1…, or a file of them", _public, env=True), "a list of public keys", single=True),
            "Backups are encrypted for the holders of these keys of age (age1…, ssh-ed25519 …), or of those in these files.",
            required=True,
        ),
        "identity": Key(
            Secret("a file, keyring:SERVICE/NAME or ${NAME}", env=True),
            "Where the key lies that opens backups, with which every one is proven: a file, keyring:SERVICE/NAME, or ${NAME} for the key itself.",
        ),
    },
    Encrypt,
)  # fmt: skip
SIGN = Record(
    "sign",
    {
        "key": Key(
            Secret("a file, keyring:SERVICE/NAME or ${NAME}", env=True),
            "Where the Ed25519 private key lies that signs manifests and verdicts.",
        ),
        "trusted": Key(
            Many(Words("a public key such as ed25519:…, or a file of it", _public, env=True), "a list of public keys", single=True),
            "Public keys whose signatures count, besides that of `key`.",
        ),
    },
    Sign,
)  # fmt: skip
KEEP = Record(
    "keep",
    {name: Key(Whole(1), f"How many {doc} backups stay.") for name, doc in {"last": "latest", "daily": "daily", "weekly": "weekly", "monthly": "monthly", "yearly": "yearly"}.items()},
    Keep,
)  # fmt: skip
BACKUP = Record(
    "backup",
    {
        "to": Key(VaultPlace("a folder"), "The vault: a folder, relative to the mapping's project."),
        "tables": Key(
            Many(TABLE, "touched, or a list of tables", single=True),
            "touched (tables that the run may change), and further tables.",
        ),
        "keep": Key(KEEP, "How many backups stay."),
        "encrypt": Key(ENCRYPT, "For whom backups are encrypted; without it they are not."),
        "sign": Key(SIGN, "Who signs backups, and whose signatures count."),
        "erasure_secret": Key(
            Secret("a file, keyring:SERVICE/NAME or ${NAME}", env=True),
            "Where the secret lies that tells which rows were erased by request.",
        ),
        "require_signature": Key(YesNo(), "Backups that no trusted key signed are not used."),
    },
    Backup,
    finish=_backup,
)
POLICY = Record(
    "policy",
    {
        "max_quarantine": Key(Share(), "More rows in quarantine than this share stop the run before load."),
        "low_use": Key(
            Share(),
            "Columns that are filled in a smaller share of the rows are named in the report; default 5%.",
        ),
        "max_gone": Key(
            Share(),
            "More loaded rows gone at the source than this share stop the run before load, where `on_gone` would act on them.",
        ),
        "proof_days": Key(
            Whole(0),
            "How many days the proof of a backup holds for tables that did not change since; 0: every restore is made again.",
        ),
        "unmapped": Key(
            Choice.of(Policy, "unmapped"),
            "Filled source columns and tables that nothing uses and left_behind does not name.",
        ),
        "lossy": Key(
            Choice.of(Policy, "lossy"),
            "Truncation, rounding, encoding repair, zone shift; counted either way.",
        ),
        "target_drift": Key(
            Choice.of(Policy, "target_drift"),
            "The target changed since its backup: back up and prove again, or stop.",
        ),
        "backup": Key(BACKUP, "Where backups go and what they hold."),
    },
    Policy,
)
