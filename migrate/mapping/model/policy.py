"""What holds for the whole mapping: thresholds, backups and their seals."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Key

from migrate.mapping.strict import Strict


class Keep(Strict):
    last: int | None = None
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None
    yearly: int | None = None


class Encrypt(Strict):
    """`recipients`: public keys of age, or files of them. `identity`: where the key lies that opens backups for their
    proof: a file, keyring:SERVICE/NAME, or (out of the environment only) the key itself."""

    recipients: tuple[str, ...]
    identity: str | None = Key(default=None, repr=False)


class Sign(Strict):
    """`key`: where the private key lies, as an identity; `trusted`: public keys whose signatures count besides its own."""

    key: str | None = Key(default=None, repr=False)
    trusted: tuple[str, ...] = ()


class Backup(Strict):
    to: str = "backups/"
    encrypt: Encrypt | None = None
    sign: Sign | None = None
    require_signature: bool = False
    erasure_secret: str | None = Key(default=None, repr=False)  # where it lies, as an identity
    tables: tuple[str, ...] = ("touched",)  # "touched" and/or table names to add
    keep: Keep | None = None


class Policy(Strict):
    max_quarantine: float = 0.02  # share of `in`; text "2%" or "0.02"
    max_gone: float = 0.05  # share of an entity's loaded rows that a run may flag or delete as gone
    low_use: float = 0.05  # columns that are filled in a smaller share of the rows are named in the report
    proof_days: int = 7  # how long the proof of a table's backup holds for the same bytes; 0: not at all
    unmapped: Literal["error", "warn", "ignore"] = "warn"
    lossy: Literal["error", "quarantine", "allow"] = "error"
    target_drift: Literal["refresh", "stop"] = "refresh"
    backup: Backup = Backup()
