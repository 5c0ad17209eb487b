"""Whole runs with MariaDB as source, as target and as both; a second run, a change, and all of it undone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from migrate.connectors.mysql import scratch

from tests import mariadb
from tests.connectors.mysql_world import LENIENT
from tests.runs import Db, World, balance, is_one_clear_paragraph, places_of

SOURCE = {
    "mysql": (
        LENIENT,
        """CREATE TABLE companies (id int unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(80) CHARACTER SET latin1 NOT NULL,
             parent int unsigned, since date, size enum('small','large'), FOREIGN KEY (parent) REFERENCES companies (id))""",
        """CREATE TABLE people (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, co int unsigned, mail varchar(80), opted tinyint(1),
             worth decimal(12,2), made datetime(3), note text)""",
        """INSERT INTO companies VALUES (1, 'Zoë & Söhne', NULL, '1999-12-31', 'large'), (2, 'Bolt', 1, '0000-00-00', 'small'),
             (3, 'Cy', 2, NULL, NULL)""",
        """INSERT INTO people VALUES (1, 1, 'ada@x.example', 1, 10.50, '2024-02-29 12:00:00.125', 'tab\\tand \\\\ slash'),
             (2, 2, 'bob@x.example', 0, NULL, NULL, ''), (3, 3, 'ADA@X.example', NULL, -1, NULL, NULL)""",
    ),
    "sqlite": (
        "CREATE TABLE companies (id INTEGER PRIMARY KEY, name VARCHAR(80), parent INTEGER, since DATE, size VARCHAR(9))",
        """CREATE TABLE people (id INTEGER PRIMARY KEY, co INTEGER, mail VARCHAR(80), opted BOOLEAN, worth DECIMAL(12,2),
             made TIMESTAMP, note TEXT)""",
        """INSERT INTO companies VALUES (1, 'Zoë & Söhne', NULL, '1999-12-31', 'large'), (2, 'Bolt', 1, NULL, 'small'),
             (3, 'Cy', 2, NULL, NULL)""",
        """INSERT INTO people VALUES (1, 1, 'ada@x.example', 1, 10.5, '2024-02-29 12:00:00.125', 'tab' || char(9) || 'and \\ slash'),
             (2, 2, 'bob@x.example', 0, NULL, NULL, ''), (3, 3, 'ADA@X.example', NULL, -1, NULL, NULL)""",
    ),
}  # fmt: skip
TARGET = {
    "mysql": (
        """CREATE TABLE accounts (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(80) NOT NULL, parent_id bigint unsigned,
             since date, size enum('small','large'), FOREIGN KEY (parent_id) REFERENCES accounts (id))""",
        """CREATE TABLE contacts (id char(36) CHARACTER SET ascii PRIMARY KEY, account_id bigint unsigned NOT NULL, email varchar(80) UNIQUE,
             opted_in tinyint(1), worth decimal(12,2), made datetime(6), note text, FOREIGN KEY (account_id) REFERENCES accounts (id))""",
        "INSERT INTO accounts (id, name) VALUES (40, 'ours')",
    ),
    "postgresql": (
        """CREATE TABLE accounts (id bigserial PRIMARY KEY, name varchar(80) NOT NULL, parent_id bigint REFERENCES accounts (id),
             since date, size varchar(9))""",
        """CREATE TABLE contacts (id uuid PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts (id), email varchar(80),
             opted_in boolean, worth numeric(12,2), made timestamp, note text)""",
        "CREATE UNIQUE INDEX contacts_email ON contacts (lower(email))",
        "INSERT INTO accounts (name) VALUES ('ours')",
    ),
}  # fmt: skip
ENTITIES = """
  accounts:
    from: companies
    key: id
    into: accounts
    fields: {name: name, parent_id: {from: parent, ref: accounts}, since: since, size: size}
  contacts:
    from: people
    key: id
    into: contacts
    fields: {account_id: {from: co, ref: accounts}, email: mail, opted_in: opted, worth: worth, made: made, note: note}
"""
PAIRS = [("mysql", "mysql"), ("mysql", "postgresql"), ("sqlite", "mysql")]
MADE = dt.datetime(2024, 2, 29, 12, 0, 0, 125000)


@pytest.fixture
def make_world(
    tmp_path: Path, make_my_database: Callable[[], str], request: pytest.FixtureRequest
) -> Callable[[str, str], World]:
    def make(source: str, target: str) -> World:
        source_url = make_my_database() if source == "mysql" else f"sqlite:///{tmp_path}/source.db"
        target_url = make_my_database() if target == "mysql" else request.getfixturevalue("pg_database")
        world = World(
            tmp_path,
            Db(source_url),
            Db(target_url),
            source_more=", nulls: ['0000-00-00']",
            more=f"scratch: {{source: '{source_url}', target: '{target_url}'}}" if source == "mysql" else "",
            entities=ENTITIES,
        )
        world.source.run(*SOURCE[source])
        world.target.run(*TARGET[target])
        return world

    return make


def people(world: World) -> list[tuple[Any, ...]]:
    return world.target.rows(
        "SELECT a.name, c.email, c.opted_in, c.worth, c.made, c.note FROM contacts c JOIN accounts a ON a.id = c.account_id "
        "ORDER BY a.name"
    )


@pytest.mark.promise(11)
@pytest.mark.promise(15)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_p15_a_run_a_second_one_a_change_and_all_of_it_undone(
    make_world: Callable[[str, str], World], source: str, target: str
) -> None:
    world = make_world(source, target)
    before = world.target.rows("SELECT * FROM accounts")
    first = world.run()
    assert first["state"] == "verified"
    assert balance(first, "accounts")["loaded"] == 3
    assert balance(first, "contacts")["loaded"] == 2
    assert world.codes("contacts") == {'["3"]': ["db_unique"]}  # the same address in other letters
    assert people(world) == [
        ("Bolt", "bob@x.example", 0, None, None, ""),
        ("Zoë & Söhne", "ada@x.example", 1, Decimal("10.50"), MADE, "tab\tand \\ slash"),
    ]
    assert world.target.rows(
        "SELECT a.name, p.name, a.since, a.size FROM accounts a LEFT JOIN accounts p ON p.id = a.parent_id ORDER BY a.name"
    )[:2] == [("Bolt", "Zoë & Söhne", None, "small"), ("Cy", "Bolt", None, None)]

    world.source.run("UPDATE people SET worth = 99, mail = 'new@x.example' WHERE id = 2")
    second = world.run()
    assert balance(second, "accounts")["unchanged"] == 3
    assert balance(second, "contacts")["quarantined"] >= 1
    done = world.command("rollback", "latest", "--yes", "--json")
    assert done.code == 0, done.err
    done = world.command("rollback", first["run"], "--yes", "--json")
    assert done.code == 0, done.err
    assert world.target.rows("SELECT * FROM accounts") == before
    assert world.target.rows("SELECT * FROM contacts") == []


@pytest.mark.promise(30)
def test_p30_the_rehearsal_runs_in_a_copy_on_the_server(
    make_world: Callable[[str, str], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world("mysql", "mysql")
    made: list[str] = []
    plain = scratch.open_scratch

    def open_scratch(url: str | None, *, folder: Path, name: str, run: str) -> scratch.MysqlScratch:
        made.append(name)
        return plain(url, folder=folder, name=name, run=run)

    monkeypatch.setattr(scratch, "open_scratch", open_scratch)
    done = world.command("plan", str(world.write()), "--rehearse", "--json")
    assert done.code == 0, done.err
    assert people(world) == []
    there = {d["Database"] for d in mariadb.query(world.target.url, "SHOW DATABASES")}
    assert made
    assert not there & set(made)


@pytest.mark.promise(26)
def test_p26_passwords_are_nowhere(
    make_world: Callable[[str, str], World], mariadb_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in what is printed, nor in the ledger, the report or the backups."""
    world = make_world("sqlite", "mysql")
    user = f"u_{mariadb.name_of(world.target.url)[-12:]}"
    mariadb.execute(
        mariadb_server,
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'canary%pass'",
        f"GRANT ALL ON `{mariadb.name_of(world.target.url)}`.* TO '{user}'@'%'",
        rf"GRANT ALL ON `migrate\_scratch\_%`.* TO '{user}'@'%'",
    )
    try:
        monkeypatch.setenv("CRM_URL", world.target.url.replace("//root@", f"//{user}:canary%25pass@"))
        world.target_url = "${CRM_URL}"
        assert world.run()["state"] == "verified"
        mariadb.execute(mariadb_server, rf"REVOKE ALL ON `migrate\_scratch\_%`.* FROM '{user}'@'%'")
        world.source.run("UPDATE people SET worth = 5 WHERE id = 1")
        text = world.says("--fresh", code=5)
        is_one_clear_paragraph(text, rf"GRANT ALL ON `migrate\_scratch\_%`.* TO '{user}'@'%'")
    finally:
        mariadb.execute(mariadb_server, f"DROP USER '{user}'@'%'")
    assert "canary" not in world.printed()
    assert places_of([world.home, world.vault], b"canary") == []


@pytest.mark.fineprint(2)
def test_f02_tables_without_transactions_are_refused_by_name(make_world: Callable[[str, str], World]) -> None:
    world = make_world("sqlite", "mysql")
    world.target.run(
        "ALTER TABLE contacts DROP FOREIGN KEY contacts_ibfk_1", "ALTER TABLE contacts ENGINE=MyISAM"
    )
    error = world.run(code=2)
    assert "contacts (a MyISAM table" in error["message"]
    assert people(world) == []


def test_a_wrong_password_is_one_clear_paragraph(
    make_world: Callable[[str, str], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world("sqlite", "mysql")
    monkeypatch.setenv("CRM_URL", world.target.url.replace("//root@", "//nobody:canary@"))
    world.target_url = "${CRM_URL}"
    text = world.says(code=5)
    is_one_clear_paragraph(text, "does not let this user in", "Check user and password")
    assert "canary" not in text
    assert "pymysql" not in text


def test_a_source_key_that_is_too_long_for_a_key_of_innodb(
    make_my_database: Callable[[], str], tmp_path: Path
) -> None:
    world = World(
        tmp_path,
        Db(f"sqlite:///{tmp_path}/source.db"),
        Db(make_my_database()),
        entities="\n  notes:\n    from: notes\n    key: name\n    into: notes\n    fields: {body: body}\n",
    )
    world.source.run("CREATE TABLE notes (name TEXT PRIMARY KEY, body TEXT)")
    world.target.run("CREATE TABLE notes (id char(36) PRIMARY KEY, body text)")
    world.source.fill("notes", [("ü" * 500, "a"), ("b", "b")])
    assert world.run()["state"] == "verified"
    world.source.fill("notes", [("ü" * 600, "c")])
    text = world.says(code=2)
    is_one_clear_paragraph(text, "source_key has to fit", "566 characters")
    assert "ü" not in text
    assert len(world.target.rows("SELECT * FROM notes")) == 2
