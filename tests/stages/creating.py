"""A world whose target lacks a table and a column of another one, which the run creates."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs import COMPANIES, PEOPLE, Db, World, bare

ENGINES = ("sqlite", "postgresql", "mariadb")
# accounts is there, with rows, and has no legacy_id; contacts and notes are not there.
ACCOUNTS = "CREATE TABLE accounts(id INTEGER PRIMARY KEY, name VARCHAR(80) NOT NULL)"
REMARKS = "CREATE TABLE remarks(id INTEGER PRIMARY KEY, person INTEGER, body VARCHAR(200))"
ENTITIES = """
  accounts:
    from: companies
    key: id
    into: accounts
    create: if_missing
    match: [name]
    fields: {name: {from: company_name, check: required}, legacy_id: id}
  contacts:
    from: people
    key: id
    into: contacts
    create: if_missing
    match: [legacy_id]
    fields:
      name: {from: full_name, check: [required, {max_length: 120}]}
      account_id: {from: co, ref: accounts}
      emails: {list: [{email: mail}]}
      legacy_id: id
  notes:
    from: remarks
    key: id
    into: notes
    create: if_missing
    fields: {id: id, contact_id: {from: person, ref: contacts}, body: body}
"""


def lacking(folder: Path, target_url: str = "") -> World:
    """Two companies, one of them there already; three people; two remarks. `target_url`: of an empty database."""
    world = bare(folder, [COMPANIES, PEOPLE, REMARKS], [ACCOUNTS], ENTITIES, target_url=target_url)
    world.policy = "max_quarantine: 100%, unmapped: ignore"
    world.source.fill("companies", [(1, "Acme", "Leeds"), (2, "Bolt", None)])
    world.source.fill("people", [(1, 1, "Ada", "ada@example.com"), (2, 1, "Bob", None), (3, 2, "Cy", None)])
    world.source.fill("remarks", [(1, 1, "first"), (2, 3, "second")])
    world.target.run("INSERT INTO accounts VALUES (7, 'Acme')", "INSERT INTO accounts VALUES (8, 'Ours')")
    world.write()
    return world


def url_of(engine: str, request: pytest.FixtureRequest) -> str:
    """Of an empty database, or "" for a file in the test's folder."""
    fixture = {"postgresql": "pg_database", "mariadb": "my_database"}.get(engine)
    return str(request.getfixturevalue(fixture)) if fixture else ""


def ours(target: Db) -> list[str]:
    """The business tables that are there."""
    names = [t.removeprefix("public.") for t in target.tables()]
    return [n for n in names if not n.startswith(("_migrate_", "migrate_meta.", "sqlite_"))]


def columns(target: Db, table: str) -> list[str]:
    query = (
        f"SELECT name FROM pragma_table_info('{table}') ORDER BY cid"
        if target.is_sqlite
        else f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' "
        f"AND table_schema = {'DATABASE()' if target.is_mysql else 'current_schema()'} ORDER BY ordinal_position"
    )
    return [row[0] for row in target.rows(query)]


def record(target: Db) -> list[tuple[str, str, str]]:
    """(kind, table and name, state) of everything that was ever created, in order."""
    place = "_migrate_created" if target.is_sqlite or target.is_mysql else "migrate_meta.created"
    rows = target.rows(f"SELECT kind, target_table, name, state FROM {place} ORDER BY run, position")
    return [
        (kind, table if kind == "table" else f"{table}.{name}", state) for kind, table, name, state in rows
    ]
