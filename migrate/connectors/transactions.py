"""What the transactions of the servers have in common: any error is the end of the whole, and the end comes once (F1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from migrate.connectors.locked import Locked
from migrate.errors import MigrateError, Unreachable

COMMITTING = "committing; whether it went through is told by the part's receipt"


class Guarded(Protocol):
    def rollback(self) -> None: ...

    def name_holders(self, error: Locked) -> None:
        """Puts those who hold the lock into the error's hint."""
        ...


_P = ParamSpec("_P")
_R = TypeVar("_R")
_G = TypeVar("_G", bound=Guarded)


def whole(method: Callable[Concatenate[_G, _P], _R]) -> Callable[Concatenate[_G, _P], _R]:
    """Any error inside a method rolls the whole transaction back; a commit after it is refused."""

    @wraps(method)
    def guarded(transaction: _G, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return method(transaction, *args, **kwargs)
        except BaseException as error:
            transaction.rollback()
            if isinstance(error, Locked):
                transaction.name_holders(error)
            raise

    return guarded


class Ending:
    """Whether a transaction is open, and how it ends: once."""

    def __init__(self, roll_back: Callable[[], bool], done: Callable[[bool], None]) -> None:
        """`roll_back` raises nothing and says whether the session can be used again, which `done` is told at the end."""
        self._roll_back, self._done, self._open = roll_back, done, True

    def check_open(self) -> None:
        if not self._open:
            raise MigrateError("the transaction is over: nothing can be written in it")

    def commit(self, attempt: Callable[[], bool]) -> None:
        """`attempt` commits if the transaction that is open is the one that was begun, and says whether it is. It
        raises MigrateError where the server did not answer. Raises Unreachable if nothing was committed."""
        if not self._open:
            raise Unreachable("the transaction is over already: nothing can be committed")
        try:
            same = attempt()
        except MigrateError:
            self.end(usable=False)
            raise
        if not same:
            self.rollback()
            raise Unreachable(
                "the transaction that was begun is not the one that is open now, so nothing was committed",
                hint="Run the same command again to resume.",
            )
        self.end(usable=True)

    def rollback(self) -> None:
        """Idempotent."""
        if self._open:
            self.end(usable=self._roll_back())

    def end(self, *, usable: bool) -> None:
        self._open = False
        self._done(usable)


def fence_value(found: Sequence[Any], where: str) -> int:
    """The one value in the fence's table."""
    if len(found) != 1:
        raise Unreachable(
            "the fence is not there",
            where=where,
            hint="Run the same command again to take the target over.",
        )
    return int(found[0])


def without(bad: pa.Array[Any], rows: pa.Table) -> tuple[pa.Table, pa.Array[Any], list[int]]:
    """The rows that are not `bad` (a mask), their ordinals in `rows`, and the ordinals of those that are."""
    mask = bad.to_numpy(zero_copy_only=False)
    unfit = [int(o) for o in np.flatnonzero(mask)]
    return (rows.filter(pa.array(~mask)) if unfit else rows), pa.array(np.flatnonzero(~mask)), unfit
