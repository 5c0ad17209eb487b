"""What erasures take out of one backup: the rows themselves, and what refers to them.

A row that refers to an erased one keeps everything but the reference, which becomes empty; where it must have one, it goes
too, and so on. What a restore is then compared with is the manifest's digest minus the hashes of the rows that were
taken out or changed, plus those of the changed ones as they are now: exact, like any other comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon
from migrate.model import ForeignKey, PartRef, Schema, Table
from migrate.vault.erasures import Requests

Mask = npt.NDArray[np.bool_]
Place = tuple[str, int]  # table, number of the part
_WRAP = 2**64


@dataclass(frozen=True)
class Effects:
    """`dropped`: rows that go; `emptied`: column → rows whose reference goes. Parts without any are not in them.
    `rows` and `references` count them per table; `before` and `after` are the digests of the rows concerned."""

    dropped: Mapping[Place, Mask] = field(default_factory=dict)
    emptied: Mapping[Place, Mapping[str, Mask]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    references: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, canon.Digest] = field(default_factory=dict)
    after: Mapping[str, canon.Digest] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """The same for the same effects; "" where there are none."""
        found = sha256()
        for place, gone in sorted(self.dropped.items(), key=itemgetter(0)):
            found.update(repr(place).encode() + np.packbits(gone).tobytes())
        for place, columns in sorted(self.emptied.items(), key=itemgetter(0)):
            for column, rows in sorted(columns.items(), key=itemgetter(0)):
                found.update(repr((place, column)).encode() + np.packbits(rows).tobytes())
        return found.hexdigest() if self.dropped or self.emptied else ""

    def touches(self, ref: PartRef) -> bool:
        return (ref.table, ref.index) in self.dropped or (ref.table, ref.index) in self.emptied

    def rows_in(self, ref: PartRef) -> int:
        """How many rows of the part go."""
        gone = self.dropped.get((ref.table, ref.index))
        return 0 if gone is None else int(gone.sum())

    def applied(self, ref: PartRef, rows: pa.Table) -> pa.Table:
        """The rows of a part as they may be restored."""
        place = (ref.table, ref.index)
        rows = _emptied(rows, self.emptied.get(place, {}))
        gone = self.dropped.get(place)
        return rows if gone is None else rows.filter(pa.array(~gone))

    def expected(self, table: str, whole: canon.Digest) -> canon.Digest:
        """The digest of the table as it may be restored, from that of the manifest."""
        if table not in self.before:
            return whole
        minus, plus = self.before[table], self.after[table]
        return canon.Digest(
            whole.rows - minus.rows + plus.rows,
            (whole.low - minus.low + plus.low) % _WRAP,
            (whole.high - minus.high + plus.high) % _WRAP,
            (),
            whole.algorithm,
        )


NO_EFFECTS = Effects()


def effects_of(
    requests: Requests,
    schema: Schema,
    parts: Mapping[str, Sequence[PartRef]],
    raw: Callable[[PartRef], pa.Table],
) -> Effects:
    """Looks through the tables that requests name, and those that refer to what is found there. `raw` reads a part."""
    found = _Finding(schema, parts, raw)
    for name in requests.tables:
        if name in schema.table_names:
            table = schema.table(name)
            for ref, rows in found.parts_of(name):
                found.drop(ref, requests.matching(table, rows))
    found.follow()
    return found.effects()


class _Finding:
    def __init__(
        self,
        schema: Schema,
        parts: Mapping[str, Sequence[PartRef]],
        raw: Callable[[PartRef], pa.Table],
    ) -> None:
        self.schema, self.parts, self.raw = schema, parts, raw
        self.dropped: dict[Place, Mask] = {}
        self.emptied: dict[Place, dict[str, Mask]] = {}
        self.waiting: list[str] = []  # tables with dropped rows whose children have not been looked at since

    def parts_of(self, table: str) -> Iterator[tuple[PartRef, pa.Table]]:
        for ref in self.parts[table]:
            yield ref, self.raw(ref)

    def drop(self, ref: PartRef, rows: Mask) -> None:
        place = (ref.table, ref.index)
        before = self.dropped.get(place, np.zeros(len(rows), np.bool_))
        if (rows & ~before).any():
            self.dropped[place] = before | rows
            if ref.table not in self.waiting:
                self.waiting.append(ref.table)

    def follow(self) -> None:
        while self.waiting:
            parent = self.schema.table(self.waiting.pop(0))
            for child in self.schema.tables:
                for fk in child.foreign_keys:
                    if fk.ref_table == parent.name:
                        self._references(parent, child, fk)

    def _references(self, parent: Table, child: Table, fk: ForeignKey) -> None:
        named = fk.ref_columns or parent.primary_key
        gone: set[str] = set()
        for ref in self.parts[parent.name]:
            mask = self.dropped.get((parent.name, ref.index))
            if mask is not None:
                keys = canon.source_keys(self.raw(ref).filter(pa.array(mask)), named, parent.types)
                gone.update(k for k in keys.to_pylist() if k is not None)
        free = [c for c in fk.columns if _may_be_empty(child, c)]
        wanted = pa.array(sorted(gone), pa.string())
        for ref, rows in self.parts_of(child.name):
            keys = canon.source_keys(rows, fk.columns, child.types)
            hit = np.asarray(pc.is_in(keys, value_set=wanted).to_numpy(zero_copy_only=False), np.bool_)
            hit &= ~self.dropped.get((child.name, ref.index), np.zeros(len(hit), np.bool_))
            if not hit.any():
                continue
            if not free:
                self.drop(ref, hit)
                continue
            columns = self.emptied.setdefault((child.name, ref.index), {})
            for column in free:
                columns[column] = columns.get(column, np.zeros(len(hit), np.bool_)) | hit

    def effects(self) -> Effects:
        rows: dict[str, int] = {}
        references: dict[str, int] = {}
        before: dict[str, canon.Digest] = {}
        after: dict[str, canon.Digest] = {}
        for name, index in sorted(self.dropped.keys() | self.emptied.keys()):
            table, ref = self.schema.table(name), next(r for r in self.parts[name] if r.index == index)
            read = self.raw(ref)
            gone = self.dropped.get((name, index), np.zeros(read.num_rows, np.bool_))
            columns = self.emptied.get((name, index), {})
            changed = np.logical_or.reduce([*columns.values(), np.zeros_like(gone)]) & ~gone
            rows[name] = rows.get(name, 0) + int(gone.sum())
            references[name] = references.get(name, 0) + int(changed.sum())
            was = canon.digest([read.filter(pa.array(gone | changed))], table.types)
            now = canon.digest([_emptied(read, columns).filter(pa.array(changed))], table.types)
            before[name] = before.get(name, canon.Digest.EMPTY) + was
            after[name] = after.get(name, canon.Digest.EMPTY) + now
        return Effects(
            self.dropped,
            self.emptied,
            {n: c for n, c in rows.items() if c},
            {n: c for n, c in references.items() if c},
            before,
            after,
        )


def _may_be_empty(table: Table, column: str) -> bool:
    one = table.column(column)
    return one.nullable and column not in table.primary_key and one.generated is None


def _emptied(rows: pa.Table, columns: Mapping[str, Mask]) -> pa.Table:
    for name, mask in columns.items():
        place = rows.schema.get_field_index(name)
        column: Any = rows.column(place).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.nulls(0, column.type)
        kept = column.take(pa.array(np.arange(len(column)), pa.int64(), mask=mask))
        rows = rows.set_column(place, rows.schema.field(place), kept)
    return rows
