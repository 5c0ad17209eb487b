"""What `create: if_missing` would create, told from catalogues alone; the SQL of it for each engine is held by goldens."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from migrate.connectors.creation import ddl
from migrate.connectors.mysql.catalog import read_schema as read_mysql_schema
from migrate.connectors.mysql.session import Session
from migrate.connectors.sqlite.catalog import read_schema
from migrate.mapping.load import load_mapping
from migrate.model import Column, Kind, Schema, Table, Type
from migrate.plan_model import Plan
from migrate.stages.plan import Held, held_against

GOLDENS = Path(__file__).parent / "goldens"
SOURCE = """
CREATE TABLE companies (id INTEGER PRIMARY KEY, name VARCHAR(80), parent INTEGER, kind VARCHAR(10));
CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(200), mail TEXT, co INTEGER, boss INTEGER, born DATE,
  seen TIMESTAMP, score DOUBLE, paid DECIMAL(12, 2), long DECIMAL(30, 4), photo BLOB, may_call BOOLEAN, extra JSON, ref UUID);
CREATE TABLE phones (person INTEGER, kind VARCHAR(10), number TEXT, PRIMARY KEY (person, kind));
"""
VERSIONS = {"mysql": "10.11.6-MariaDB"}
WIDE = """
  accounts:
    from: companies
    key: id
    into: accounts
    create: if_missing
    match: [legacy_id]
    fields: {name: name, legacy_id: id, kind: {from: kind, check: {max_length: 40}}}
  contacts:
    from: people
    key: id
    into: contacts
    create: if_missing
    match: [source_id]
    target_sets: {nr: not_null}
    fields:
      name: {from: name, check: [required, {max_length: 120}]}
      given: {from: name, do: [{name: given}]}
      mail: {from: mail, check: required, on_fail: warn}
      account_id: {from: co, ref: accounts, check: required}
      boss_id: {from: boss, ref: {to: contacts, missing: empty_and_flag}, check: required}
      born: born
      seen: {from: seen, read_as: timestamptz}
      score: score
      paid: paid
      long: long
      rounded: {from: paid, do: [{round: 0}]}
      photo: photo
      may_call: may_call
      extra: extra
      ref: ref
      emails: {list: [{email: mail}]}
      band: {from: score, bands: {10: low, above: high}}
      half: {expr: "id / 2"}
      label: {text: "{id} {name}"}
      source: {value: old}
      source_id: id
  phones:
    from: phones
    key: [person, kind]
    into: phones
    create: if_missing
    fields: {person: person, kind: kind, number: number, "Odd name": {from: person, ref: contacts}}
"""


def held(
    folder: Path,
    entities: str,
    engine: str = "sqlite",
    *tables: Table,
    more: str = "",
    versions: Mapping[str, str] = VERSIONS,
) -> Held:
    """The mapping held against the source above and a target of these tables; nothing is connected to."""
    url = "sqlite:///t.db" if engine == "sqlite" else f"{engine}://u@localhost/t"
    file = folder / "m.yaml"
    file.write_text(
        "migrate: 1\nname: demo\nsource: {system: old, url: 'sqlite:///s.db', timezone: UTC}\n"
        f"target: {{url: '{url}'}}\npolicy: {{unmapped: ignore}}\n{more}\nentities:\n{entities}"
    )
    source = sqlite3.connect(":memory:")
    source.executescript(SOURCE)
    try:
        schema = read_schema(source)
    finally:
        source.close()
    target = Schema(engine, versions.get(engine, "0"), tables)
    return held_against(
        load_mapping(file), {"source": schema}, target, engine=engine, now="2026-01-01T00:00:00"
    )


def problems(found: Held) -> list[tuple[str, str, str]]:
    return [(p.code, p.message, p.hint) for p in found.problems]


def existing(engine: str) -> Table:
    """accounts with a UUID key and a name."""
    natives = {"sqlite": ("UUID", "VARCHAR(80)"), "mysql": ("uuid", "varchar(80)")}.get(
        engine, ("uuid", "character varying(80)")
    )
    columns = (
        Column("id", Type(Kind.UUID, natives[0]), nullable=False),
        Column("name", Type(Kind.TEXT, natives[1], length=80)),
    )
    return Table("accounts", columns, primary_key=("id",))


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mysql"])
@pytest.mark.parametrize("there", [False, True], ids=["new", "existing"])
def test_the_sql(tmp_path: Path, engine: str, there: bool) -> None:
    """Regenerate with care: the file is what a person reviews."""
    found = held(tmp_path, WIDE, engine, *([existing(engine)] if there else []))
    assert problems(found) == []
    text = "\n\n".join(ddl(engine, found.creates)) + "\n"
    golden = GOLDENS / f"create_{'existing' if there else 'new'}.{engine}.sql"
    assert text == golden.read_text(encoding="utf-8")


def test_sqlite_takes_the_sql(tmp_path: Path) -> None:
    """As printed, in order, and its catalogue then says what the plan said."""
    found = held(tmp_path, WIDE)
    database = sqlite3.connect(":memory:")
    for statement in ddl("sqlite", found.creates):
        database.execute(statement)
    made = read_schema(database)
    for table in found.creates:
        assert made.table(table.name).columns == table.columns
        assert made.table(table.name).primary_key == table.primary_key
    database.close()


def test_mariadb_takes_the_sql(tmp_path: Path, my_database: str) -> None:
    """As printed, in order, and its catalogue then says what the plan said: column by column, also how texts compare."""
    with Session(my_database) as session:
        found = held(tmp_path, WIDE, "mysql", versions={"mysql": session.server.text})
        for statement in ddl("mysql", found.creates):
            session.execute(statement)
        made = read_mysql_schema(session, None)
    for table in found.creates:
        assert made.table(table.name).columns == table.columns
        assert made.table(table.name).primary_key == table.primary_key
        assert {f.columns for f in made.table(table.name).foreign_keys} == {
            f.columns for f in table.foreign_keys
        }


@pytest.mark.parametrize("version", ["10.11.6-MariaDB", "8.0.36"])
def test_texts_under_a_key_have_a_length_and_compare_as_bytes_in_mysql(tmp_path: Path, version: str) -> None:
    entities = WIDE.replace("match: [source_id]", "match: [mail]").replace(
        "key: [person, kind]", "key: [number, kind]"
    )
    found = held(tmp_path, entities, "mysql", versions={"mysql": version})
    assert problems(found) == []
    tables = {t.name: t for t in found.creates}
    mail = tables["contacts"].column("mail")
    bytewise = "utf8mb4_nopad_bin" if "MariaDB" in version else "utf8mb4_0900_bin"
    assert (mail.type.native, mail.collation) == ("varchar(768)", bytewise)
    number = tables["phones"].column("number")
    assert (tables["phones"].primary_key, number.type.native) == (("number", "kind"), "varchar(384)")
    given = tables["contacts"].column("given")
    assert given.type.native == "longtext"
    assert given.collation in ("utf8mb4_unicode_ci", "utf8mb4_0900_ai_ci")


def test_a_plan_keeps_what_is_to_be_created(tmp_path: Path) -> None:
    found = held(tmp_path, WIDE, "postgresql")
    empty: tuple[Any, ...] = ("run", "d", {}, "t", (), {}, {}, (), (), "now")
    plan = Plan(*empty, creates=found.creates, ddl=("CREATE",))  # type: ignore[misc]
    import json

    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan


ONE = "  accounts: {from: companies, key: id, into: accounts, fields: {name: name, legacy_id: id}}\n"


def test_a_missing_table_or_column_without_create_is_wrong_and_the_hint_names_it(tmp_path: Path) -> None:
    (missing,) = problems(held(tmp_path, ONE))
    assert missing[0] == "unknown_table"
    assert "create: if_missing" in missing[2]
    (column,) = problems(held(tmp_path, ONE, "sqlite", existing("sqlite")))
    assert (column[0], column[1]) == ("unknown_column", 'the target table accounts has no column "legacy_id"')
    assert "create: if_missing" in column[2]


WRONG = {
    "never brings rows": (
        "  accounts: {from: companies, key: id, into: accounts, create: if_missing, write: update, match: [legacy_id], fields: {name: name, legacy_id: id}}\n",
        "unknown_table",
        "never brings rows",
    ),
    "two types": (
        "  accounts: {from: companies, key: id, into: all, create: if_missing, fields: {x: id}}\n"
        "  contacts: {from: people, key: id, into: all, create: if_missing, fields: {x: born}}\n",
        "create",
        "all.x is to be created, and would be INTEGER (accounts) and DATE (contacts)",
    ),
    "a key that one does not give": (
        "  accounts: {from: companies, key: id, into: all, create: if_missing, fields: {id: id}}\n"
        "  contacts: {from: people, key: id, into: all, create: if_missing, fields: {name: name}}\n",
        "create",
        "other entities give the key all.id, and contacts does not",
    ),
    "a column of the target's own": (
        "  accounts: {from: companies, key: id, into: accounts, create: if_missing, target_sets: {updated_at: any}, fields: {name: name}}\n",
        "create",
        "nothing says what updated_at of it would hold",
    ),
    "a circle of required references": (
        "  accounts: {from: companies, key: id, into: accounts, create: if_missing, fields: {id: id, p: {from: parent, ref: contacts, check: required}}}\n"
        "  contacts: {from: people, key: id, into: contacts, create: if_missing, fields: {id: id, a: {from: co, ref: accounts, check: required}}}\n",
        "cyclic_not_null",
        "refer to each other through columns that take no NULL",
    ),
    "a reference to a key of two columns": (
        "  phones: {from: phones, key: [person, kind], into: phones, create: if_missing, fields: {person: person, kind: kind}}\n"
        "  contacts: {from: people, key: id, into: contacts, create: if_missing, fields: {id: id, p: {from: [id, name], ref: phones}}}\n",
        "composite_key",
        "phones has a key of several columns",
    ),
    "a column that the source does not have": (
        "  accounts: {from: companies, key: id, into: accounts, create: if_missing, fields: {name: nome}}\n",
        "unknown_column",
        'the source table companies has no column "nome"',
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_uses_are_told_at_once(tmp_path: Path, case: str) -> None:
    entities, code, words = WRONG[case]
    found = problems(held(tmp_path, entities))
    assert [c for c, _, _ in found] == [code]
    assert words in " ".join(found[0][1:])


def test_a_column_that_is_there_with_another_type_is_wrong(tmp_path: Path) -> None:
    """It is not created, so it must be able to take the values, as ever."""
    bytes_ = Column("legacy_id", Type(Kind.BYTES, "bytea"))
    table = existing("postgresql")
    there = Table("accounts", (*table.columns, bytes_), primary_key=("id",))
    (found,) = problems(
        held(tmp_path, ONE.replace("into:", "create: if_missing, into:"), "postgresql", there)
    )
    assert found[0] == "type"
    assert "int never becomes bytes" in found[1]
