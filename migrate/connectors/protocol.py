"""What a connector promises. Every implementation passes tests/contracts/.

Rows travel as Arrow in the layout of `migrate.arrow`. Values are exact or the type is refused by
name when the schema is read (`Type` cannot express it → `UsageError` naming table.column and type).
Driver errors never leave a connector: they become `Unreachable`, `Drift`, `Busy` or `UsageError`
without row values and without passwords. No connector retries silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import pyarrow as pa

from migrate.model import FileRef, Rejected, Schema, Table

if TYPE_CHECKING:
    import sqlalchemy as sa

COUNTED = 100_000  # rows of a table that nothing reads; beyond that it is enough to know that there are many


class Snapshot(Protocol):
    """One consistent view; open until its context ends, never changes while open."""

    id: str  # engine's name for it, for the manifest
    taken_at: str  # ISO 8601 UTC by the database's clock
    schema: Schema  # as of the snapshot, the tables asked for

    def count(self, table: str) -> int:
        """count(*) inside the snapshot."""
        ...

    def read(self, table: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Every row once, in any order, as batches of bounded size (≤ ~16 MB), layout of `arrow_schema`.

        May be called several times, one table after the other, also for the same table."""
        ...

    def originals(self) -> Sequence[FileRef]:
        """File sources: the files as they are (path absolute); databases: empty."""
        ...

    def violations(self) -> Sequence[str] | None:
        """What the rows break of the declared constraints, in the words of `Scratch.violations`, so that a
        faithful copy can be held against it (F25). None: this source has no constraints to break."""
        ...

    def verify_unchanged(self) -> None:
        """Raises Drift if the schema (files: the bytes) is no longer what it was at the start."""
        ...


@runtime_checkable
class Divided(Protocol):
    """What a `Snapshot` has besides where a table can be read by several readers at the same time."""

    alone: str  # why one connection reads, where several were asked for and would serve; else empty

    def pieces(self, table: str, known: Sequence[str] = ()) -> Sequence[str]:
        """Names of disjoint pieces that hold every row of the table exactly once, in order; the last one is open-ended.
        A name means the same condition in every later snapshot. One piece: the table is small. `known`: what an
        earlier snapshot of the table answered, so that its pieces are found again where bounds come from rows. A name
        may hold values of keys: it is for no log."""
        ...

    def read_piece(self, table: str, piece: str) -> Iterator[pa.RecordBatch]:
        """As `Snapshot.read`; several threads may read pieces at the same time, each over a connection of its own."""
        ...

    def mark(self, table: str, piece: str) -> str:
        """What the server itself sees in a piece: its rows, counted, and 128 bits over all their values (F20). Equal
        marks of one server, under whatever snapshots, mean equal rows. Costs about half of reading the piece."""
        ...


class Database(Protocol):
    """A place that can be read. Opening connects; constructors take a URL with `${}` already resolved."""

    engine: str
    url: str  # password masked; safe to show

    def schema(self, tables: Sequence[str] | None = None) -> Schema:
        """Catalogue of `tables` (all user tables if None; our own meta tables only where named). Missing → KeyError-free:
        absent names are simply not in the result, so that callers can report all at once."""
        ...

    def snapshot(self, tables: Sequence[str], *, readers: int = 1) -> AbstractContextManager[Snapshot]:
        """`readers`: threads that will read at the same time, for engines where a snapshot must know before it begins."""
        ...

    def others(self, known: Sequence[str]) -> dict[str, int | None]:
        """User tables besides `known`, none of our own, with their rows, counted no further than COUNTED. None: they
        cannot be counted, for want of rights or because a file cannot be read or is large."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class DdlText:
    """What an engine's own program writes of tables, for people to read: no secrets in it. Where there is none, `problem`
    says why, and `tool` what would have written it."""

    tool: str
    text: str = ""
    problem: str = ""


@runtime_checkable
class Described(Protocol):
    """What a `Database` has besides where its engine can write down tables in its own words."""

    def ddl_text(self, tables: Sequence[str], folder: Path) -> DdlText:
        """Of these tables as they are now. `folder` is private, and made where it is not there. A program that is
        missing or refuses is no error."""
        ...


class Transaction(Protocol):
    """One target transaction. Any error inside leads to `rollback` of the whole (F1)."""

    def insert(self, table: Table, rows: pa.Table, *, stop_after: int) -> list[Rejected]:
        """Bulk insert of `rows` (a subset of the table's columns, in its layout; the rest get defaults).

        Rows that the database refuses are returned, the others are in; more than `stop_after`
        refusals raise TooManyQuarantined. Rejected.ordinal is the row's place in `rows`.
        Constraints that are deferred are checked before it returns. Rows a trigger drops silently
        are not noticed here: read back with `fetch`."""
        ...

    def update(self, table: Table, key: Sequence[str], rows: pa.Table, *, stop_after: int) -> list[Rejected]:
        """`rows` holds the key columns and the columns to set; by key, else as `insert`."""
        ...

    def delete(self, table: Table, key: Sequence[str], keys: pa.Table) -> int:
        """Rows really deleted. A referencing row makes it fail with GateClosed naming the constraint."""
        ...

    def rewrite(self, table: Table, where: Mapping[str, str], values: Mapping[str, str]) -> int:
        """Set text columns to `values` in every row whose text columns equal `where`; key columns too, which
        `update` cannot. Rows changed. For our own tables: a row that the database refuses is an error."""
        ...

    def fetch(
        self, table: Table, key: Sequence[str], keys: pa.Table, columns: Sequence[str], *, lock: bool = False
    ) -> pa.Table:
        """Rows whose key is among `keys` (each at most once where key is unique), `columns` in layout, any order;
        `lock` holds them against writers until the end of the transaction."""
        ...

    def fence(self) -> int:
        """The fence value in the target, read and held with FOR SHARE until commit (F3)."""
        ...

    def commit(self) -> None:
        """Raises Unreachable when the connection no longer reports the transaction begun (F1)."""
        ...

    def rollback(self) -> None: ...


@runtime_checkable
class Taking(Protocol):
    """What a `Transaction` has besides where the engine hands out the rows that it deletes, and where another session
    can be asked meanwhile."""

    def take(self, table: Table, key: Sequence[str], keys: pa.Table, columns: Sequence[str]) -> pa.Table:
        """As `delete`; the rows that went, `columns` in layout, any order, as they stood when they went."""
        ...


class Target(Database, Protocol):
    """A database that can be written."""

    parallel_writers: bool  # several transactions may write to one table at the same time

    def meta(self, name: str) -> str:
        """Full table name of one of our own tables: `migrate_meta.NAME` or `_migrate_NAME`."""
        ...

    def create_tables(self, tables: Sequence[Table], *, constraints: bool = True) -> None:
        """Create those that are missing (idempotent), in own transactions: never called inside a part."""
        ...

    def changing(self) -> AbstractContextManager[sa.Connection]:
        """A transaction for statements that create or drop tables (`migrate.connectors.creation`), committed at the
        end; driver errors inside become ours. Asked of engines in `creation.MODULES` only. Where DDL is not transactional each statement stands at once."""
        ...

    def check_rights(self, new: Sequence[str], changed: Sequence[str], referred: Sequence[str]) -> None:
        """May this user create the tables `new`, add columns to `changed`, refer to `referred`? Raises Unreachable
        that names the right."""
        ...

    def hold(self) -> AbstractContextManager[None]:
        """Liveness: a session lock on the whole target. Held by another live process → Busy (exit 8)."""
        ...

    def raise_fence(self, run: str) -> int:
        """Take over: fence + 1, committed; returns the new value. Needs `hold`."""
        ...

    def begin(self) -> Transaction: ...

    def as_declared(self, rows: pa.Table, stored: Table, declared: Table) -> pa.Table:
        """Rows as a snapshot gave them (`stored` types) in the layout of the catalogue's `declared` types.

        Equal types pass untouched; SQLite decodes its storage classes. GateClosed naming table.column
        where a stored value is not of the declared type."""
        ...

    def reserve_keys(self, table: Table, column: str, count: int) -> pa.Array[Any]:
        """`count` new values for a serial/identity/integer key, never handed out again (PostgreSQL: nextval;
        SQLite: above max(rowid, sqlite_sequence), call under `hold`)."""
        ...

    def references_to(self, table: Table, key: Sequence[str], keys: pa.Table) -> pa.Table:
        """Undo: rows of any table whose FK points at one of `keys`: table, columns, ref key as JSON text, referencing
        row's primary key as JSON text, on_delete. Names of these string columns: table, columns (JSON array of
        names), ref_key (values of `key`), row_key, on_delete."""
        ...


class Scratch(Target, Protocol):
    """An empty database of the same engine made for a restore test; only things with our marker are ever dropped."""

    name: str
    not_restored: list[str]  # what was left out, and why it could not be made

    def restore_schema(self, schema: Schema) -> None:
        """Types, sequences, tables without constraints. The place must be proven empty first (P27)."""
        ...

    def restore_rows(self, table: Table, batches: Iterator[pa.RecordBatch]) -> int:
        """Bulk write into a table made by `restore_schema`; returns rows written."""
        ...

    def restore_constraints(self, schema: Schema) -> None:
        """Keys, uniques, checks, FKs (same validation state), indexes, sequence positions. Raises GateClosed with
        the object's name where the data does not satisfy it."""
        ...

    def violations(self) -> list[str]:
        """Constraint violations found by the engine's own check (SQLite: foreign_key_check), as stable text without values."""
        ...

    def ask(self, sql: str, *, rows: int, seconds: float) -> list[tuple[object, ...]]:
        """The first `rows` rows of one SELECT, in a transaction that can write nothing and that ends after `seconds`.

        Raises UsageError, without values, for a statement that is none or that the database refuses."""
        ...

    def drop(self) -> None:
        """Removes it, if and only if the marker is there."""
        ...


class Place(Scratch, Protocol):
    """A database that a user named, to restore a backup into for good. It is never dropped. It carries a mark while a
    restore is under way, so that the next one knows what lies there; `restore_schema` trusts whoever put the mark."""

    around: frozenset[str]  # tables that stay beside the restored ones, which foreign keys may refer to

    def there(self) -> tuple[str, ...]:
        """Tables, views and sequences of the user, in any schema; none of ours."""
        ...

    def mark(self) -> str | None:
        """What `put_mark` was given; None where no restore is under way."""
        ...

    def put_mark(self, said: str) -> None:
        """In place of an earlier one. Durable when it returns. Raises Unreachable where that is not allowed."""
        ...

    def remove_mark(self) -> None:
        """Idempotent."""
        ...

    def clear(self, schema: Schema, unchanged: Callable[[Snapshot], None] | None = None) -> None:
        """Drops the tables of `schema` that are there, and its types and sequences that nothing else uses. Idempotent.
        `unchanged` sees the tables that are to go, when nobody else can change them any more; where it raises, nothing
        is dropped. Raises GateClosed, with nothing dropped, where another table refers to one of them."""
        ...
