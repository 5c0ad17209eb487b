"""Arrow rows into a staging table, and from there by strict SQL into the target (F2).

LOAD DATA LOCAL turns what it cannot store into something else with a warning, whatever the sql_mode. So it only
ever fills a temporary table whose columns take every value, and a single warning there is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from migrate.connectors.mysql import ddl
from migrate.connectors.mysql.encode import LOAD_FORMAT, file_of, tuples_of
from migrate.connectors.mysql.errors import SqlError
from migrate.connectors.mysql.session import Session, quote
from migrate.connectors.mysql.types import base_name, fraction_digits, is_text, labels_of
from migrate.errors import Unreachable
from migrate.model import Column, Kind, Type

pc: Any = pyarrow.compute  # its stubs know neither literals nor null arrays
ORDINAL = "migrate_ordinal"
_FIRST_DAY = -719162  # 0001-01-01 in days from 1970
_LAST_DAY = 2932896  # 9999-12-31
_DAY = 86_400_000_000
_TIMES = (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
_ROWS_PER_INSERT = 5000


@dataclass(frozen=True)
class Stage:
    """A filled temporary table: `columns[i]` of the target is its `c{i}`."""

    name: str
    columns: tuple[Column, ...]

    def value(self, index: int) -> str:
        return f"s.c{index}"

    def key(self, index: int, maria: bool) -> str:
        """The same in the type and collation of the target's column, so that its index serves and its equality holds."""
        column, value = self.columns[index], self.value(index)
        if column.collation and is_text(column.type):
            return f"CONVERT({value} USING {column.collation.partition('_')[0]}) COLLATE {column.collation}"
        return f"CAST({value} AS UUID)" if maria and base_name(column.type) == "uuid" else value

    def unspelled(self, indexes: Iterable[int]) -> str:
        """A query for the ordinals of rows with a key that its column's character set has no characters for, which
        CONVERT would make '?' of: they equal no row. "" where there can be none."""
        found = []
        for index in indexes:
            charset = (self.columns[index].collation or "").partition("_")[0]
            if charset and charset != "utf8mb4" and is_text(self.columns[index].type):
                value = self.value(index)
                found.append(f"CONVERT(CONVERT({value} USING {charset}) USING utf8mb4) <> {value}")
        return f"SELECT {ORDINAL} FROM {quote(self.name)} s WHERE {' OR '.join(found)}" if found else ""


def fill(
    session: Session, name: str, columns: Sequence[Column], rows: pa.Table, ordinals: pa.Array[Any]
) -> Stage:
    """Make the temporary table `name` and put `rows` into it. Raises SqlError, Unreachable."""
    types = [Type(Kind.INT, bits=64), *(c.type for c in columns)]
    fields = [f"{ORDINAL} bigint NOT NULL PRIMARY KEY"]
    fields += [f"c{i} {ddl.stage_type(c.type, session.server)} NULL" for i, c in enumerate(columns)]
    session.execute(f"CREATE TEMPORARY TABLE {quote(name)} ({', '.join(fields)}) ENGINE=InnoDB")
    names = [ORDINAL, *(f"c{i}" for i in range(len(columns)))]
    sent = pa.table([ordinals, *rows.columns], names=names)
    if rows.num_rows:
        listed = ", ".join(names)
        if session.takes_files:
            sql = f"LOAD DATA LOCAL INFILE 'migrate' INTO TABLE {quote(name)} {LOAD_FORMAT} ({listed})"
            written = session.load(sql, file_of(sent, types))
        else:
            written = insert_rows(session, f"INSERT INTO {quote(name)} ({listed}) VALUES ", sent, types)
        if session.warnings or written != rows.num_rows:
            raise Unreachable(
                f"{session.server.name} took {written} of {rows.num_rows} rows into a staging table, with "
                f"{session.warnings} warnings",
                kept="The transaction of this part is rolled back; nothing of it was written.",
                hint="This should not happen: please report it.",
            )
    return Stage(name, tuple(columns))


def insert_rows(session: Session, head: str, rows: pa.Table, types: Sequence[Type]) -> int:
    """INSERT statements of many rows, each within what the server takes at once."""
    written, warnings = 0, 0
    start, step = 0, _ROWS_PER_INSERT
    while start < rows.num_rows:
        piece = rows.slice(start, step)
        rows_: Any = tuples_of(piece, types).to_pylist()
        body: bytes = b",".join(rows_)
        if len(body) + len(head) > session.max_packet - 1024 and piece.num_rows > 1:
            step = piece.num_rows // 2
            continue
        if len(body) + len(head) > session.max_packet:  # sent, it would end the connection
            raise SqlError(1153, server=session.server.name)
        written += session.execute(head.encode() + body)
        warnings += session.warnings
        start += piece.num_rows
    session.warnings = warnings
    return written


def clear_away(session: Session, stage: str) -> None:
    session.execute(f"DROP TEMPORARY TABLE IF EXISTS {quote(stage)}")


def unstorable(columns: Sequence[Column], rows: pa.Table) -> pa.Array[Any]:
    """Rows that hold what the server would silently store as something else, or what no column of it holds:
    an infinity, -0.0, a year beyond 9999, a finer fraction of a second, a label of an enum in another spelling."""
    bad = pa.array(np.zeros(rows.num_rows, dtype=bool))
    for column, values in zip(columns, rows.columns, strict=True):
        array: Any = values.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], values.type)
        found = _unstorable(column.type, array)
        if found is not None:
            bad = pc.or_(bad, pc.fill_null(found, False))
    return bad


def _unstorable(type_: Type, array: pa.Array[Any]) -> Any:
    kind, name = type_.kind, base_name(type_)
    if kind is Kind.FLOAT:
        minus_zero = pc.and_(pc.equal(array, 0.0), pc.less(pc.divide(1.0, array.cast(pa.float64())), 0.0))
        return pc.or_(pc.invert(pc.is_finite(array)), minus_zero)
    if kind is Kind.DATE:
        return _outside(array.view(pa.int32()), _FIRST_DAY, _LAST_DAY)
    if kind in _TIMES:
        numbers = array.view(pa.int64())
        beyond = _outside(numbers, _FIRST_DAY * _DAY, (_LAST_DAY + 1) * _DAY - 1)
        return pc.or_(beyond, _finer(numbers, type_))
    if kind is Kind.TIME:
        numbers = array.view(pa.int64())
        return pc.or_(_outside(numbers, 0, _DAY - 1), _finer(numbers, type_))
    if name == "year":  # 1 would become 2001
        return pc.and_(pc.not_equal(array, 0), _outside(array, 1901, 2155))
    if name == "binary":  # shorter ones would be filled up
        width = int(type_.native.partition("(")[2].rstrip(")") or 1)
        return pc.not_equal(pc.binary_length(array), width)
    if name == "enum":  # another spelling is taken for the label, a number for its place
        known = pc.is_in(array, value_set=pa.array(type_.labels, pa.string()))
        return pc.and_not(pc.is_valid(array), known)
    if name == "set":
        return _no_members(array, labels_of(type_.native))
    if kind is Kind.TEXT and type_.length is not None:  # blanks at the end are cut without a word
        text = pc.utf8_rtrim(array, " ") if type_.fixed else array
        return pc.greater(pc.utf8_length(text), type_.length)
    return None


def _outside(numbers: pa.Array[Any], first: int, last: int) -> Any:
    return pc.or_(pc.less(numbers, first), pc.greater(numbers, last))


def _finer(numbers: pa.Array[Any], type_: Type) -> Any:
    """A fraction of the second that the column does not keep."""
    step = 10 ** (6 - fraction_digits(type_))
    if step == 1:
        return pa.array(np.zeros(len(numbers), dtype=bool))
    plain = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False)
    return pa.array(plain % step != 0)


def _no_members(array: pa.Array[Any], labels: Sequence[str]) -> Any:
    distinct = array.dictionary_encode()
    known = set(labels)
    wrong = [
        v is not None and v != "" and not set(v.split(",")) <= known for v in distinct.dictionary.to_pylist()
    ]
    return pa.array(wrong, pa.bool_()).take(distinct.indices)
