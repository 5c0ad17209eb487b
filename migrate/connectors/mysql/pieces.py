"""Pieces of a table by ranges of its key, what the server itself sees in them, and the sessions that read them.

InnoDB keeps a table's rows in the order of its primary key, so that a range of keys is read without random access.
A bound is a key that some row has, written in the column's own character set and compared by its own collation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from queue import LifoQueue

from migrate.connectors.mysql.session import Session, literal, quote
from migrate.connectors.mysql.types import base_name
from migrate.model import Column, Kind, Table

WHOLE = ""
PIECE_BYTES = 128 << 20  # of a table as it lies on the server's disk
Bound = tuple[str, ...]  # of each key column: a number, a time, or its bytes in hex
_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal"})
_BYTES = frozenset({"char", "varchar", "binary", "varbinary"})
_TIMES = frozenset({"date", "datetime", "timestamp"})
_ALL = 2**64 - 1  # LIMIT has no other word for "no limit"


def key_of(table: Table) -> tuple[Column, ...]:
    """The columns of the primary key, if ranges of it can be told exactly; none: the table is read as a whole.
    (An enum is ordered by one thing and compared by another; a float has no exact text.)"""
    if any(note.startswith("primary key:") for note in table.not_carried):  # of prefixes, or descending
        return ()
    key = tuple(table.column(name) for name in table.primary_key)
    return key if all(base_name(c.type) in _NUMBERS | _BYTES | _TIMES for c in key) else ()


def pieces_of(
    session: Session, table: Table, key: Sequence[Column], rows: int, known: Sequence[str]
) -> tuple[str, ...]:
    """Names of pieces of about `rows` rows each. Bounds of `known`, an earlier capture's pieces, are kept."""
    bounds = _bounds(known, len(key))
    names = ", ".join(quote(c.name) for c in key)
    chosen = ", ".join(_stated(c) for c in key)
    while True:
        after = f" WHERE {_at_least(key, bounds[-1])}" if bounds else ""
        found = session.rows(
            f"SELECT {chosen} FROM {quote(table.name)}{after} ORDER BY {names} LIMIT 1 OFFSET {rows}"
        )
        if not found:
            break
        bounds.append(tuple(str(v) for v in found[0]))
    if not bounds:
        return (WHOLE,)
    ends: list[Bound | None] = [None, *bounds, None]
    return tuple(json.dumps([low, high], separators=(",", ":")) for low, high in pairwise(ends))


def _bounds(known: Sequence[str], columns: int) -> list[Bound]:
    """Between the pieces of `known`, if these follow each other and are of as many columns."""
    if WHOLE in known:
        return []
    found = [tuple(tuple(end) if end is not None else None for end in json.loads(name)) for name in known]
    whole = found and found[0][0] is None and found[-1][1] is None
    if not whole or any(one[1] is None or one[1] != other[0] for one, other in pairwise(found)):
        return []
    bounds = [high for _, high in found[:-1] if high is not None]
    return bounds if all(len(bound) == columns for bound in bounds) else []


def within(key: Sequence[Column], piece: str) -> str:
    if piece == WHOLE:
        return ""
    low, high = json.loads(piece)
    conditions = [_at_least(key, low)] if low is not None else []
    if high is not None:
        conditions.append(_before(key, high))
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _at_least(key: Sequence[Column], bound: Sequence[str]) -> str:
    return _compared(key, bound, ">", ">=")


def _before(key: Sequence[Column], bound: Sequence[str]) -> str:
    return _compared(key, bound, "<", "<")


def _compared(key: Sequence[Column], bound: Sequence[str], apart: str, last: str) -> str:
    """A comparison of all columns, one after the other: of a row of values no server makes a range of its index."""
    column, value = key[0], _literal(key[0], bound[0])
    name = quote(column.name)
    if len(key) == 1:
        return f"{name} {last} {value}"
    rest = _compared(key[1:], bound[1:], apart, last)
    return f"({name} {apart} {value} OR ({name} = {value} AND {rest}))"


def _stated(column: Column) -> str:
    """SQL of what a bound says of a column."""
    name = quote(column.name)
    return f"HEX({name})" if base_name(column.type) in _BYTES else name


def _literal(column: Column, value: str) -> str:
    base = base_name(column.type)
    if base in _NUMBERS:
        return value
    if base not in _BYTES:
        return literal(value)
    if column.collation is None:
        return f"X'{value}'"
    return f"_{column.collation.partition('_')[0]} X'{value}' COLLATE {column.collation}"


def mark_sql(table: Table, key: Sequence[Column], piece: str) -> str:
    """One row: rows, rows that have a hash, and two sums of 64-bit hashes over the server's own text of each row. The
    session's settings are pinned. Bytes and texts are in it as hashes of a fixed length: printed, one of half of
    max_allowed_packet is NULL to the server. The inner LIMIT keeps the server from hashing twice."""
    row = ", ".join(_text(c) for c in table.columns)
    half = "CAST(SUM(CAST(CONV({}(h, 16), 16, 10) AS UNSIGNED)) AS CHAR)"
    return (
        f"SELECT COUNT(*), COUNT(h), {half.format('LEFT')}, {half.format('RIGHT')} FROM (SELECT CAST(LEFT(SHA2(CONCAT_WS(',', "
        f"{row}), 256), 32) AS BINARY(32)) AS h FROM {quote(table.name)}{within(key, piece)} LIMIT {_ALL}) s"
    )


def _text(column: Column) -> str:
    name, type_ = quote(column.name), column.type
    if type_.kind is Kind.BYTES:
        text = f"SHA2({name}, 256)"
    elif type_.kind is Kind.FLOAT and type_.bits == 32:
        text = f"CAST({name} AS DOUBLE)"  # as it is printed it has 6 digits
    elif base_name(type_) == "bit":
        text = f"{name}+0"
    elif base_name(type_) in _NUMBERS | _TIMES | {"double", "time", "year"}:
        text = name
    else:
        text = f"SHA2(CONVERT({name} USING utf8mb4), 256)"
    return f"IFNULL({text}, 'NULL')" if column.nullable else text


class Together:
    """Sessions inside one snapshot, for as many threads; who finds none free waits for one."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self.sessions = tuple(sessions)
        self._free: LifoQueue[Session] = LifoQueue()
        for session in reversed(self.sessions):
            self._free.put(session)

    @contextmanager
    def session(self) -> Iterator[Session]:
        session = self._free.get()
        try:
            yield session
        finally:
            self._free.put(session)
