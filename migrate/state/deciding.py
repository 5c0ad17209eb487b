"""What people decided about pairs of rows that may be one, and how a pair is told again without naming it (decision 0041).

A row is known by a keyed hash of its identity (system, first name of the entity, source key), a pair by a hash of its
rows, and what was compared by a keyed hash of the values: the ledger learns neither keys nor values. The key of these
hashes lies beside the ledger, `decisions.key`, 0600.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from migrate.context import Context
from migrate.durable import make_private_folder, write_bytes, write_bytes_if_absent
from migrate.errors import Corrupt
from migrate.ledger.decisions import Decision, copy_decisions, decisions_on, newest
from migrate.ledger.ledger import Ledger
from migrate.state.records import written_parts
from migrate.state.replays import replay_of

_FILE = "decisions.key"
_BYTES = 32
DECIDED = "decisions"  # of a run: the newest decision that it knows of


def key_of(ledger: Ledger, *, make: bool = False) -> bytes | None:
    """The key of this ledger's hashes; None where nobody has decided anything yet, unless it is to be made.

    Raises Corrupt where decisions are there and their key is not."""
    path = ledger.path.with_name(_FILE)
    if not path.exists():
        if newest(ledger):
            raise Corrupt(
                "people decided about duplicates, and the key by which their decisions are told is not there",
                where=str(path),
                kept="Nothing was merged, decided or loaded.",
                hint="Bring the file back: it lies beside the ledger, and belongs into the same backup.",
            )
        if not make:
            return None
        write_bytes_if_absent(path, os.urandom(_BYTES), point="duplicates.key")
    found = path.read_bytes()
    if len(found) != _BYTES:
        raise Corrupt(
            "this is no key of decisions", where=str(path), kept="Nothing was decided.", hint="Bring it back."
        )
    return found


def row_id(key: bytes, identity: tuple[str, str], source_key: str) -> str:
    """`identity`: system and first name of the entity; 32 hex digits."""
    said = json.dumps([*identity, source_key], ensure_ascii=False).encode()
    return hmac.digest(key, said, "sha256").hex()[:32]


def pair_id(a: str, b: str) -> str:
    """Of two rows by their ids, in whatever order; 16 hex digits."""
    return hashlib.sha256(" ".join(sorted((a, b))).encode()).hexdigest()[:16]


def content_id(
    key: bytes, columns: Sequence[str], rows: Sequence[tuple[str, Mapping[str, str | None]]]
) -> str:
    """Of the values that were compared. `rows`: (row id, column → text) of both rows, in whatever order."""
    values = [[name, [row[c] for c in sorted(columns)]] for name, row in sorted(rows, key=lambda r: r[0])]
    said = json.dumps([sorted(columns), values], ensure_ascii=False).encode("utf-8", "surrogatepass")
    return hmac.digest(key, said, "sha256").hex()[:32]


def decided_for(ctx: Context, identity: tuple[str, str]) -> dict[str, Decision]:
    """Pair → what was said of it before this run looked first: a resumed run decides as it did."""
    until = ctx.ledger.run_facts(ctx.run).get(DECIDED)
    if not isinstance(until, int):
        until = newest(ctx.ledger)
        ctx.ledger.put_run_facts(ctx.run, {DECIDED: until})
    return decisions_on(ctx.ledger, *identity, until=until)


def decided_since(ctx: Context) -> bool:
    """Has somebody decided anything since this run looked, and may it look again? Only while it has written nothing; a replay goes by
    what its run knew."""
    until = ctx.ledger.run_facts(ctx.run).get(DECIDED)
    return (
        replay_of(ctx.run) is None
        and isinstance(until, int)
        and newest(ctx.ledger) > until
        and not written_parts(ctx)
    )


def look_again(ctx: Context) -> None:
    """The run knows what was decided until now; what it made of its rows for the load is made anew."""
    ctx.ledger.forget(ctx.run, "load")
    ctx.ledger.forget(ctx.run, "transform", "settled")
    ctx.ledger.put_run_facts(ctx.run, {DECIDED: newest(ctx.ledger)})


def lend(home: Path, to: Path) -> None:
    """What a plan in the folder `to` has to know of decisions: as the ledger in `home` has them."""
    if not (home / "ledger.db").is_file():
        return
    with Ledger.open(home / "ledger.db") as ledger:
        key = key_of(ledger)
        if key is None:
            return
        make_private_folder(to)
        write_bytes(to / _FILE, key, point="duplicates.key")
        with Ledger.open(to / "ledger.db") as other:
            copy_decisions(ledger, other)
