"""Pieces of a table for several readers at once, and what the server itself sees in them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from migrate.connectors.postgres.session import READING, Session, translated

WHOLE = ""
PIECE_PAGES = 16_384  # 128 MB of a table as it lies on the server's disk


def pieces_of(pages: int) -> tuple[str, ...]:
    """Names of the pieces of a table: FIRST-END in pages, the last one without an end."""
    if pages < 2 * PIECE_PAGES:
        return (WHOLE,)
    starts = range(0, pages, PIECE_PAGES)
    return (*(f"{s}-{s + PIECE_PAGES}" for s in starts[:-1]), f"{starts[-1]}-")


def within(piece: str) -> str:
    if piece == WHOLE:
        return ""
    first, _, end = piece.partition("-")
    upto = f" AND ctid < '({int(end)},0)'::tid" if end else ""
    return f" WHERE ctid >= '({int(first)},0)'::tid{upto}"


def mark_sql(source: str, piece: str) -> str:
    """One row: rows, and two sums of 64-bit hashes over the server's own text of each row. The session's settings are
    pinned, so that the text is exact: it tells NULL from '', a numeric's scale, every bit of a double."""
    return (
        "SELECT count(*)::text AS rows, coalesce(sum(hashtextextended(r, 0)), 0)::text AS low, "
        "coalesce(sum(hashtextextended(r, 7046029254386353131)), 0)::text AS high "
        f"FROM (SELECT t::text AS r FROM {source} t{within(piece)} OFFSET 0) s"
    )


class Beside:
    """Further sessions inside an exported snapshot, for several threads; each is used again while the snapshot lasts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._idle: list[Session] = []
        self._all: list[Session] = []

    @contextmanager
    def session(self, snapshot: str) -> Iterator[Session]:
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session is None:
            session = Session(self._url, settings=READING)
            with self._lock:
                self._all.append(session)
            with translated("joining the snapshot"):
                session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                session.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        try:
            yield session
        finally:
            session.finish()
            with self._lock:
                self._idle.append(session)

    def close(self) -> None:
        while self._all:
            self._all.pop().close()
        self._idle.clear()
