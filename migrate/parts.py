"""Parquet parts: how rows lie on disk between stages and in the vault.

A table is cut into parts bounded in rows and in bytes. Every part is one Parquet file, written
wholly or not at all, with its SHA-256 (tamper evidence) and the digest of its rows (meaning).
Statistics are off: minimum and maximum of ±infinity sentinels and of NaN mislead readers that
prune by them, and parts are too small to gain from pruning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import canon, durable
from migrate.arrow import arrow_schema
from migrate.errors import Corrupt
from migrate.model import Column, PartRef
from migrate.parquet_bounds import read_bounded

MAX_ROWS = 50_000
MAX_BYTES = 32 << 20
RID_SHIFT = 32  # a row's identity in a run: part index << 32 | ordinal in the part


@dataclass(frozen=True)
class PartsWritten:
    parts: tuple[PartRef, ...]
    digest: canon.Digest  # of all rows

    @property
    def rows(self) -> int:
        return sum(p.rows for p in self.parts)


def write_parts(
    batches: Iterable[pa.RecordBatch],
    *,
    table: str,
    columns: Sequence[Column],
    folder: Path,
    key: Sequence[str] = (),
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_BYTES,
    snapshot: str = "",
    point: str = "extract",
    on_part: Callable[[PartRef], None] | None = None,
) -> PartsWritten:
    """Cuts `batches` into `folder/part-00000.parquet`, …; `PartRef.path` is relative to `folder`.

    A part holds at most `max_rows` rows and `max_bytes` bytes of Arrow memory (one row may be
    larger); no more than one part and one batch are in memory. `on_part` is called once a part is
    on disk. No rows give no parts and the empty digest. Raises ValueError where a batch is not in
    the layout of `columns`, Unreachable where the disk is full or fails.
    """
    durable.make_private_folder(folder)
    types = {c.name: c.type for c in columns}
    schema = arrow_schema(columns)
    parts: list[PartRef] = []
    total = canon.Digest.EMPTY
    for index, slices in enumerate(
        _cut((_in_layout(b, schema, table) for b in batches), max_rows, max_bytes)
    ):
        digest = canon.digest(slices, types, key)
        rows = pa.Table.from_batches(slices, schema)
        ref = _write_part(rows, folder, index, digest, table=table, snapshot=snapshot, point=point)
        parts.append(ref)
        total = total + digest
        if on_part is not None:
            on_part(ref)
    return PartsWritten(tuple(parts), total)


def write_one_part(
    rows: pa.Table, *, table: str, columns: Sequence[Column], folder: Path, index: int, point: str
) -> PartRef:
    """All `rows`, however many, also none, as one part of the given index. Raises as `write_parts`."""
    durable.make_private_folder(folder)
    schema = arrow_schema(columns)
    batches = [_in_layout(b, schema, table) for b in rows.to_batches()]
    digest = canon.digest(batches, {c.name: c.type for c in columns})
    whole = pa.Table.from_batches(batches, schema)
    return _write_part(whole, folder, index, digest, table=table, snapshot="", point=point)


def _write_part(
    rows: pa.Table, folder: Path, index: int, digest: canon.Digest, *, table: str, snapshot: str, point: str
) -> PartRef:
    path = folder / f"part-{index:05d}.parquet"
    with durable.atomic_file(path, point=f"{point}.part") as temporary:
        write_parquet(rows, temporary)
        size, sha256 = temporary.stat().st_size, durable.sha256_file(temporary)
    return PartRef(table, index, path.name, rows.num_rows, size, sha256, digest.text(), snapshot)


def read_part(path: Path, ref: PartRef, *, verify: bool = True) -> pa.Table:
    """The rows of one part, in the order written. Raises Corrupt where the file is not what `ref` says."""
    where = f"{ref.table} part {ref.index} ({path})"
    if not path.is_file():
        raise Corrupt("the part is missing.", where=where)
    if not verify:
        return _with_rows(_decode(str(path), where), ref, where)
    with durable.disk_errors("Reading the part", path):
        data = path.read_bytes()
    return decode_part(data, ref, where)


def decode_part(data: bytes, ref: PartRef, where: str) -> pa.Table:
    """The rows in the bytes of a part, hashed and decoded from the same memory, so that nothing can
    change between the two. Raises Corrupt, naming `where`, if they are not what `ref` says."""
    found = hashlib.sha256(data).hexdigest()
    if len(data) != ref.bytes or found != ref.sha256:
        raise Corrupt(
            f"the part is not what was written: {len(data)} bytes, SHA-256 {found[:12]}…; "
            f"expected {ref.bytes} bytes, SHA-256 {ref.sha256[:12]}….",
            where=where,
        )
    return decode_rows(data, ref, where)


def decode_rows(data: bytes, ref: PartRef, where: str) -> pa.Table:
    """The rows in bytes that were verified already. Raises Corrupt where they do not decode, or are too many or few."""
    return _with_rows(_decode(pa.BufferReader(data), where), ref, where)


def iter_part(path: Path, batch_rows: int = 65_536) -> Iterator[pa.RecordBatch]:
    """The rows of one part in batches of at most `batch_rows`, unverified. Raises Corrupt if it does not decode."""
    try:
        with pq.ParquetFile(str(path)) as file:
            yield from file.iter_batches(batch_size=batch_rows)
    except (pa.ArrowException, OSError) as error:
        raise _undecodable(str(path)) from error


def write_rows(rows: pa.Table, path: Path, *, point: str) -> None:
    """One working file of a run (not a part of a backup): wholly there or not at all, 0600."""
    with durable.atomic_file(path, point=point) as temporary:
        write_parquet(rows, temporary)


def stream_rows(
    tables: Iterable[pa.Table], path: Path, *, point: str, schema: pa.Schema | None = None
) -> bool:
    """One working file from a stream of tables, 0600, wholly there or not at all.

    Returns False, and leaves no file, where there are no tables and no `schema` to write without rows.
    """
    waiting = iter(tables)
    first = next(waiting, None)
    layout = schema if schema is not None or first is None else first.schema
    if layout is None:
        return False
    with (
        durable.atomic_file(path, point=point) as temporary,
        # working files hold keys and hashes first of all, which do not repeat
        pq.ParquetWriter(
            temporary, layout, compression="zstd", compression_level=1, use_dictionary=False
        ) as writer,
    ):
        for table in () if first is None else chain([first], waiting):
            writer.write_table(table if schema is None else table.cast(schema))
    return True


def _decode(source: pa.NativeFile | str, where: str) -> pa.Table:
    try:
        if isinstance(
            source, pa.NativeFile
        ):  # bytes of a vault or of a run's folder: nobody vouches for their size
            return read_bounded(source, where)
        with pq.ParquetFile(source) as file:
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise _undecodable(where) from error


def _with_rows(rows: pa.Table, ref: PartRef, where: str) -> pa.Table:
    if rows.num_rows != ref.rows:
        raise Corrupt(f"the part holds {rows.num_rows} rows, expected {ref.rows}.", where=where)
    return rows


def _undecodable(where: str) -> Corrupt:
    return Corrupt("the file does not decode as Parquet.", where=where)


def write_parquet(rows: pa.Table, where: Path | BinaryIO) -> None:
    """As parts are encoded: exact in every type, the same rows as the same bytes."""
    dictionary, deltas = _encodings(rows)
    pq.write_table(
        rows,
        where,
        compression="zstd",
        compression_level=1,
        use_dictionary=dictionary,  # type: ignore[arg-type]  # the stubs know only bool
        column_encoding=deltas,
        version="2.6",  # microseconds stay microseconds
        write_statistics=False,
        store_schema=True,  # zones, decimal256 and narrow integers come back as they were
    )


_LOOKED_AT = 2_000  # rows by which a column's encoding is chosen: the same rows get the same bytes


def _encodings(rows: pa.Table) -> tuple[list[str], dict[str, str]]:
    """Columns whose values repeat get a dictionary, other integers and times their differences.

    A dictionary of values that do not repeat costs twice the time and half the size again; keys and times that
    ascend shrink to a tenth as differences."""
    dictionary: list[str] = []
    deltas: dict[str, str] = {}
    for name in rows.column_names:
        column = rows.column(name)
        kind = column.type
        if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
            continue
        if _repeats(column):
            dictionary.append(name)
        elif kind in _DIFFERENCES or pa.types.is_timestamp(kind):
            deltas[name] = "DELTA_BINARY_PACKED"
    return dictionary, deltas


_DIFFERENCES = (pa.int32(), pa.int64(), pa.date32(), pa.time64("us"))


def _repeats(column: pa.ChunkedArray[Any]) -> bool:
    sample = column.slice(0, _LOOKED_AT)
    if not len(sample) or pa.types.is_boolean(column.type) or pa.types.is_null(column.type):
        return False  # one bit a value already, or none
    return int(pc.count_distinct(sample).as_py()) * 2 <= len(sample)


def _in_layout(batch: pa.RecordBatch, schema: pa.Schema, table: str) -> pa.RecordBatch:
    """The batch with exactly `schema` (field order, nullability and metadata settled), its data untouched."""
    if batch.schema.names != schema.names:
        raise ValueError(f"{table}: batch has columns {batch.schema.names}, declared are {schema.names}")
    for found, declared in zip(batch.schema, schema, strict=True):
        if found.type != declared.type:
            raise ValueError(
                f"{table}.{declared.name}: batch holds {found.type}, declared is {declared.type}"
            )
    return pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _cut(batches: Iterable[pa.RecordBatch], max_rows: int, max_bytes: int) -> Iterator[list[pa.RecordBatch]]:
    """Groups of slices, each group one part."""
    slices: list[pa.RecordBatch] = []
    rows_left, bytes_left = max_rows, max_bytes
    for batch in batches:
        at = 0
        while at < batch.num_rows:
            taken = batch.slice(at, rows_left)
            while taken.num_rows > 1 and taken.nbytes > bytes_left:
                # aim at the share that fits, and at least halve, so that it ends
                fits = taken.num_rows * bytes_left // taken.nbytes
                taken = taken.slice(0, max(1, min(fits, taken.num_rows - 1)))
            full = taken.nbytes > bytes_left
            if full and slices:
                yield slices
                slices, rows_left, bytes_left = [], max_rows, max_bytes
                continue
            slices.append(taken)
            at += taken.num_rows
            rows_left -= taken.num_rows
            bytes_left -= taken.nbytes
            if rows_left <= 0 or bytes_left <= 0:
                yield slices
                slices, rows_left, bytes_left = [], max_rows, max_bytes
    if slices:
        yield slices
