"""What MySQL and MariaDB have of their own where tables are created; see `migrate.connectors.creation`.

Every statement stands at once: none can be taken back with a transaction. Texts under a key or a unique index have a
length, which those servers ask for, and compare as bytes: an index that takes `0015x` and `0015X` for the same would
refuse rows that differ. Other texts compare in any case, so that people find what they search for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pymysql
import sqlalchemy as sa

from migrate.connectors.locked import Locked
from migrate.connectors.mysql.errors import from_driver, raised
from migrate.connectors.mysql.locks import name_holders
from migrate.connectors.mysql.read import account
from migrate.connectors.mysql.session import WRITING, Session, literal, quote, server_of
from migrate.connectors.mysql.types import KEY_BYTES, Server, base_name, is_text, sql_type, type_of
from migrate.connectors.mysql.url import mask
from migrate.errors import Drift, MigrateError, Unreachable
from migrate.model import Column, Kind, Type

DIALECT = "mysql"
ALTERS_REFERENCES = True
NAME_LENGTH = 64
TABLE_OPTIONS: Mapping[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_row_format": "DYNAMIC",
}
_FOR_PEOPLE = {"MariaDB": "utf8mb4_unicode_ci", "MySQL": "utf8mb4_0900_ai_ci"}
_IN_ROW = 255  # characters; longer texts lie outside, for all of a row together may have 65,535 bytes
_SHOWN = {"smallint": "smallint(6)", "int": "int(11)", "bigint": "bigint(20)"}
_DIGITS, _SCALE = 65, 30  # of a decimal
_TABLE = re.compile(
    r"\b(?:TABLES?|ON)\s+`?((?:[^`\s(]|``)+)`?"
)  # what a statement makes, changes, drops or locks
_SAME_NAME = (1050, 1060, 1061, 1826, 121, 1005)
_NEEDED = (1451, 1217, 1553, 3730, 1829, 1828)
_USED = """
SELECT 'view', TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()
UNION ALL SELECT 'trigger', TRIGGER_NAME, CONCAT('`', EVENT_OBJECT_TABLE, '` ', ACTION_STATEMENT)
FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()
UNION ALL SELECT LOWER(ROUTINE_TYPE), ROUTINE_NAME, ROUTINE_DEFINITION
FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()"""
_REFERRING = """
SELECT DISTINCT CONCAT('table ', TABLE_NAME) FROM information_schema.KEY_COLUMN_USAGE
WHERE REFERENCED_TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME = {table} AND TABLE_NAME <> {table}"""
_RIGHTS = """
SELECT '', PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = {who}
UNION SELECT '', PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES
WHERE GRANTEE = {who} AND DATABASE() LIKE TABLE_SCHEMA
UNION SELECT TABLE_NAME, PRIVILEGE_TYPE FROM information_schema.TABLE_PRIVILEGES
WHERE GRANTEE = {who} AND TABLE_SCHEMA = DATABASE()"""


def declared(type_: Type, version: str) -> Type:
    server = server_of(version)
    plain = replace(type_, native="", labels=(), fixed=False)
    if plain.kind is Kind.TEXT and (plain.length or 0) > _IN_ROW:
        plain = replace(plain, length=None)
    if plain.kind is Kind.DECIMAL and (
        (plain.precision or _DIGITS + 1) > _DIGITS or (plain.scale or 0) > _SCALE
    ):
        plain = Type(Kind.TEXT)
    return _read_back(sql_type(plain, server), server, json=plain.kind is Kind.JSON)


def _read_back(spelling: str, server: Server, *, json: bool = False) -> Type:
    """The type as the catalogue will tell it. MariaDB says how wide a number is shown; its JSON is a longtext that is
    checked."""
    if server.maria:
        spelling = _SHOWN.get(spelling, spelling)
    found = type_of("longtext" if json and server.maria else spelling, charset="utf8mb4", json=json)
    if found is None:
        raise AssertionError(f"no type of this program: {spelling}")
    return found


def spelled(column: Column) -> str:
    type_ = column.type
    words = ["json" if type_.kind is Kind.JSON else type_.native]
    if is_text(type_) and type_.kind is not Kind.JSON and column.collation:
        words.append(f"CHARACTER SET {column.collation.partition('_')[0]} COLLATE {column.collation}")
    if base_name(type_) == "timestamp" and column.nullable:
        words.append("NULL")  # else older servers make it NOT NULL, and set it with every update
    if column.identity:
        words.append("AUTO_INCREMENT")
    return " ".join(words)


def key_column(table: str, column: Column, *, numbered: bool) -> Column:
    del table
    return replace(column, nullable=False, identity="by default" if numbered else None)


def fitted(column: Column, parts: int, version: str) -> Column:
    server = server_of(version)
    if column.type.kind is Kind.JSON:
        return replace(column, collation="utf8mb4_bin" if server.maria else None)
    if not is_text(column.type):
        return column
    if not parts or column.type.kind is not Kind.TEXT:
        return replace(column, collation=_FOR_PEOPLE[server.name])
    room = KEY_BYTES // 4 // parts
    fits = column.type.length is not None and column.type.length <= room
    type_ = column.type if fits else _read_back(f"varchar({room})", server)
    return replace(column, type=type_, collation=server.bytewise)


def referring(column: Column, to: Column) -> Column:
    """A reference and the key that it means compare alike, or the server refuses it."""
    return replace(column, type=to.type, collation=to.collation) if column.type.kind is Kind.TEXT else column


def place(table: str) -> tuple[str | None, str]:
    return None, table


def prefixes(connection: sa.Connection, referred: Sequence[str]) -> list[str]:
    del connection, referred
    return []


def lock(connection: sa.Connection, table: str) -> None:
    """Held until the connection is given back: no transaction holds anything across these statements."""
    connection.exec_driver_sql(f"LOCK TABLES {quote(table)} WRITE")


def used_by(connection: sa.Connection, table: str, column: str | None) -> list[str]:
    """A view, trigger or routine whose text names the table (and the column) counts as one that needs it."""
    found = [
        f"{kind} {name}"
        for kind, name, text in connection.exec_driver_sql(_USED)
        if all(_names(text or "", n) for n in (table, column) if n)
    ]
    query = _REFERRING.format(table=literal(table))
    if column is not None:
        query += f" AND REFERENCED_COLUMN_NAME = {literal(column)}"
    return [*found, *(str(row[0]) for row in connection.exec_driver_sql(query))]


def _names(sql: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sql, re.IGNORECASE) is not None


@contextmanager
def changing(url: str) -> Iterator[sa.Connection]:
    """A connection that makes or drops tables. Driver errors become ours."""
    session = Session(url, WRITING)
    where = mask(url)
    engine = sa.create_engine(
        "mysql+pymysql://", creator=lambda: session.driver, poolclass=sa.pool.StaticPool
    )
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        found = _refused(error.orig, session, where)
        if isinstance(found, Locked) and (table := _TABLE.search(error.statement or "")):
            name_holders(found, url, table[1].replace("``", "`"), declaring=True)
        raise found from None
    finally:
        engine.dispose()
        session.close()


def _refused(error: BaseException | None, session: Session, where: str) -> Exception:
    if not isinstance(error, pymysql.MySQLError):
        raise error or AssertionError("an error of the driver without one")
    found = from_driver(error, session.server.name)
    if found.number in _SAME_NAME:
        return Drift(
            "something of the same name is there already (a view, an index, a foreign key?)", where=where
        )
    if found.number in _NEEDED:
        return Drift("something else needs what was to be dropped", where=where)
    if found.number in (1118, 1071):
        return Unreachable(
            "the table would be too wide: its texts have more bytes together than a row or a key may have",
            where=where,
            hint="Hold fewer texts to a max_length (longer ones lie outside the row), or create the table yourself.",
        )
    database, user = quote(session.database), account(session.user)
    grant = f"GRANT CREATE, ALTER, INDEX, REFERENCES, DROP ON {database}.* TO {user}"
    return raised(found, "creating or dropping tables", where=where, grant=grant)


def check_rights(
    session: Session, new: Sequence[str], changed: Sequence[str], referred: Sequence[str]
) -> None:
    """Raises Unreachable that names the GRANT. A user with a role may have more rights than can be told: then the
    server itself will say."""
    if session.value("SELECT CURRENT_ROLE()") not in (None, "NONE", ""):
        return
    who = literal(account(session.user))
    found: dict[str, set[str]] = {}
    for table, right in session.rows(_RIGHTS.format(who=who)):
        found.setdefault(table, set()).add(right)
    everywhere = found.get("", set())
    wanted = [("", right) for right in ("CREATE", "INDEX", "DROP")] if new else []
    wanted += [(table, right) for table in changed for right in ("ALTER", "INDEX", "DROP")]
    wanted += [
        (table, "REFERENCES") for table in referred if not session.server.maria
    ]  # there it means nothing
    lacking = [(t, r) for t, r in wanted if r not in everywhere | (found.get(t, set()) if t else set())]
    if lacking:
        raise _not_allowed(session, lacking)


def _not_allowed(session: Session, lacking: Sequence[tuple[str, str]]) -> MigrateError:
    rights = list(dict.fromkeys(right for _, right in lacking))
    where = list(dict.fromkeys(table or "any table of the database" for table, _ in lacking))
    return Unreachable(
        f"{session.server.name} does not allow this user what creating tables and columns needs, in {', '.join(where)}",
        kept="Nothing was read or changed.",
        hint=f"Let an administrator run: GRANT {', '.join(rights)} ON {quote(session.database)}.* TO {account(session.user)}; "
        "then run the same command again.",
    )
