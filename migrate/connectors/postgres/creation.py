"""What PostgreSQL has of its own where tables are created; see `migrate.connectors.creation`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import sqlalchemy as sa

from migrate.connectors.postgres.errors import SqlError, from_psycopg, raised
from migrate.connectors.postgres.session import connect, join_name, mask, quote, quote_table, split_name
from migrate.connectors.postgres.types import sql_type
from migrate.errors import Drift, GateClosed, Unreachable, UsageError
from migrate.model import Column, Kind, Type

DIALECT = "postgresql"
ALTERS_REFERENCES = True
NAME_LENGTH = 63
TABLE_OPTIONS: Mapping[str, Any] = {}
_LONGEST = 10_485_760  # characters of a varchar
_USED = """
SELECT 'view ' || n.nspname || '.' || v.relname
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
JOIN pg_namespace n ON n.oid = v.relnamespace
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND v.oid <> d.refobjid
  AND d.refobjid = %(table)s::regclass
  AND (%(column)s::text IS NULL OR d.refobjsubid = (
       SELECT attnum FROM pg_attribute WHERE attrelid = d.refobjid AND attname = %(column)s::text))
UNION
SELECT 'table ' || CASE WHEN n.nspname = 'public' THEN '' ELSE n.nspname || '.' END || c.relname
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.confrelid = %(table)s::regclass AND k.conrelid <> k.confrelid
  AND (%(column)s::text IS NULL OR (
       SELECT attnum FROM pg_attribute WHERE attrelid = k.confrelid AND attname = %(column)s::text) = ANY(k.confkey))
ORDER BY 1"""


def declared(type_: Type, version: str) -> Type:
    plain = replace(type_, native="" if type_.kind is not Kind.OPAQUE else type_.native)
    if plain.kind is Kind.TEXT and (plain.length or 0) > _LONGEST:
        plain = replace(plain, length=None)
    if plain.item is not None:
        plain = replace(plain, item=declared(plain.item, version))
    return replace(plain, native=sql_type(plain))


def spelled(column: Column) -> str:
    return column.type.native


def fitted(column: Column, parts: int, version: str) -> Column:
    del parts, version
    return column


def referring(column: Column, to: Column) -> Column:
    del to
    return column


def key_column(table: str, column: Column, *, numbered: bool) -> Column:
    made = replace(column, nullable=False)
    if not numbered:
        return made
    schema, name = split_name(table)
    sequence = join_name(
        schema, f"{name}_{column.name}_seq"
    )  # as the server names it, but for very long names
    return replace(made, identity="by default", sequence=sequence)


def place(table: str) -> tuple[str | None, str]:
    return split_name(table)


def prefixes(connection: sa.Connection, referred: Sequence[str]) -> list[str]:
    """A table that refers to an unlogged one must be unlogged itself; in a copy made for a rehearsal all are."""
    names = [quote_table(name) for name in referred]
    found = connection.exec_driver_sql(
        "SELECT count(*) FROM pg_class WHERE relpersistence = 'u' AND oid IN (SELECT to_regclass(n) FROM unnest(%(n)s::text[]) n)",
        {"n": names},
    ).scalar_one()
    return ["UNLOGGED"] if found else []


def lock(connection: sa.Connection, table: str) -> None:
    connection.exec_driver_sql(f"LOCK TABLE {quote_table(table)} IN ACCESS EXCLUSIVE MODE")


def used_by(connection: sa.Connection, table: str, column: str | None) -> list[str]:
    given = {"table": quote_table(table), "column": column}
    return [str(row[0]) for row in connection.exec_driver_sql(_USED, given)]


@contextmanager
def changing(url: str) -> Iterator[sa.Connection]:
    """A transaction that makes or drops tables. Driver errors become ours."""

    def opened() -> psycopg.Connection[Any]:
        connection = connect(url)
        connection.autocommit = False
        return connection

    engine = sa.create_engine("postgresql+psycopg://", creator=opened, poolclass=sa.pool.NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        orig = error.orig
        if not isinstance(orig, psycopg.Error):
            raise
        raise _refused(from_psycopg(orig), mask(url)) from None
    finally:
        engine.dispose()


def _refused(error: SqlError, where: str) -> Exception:
    if error.state in ("42P07", "42701", "42710"):
        return Drift("something of the same name is there already (a view, an index, a type?)", where=where)
    if error.state == "2BP01":
        return GateClosed("something else needs what was to be dropped", where=where)
    return raised(
        error,
        "creating or dropping tables",
        where=where,
        grant="GRANT CREATE ON SCHEMA of the table (and REFERENCES ON tables it refers to), or make this user their owner",
    )


def check_rights(
    connection: psycopg.Connection[Any], new: Sequence[str], changed: Sequence[str], referred: Sequence[str]
) -> None:
    """Raises Unreachable that names the GRANT, UsageError where a schema is not there."""
    user = quote(str(connection.info.user))
    for schema in dict.fromkeys(split_name(t)[0] for t in new):
        row = connection.execute(
            "SELECT to_regnamespace(%s) IS NOT NULL AND has_schema_privilege(to_regnamespace(%s)::oid, 'CREATE'), "
            "to_regnamespace(%s) IS NOT NULL",
            [quote(schema)] * 3,
        ).fetchone()
        assert row is not None
        if not row[1]:
            raise UsageError(
                f"the target has no schema {schema}, in which a table is to be created",
                kept="Nothing was read or changed.",
                hint=f"Create it: CREATE SCHEMA {quote(schema)}; or correct `into`.",
            )
        if not row[0]:
            raise _not_allowed(
                f"to create tables or indexes in schema {schema}",
                f"GRANT CREATE ON SCHEMA {quote(schema)} TO {user}",
            )
    for table in changed:
        row = connection.execute(
            "SELECT pg_has_role(c.relowner, 'USAGE'), c.relowner::regrole::text FROM pg_class c WHERE c.oid = to_regclass(%s)",
            [quote_table(table)],
        ).fetchone()
        if row is not None and not row[0]:
            raise _not_allowed(f"to add columns to {table}, which is {row[1]}'s", f"GRANT {row[1]} TO {user}")
    for table in referred:
        row = connection.execute(
            "SELECT has_table_privilege(to_regclass(%s)::oid, 'REFERENCES')", [quote_table(table)]
        ).fetchone()
        if row is not None and row[0] is False:
            raise _not_allowed(f"to refer to {table}", f"GRANT REFERENCES ON {quote_table(table)} TO {user}")


def _not_allowed(what: str, grant: str) -> Unreachable:
    return Unreachable(
        f"PostgreSQL does not allow this user {what}",
        kept="Nothing was read or changed.",
        hint=f"Let an administrator run: {grant}; then run the same command again.",
    )
