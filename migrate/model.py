"""The frozen types that travel between stages. They hold facts; functions elsewhere act on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """Logical kind of a column: decides Arrow layout, canonical form and comparison."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    DECIMAL = "decimal"
    TEXT = "text"
    BYTES = "bytes"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"  # carries no zone
    TIMESTAMPTZ = "timestamptz"  # an instant, µs UTC
    UUID = "uuid"
    JSON = "json"
    ARRAY = "array"
    OPAQUE = "opaque"  # exact only as the engine's own text (inet, interval, xml …), read and written with pinned settings
    MIXED = "mixed"  # SQLite: a column whose rows have several storage classes


@dataclass(frozen=True)
class Type:
    """A column's declared type. `native` is the engine's own spelling, good for DDL on that engine."""

    kind: Kind
    native: str = ""
    bits: int | None = None  # INT 16/32/64, FLOAT 32/64
    precision: int | None = None  # DECIMAL; None = unconstrained, travels as canonical text
    scale: int | None = None
    length: int | None = None  # TEXT: longest value in characters
    fixed: bool = False  # TEXT: char(n), padding is not content
    labels: tuple[str, ...] = ()  # TEXT: enum labels in declared order
    textual: bool = False  # JSON whose exact text is content (PostgreSQL json)
    item: Type | None = None  # ARRAY


@dataclass(frozen=True)
class Column:
    name: str
    type: Type
    nullable: bool = True
    default: str | None = None  # SQL text of the engine
    generated: str | None = None  # SQL text of a stored generated column
    identity: str | None = None  # "always" | "by default"; SQLite INTEGER PRIMARY KEY: "by default"
    sequence: str | None = None  # PostgreSQL: the sequence that feeds it (identity or serial)
    collation: str | None = None
    comment: str | None = None


# What file sources add to every row: its line, what is wrong with a broken record, and its bytes; and, where
# several files make one table, the file.
ADDED_COLUMNS = ("_line", "_bad", "_raw", "_file")
PART_LINES = (
    1_000_000_000  # in a table of several files, `_line` is the file's number × this + the line in the file
)


def added_columns(names: Iterable[str]) -> frozenset[str]:
    """Those of a table's columns that a file source added. A database may have one column of such a name, not all."""
    there = set(names)
    return frozenset(there & set(ADDED_COLUMNS)) if there.issuperset(ADDED_COLUMNS[:3]) else frozenset()


@dataclass(frozen=True)
class ForeignKey:
    name: str
    columns: tuple[str, ...]
    ref_table: str
    ref_columns: tuple[str, ...]
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    deferrable: bool = False
    initially_deferred: bool = False
    validated: bool = True


@dataclass(frozen=True)
class Unique:
    name: str
    columns: tuple[str, ...]
    definition: str = ""  # engine's SQL where it says more than the columns (NULLS NOT DISTINCT, DEFERRABLE)


@dataclass(frozen=True)
class Check:
    name: str
    sql: str
    validated: bool = True


@dataclass(frozen=True)
class Index:
    name: str
    sql: str
    unique: bool = False
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sequence:
    name: str
    last_value: int | None  # None: never used
    definition: str = ""


@dataclass(frozen=True)
class Table:
    """One table as the catalogue declares it. `name` is bare in the default schema, else schema.name."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    uniques: tuple[Unique, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    indexes: tuple[Index, ...] = ()
    triggers: tuple[str, ...] = ()
    options: str = ""  # SQLite: "STRICT", "WITHOUT ROWID"; AUTOINCREMENT
    comment: str | None = None
    not_carried: tuple[str, ...] = ()  # what could not be captured, listed rather than hidden
    sql: str = ""  # SQLite: the CREATE TABLE text as stored; run only when trusted (F26)

    def column(self, name: str) -> Column:
        """Raises KeyError with the name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)

    @property
    def types(self) -> dict[str, Type]:
        return {c.name: c.type for c in self.columns}


@dataclass(frozen=True)
class Schema:
    engine: str  # "postgresql" | "mysql" | "sqlite" | "files"
    version: str
    tables: tuple[Table, ...]
    sequences: tuple[Sequence, ...] = ()
    enums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    not_carried: tuple[str, ...] = ()  # views, functions, grants …: listed, not required

    def table(self, name: str) -> Table:
        """Raises KeyError with the name."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    @property
    def table_names(self) -> tuple[str, ...]:
        return tuple(t.name for t in self.tables)


@dataclass(frozen=True)
class PartRef:
    """Where the bytes of one part are. `path` is relative to the folder that the holder names.

    `bytes` and `sha256` are those of the bytes as they are stored; `keyed`, where they are encrypted, is the keyed hash
    of what they were before."""

    table: str
    index: int
    path: str
    rows: int
    bytes: int
    sha256: str
    digest: str  # canon digest of the rows, as text
    snapshot: str = ""
    keyed: str = ""


@dataclass(frozen=True)
class FileRef:
    """An original file kept byte for byte (file sources)."""

    name: str
    path: str
    bytes: int
    sha256: str
    keyed: str = ""


@dataclass(frozen=True)
class Seal:
    """For whom a backup is encrypted, and which hash key its manifest is written with."""

    recipients: tuple[str, ...]
    key: str  # the name of the hash key, which says nothing of it
    key_sha256: str  # of `hash-key.age`


@dataclass(frozen=True)
class NativeText:
    """The engine's own DDL, kept beside the manifest for people; nothing runs it. Without a SHA-256 it is not kept, and
    `problem` says why."""

    tool: str  # what wrote it, or would have
    bytes: int = 0  # as stored
    sha256: str = ""  # as stored
    problem: str = ""


@dataclass(frozen=True)
class Manifest:
    """One backup: written last; a folder without it is not a backup."""

    id: str
    role: str  # "source" | "target"
    run: str
    system: str
    engine: str
    snapshot: str
    snapshot_at: str  # ISO 8601 UTC, the source's clock
    created_at: str
    mapping: str
    mapping_digest: str
    schema_digest: str  # of schema.json
    algorithm: str  # of the digests
    parts: tuple[PartRef, ...]
    digests: Mapping[str, str]  # table → digest of all its rows
    files: tuple[FileRef, ...] = ()
    code_version: str = ""
    audit_head: str = ""
    format: int = 1
    versions: Mapping[str, str] = field(
        default_factory=dict
    )  # object → its version, where the store keeps versions
    # what the rows break of the declared constraints, as the snapshot said (F25); None: not on record
    violations: tuple[str, ...] | None = None
    seal: Seal | None = None  # None: nothing is encrypted
    native: NativeText | None = None  # None: there is no such text of files, nor in older backups
    # how many erasures by request the vault knew then, and the SHA-256 of the last: "17:9f86d0…"; "": none, or not on record
    erasures: str = ""


@dataclass(frozen=True)
class Verdict:
    """A check that was made. A failed check is a Verdict; an exception means "could not check"."""

    check: str
    passed: bool
    expected: str = ""
    found: str = ""
    reason: str = ""
    evidence: Mapping[str, object] = field(default_factory=dict)

    def without_evidence(self) -> dict[str, str | bool]:
        """For documents: evidence may name rows."""
        return {
            "check": self.check,
            "passed": self.passed,
            "expected": self.expected,
            "found": self.found,
            "reason": self.reason,
        }


@dataclass(frozen=True)
class RowBalance:
    """in = loaded + unchanged + merged + quarantined + excluded, per entity, from persisted rows."""

    rows_in: int
    loaded: int
    unchanged: int
    merged: int
    quarantined: int
    excluded: int

    @property
    def balanced(self) -> bool:
        return self.rows_in == self.loaded + self.unchanged + self.merged + self.quarantined + self.excluded

    def as_json(self) -> dict[str, int]:
        return {
            "in": self.rows_in,
            "loaded": self.loaded,
            "unchanged": self.unchanged,
            "merged": self.merged,
            "quarantined": self.quarantined,
            "excluded": self.excluded,
        }


@dataclass(frozen=True)
class Rejected:
    """A row that only the database refused: its place in the batch and a stable code, never values."""

    ordinal: int
    code: str  # db_unique | db_foreign_key | db_check | db_not_null | db_value | db_other
    constraint: str = ""


@dataclass(frozen=True)
class RunInfo:
    run: str
    mapping: str
    mapping_digest: str
    state: str  # running | stopped | partial | interrupted | failed | verified | rolled_back
    started: datetime
    ended: datetime | None
