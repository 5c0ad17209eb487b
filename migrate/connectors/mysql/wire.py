"""Rows of a text protocol result as Arrow columns, without a Python object per value.

pymysql reads a result value by value: 3 µs each. Here the bytes of many rows are taken from its socket at
once; where each value lies is worked out column by column in numpy, and Arrow copies the columns out of them
(docs/decisions/0025). What is used of pymysql beyond its interface is all in this file and in `session`.

The format: dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pymysql

BLOCK_BYTES = 4 << 20  # rows are handed on in blocks of about this size
_READ = 1 << 20
_LONGEST = 0xFFFFFF  # a packet of this length goes on in the next one
_NULL, _TWO, _THREE, _EIGHT = 0xFB, 0xFC, 0xFD, 0xFE
_EOF, _ERROR = 0xFE, 0xFF
Columns: TypeAlias = "list[pa.Array[Any]]"


class Readable(Protocol):
    def read1(self, size: int, /) -> bytes: ...


class Rows:
    """What follows the description of a result's columns, up to the result's end."""

    def __init__(self, stream: Readable, columns: int) -> None:
        self._stream, self._columns = stream, columns
        self._memory = bytearray()  # what came and was not handed on; a packet begins at its start
        self.ended = False  # nothing of the result is left in the connection

    def blocks(self) -> Iterator[Columns]:
        """Blocks of rows, each as one binary array per column, NULL where the server says so.

        Raises pymysql's errors where the server breaks off, OperationalError 2013 where the connection ends."""
        for memory, starts in self._pieces():
            yield _split(memory, starts, self._columns)

    def skip(self) -> None:
        """Read on to the result's end, or to the error that ends it."""
        for _ in () if self.ended else self._pieces():
            pass

    def _pieces(self) -> Iterator[tuple[bytearray, list[int]]]:
        """(bytes, where in them each row begins). No row is cut in two."""
        starts: list[int] = []
        at = 0
        while True:
            length = self._packet(at)
            if length == _LONGEST:
                memory, self._memory = self._memory, self._memory[at:]
                if starts:
                    yield memory, starts
                yield self._long_row(), [0]
                starts, at = [], 0
                continue
            first = self._memory[at + 4] if length else None
            if first == _ERROR:
                self.ended = True
                pymysql.err.raise_mysql_exception(bytes(self._memory[at + 4 : at + 4 + length]))
            if first == _EOF and length < 9:
                self.ended = True
                if starts:
                    yield self._memory, starts
                return
            starts.append(at + 4)
            at += 4 + length
            if at >= BLOCK_BYTES:
                memory, self._memory = self._memory, self._memory[at:]
                yield memory, starts
                starts, at = [], 0

    def _packet(self, at: int) -> int:
        """The length of the packet that begins there, all of which has come."""
        while len(self._memory) - at < 4:
            self._more(0)
        length = self._memory[at] | self._memory[at + 1] << 8 | self._memory[at + 2] << 16
        while len(self._memory) - at - 4 < length:
            self._more(length)
        return length

    def _long_row(self) -> bytearray:
        """The row's bytes out of all its packets."""
        row = bytearray()
        while True:
            length = self._packet(0)
            row += self._memory[4 : 4 + length]
            self._memory = self._memory[4 + length :]
            if length < _LONGEST:
                return row

    def _more(self, wanted: int) -> None:
        got = self._stream.read1(max(_READ, wanted))
        if not got:
            raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")
        self._memory += got


def _split(memory: bytearray, starts: list[int], columns: int) -> Columns:
    """One array over all the bytes, whose every other item is a value (the others are the lengths between them);
    each column is then taken out of it."""
    data = np.frombuffer(memory, np.uint8)
    at = np.array(starts, np.int64)
    rows = len(starts)
    ends = np.empty((rows, columns, 2), np.int32)
    nulls = []
    for column in range(columns):
        lead = data[at].astype(np.int64)
        null = lead == _NULL
        begin, length = at + 1, np.where(null, 0, lead)
        for place, width in ((_TWO, 2), (_THREE, 3), (_EIGHT, 8)):
            here = np.flatnonzero(lead == place)
            if len(here):
                parts = data[at[here, None] + np.arange(1, width + 1)].astype(np.int64)
                length[here] = (parts << np.arange(0, 8 * width, 8)).sum(axis=1)
                begin[here] += width
        ends[:, column, 0] = begin
        at = begin + length
        ends[:, column, 1] = at
        nulls.append(null)
    flat = ends.reshape(-1)
    offsets = np.append(flat, flat[-1:])
    whole = pa.Array.from_buffers(
        pa.binary(), 2 * rows * columns, [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(memory)]
    )
    first = np.arange(rows, dtype=np.int64) * (2 * columns)
    return [
        whole.take(pa.array(first + 2 * column, mask=null if null.any() else None))
        for column, null in enumerate(nulls)
    ]
