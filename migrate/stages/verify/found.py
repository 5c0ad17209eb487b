"""What stands in the target, as verification compares it: `verify/ENTITY.found.parquet`.

Per row of the target table: `key`, `hash` of the columns that the entity writes, `owned` of those that are its own in
every row, texts of references (`f.COLUMN`), of columns that the target sets the value (`s.COLUMN`) or whether there is
one (`n.COLUMN`), and of what checks look at (`c.COLUMN`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import canon, failpoints
from migrate.connectors.ahead import rows_of
from migrate.connectors.protocol import Target
from migrate.context import Context
from migrate.model import Schema, Table
from migrate.parts import stream_rows
from migrate.planning import at_least_columns, compared_columns, owned_columns
from migrate.stages.verify.set_by_target import kept, kept_type, must_be_filled
from migrate.state.created import tables_there
from migrate.state.proven import target_rows
from migrate.state.standing import target_file
from migrate.state.totals import checks_of, columns_of


def found_path(ctx: Context, name: str) -> Path:
    return ctx.place("verify", f"{name}.found.parquet")


def read_now(ctx: Context, target: Target, declared: Schema) -> None:
    """All entities in one snapshot, taken now over the connection of `target`."""
    with target.snapshot(tables_there(ctx, target)) as snapshot:
        for name, entity in ctx.entities.items():
            table = declared.table(entity.into)
            stored = snapshot.schema.table(table.name)
            with rows_of(snapshot, table.name) as read:
                batches = (target.as_declared(pa.Table.from_batches([b]), stored, table) for b in read)
                _write(ctx, name, table, batches)
            failpoints.hit("verify.entity_read")


def read_backup(ctx: Context, declared: Schema) -> None:
    """All entities as this run backed the target up, which is what it looked rows up in."""
    backup = target_rows(ctx)
    for name, entity in ctx.entities.items():
        table = declared.table(entity.into)
        looked_up = target_file(ctx, table.name)
        if _plain(ctx, name, table) and looked_up.exists():
            stream_rows(_hashes(looked_up, name), found_path(ctx, name), point="verify.found", schema=_KEYS)
        else:
            stored = backup.schema.table(table.name)
            parts = (backup.read(ref) for ref in backup.parts[table.name])
            _write(ctx, name, table, (ctx.target.as_declared(p, stored, table) for p in parts))
        failpoints.hit("verify.entity_read")


@dataclass(frozen=True)
class _Asked:
    """The columns of one entity's table that are looked at beside the hashes."""

    references: tuple[str, ...]
    least: tuple[str, ...]
    filled: tuple[str, ...]
    checked: tuple[str, ...]

    @property
    def any(self) -> bool:
        return bool(self.references or self.least or self.filled or self.checked)


def _asked(ctx: Context, name: str, table: Table) -> _Asked:
    entity = ctx.mapping.entities[name]
    return _Asked(
        references=tuple(fk.columns[0] for fk in table.foreign_keys if len(fk.columns) == 1),
        least=tuple(at_least_columns(entity)),
        filled=tuple(must_be_filled(entity)),
        checked=tuple(columns_of(checks_of(ctx), name)),
    )


_FIRST: list[tuple[str, pa.DataType]] = [("key", pa.string()), ("hash", pa.binary()), ("owned", pa.binary())]
_KEYS = pa.schema(_FIRST)


def _plain(ctx: Context, name: str, table: Table) -> bool:
    return not _asked(ctx, name, table).any


def _hashes(looked_up: Path, name: str) -> Iterator[pa.Table]:
    """What transform hashed already of the rows of the backup (`migrate.state.standing`)."""
    columns = ["tkey", f"w.{name}", f"h.{name}"]
    with pq.ParquetFile(looked_up) as file:
        for batch in file.iter_batches(columns=columns):
            yield pa.Table.from_batches([batch]).select(columns).rename_columns(_KEYS.names).cast(_KEYS)


def _write(ctx: Context, name: str, table: Table, rows: Iterable[pa.Table]) -> None:
    entity, asked = ctx.mapping.entities[name], _asked(ctx, name, table)
    compared, owned = compared_columns(entity), owned_columns(entity)
    columns: list[tuple[str, pa.DataType]] = [
        *_FIRST,
        *((f"f.{c}", pa.string()) for c in asked.references),
        *((f"s.{c}", kept_type(table.column(c).type)) for c in asked.least),
        *((f"n.{c}", pa.bool_()) for c in asked.filled),
        *((f"c.{c}", pa.string()) for c in asked.checked),
    ]
    schema = pa.schema(columns)

    def found(batch: pa.Table) -> pa.Table:
        whole = canon.as_binary(canon.row_hashes(batch, table.types, compared)).cast(pa.binary())
        own = whole
        if owned != compared:
            own = canon.as_binary(canon.row_hashes(batch, table.types, owned)).cast(pa.binary())
        content: list[Any] = [canon.source_keys(batch, table.primary_key, table.types), whole, own]
        content += [canon.canonical_text(batch[c], table.column(c).type) for c in asked.references]
        content += [kept(batch[c], table.column(c).type) for c in asked.least]
        content += [pc.is_valid(batch[c]) for c in asked.filled]
        content += [canon.canonical_text(batch[c], table.column(c).type) for c in asked.checked]
        return pa.table(content, names=schema.names)

    stream_rows((found(b) for b in rows), found_path(ctx, name), point="verify.found", schema=schema)
