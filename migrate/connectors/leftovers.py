"""What a server's scratch databases go by when they are dropped: the mark inside, or a name that only we give."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from migrate.errors import GateClosed

_OUR_NAME = re.compile(r"migrate_scratch_[0-9a-f]{12}")


class ScratchDatabase(Protocol):
    """A database of one name, as its server sees it. Every method may raise Unreachable."""

    @property
    def name(self) -> str: ...

    def exists(self) -> bool: ...

    def is_torn(self) -> bool:
        """Whether a DROP was interrupted, so that nobody can look into it any more; it can only be dropped again."""
        ...

    def is_marked(self, run: str | None = None) -> bool:
        """Whether it carries our mark, and of this run, if one is given."""
        ...

    def is_empty(self) -> bool:
        """Whether it holds nothing at all that a new database does not hold."""
        ...

    def drop(self) -> None: ...


def drop_leftovers(databases: Iterable[ScratchDatabase]) -> tuple[str, ...]:
    """Drop scratch databases of earlier runs, by their names in the ledger. One without our mark stays, unless it
    holds nothing at all: a process killed between making and marking it leaves it so. Returns the names that
    are gone now, also those that were not there any more."""
    gone = []
    for database in databases:
        if database.exists():
            if not _is_ours(database):
                continue
            database.drop()
        gone.append(database.name)
    return tuple(gone)


def _is_ours(database: ScratchDatabase) -> bool:
    named = _OUR_NAME.fullmatch(database.name) is not None
    if database.is_torn():
        return named
    return database.is_marked() or (named and database.is_empty())


def drop_own(database: ScratchDatabase, run: str) -> None:
    """Idempotent. Raises GateClosed if the database there does not carry this run's mark."""
    if not database.exists():
        return
    if not database.is_marked(run):
        raise GateClosed(
            "the database does not carry this run's mark and is not dropped", where=database.name
        )
    database.drop()
