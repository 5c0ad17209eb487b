"""The audit trail: every entry's hash covers its content and the hash before it."""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from typing import Any

import sqlalchemy as sa

from migrate.ledger.tables import audit

_FIELDS = ("seq", "at", "who", "event", "run", "mapping_digest", "code_version", "facts", "previous")


def append(
    db: sa.Connection, event: str, run: str, mapping_digest: str, at: str, facts: Mapping[str, Any]
) -> str:
    """Adds one entry inside the caller's transaction; returns its hash, the new head."""
    last = db.execute(sa.select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
    entry = {
        "seq": last.seq + 1 if last else 1,
        "at": at,
        "who": who(),
        "event": event,
        "run": run,
        "mapping_digest": mapping_digest,
        "code_version": _code_version(),
        "facts": _canonical(facts),
        "previous": last.hash if last else "",
    }
    entry["hash"] = _hash(entry)
    db.execute(audit.insert().values(entry))
    return str(entry["hash"])


def head(db: sa.Connection) -> str:
    return db.execute(sa.select(audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).scalar() or ""


def entries(db: sa.Connection) -> list[dict[str, Any]]:
    """The whole chain, oldest first: `seq`, `at`, `who`, `event`, `run`, `mapping_digest`, `code_version`, `facts` (as
    canonical JSON), `previous` and `hash`."""
    return [dict(row) for row in db.execute(sa.select(audit).order_by(audit.c.seq)).mappings()]


def broken_links(chain: Iterable[Mapping[str, Any]], heads: Iterable[str]) -> list[str]:
    """One sentence per broken link of `entries`."""
    broken: list[str] = []
    previous, expected_seq, seen = "", 1, {""}
    for row in chain:
        if row["seq"] != expected_seq:
            broken.append(f"entry {expected_seq} is missing before entry {row['seq']}")
        if row["previous"] != previous:
            broken.append(f"entry {row['seq']} does not follow the entry before it")
        if _hash(dict(row)) != row["hash"]:
            broken.append(f"entry {row['seq']} was changed after it was written")
        previous, expected_seq = row["hash"], row["seq"] + 1
        seen.add(row["hash"])
    broken += [f"the head {h[:12]}… recorded elsewhere is not in the chain" for h in heads if h not in seen]
    return broken


def _hash(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical([entry[name] for name in _FIELDS]).encode()).hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def who() -> str:
    """Whoever runs this process, as the system names them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user id has no name
        return "unknown"


@cache
def _code_version() -> str:
    """Looked up once: the files of an installation are no matter of a run that has begun."""
    try:
        return metadata.version("migrate-crm")
    except metadata.PackageNotFoundError:  # run from a checkout
        return "unreleased"
