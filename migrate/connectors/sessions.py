"""Sessions with a server that outlive one use: those that wait for the next one, and the one that keeps others out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Generic, Protocol, TypeVar

from migrate.connectors.locked import busy
from migrate.errors import Busy


class Closing(Protocol):
    def close(self) -> None: ...


S = TypeVar("S", bound=Closing)


class Idle(Generic[S]):
    """Sessions that were used and wait to be used again; several threads may ask."""

    def __init__(
        self,
        connect: Callable[[], S],
        answers: Callable[[S], bool],
        broken: Callable[[S], bool] = lambda _: False,
    ) -> None:
        """`answers`: whether a session was not lost while it waited. `broken`: whether it must not be used again, as it
        knows by itself."""
        self._connect, self._answers, self._broken = connect, answers, broken
        self._waiting: list[S] = []

    def take(self) -> S:
        """A session that nobody else uses."""
        while True:
            try:
                session = self._waiting.pop()
            except IndexError:
                return self._connect()
            if self._answers(session):
                return session
            session.close()

    def give_back(self, session: S, usable: bool) -> None:
        if usable and not self._broken(session):
            self._waiting.append(session)
        else:
            session.close()

    @contextmanager
    def lent(self) -> Iterator[S]:
        """A session for statements of its own; one in which anything failed is not used again."""
        session, usable = self.take(), False
        try:
            yield session
            usable = True
        finally:
            self.give_back(session, usable)

    def close(self) -> None:
        while self._waiting:
            self._waiting.pop().close()


class Keeper(Generic[S]):
    """The session whose lock keeps other runs out of a target. The lock goes with the process, without anybody's help."""

    def __init__(
        self, url: str, connect: Callable[[], S], lock: Callable[[S], bool], has_lock: Callable[[S], bool]
    ) -> None:
        """`url` is safe to show. `lock` tries to take the lock, and says whether it was to be had."""
        self._url, self._connect, self._lock, self._has_lock = url, connect, lock, has_lock
        self._session: S | None = None
        self._one_at_a_time = Lock()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Raises Busy if somebody else has the lock."""
        self._session = self._locked()
        try:
            yield
        finally:
            self._session.close()
            self._session = None

    def session(self, what: str) -> S:
        """The session that has the lock. If it was lost on the way the lock is taken again; Busy if somebody else has
        it, or if nobody asked for it, which `what` needs ("keys are reserved")."""
        with self._one_at_a_time:
            if self._session is None:
                raise Busy(f"{what} by the run that holds the target", where=self._url)
            if not self._has_lock(self._session):
                self._session.close()
                self._session = self._locked()
            return self._session

    def _locked(self) -> S:
        session = self._connect()
        try:
            if not self._lock(session):
                raise busy()
        except BaseException:
            session.close()
            raise
        return session
