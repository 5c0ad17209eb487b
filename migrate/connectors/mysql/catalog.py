"""The catalogue as `Schema`, out of information_schema; the tables are those of the URL's own database."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from migrate.connectors.mysql.session import Row, Session, literal, quote, translated
from migrate.connectors.mysql.types import type_of
from migrate.errors import UsageError
from migrate.model import Check, Column, ForeignKey, Index, Schema, Table, Type, Unique
from migrate.model import Sequence as SequenceState

META_PREFIX = "_migrate_"
ENGINE = "InnoDB"
_TABLES = """
SELECT TABLE_NAME, TABLE_TYPE, ENGINE, AUTO_INCREMENT, TABLE_COLLATION, CREATE_OPTIONS, TABLE_COMMENT
FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND {names} ORDER BY TABLE_NAME"""
_NAMES = """
SELECT TABLE_NAME FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY TABLE_NAME"""
_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, GENERATION_EXPRESSION,
       CHARACTER_SET_NAME, COLLATION_NAME, COLUMN_COMMENT
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND {names} ORDER BY TABLE_NAME, ORDINAL_POSITION"""
_INDEXES = """
SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, COLLATION, INDEX_TYPE, INDEX_COMMENT, {expression}
FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND {names}
ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"""
_KEYS = """
SELECT k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME,
       k.REFERENCED_COLUMN_NAME, r.DELETE_RULE, r.UPDATE_RULE
FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
  ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
WHERE k.TABLE_SCHEMA = DATABASE() AND k.REFERENCED_TABLE_NAME IS NOT NULL AND {names}
ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION"""
_CHECKS_MARIADB = """
SELECT TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE, {level} FROM information_schema.CHECK_CONSTRAINTS
WHERE CONSTRAINT_SCHEMA = DATABASE() AND {names} ORDER BY TABLE_NAME, CONSTRAINT_NAME"""
_CHECKS_MYSQL = """
SELECT t.TABLE_NAME, c.CONSTRAINT_NAME, c.CHECK_CLAUSE, t.ENFORCED
FROM information_schema.CHECK_CONSTRAINTS c JOIN information_schema.TABLE_CONSTRAINTS t
  ON t.CONSTRAINT_SCHEMA = c.CONSTRAINT_SCHEMA AND t.CONSTRAINT_NAME = c.CONSTRAINT_NAME AND t.CONSTRAINT_TYPE = 'CHECK'
WHERE c.CONSTRAINT_SCHEMA = DATABASE() AND {names} ORDER BY t.TABLE_NAME, c.CONSTRAINT_NAME"""
_TRIGGERS = """
SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME FROM information_schema.TRIGGERS
WHERE EVENT_OBJECT_SCHEMA = DATABASE() AND {names} ORDER BY 1, 2"""
_OTHERS = """
SELECT LOWER(TABLE_TYPE), TABLE_NAME FROM information_schema.TABLES
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE NOT IN ('BASE TABLE', 'SYSTEM VERSIONED')
UNION ALL SELECT LOWER(ROUTINE_TYPE), ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()
UNION ALL SELECT 'event', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()
ORDER BY 1, 2"""
# Who has no right to make triggers is not shown which there are.
_SEES_TRIGGERS = """
SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'TRIGGER'
UNION ALL SELECT 1 FROM information_schema.SCHEMA_PRIVILEGES
WHERE PRIVILEGE_TYPE = 'TRIGGER' AND DATABASE() LIKE TABLE_SCHEMA LIMIT 1"""
OF_COLUMN = "COLUMN "  # how the SQL of a check begins that belongs to a column's own declaration


@dataclass
class _Parts:
    """Everything found about the tables, by the table's name."""

    columns: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    indexes: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    keys: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    checks: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    triggers: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    sees_triggers: bool = True


def is_ours(table: str) -> bool:
    return table.startswith(META_PREFIX)


def table_names(session: Session) -> list[str]:
    """All user tables, those that cannot travel among them."""
    with translated("reading the catalogue"):
        return [name for (name,) in session.rows(_NAMES) if not is_ours(name)]


def read_schema(session: Session, tables: Sequence[str] | None = None, *, positions: bool = True) -> Schema:
    """The catalogue of `tables`, of all user tables if None; names that are not there are left out.

    A named table that cannot travel (a type that is not carried exactly, an engine without transactions) raises
    UsageError listing all of them; where all tables are asked for, such a table is left out and listed in
    `not_carried`. `positions` False leaves those of AUTO_INCREMENT out: they move without the schema changing."""
    with translated("reading the catalogue"):
        return _read(session, tables, positions)


def _read(session: Session, wanted: Sequence[str] | None, positions: bool) -> Schema:
    maria = session.server.maria
    found = {
        r[0]: r
        for r in session.rows(_TABLES.format(names=_among("TABLE_NAME", wanted)))
        if r[1] in ("BASE TABLE", "SYSTEM VERSIONED") and (wanted is not None or not is_ours(r[0]))
    }
    parts = _Parts()
    if found:
        chosen = None if wanted is None else list(found)
        names = _among("TABLE_NAME", chosen)
        expression = "NULL" if maria else "EXPRESSION"
        checks = (
            _CHECKS_MARIADB.format(
                names=names, level="LEVEL" if session.server.version >= (10, 5, 10) else "'Table'"
            )
            if maria
            else _CHECKS_MYSQL.format(names=_among("t.TABLE_NAME", chosen))
        )
        for sql, into in (
            (_COLUMNS.format(names=names), parts.columns),
            (_INDEXES.format(names=names, expression=expression), parts.indexes),
            (_KEYS.format(names=_among("k.TABLE_NAME", chosen)), parts.keys),
            (checks, parts.checks),
            (_TRIGGERS.format(names=_among("EVENT_OBJECT_TABLE", chosen)), parts.triggers),
        ):
            for row in session.rows(sql):
                into[row[0]].append(row)
        parts.sees_triggers = bool(session.rows(_SEES_TRIGGERS))
    refused: dict[str, list[str]] = {}
    made: list[Table] = []
    for name, row in found.items():
        columns, bad = _columns(name, parts, maria)
        if (row[2] or "").lower() != ENGINE.lower():
            bad.append(f"{name} (a {row[2]} table: it has no transactions)")
        if bad:
            refused[name] = bad
        else:
            made.append(_table(session, row, columns, parts))
    if refused and wanted is not None:
        raise UsageError(
            "these cannot be carried exactly: " + ", ".join(b for bad in refused.values() for b in bad),
            hint="Convert them in the database (ALTER TABLE … ENGINE=InnoDB; a geometry's ST_AsText in a text column), or leave the table out.",
        )
    sequences = [_position(t, found[t.name], positions) for t in made]
    return Schema(
        engine="mysql",
        version=session.server.text,
        tables=tuple(made),
        sequences=tuple(s for s in sequences if s is not None),
        not_carried=tuple(
            [f"table {name}: {what} cannot be carried" for name, bad in refused.items() for what in bad]
            + [f"{kind} {name}" for kind, name in session.rows(_OTHERS)]
        ),
    )


def _among(column: str, names: Sequence[str] | None) -> str:
    """A condition on names, compared as bytes: in the catalogue their case does not count."""
    if names is None:
        return "TRUE"
    listed = ", ".join(literal(n) for n in names)
    return f"BINARY {column} IN ({listed})" if listed else "FALSE"


def _position(table: Table, row: Row, positions: bool) -> SequenceState | None:
    """Where AUTO_INCREMENT stands, as a sequence of the table's name; None for a table without it."""
    column = next((c for c in table.columns if c.identity), None)
    if column is None:
        return None
    next_ = int(row[3] or 1) if positions else 1
    return SequenceState(f"{table.name}.{column.name}", next_ - 1 if next_ > 1 else None)


def _columns(name: str, parts: _Parts, maria: bool) -> tuple[list[Column], list[str]]:
    """Columns, and those whose type is refused."""
    json = {r[1] for r in parts.checks[name] if maria and r[2].replace("`", "") == f"json_valid({r[1]})"}
    columns: list[Column] = []
    bad: list[str] = []
    for row in parts.columns[name]:
        _, column, declared, nullable, default, extra, expression, charset, collation, comment = row
        type_: Type | None = type_of(declared, charset=charset, json=column in json)
        if type_ is None:
            bad.append(f"{name}.{column} ({declared})")
            continue
        lowered = extra.lower()
        computed = "generated" in lowered and "default_generated" not in lowered
        columns.append(
            Column(
                column,
                type_,
                nullable=nullable == "YES",
                default=None if computed else _default(default, extra, declared, maria),
                generated=f"({expression if maria else _unescaped(expression)}) {'VIRTUAL' if 'virtual' in lowered else 'STORED'}"
                if computed
                else None,
                identity="by default" if "auto_increment" in lowered else None,
                collation=collation,
                comment=comment or None,
            )
        )
    return columns, bad


def _unescaped(expression: str) -> str:
    """MySQL's catalogue escapes expressions once more than SQL does: every quote follows a backslash there, also the
    first one, where in SQL none can."""
    return expression if re.search(r"(?<!\\)'", expression) else re.sub(r"\\(.)", r"\1", expression)


def _default(value: str | None, extra: str, declared: str, maria: bool) -> str | None:
    """The default as SQL, with what an update sets. MariaDB gives SQL already, MySQL a literal's bare text."""
    update = re.search(r"on update \S+", extra, re.IGNORECASE)
    if value is not None and not maria:
        if "DEFAULT_GENERATED" in extra:
            value = value if re.match(r"(?i)current_timestamp", value) else f"({_unescaped(value)})"
        elif not (declared.startswith("bit") and value.startswith("b'")):
            value = literal(value)
    value = None if value == "NULL" else value
    return " ".join(v for v in (value, update[0] if update else None) if v) or None


def _table(session: Session, row: Row, columns: list[Column], parts: _Parts) -> Table:
    name, kind, _, _, _, options, comment = row
    notes = []
    if kind == "SYSTEM VERSIONED":
        notes.append("system versioning (the present rows are read, not their history)")
    if "partitioned" in (options or ""):
        notes.append("partitions (read as one table)")
    notes += [
        f"column {c.name} is computed when read"
        for c in columns
        if c.generated and c.generated.endswith("VIRTUAL")
    ]
    notes += [
        f"column {row[1]} is invisible (it is restored as a visible one)"
        for row in parts.columns[name]
        if "invisible" in row[5].lower()
    ]
    if not parts.sees_triggers and not is_ours(name):
        notes.append("triggers, if there are any: this user is not shown them (GRANT TRIGGER)")
    primary: tuple[str, ...] = ()
    uniques: list[Unique] = []
    indexes: list[Index] = []
    grouped: dict[str, list[Row]] = defaultdict(list)
    for part in parts.indexes[name]:
        grouped[part[1]].append(part)
    for index, of in grouped.items():
        names = tuple(p[3] for p in of)
        plain = all(p[3] and p[4] is None and p[5] == "A" for p in of) and of[0][6] == "BTREE"
        if index == "PRIMARY" and plain:
            primary = names
        elif index == "PRIMARY":
            notes.append(f"primary key: more than its columns: {_index_sql(of)}")
            primary = names
        elif plain and of[0][2] == "0":
            uniques.append(Unique(index, names))
        else:
            sql = "" if plain else _index_sql(of)
            indexes.append(Index(index, sql, of[0][2] == "0", names if plain else ()))
    return Table(
        name,
        tuple(columns),
        primary_key=primary,
        uniques=tuple(uniques),
        foreign_keys=tuple(_foreign_keys(session.database, parts.keys[name])),
        checks=tuple(_check(r, session.server.maria) for r in parts.checks[name]),
        indexes=tuple(indexes),
        triggers=tuple(r[1] for r in parts.triggers[name]),
        comment=comment or None,
        not_carried=tuple(notes),
    )


def _index_sql(parts: list[Row]) -> str:
    """`[UNIQUE |FULLTEXT |SPATIAL ]KEY NAME (PARTS)[ USING HASH]`, as in CREATE TABLE."""
    first = parts[0]
    special = first[6] if first[6] in ("FULLTEXT", "SPATIAL") else ""
    kind = f"{special} " if special else "UNIQUE " if first[2] == "0" else ""
    listed = []
    for part in parts:
        text = quote(part[3]) if part[3] else f"({_unescaped(part[8])})"
        if part[4] is not None and not special:
            text += f"({part[4]})"
        listed.append(text + (" DESC" if part[5] == "D" else ""))
    using = " USING HASH" if first[6] == "HASH" else ""
    return f"{kind}KEY {quote(first[1])} ({', '.join(listed)}){using}"


def _foreign_keys(database: str, rows: list[Row]) -> list[ForeignKey]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row[1]].append(row)
    return [
        ForeignKey(
            name,
            tuple(r[2] for r in of),
            of[0][4] if of[0][3] == database else f"{of[0][3]}.{of[0][4]}",
            tuple(r[5] for r in of),
            on_delete=rule(of[0][6]),
            on_update=rule(of[0][7]),
        )
        for name, of in grouped.items()
    ]


def rule(text: str) -> str:
    """InnoDB does the same for both, and MariaDB's catalogue names now this one, now that one."""
    return "NO ACTION" if text == "RESTRICT" else text


def _check(row: Row, maria: bool) -> Check:
    _, name, clause, last = row
    if maria:
        return Check(name, f"{OF_COLUMN if last == 'Column' else ''}CHECK ({clause})")
    return Check(name, f"CHECK {_unescaped(clause)}" + ("" if last == "YES" else " NOT ENFORCED"))
