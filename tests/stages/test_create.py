"""`create: if_missing`: runs that make tables and columns of their target, and undo them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from migrate import failpoints

from tests import mariadb
from tests.faults import child
from tests.runs import World, complete, is_one_clear_paragraph
from tests.stages.creating import ENGINES, columns, lacking, ours, record, url_of

CREATED = "Created in the target: table contacts, table notes, column accounts.legacy_id."


@pytest.fixture(params=ENGINES)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return lacking(tmp_path, url_of(request.param, request))


def _everything(world: World) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "accounts": world.target.rows("SELECT name, legacy_id FROM accounts ORDER BY name"),
        "contacts": world.target.rows(
            "SELECT c.name, a.name, c.legacy_id FROM contacts c JOIN accounts a ON a.id = c.account_id ORDER BY c.legacy_id"
        ),
        "notes": world.target.rows(
            "SELECT n.id, c.name, n.body FROM notes n JOIN contacts c ON c.id = n.contact_id ORDER BY n.id"
        ),
    }


LOADED = {
    "accounts": [("Acme", 1), ("Bolt", 2), ("Ours", None)],
    "contacts": [("Ada", "Acme", 1), ("Bob", "Acme", 2), ("Cy", "Bolt", 3)],
    "notes": [(1, "Ada", "first"), (2, "Cy", "second")],
}


def _is_as_before(world: World) -> None:
    assert ours(world.target) == ["accounts"]
    assert columns(world.target, "accounts") == ["id", "name"]
    assert sorted(world.target.rows("SELECT * FROM accounts")) == [(7, "Acme"), (8, "Ours")]
    assert {state for _, _, state in record(world.target)} == {"dropped"}


def test_what_is_missing_is_created_filled_found_again_and_undone(world: World) -> None:
    document = world.run()
    assert document["state"] == "verified"
    assert _everything(world) == LOADED
    kinds = [(kind, what) for kind, what, _ in record(world.target)]
    assert kinds[:3] == [("table", "contacts"), ("table", "notes"), ("column", "accounts.legacy_id")]
    assert {state for _, _, state in record(world.target)} == {"made"}
    assert CREATED in " ".join(world.command("report", "latest").out.split())
    again = world.run()
    assert {n: b["unchanged"] for n, b in again["balances"].items()} == {
        "accounts": 2,
        "contacts": 3,
        "notes": 2,
    }
    done = world.command("rollback", document["run"], "--yes", "--json")
    assert (done.code, done.document["proof"]["passed"]) == (0, True), done.out
    assert [c["what"] for c in done.document["created"] if c["dropped"]] == [
        "column accounts.legacy_id",
        "table contacts",
        "table notes",
    ]
    _is_as_before(world)


@pytest.mark.fineprint(6)
def test_f6_nothing_is_created_before_the_gate(world: World) -> None:
    """Neither by a plan, nor by a rehearsal, nor by any stage before load, nor where the gate stays closed."""
    done = world.command("plan", str(world.mapping), "--rehearse", "--json")
    assert (done.code, done.document["rehearsal"]["state"]) == (0, "verified"), done.out
    world.run("--to", "transform")
    before = ours(world.target)
    for stored in world.objects():
        stored.chmod(0o600)
        stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    error = world.run(code=6)
    assert (before, ours(world.target), columns(world.target, "accounts")) == (
        ["accounts"],
        ["accounts"],
        ["id", "name"],
    )
    assert not [t for t in world.target.tables() if "migrate" in t], error


@pytest.mark.promise(21)
def test_p21_killed_at_each_statement_and_record_the_run_ends_as_if_nothing_had_happened(
    world: World,
) -> None:
    for arm in (
        *("load.create.intended:1:kill", "load.create.executed:1:kill", "load.create.committed:1:kill"),
        *("load.create.noted:1:kill", "load.create.executed:2:kill", "load.create.told:1:kill"),
    ):
        killed = child.command("run", world.mapping, arm=arm)
        assert killed.code == -signal.SIGKILL, (arm, killed)
    done = child.command("run", world.mapping)
    assert (done.code, done.answer["state"]) == (0, "verified"), done
    assert _everything(world) == LOADED
    assert {state for _, _, state in record(world.target)} == {"made"}
    for arm in (
        *("created.before_drop:1:kill", "created.dropped:1:kill", "created.drop_noted:2:kill"),
        *("created.dropped:2:kill", "rollback.withdrawn:1:kill"),
    ):
        killed = child.command("rollback", world.mapping, arm=arm)
        assert killed.code == -signal.SIGKILL, (arm, killed)
    done = child.command("rollback", world.mapping)
    assert (done.code, done.answer["state"]) == (0, "rolled_back"), done
    _is_as_before(world)


def test_what_others_use_is_kept_and_said(world: World) -> None:
    run = world.run()["run"]
    world.target.run(
        "UPDATE accounts SET legacy_id = 99 WHERE name = 'Ours'",
        "CREATE VIEW names AS SELECT name FROM contacts",
        "INSERT INTO notes (id, body) VALUES (77, 'theirs')",
    )
    seen = world.command("rollback", run, "--preview", "--json").document
    assert {c["what"]: c["dropped"] for c in seen["created"]}["table contacts"] is False
    done = world.command("rollback", run, "--yes", "--json")
    assert done.code == 3, done.out
    kept = {c["what"]: c["reason"] for c in done.document["created"]}
    assert kept["column accounts.legacy_id"] == "1 rows hold a value in legacy_id"
    assert kept["table notes"] == "1 rows are in it that this run did not write or could not undo"
    assert "names" in kept["table contacts"]
    assert any(d.startswith("table notes stays:") for d in done.document["proof"]["differences"])
    assert world.target.rows("SELECT id, body FROM notes") == [(77, "theirs")]
    assert world.target.one("SELECT count(*) FROM contacts") == 0
    assert ("table", "notes", "kept") in record(world.target)


def _stopped_after_creating(world: World) -> None:
    failpoints.arm("load.assigned:1:raise")
    try:
        done = world.command("run", str(world.mapping), "--json")
    finally:
        failpoints.arm()
    assert done.code == 1, done.out
    assert ours(world.target) == ["accounts", "contacts", "notes"]


def test_a_target_that_drifts_after_the_creation_is_proven_anew_without_it(world: World) -> None:
    _stopped_after_creating(world)
    world.target.run("INSERT INTO accounts (id, name) VALUES (9, 'New')")
    assert world.run()["state"] == "verified"
    found = _everything(world)
    assert found["accounts"] == [("Acme", 1), ("Bolt", 2), ("New", None), ("Ours", None)]
    assert found["contacts"] == LOADED["contacts"]


def test_rows_of_others_in_what_was_just_created_stop_the_run(world: World) -> None:
    _stopped_after_creating(world)
    world.target.run("INSERT INTO notes (id, body) VALUES (77, 'theirs')")
    error = world.run(code=7)
    complete(error)
    assert "table notes" in error["message"]
    assert world.target.one("SELECT count(*) FROM contacts") == 0


def test_another_mapping_after_the_creation_needs_a_rollback_first(world: World) -> None:
    _stopped_after_creating(world)
    world.entities = world.entities.replace("body: body", "body: {from: body, do: [trim]}")
    error = world.run(code=7)
    assert "created tables or columns" in error["message"]
    assert "migrate rollback" in error["hint"]
    run = error["hint"].split("`migrate rollback ")[1].split("`")[0]
    done = world.command("rollback", run, "--yes", "--json")
    assert done.code == 0, done.out
    _is_as_before(world)


def test_something_that_others_made_meanwhile_is_not_taken_for_ours(world: World) -> None:
    world.run("--to", "transform")
    world.target.run("CREATE TABLE notes (id INTEGER PRIMARY KEY, contact_id DATE, body VARCHAR(3))")
    error = world.run(code=7)
    complete(error)
    assert "table notes" in error["message"]
    assert "not as this run is to create it" in error["message"]


def test_a_role_without_the_right_is_told_the_grant(
    make_pg_database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is read: exit 5."""
    url = make_pg_database()
    world = lacking(tmp_path, url)
    role = f"t_role_{tmp_path.name[-8:]}".replace("-", "_").lower()
    name = url.rsplit("/", 1)[1]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"DROP ROLE IF EXISTS {role}".encode())
        server.execute(f"CREATE ROLE {role} LOGIN CREATEDB PASSWORD 'pw'".encode())
        server.execute(f"GRANT CREATE ON DATABASE {name} TO {role}".encode())
        server.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        server.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON accounts TO {role}".encode())
    try:
        parts = urlsplit(url)
        place = f"{role}:pw@{parts.hostname}:{parts.port}"
        monkeypatch.setenv("T_TARGET", urlunsplit(parts._replace(netloc=place)))
        world.target_url = "${T_TARGET}"
        text = world.says(code=5)
        is_one_clear_paragraph(text, "GRANT CREATE ON SCHEMA", role)
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f"GRANT CREATE ON SCHEMA public TO {role}".encode())
        assert "GRANT postgres TO" in world.says(code=5)  # a column is added by the table's owner only
    finally:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f"DROP OWNED BY {role}".encode())
            server.execute(f"DROP ROLE {role}".encode())


def test_a_mariadb_user_without_the_right_is_told_the_grant(
    my_database: str, mariadb_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = lacking(tmp_path, my_database)
    name, user = mariadb.name_of(my_database), f"u_{mariadb.name_of(my_database)[-12:]}"
    mariadb.execute(
        mariadb_server,
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'canary'",
        f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, CREATE TEMPORARY TABLES ON `{name}`.* TO '{user}'@'%'",
        rf"GRANT ALL ON `migrate\_scratch\_%`.* TO '{user}'@'%'",
    )
    try:
        monkeypatch.setenv("T_TARGET", my_database.replace("//root@", f"//{user}:canary@"))
        world.target_url = "${T_TARGET}"
        text = world.says(code=5)
        rights = "INDEX, ALTER, REFERENCES" if mariadb.is_mysql(my_database) else "INDEX, ALTER"
        is_one_clear_paragraph(text, f"GRANT {rights} ON `{name}`.* TO '{user}'@'%'")
        assert ours(world.target) == ["accounts"]
        mariadb.execute(mariadb_server, f"GRANT {rights} ON `{name}`.* TO '{user}'@'%'")
        assert world.run()["state"] == "verified"
    finally:
        mariadb.execute(mariadb_server, f"DROP USER '{user}'@'%'")
    assert "canary" not in world.printed()


def test_the_sql_can_be_reviewed_and_changes_nothing(tmp_path: Path) -> None:
    world = lacking(tmp_path)
    done = world.command("plan", str(world.mapping), "--ddl")
    assert done.code == 0
    assert "ALTER TABLE accounts ADD COLUMN legacy_id INTEGER;" in done.out.splitlines()
    kept = tmp_path / "plan.json"
    whole = world.command("plan", str(world.mapping), "--ddl", "--out", str(kept))
    assert whole.out == done.out
    statements = json.loads(kept.read_text())["ddl"]
    assert "\n\n".join(statements) == done.out.rstrip("\n")
    assert ours(world.target) == ["accounts"]
    world.run("--plan", str(kept))
    again = world.command("plan", str(world.mapping), "--ddl")
    assert (again.code, again.out) == (0, "-- nothing is to be created in the target\n")


def test_a_run_of_some_entities_creates_what_they_need(tmp_path: Path) -> None:
    """Also where there is no row for it; and an undo of some entities drops only what is theirs."""
    world = lacking(tmp_path)
    world.source.run("DELETE FROM remarks")
    first = world.run("--only", "accounts")
    assert (ours(world.target), columns(world.target, "accounts")) == (
        ["accounts"],
        ["id", "name", "legacy_id"],
    )
    second = world.run()
    assert ours(world.target) == ["accounts", "contacts", "notes"]
    done = world.command("rollback", second["run"], "--only", "notes", "--yes", "--json")
    assert (done.code, ours(world.target)) == (0, ["accounts", "contacts"]), done.out
    for run in (second["run"], first["run"]):
        done = world.command("rollback", run, "--yes", "--json")
        assert (done.code, done.document["proof"]["passed"]) == (0, True), done.out
    _is_as_before(world)


def test_a_created_table_that_somebody_dropped_is_told(tmp_path: Path) -> None:
    """A verification and an undo cannot be had; after a rollback a row has no place in the target."""
    world = lacking(tmp_path)
    run = world.run()["run"]
    world.target.run("ALTER TABLE notes RENAME TO elsewhere")
    for command in (("verify", run), ("rollback", run, "--yes")):
        done = world.command(*command)
        assert done.code == 7
        is_one_clear_paragraph(done.err, "notes", "any more")
    world.target.run("ALTER TABLE elsewhere RENAME TO notes")
    assert world.command("rollback", run, "--yes").code == 0
    assert world.command("trace", run, "contacts", "1", "--json").code == 0
