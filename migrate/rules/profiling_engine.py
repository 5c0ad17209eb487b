"""DuckDB over Parquet parts, out of core: bounded memory, spilling into a folder that goes away."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from migrate import canon, durable, failpoints
from migrate.arrow import MIXED
from migrate.duck import workspace
from migrate.errors import Corrupt, MigrateError, Unreachable
from migrate.model import Kind, Type

MEMORY = "256MB"
BATCH = 65_536
BAD = "_bad"
_DIRECT = (Kind.TEXT, Kind.UUID, Kind.JSON, Kind.OPAQUE)  # their text is their canonical text


@dataclass(frozen=True)
class Engine:
    """One private DuckDB; dies with its context."""

    connection: Any

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        failpoints.hit("profile.sql")
        return list(self.connection.execute(sql, list(parameters)).fetchall())

    def run(self, sql: str) -> None:
        failpoints.hit("profile.sql")
        self.connection.execute(sql)

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        failpoints.hit("profile.sql")
        relation = self.connection.sql(sql)
        read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
        yield from read(BATCH)

    def load(self, name: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        """A table of `batches`. What goes wrong in them comes out as it is."""
        failed: list[BaseException] = []

        def guarded() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except BaseException as error:
                failed.append(error)
                raise

        failpoints.hit("profile.sql")
        self.connection.register("incoming", pa.RecordBatchReader.from_batches(schema, guarded()))
        try:
            self.connection.execute(f"CREATE OR REPLACE TABLE {quoted(name)} AS SELECT * FROM incoming")
        except duckdb.Error:
            if failed:
                raise failed[0] from None
            raise
        finally:
            self.connection.unregister("incoming")


@contextmanager
def engine(temp: Path, memory: str = MEMORY) -> Iterator[Engine]:
    """Raises Unreachable where the disk is full or the memory does not suffice, Corrupt where a part does
    not decode; messages of DuckDB, which may hold values, are never shown."""
    durable.make_private_folder(temp)
    try:
        with workspace(temp, memory=memory, threads=os.cpu_count() or 2) as connection:
            yield Engine(connection)
    except duckdb.InvalidInputException:
        raise Corrupt("a part does not decode.", where=str(temp)) from None
    except duckdb.Error as error:
        raise Unreachable(
            f"looking at the whole table failed ({type(error).__name__}).",
            where=str(temp),
            hint="Make room on the disk and run the same command again.",
        ) from None


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True)
class Parts:
    """The part files of one table; all have one schema."""

    paths: tuple[Path, ...]
    schema: pa.Schema
    aliases: tuple[str, ...]  # DuckDB's names of the columns: it renames those that differ by case only

    @property
    def sql(self) -> str:
        """Rows that are not broken; what is broken has no values to judge."""
        where = f" WHERE {self.alias(BAD)} IS NULL" if BAD in self.schema.names else ""
        return f"(SELECT * FROM {self.all_rows}{where})"

    @property
    def all_rows(self) -> str:
        # names as literals: glob characters in them must not be taken for patterns
        files = ", ".join(text(_no_glob(str(p))) for p in self.paths)
        return f"read_parquet([{files}])"

    def alias(self, column: str) -> str:
        return quoted(self.aliases[self.schema.names.index(column)])

    def type_of(self, column: str) -> pa.DataType:
        found: pa.DataType = self.schema.field(column).type
        return found


def open_parts(engine_: Engine, paths: Sequence[Path]) -> Parts | None:
    """None: there are no parts, so no rows. Raises Corrupt where a part does not decode."""
    if not paths:
        return None
    schemas = []
    for path in paths:
        with decoding(path):
            schemas.append(pq.read_schema(path))
        if not schemas[-1].equals(schemas[0]):
            raise Corrupt("the part has other columns than the first part of its table.", where=str(path))
    schema = schemas[0]
    parts = Parts(tuple(paths), schema, ())
    aliases = tuple(str(r[0]) for r in engine_.rows(f"DESCRIBE SELECT * FROM {parts.all_rows}"))
    return Parts(tuple(paths), schema, aliases)


def batches(parts: Parts, columns: Sequence[str]) -> Iterator[tuple[int, int, pa.RecordBatch]]:
    """(part, ordinal of the first row, rows) of every part in order, broken rows included."""
    wanted = [*columns, BAD] if BAD in parts.schema.names and BAD not in columns else list(columns)
    for index, path in enumerate(parts.paths):
        first = 0
        with decoding(path), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH, columns=wanted):
                yield index, first, batch
                first += batch.num_rows


def text_relation(engine_: Engine, parts: Parts, column: str, type_: Type | None = None) -> str:
    """SQL of a relation with one column `v`: the canonical texts of a column, NULLs included, broken rows not.

    Good until the next call: what has to be converted lies in one table that is used again."""
    type_ = type_ or guessed(parts.type_of(column))
    if type_.kind in _DIRECT and not type_.fixed:
        return f"(SELECT {parts.alias(column)} AS v FROM {parts.sql})"
    schema = pa.schema([pa.field("v", pa.string())])
    engine_.load("texts", schema, _texts(parts, column, type_))
    return "(SELECT v FROM texts)"


def _texts(parts: Parts, column: str, type_: Type) -> Iterator[pa.RecordBatch]:
    for _, _, batch in batches(parts, [column]):
        rows = batch.filter(batch.column(BAD).is_null()) if BAD in batch.schema.names else batch
        yield pa.RecordBatch.from_arrays([canon.canonical_text(rows.column(column), type_)], names=["v"])


def guessed(arrow: pa.DataType) -> Type:
    """The logical type that a column of a part has, as far as its texts are concerned."""
    if arrow == MIXED:
        return Type(Kind.MIXED)
    if pa.types.is_integer(arrow):
        return Type(Kind.INT, bits=arrow.bit_width)
    if pa.types.is_floating(arrow):
        return Type(Kind.FLOAT, bits=arrow.bit_width)
    if pa.types.is_decimal(arrow):
        return Type(Kind.DECIMAL, precision=arrow.precision, scale=arrow.scale)
    if pa.types.is_timestamp(arrow):
        return Type(Kind.TIMESTAMPTZ if arrow.tz else Kind.TIMESTAMP)
    if pa.types.is_list(arrow):
        return Type(Kind.ARRAY, item=guessed(arrow.value_type))
    for test, kind in (
        (pa.types.is_boolean, Kind.BOOL),
        (pa.types.is_date, Kind.DATE),
        (pa.types.is_time, Kind.TIME),
        (pa.types.is_binary, Kind.BYTES),
    ):
        if test(arrow):
            return Type(kind)
    return Type(Kind.TEXT)


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, MigrateError):
            raise
        raise Corrupt("the file does not decode as Parquet.", where=str(path)) from error


def _no_glob(path: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)
