"""Row hashes and table digests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from migrate.canon.forms import column_hashes, dictionary_hashes
from migrate.canon.lanes import I64, U64, mix
from migrate.errors import Corrupt
from migrate.model import Type

ALGORITHM = "canon-1"
BUCKETS = 64
_BLOCK = 32_768  # rows at a time: the states of a block stay in the second-level cache
_WRAP = 2**64


@dataclass(frozen=True)
class RowHashes:
    """128 bits per row in two lanes, uint64[n] each."""

    low: U64
    high: U64

    def __len__(self) -> int:
        return len(self.low)


@dataclass(frozen=True)
class Digest:
    """Rows, the sums mod 2^64 of both lanes, and the same per bucket of the key's hash.

    Buckets say where two digests differ; equality is that of algorithm, rows, low and high. A
    digest parsed from text has no buckets, nor has a sum with such a one.
    """

    rows: int
    low: int
    high: int
    buckets: tuple[tuple[int, int, int], ...] = field(default=(), compare=False)
    algorithm: str = ALGORITHM

    EMPTY: ClassVar[Digest]

    def __add__(self, other: Digest) -> Digest:
        """The digest of both sets of rows together. ValueError if the algorithms differ."""
        if self.algorithm != other.algorithm:
            raise ValueError(f"digests of {self.algorithm} and {other.algorithm} do not add up")
        buckets: tuple[tuple[int, int, int], ...] = ()
        if len(self.buckets) == len(other.buckets):
            buckets = tuple(
                (a[0] + b[0], (a[1] + b[1]) % _WRAP, (a[2] + b[2]) % _WRAP)
                for a, b in zip(self.buckets, other.buckets, strict=True)
            )
        return Digest(
            self.rows + other.rows,
            (self.low + other.low) % _WRAP,
            (self.high + other.high) % _WRAP,
            buckets,
            self.algorithm,
        )

    def text(self) -> str:
        """`canon-1:ROWS:HEX32`, high lane first; without buckets."""
        return f"{self.algorithm}:{self.rows}:{self.high:016x}{self.low:016x}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """The opposite of `text`. Raises Corrupt."""
        parts = text.split(":")
        if len(parts) == 3 and parts[0] and _digits(parts[1], "0123456789") and len(parts[2]) == 32:
            algorithm, rows, lanes = parts
            if _digits(lanes, "0123456789abcdef"):
                return cls(int(rows), int(lanes[16:], 16), int(lanes[:16], 16), (), algorithm)
        raise Corrupt("a stored digest is not of the form NAME:ROWS:HEX32")


Digest.EMPTY = Digest(0, 0, 0, ((0, 0, 0),) * BUCKETS)


def _digits(text: str, allowed: str) -> bool:
    return 0 < len(text) <= 32 and all(c in allowed for c in text)


def row_hashes(
    rows: pa.RecordBatch | pa.Table, types: Mapping[str, Type], columns: Sequence[str] | None = None
) -> RowHashes:
    """The hash of every row over `columns`, by default all columns of `rows`.

    Raises Corrupt if a column is missing, has no type in `types`, or is not of that type.
    """
    names = list(rows.schema.names if columns is None else columns)
    _check_columns(rows.schema, types, names)
    hashes = np.empty((2, rows.num_rows), np.uint64)
    at = 0
    for block, _ in _hashed_blocks(rows, types, names, ()):
        hashes[:, at : at + block.shape[1]] = block
        at += block.shape[1]
    return RowHashes(hashes[0], hashes[1])


def as_binary(hashes: RowHashes) -> pa.Array[Any]:
    """fixed_size_binary(16), one per row: low lane, then high lane, little-endian."""
    data = np.stack([hashes.low, hashes.high], axis=1).astype("<u8")
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(hashes), [None, pa.py_buffer(data.tobytes())]
    )


def digest(
    batches: Iterable[pa.RecordBatch | pa.Table], types: Mapping[str, Type], key: Sequence[str] = ()
) -> Digest:
    """The digest of all rows of all `batches`, over all their columns; buckets by `key` (by the row without one).

    No rows give `Digest.EMPTY`. Raises Corrupt as `row_hashes`.
    """
    counts, sums = np.zeros(BUCKETS, np.int64), np.zeros((2, BUCKETS), np.uint64)
    for rows in batches:
        names = rows.schema.names
        _check_columns(rows.schema, types, [*names, *key])
        for hashes, keys in _hashed_blocks(rows, types, names, key):
            _add_to_buckets(counts, sums, hashes, (keys[0] & np.uint64(BUCKETS - 1)).astype(np.uint8))
    low, high = (int(s) for s in sums.sum(axis=1, dtype=np.uint64))
    buckets = tuple(zip(counts.tolist(), sums[0].tolist(), sums[1].tolist(), strict=True))
    return Digest(int(counts.sum()), low, high, buckets)


def _add_to_buckets(counts: I64, sums: U64, hashes: U64, bucket: npt.NDArray[np.uint8]) -> None:
    order = np.argsort(bucket, kind="stable")
    found = np.bincount(bucket, minlength=BUCKETS)
    present = np.flatnonzero(found)
    starts = (np.cumsum(found) - found)[present]
    counts += found
    for lane in (0, 1):
        sums[lane, present] += np.add.reduceat(hashes[lane][order], starts)


def _hashed_blocks(
    rows: pa.RecordBatch | pa.Table, types: Mapping[str, Type], names: Sequence[str], key: Sequence[str]
) -> Iterator[tuple[U64, U64]]:
    """(row hashes, key hashes) per block of at most _BLOCK rows; without a key the row hashes twice.

    Both live in memory that the next block overwrites.
    """
    memory = np.empty((3, 2, min(_BLOCK, rows.num_rows)), np.uint64)
    for batch in rows.to_batches() if isinstance(rows, pa.Table) else [rows]:
        # A dictionary is shared by all blocks of a batch: its values are hashed once.
        dictionaries = {
            name: dictionary_hashes(batch.column(name), types[name], name)
            for name in names
            if pa.types.is_dictionary(batch.column(name).type)
        }
        for start in range(0, batch.num_rows, _BLOCK):
            block = batch.slice(start, _BLOCK)
            of_rows, of_keys = memory[0][:, : block.num_rows], memory[1][:, : block.num_rows]
            hashes = memory[2][:, : block.num_rows]
            of_rows[:] = of_keys[:] = 0
            for name in names:
                column_hashes(block.column(name), types[name], name, hashes, dictionaries.get(name))
                np.add(of_rows, hashes, out=of_rows)
                if name in key:
                    np.add(of_keys, hashes, out=of_keys)
            mix(of_rows)
            if key:
                mix(of_keys)
            yield of_rows, of_keys if key else of_rows


def _check_columns(schema: pa.Schema, types: Mapping[str, Type], names: Iterable[str]) -> None:
    for name in names:
        if schema.get_field_index(name) < 0:
            raise Corrupt("is missing from the rows, or there twice", where=name)
        if name not in types:
            raise Corrupt("has no declared type", where=name, hint="Digests cover declared columns only.")
