"""The rows of an entity's road, wherever they lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from migrate.model import Kind, PartRef, Schema, Table, Type
from migrate.transform.own_columns import WITH


class Tables(Protocol):
    """The tables of one source: of a proven backup, or of a capture. `read` verifies the bytes of a part."""

    @property
    def schema(self) -> Schema: ...

    @property
    def parts(self) -> Mapping[str, Sequence[PartRef]]: ...

    @property
    def read(self) -> Callable[[PartRef], pa.Table]: ...


@dataclass(frozen=True)
class EntityRows:
    """`table`: the road's columns, those of the source table and what joins and shapes add, under the names that the
    mapping uses (`home.city`). `read` verifies the bytes of a part; what it gives may have hidden columns besides.
    A row's identity in a run is `part.index << 32 | ordinal`.

    `joined(part, "tag")` gives the rows of a join with `rows: any` that belong to the rows of a part: `__row` (the
    ordinal in the part), then `tag.COLUMN`…, as far as anything uses them; by `__row`, within it in the join's order.
    KeyError where there is no such join. `beside`: the columns of those joins, all of them, by the join's name."""

    table: Table
    parts: tuple[PartRef, ...]
    read: Callable[[PartRef], pa.Table]
    joined: Callable[[PartRef, str], pa.Table]
    beside: Mapping[str, Table] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(p.rows for p in self.parts)

    @property
    def types(self) -> dict[str, Type]:
        """Of the columns that a row's hash is over: the road's, and the digests of what joins of any number of rows
        give to it."""
        return self.table.types | {f"{WITH}{name}": Type(Kind.BYTES) for name in self.beside}


def no_joins(ref: PartRef, name: str) -> pa.Table:
    """What a road without joins says to `joined`."""
    raise KeyError(f"{ref.table} has no join {name}")
