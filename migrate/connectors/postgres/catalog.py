"""The catalogue as `Schema`. Read with an empty search_path, so that every name in a definition is qualified."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg.rows import dict_row

from migrate.connectors.postgres import queries
from migrate.connectors.postgres.definitions import settled
from migrate.connectors.postgres.session import join_name, quote, translated
from migrate.connectors.postgres.types import Declared, type_of
from migrate.errors import UsageError
from migrate.model import (
    Check,
    Column,
    ForeignKey,
    Index,
    Schema,
    Table,
    Type,
    Unique,
)
from migrate.model import (
    Sequence as SequenceState,
)

META = queries.META
Row = dict[str, Any]
_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


@dataclass
class _Parts:
    """Everything found about the tables, by the relation's oid."""

    columns: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    constraints: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    indexes: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    triggers: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    rules: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    sequences: dict[tuple[int, int], Row] = field(default_factory=dict)


def table_names(connection: psycopg.Connection[Any]) -> list[str]:
    """All user tables, those that cannot travel among them; partitions are parts of their table."""
    with translated("reading the catalogue"):
        cursor = connection.cursor(row_factory=dict_row)
        rows: list[Row] = cursor.execute(queries.TABLES).fetchall()
    return [join_name(r["nspname"], r["relname"]) for r in rows if _is_wanted(r, None)]


def read_schema(
    connection: psycopg.Connection[Any], tables: Sequence[str] | None = None, *, positions: bool = True
) -> Schema:
    """The catalogue of `tables`, of all user tables if None; names that are not there are left out.

    A named table with a type that cannot travel raises UsageError listing every such column; where all tables
    are asked for, such a table is left out and listed in `not_carried`. `positions` False leaves sequence
    positions out: they move without the schema changing."""
    with translated("reading the catalogue"), connection.transaction():
        connection.execute("SET LOCAL search_path = ''")
        placed, plain = _read(connection, None if tables is None else set(tables), positions)
        return placed if positions else plain


def read_both(connection: psycopg.Connection[Any], tables: Sequence[str]) -> tuple[Schema, Schema]:
    """One look at the catalogue, with and without the positions of sequences; see `read_schema`."""
    with translated("reading the catalogue"), connection.transaction():
        connection.execute("SET LOCAL search_path = ''")
        return _read(connection, set(tables), True)


def _read(
    connection: psycopg.Connection[Any], wanted: set[str] | None, positions: bool
) -> tuple[Schema, Schema]:
    cursor = connection.cursor(row_factory=dict_row)

    def rows(sql: str, *arguments: Any) -> list[Row]:
        return cursor.execute(sql, arguments or None).fetchall()

    found = [r for r in rows(queries.TABLES) if _is_wanted(r, wanted)]
    oids = [r["oid"] for r in found]
    parts = _Parts()
    for sql, into in (
        (queries.COLUMNS, parts.columns),
        (queries.CONSTRAINTS, parts.constraints),
        (queries.INDEXES, parts.indexes),
        (queries.TRIGGERS, parts.triggers),
        (queries.RULES, parts.rules),
    ):
        for row in rows(sql, oids) if oids else ():
            into[row["relation"]].append(row)
    for row in rows(queries.SEQUENCES, oids) if oids else ():  # an owned sequence comes last and wins
        parts.sequences[row["relation"], row["attnum"]] = row
    types = {c["type"] for columns in parts.columns.values() for c in columns}
    type_rows = {r["oid"]: r for r in rows(queries.TYPES, sorted(types))}  # with their elements and bases
    declared = {oid: _declared(r) for oid, r in type_rows.items()}

    refused: dict[str, list[str]] = {}
    tables = []
    for row in found:
        name = join_name(row["nspname"], row["relname"])
        columns, bad, notes = _columns(name, row, parts, declared, type_rows)
        if bad:
            refused[name] = bad
        else:
            tables.append(_table(name, row, columns, notes, parts))
    if refused and wanted is not None:
        raise UsageError(
            "these columns have types that cannot be carried exactly: "
            + ", ".join(c for b in refused.values() for c in b),
            hint="Convert them in the database (money to numeric, a composite to jsonb), or leave the table out.",
        )
    kept = {t.name for t in tables}
    sequences = [s for s in parts.sequences.values() if _owner(s, found) in kept]
    unique = {join_name(s["nspname"], s["relname"]): s for s in sequences}
    schema = Schema(
        engine="postgresql",
        version=connection.info.parameter_status("server_version") or "",
        tables=tuple(tables),
        sequences=tuple(_sequence(name, s, found) for name, s in sorted(unique.items())),
        enums={
            join_name(t["nspname"], t["typname"]): tuple(t["labels"])
            for t in (type_rows[oid] for oid in sorted(type_rows))
            if t["typtype"] == "e"
        },
        extensions=tuple(
            e["extname"] if e["nspname"] == "public" else f"{e['extname']}@{e['nspname']}"
            for e in rows(queries.EXTENSIONS, sorted(type_rows), oids)
        ),
        not_carried=tuple(
            [
                f"table {table}: {column} cannot be carried exactly"
                for table, bad in refused.items()
                for column in bad
            ]
            + [f"{r['kind']} {join_name(r['nspname'], r['relname'])}" for r in rows(queries.OTHERS)]
        ),
    )
    if not positions:
        return schema, schema
    placed = tuple(_placed(connection, name, s, found) for name, s in sorted(unique.items()))
    return replace(schema, sequences=placed), schema


def _is_wanted(row: Row, wanted: set[str] | None) -> bool:
    if wanted is None:
        return not row["relispartition"] and row["nspname"] != META
    return join_name(row["nspname"], row["relname"]) in wanted


def _owner(sequence: Row, tables: Iterable[Row]) -> str:
    return next(join_name(t["nspname"], t["relname"]) for t in tables if t["oid"] == sequence["relation"])


def _declared(row: Row) -> Declared:
    return Declared(
        row["typname"],
        row["nspname"],
        row["typtype"],
        row["typcategory"],
        row["element"],
        row["base"],
        row["typtypmod"],
        tuple(row["labels"]),
        row["extname"],
    )


def _columns(
    name: str, table: Row, parts: _Parts, declared: dict[int, Declared], types: dict[int, Row]
) -> tuple[list[Column], list[str], list[str]]:
    """Columns, those whose type is refused, and what is to be noted."""
    columns: list[Column] = []
    bad: list[str] = []
    notes: list[str] = []
    for row in parts.columns[table["oid"]]:
        oid, modifier, native = row["type"], row["modifier"], row["native"]
        if declared[oid].kind == "d":
            notes.append(f"domain {native} of column {row['attname']} (carried as its base type)")
        while declared[oid].kind == "d":
            native = types[oid]["base_native"]
            oid, modifier = declared[oid].base, declared[oid].base_modifier
        type_: Type | None = type_of(oid, modifier, native, declared)
        if type_ is None:
            bad.append(f"{name}.{row['attname']} ({row['native']})")
            continue
        sequence = parts.sequences.get((table["oid"], row["attnum"]))
        if row["attgenerated"] == "v":
            notes.append(f"column {row['attname']} is computed when read; a restore stores it")
        columns.append(
            Column(
                row["attname"],
                type_,
                nullable=not row["attnotnull"],
                default=None if row["attgenerated"] else row["expression"],
                generated=settled(row["expression"]) if row["attgenerated"] else None,
                identity={"a": "always", "d": "by default"}.get(row["attidentity"]),
                sequence=None if sequence is None else join_name(sequence["nspname"], sequence["relname"]),
                collation=row["collation"],
                comment=row["comment"],
            )
        )
    return columns, bad, notes


def _table(name: str, row: Row, columns: list[Column], notes: list[str], parts: _Parts) -> Table:
    oid = row["oid"]
    constraints = parts.constraints[oid]
    by_kind: dict[str, list[Row]] = defaultdict(list)
    for constraint in constraints:
        by_kind[constraint["contype"]].append(constraint)
    for key in by_kind["p"]:
        plain = f"PRIMARY KEY ({', '.join(_bare(c) for c in key['columns'])})"
        if key["definition"] != plain:
            notes.append(f"primary key {key['conname']}: more than its columns: {key['definition']}")
    notes += [f"exclusion constraint {c['conname']}: {c['definition']}" for c in by_kind["x"]]
    notes += [
        f"foreign key {c['conname']}: more than its columns and actions: {c['definition']}"
        for c in by_kind["f"]
        if c["confmatchtype"] != "s" or re.search(r"ON DELETE SET (NULL|DEFAULT) \(", c["definition"])
    ]
    notes += [f"rule {r['rulename']}" for r in parts.rules[oid]]
    notes += [f"index {i['relname']} is invalid" for i in parts.indexes[oid] if not i["indisvalid"]]
    if row["relrowsecurity"]:
        notes.append("row level security policies")
    if row["relkind"] == "p":
        notes.append(f"partitions by {row['partition_key']} (read as one table)")
    elif row["parents"] and not row["relispartition"]:
        notes.append(f"inherits from {', '.join(row['parents'])}")
    return Table(
        name,
        tuple(columns),
        primary_key=tuple(by_kind["p"][0]["columns"]) if by_kind["p"] else (),
        uniques=tuple(Unique(c["conname"], tuple(c["columns"]), c["definition"]) for c in by_kind["u"]),
        foreign_keys=tuple(_foreign_key(c) for c in by_kind["f"]),
        checks=tuple(
            Check(c["conname"], settled(c["definition"].removesuffix(" NOT VALID")), c["convalidated"])
            for c in by_kind["c"]
        ),
        indexes=tuple(
            Index(
                i["relname"],
                settled(i["definition"].replace(" ON ONLY ", " ON ", 1)),
                i["indisunique"],
                tuple(i["columns"]),
            )
            for i in parts.indexes[oid]
            if i["indisvalid"]
        ),
        triggers=tuple(t["tgname"] for t in parts.triggers[oid]),
        options="partitioned" if row["relkind"] == "p" else "",
        comment=row["comment"],
        not_carried=tuple(notes),
    )


def _foreign_key(row: Row) -> ForeignKey:
    return ForeignKey(
        row["conname"],
        tuple(row["columns"]),
        join_name(row["ref_schema"], row["ref_table"]),
        tuple(row["ref_columns"]),
        on_delete=_ACTIONS[row["confdeltype"]],
        on_update=_ACTIONS[row["confupdtype"]],
        deferrable=row["condeferrable"],
        initially_deferred=row["condeferred"],
        validated=row["convalidated"],
    )


def _bare(name: str) -> str:
    """As PostgreSQL prints an identifier: without quotes where it can (keywords then differ, which only adds a note)."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else quote(name)


def _placed(connection: psycopg.Connection[Any], name: str, row: Row, tables: list[Row]) -> SequenceState:
    """A sequence where it stands now."""
    sequence = f"{quote(row['nspname'])}.{quote(row['relname'])}"
    grant = f"GRANT SELECT ON SEQUENCE {sequence} TO {quote(connection.info.user)}"
    with translated("reading a sequence", where=name, grant=grant):
        if row["readable"]:
            state = connection.execute(f"SELECT last_value, is_called FROM {sequence}".encode()).fetchone()
        else:  # USAGE is enough for this one; a role without any right gets the error
            state = connection.execute(
                "SELECT pg_sequence_last_value(%s::oid), pg_sequence_last_value(%s::oid) IS NOT NULL",
                [row["oid"]] * 2,
            ).fetchone()
    assert state is not None
    if state[1]:
        return _sequence(name, row, tables, last=state[0])
    # setval(…, false): the next value is this one
    return _sequence(name, row if state[0] is None else {**row, "seqstart": state[0]}, tables)


def _sequence(name: str, row: Row, tables: list[Row], last: int | None = None) -> SequenceState:
    owned = ""
    if row["owned"] and not row["attidentity"]:
        owner = next(t for t in tables if t["oid"] == row["relation"])
        owned = f" OWNED BY {quote(owner['nspname'])}.{quote(owner['relname'])}.{quote(row['attname'])}"
    cycle = "CYCLE" if row["seqcycle"] else "NO CYCLE"
    definition = (
        f"AS {row['native']} INCREMENT BY {row['seqincrement']} MINVALUE {row['seqmin']} MAXVALUE {row['seqmax']} "
        f"START WITH {row['seqstart']} CACHE {row['seqcache']} {cycle}{owned}"
    )
    return SequenceState(name, last, definition)
