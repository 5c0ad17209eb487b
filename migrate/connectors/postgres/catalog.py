"""The catalogue as `Schema`. Read with an empty search_path, so that every name in a definition is qualified."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg.rows import dict_row

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

META = "migrate_meta"
Row = dict[str, Any]
_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_USER_SCHEMAS = f"n.nspname <> '{META}' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND strpos(n.nspname, '.') = 0"

_TABLES = f"""
SELECT c.oid::int8 AS oid, n.nspname, c.relname, c.relkind, c.relrowsecurity, c.relispartition, c.relpersistence,
       obj_description(c.oid, 'pg_class') AS comment,
       ARRAY(SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = c.oid ORDER BY inhseqno) AS parents,
       pg_get_partkeydef(c.oid) AS partition_key
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ({_USER_SCHEMAS} OR n.nspname = '{META}')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname <> 'public', n.nspname, c.relname"""
_COLUMNS = """
SELECT a.attrelid::int8 AS relation, a.attname, a.attnum, a.attnotnull, a.attidentity, a.attgenerated,
       a.atttypid::int8 AS type, a.atttypmod AS modifier, format_type(a.atttypid, a.atttypmod) AS native,
       pg_get_expr(d.adbin, d.adrelid) AS expression, col_description(a.attrelid, a.attnum) AS comment,
       CASE WHEN a.attcollation <> t.typcollation
            THEN (SELECT quote_ident(s.nspname) || '.' || quote_ident(l.collname)
                  FROM pg_collation l JOIN pg_namespace s ON s.oid = l.collnamespace WHERE l.oid = a.attcollation) END AS collation
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum"""
_TYPES = """
WITH RECURSIVE used(oid) AS (
    SELECT unnest(%s::int8[])::oid
    UNION SELECT part.oid FROM used u JOIN pg_type t ON t.oid = u.oid, LATERAL (VALUES (t.typelem), (t.typbasetype)) part(oid)
    WHERE part.oid <> 0
)
SELECT t.oid::int8 AS oid, t.typname, n.nspname, t.typtype, t.typcategory, t.typelem::int8 AS element,
       t.typbasetype::int8 AS base, t.typtypmod, format_type(t.typbasetype, t.typtypmod) AS base_native, e.extname, es.nspname AS extschema,
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) AS labels
FROM used u JOIN pg_type t ON t.oid = u.oid JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid LEFT JOIN pg_namespace es ON es.oid = e.extnamespace"""
_SEQUENCES = """
SELECT a.attrelid::int8 AS relation, a.attnum, s.oid::int8 AS oid, n.nspname, s.relname, a.attidentity, a.attname, q.*,
       format_type(q.seqtypid, NULL) AS native, own.refobjid IS NOT NULL AS owned,
       has_sequence_privilege(s.oid, 'SELECT') AS readable
FROM pg_attribute a
JOIN LATERAL (
    SELECT d.objid FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')
    UNION
    SELECT d.refobjid FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
    WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum AND d.refclassid = 'pg_class'::regclass
) used(oid) ON true
JOIN pg_class s ON s.oid = used.oid AND s.relkind = 'S'
JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_sequence q ON q.seqrelid = s.oid
LEFT JOIN pg_depend own ON own.classid = 'pg_class'::regclass AND own.objid = s.oid AND own.refobjid = a.attrelid
      AND own.refobjsubid = a.attnum AND own.deptype IN ('a', 'i')
WHERE a.attrelid = ANY(%s) ORDER BY a.attrelid, a.attnum, owned, s.relname"""
_CONSTRAINTS = """
SELECT c.conrelid::int8 AS relation, c.conname, c.contype, c.condeferrable, c.condeferred, c.convalidated,
       c.confupdtype, c.confdeltype, c.confmatchtype, pg_get_constraintdef(c.oid) AS definition,
       fn.nspname AS ref_schema, fc.relname AS ref_table,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(num, at)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY k.at) AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(num, at)
             JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num ORDER BY k.at) AS ref_columns
FROM pg_constraint c LEFT JOIN pg_class fc ON fc.oid = c.confrelid LEFT JOIN pg_namespace fn ON fn.oid = fc.relnamespace
WHERE c.conrelid = ANY(%s) AND c.contype IN ('p', 'u', 'f', 'c', 'x') AND (c.contype <> 'f' OR c.conparentid = 0)
ORDER BY c.conrelid, c.conname"""
_INDEXES = """
SELECT i.indrelid::int8 AS relation, c.relname, i.indisunique, i.indisvalid, pg_get_indexdef(i.indexrelid) AS definition,
       CASE WHEN i.indexprs IS NULL THEN
            ARRAY(SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(num, at)
                  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num ORDER BY k.at) ELSE '{}' END AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY(%s)
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY i.indrelid, c.relname"""
_TRIGGERS = """
SELECT tgrelid::int8 AS relation, tgname FROM pg_trigger WHERE tgrelid = ANY(%s) AND NOT tgisinternal ORDER BY 1, 2"""
_RULES = "SELECT ev_class::int8 AS relation, rulename FROM pg_rewrite WHERE ev_class = ANY(%s) ORDER BY 1, 2"
_EXTENSIONS = """
SELECT DISTINCT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
WHERE (d.classid = 'pg_type'::regclass AND d.objid::int8 = ANY(%s))
   OR (d.classid = 'pg_opclass'::regclass AND d.objid IN
       (SELECT unnest(indclass::oid[]) FROM pg_index WHERE indrelid = ANY(%s))) ORDER BY 1"""
_OTHERS = f"""
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'foreign table' END AS kind, n.nspname, c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm', 'f') AND {_USER_SCHEMAS}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT 'function', n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_USER_SCHEMAS}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'sequence that no column uses', n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND {_USER_SCHEMAS} AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
  AND d.objid = c.oid AND d.deptype IN ('a', 'i', 'e')) AND NOT EXISTS (SELECT FROM pg_depend d
  WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
UNION ALL
SELECT 'schema with a dot in its name', 'public', nspname FROM pg_namespace WHERE strpos(nspname, '.') > 0
ORDER BY 1, 2, 3"""


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
        rows: list[Row] = cursor.execute(_TABLES).fetchall()
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

    found = [r for r in rows(_TABLES) if _is_wanted(r, wanted)]
    oids = [r["oid"] for r in found]
    parts = _Parts()
    for sql, into in (
        (_COLUMNS, parts.columns),
        (_CONSTRAINTS, parts.constraints),
        (_INDEXES, parts.indexes),
        (_TRIGGERS, parts.triggers),
        (_RULES, parts.rules),
    ):
        for row in rows(sql, oids) if oids else ():
            into[row["relation"]].append(row)
    for row in rows(_SEQUENCES, oids) if oids else ():  # an owned sequence comes last and wins
        parts.sequences[row["relation"], row["attnum"]] = row
    types = {c["type"] for columns in parts.columns.values() for c in columns}
    type_rows = {r["oid"]: r for r in rows(_TYPES, sorted(types))}  # with their elements and bases
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
            for e in rows(_EXTENSIONS, sorted(type_rows), oids)
        ),
        not_carried=tuple(
            [
                f"table {table}: {column} cannot be carried exactly"
                for table, bad in refused.items()
                for column in bad
            ]
            + [f"{r['kind']} {join_name(r['nspname'], r['relname'])}" for r in rows(_OTHERS)]
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
