"""Servers that say no in the middle: rights, locks, disks, values that are too large, tables that are altered meanwhile.

Each ends in one clear paragraph that says what to do; when that is done, the same command finishes, and nothing is
lost and nothing is there twice.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from migrate import retry
from migrate.connectors.postgres import session as pg_session
from migrate.connectors.postgres.errors import SqlError
from migrate.connectors.postgres.session import Session
from psycopg import sql

from tests import services
from tests.conftest import database_url
from tests.runs import World, at_point, balance, bare, complete, is_one_clear_paragraph, small

CANARY = "Kanarienvogel-72!"


def everything_once(world: World) -> None:
    assert world.target.rows("SELECT name FROM accounts ORDER BY 1") == [("Acme",), ("Bolt",)]
    assert world.target.rows("SELECT name FROM contacts ORDER BY 1") == [("Ada",), ("Bob",), ("Cy",)]


def nothing_loaded(world: World) -> None:
    assert world.target.one("SELECT count(*) FROM accounts") == 0
    assert world.target.one("SELECT count(*) FROM contacts") == 0


# -- rights


@pytest.fixture
def roles(postgres_server: str) -> Iterator[list[str]]:
    """A reader, a loader and a prover: roles that may log in and nothing else."""
    names = [f"t_role_{secrets.token_hex(4)}" for _ in range(3)]
    with psycopg.connect(postgres_server, autocommit=True) as server:
        for name in names:
            server.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(CANARY))
            )
    yield names
    with psycopg.connect(postgres_server, autocommit=True) as server:
        for name in names:
            server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_every_missing_right_is_named_by_the_statement_that_gives_it(
    tmp_path: Path,
    roles: list[str],
    make_pg_database: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the message says is run as it stands, by an administrator of that database, until the run goes through."""
    source, target = make_pg_database(), make_pg_database()
    reader, loader, prover = (f"postgresql://{name}:{CANARY}@" for name in roles)
    world = small(tmp_path, target, source)
    world.target.run(
        "DROP TABLE contacts",
        "CREATE TABLE contacts(id serial PRIMARY KEY, account_id TEXT REFERENCES accounts(id), name TEXT NOT NULL, email TEXT, legacy_id TEXT)",
        "INSERT INTO accounts VALUES ('a', 'Old', NULL, '1')",
    )
    world.entities = world.entities.replace(
        "into: accounts\n", "into: accounts\n    match: [legacy_id]\n    write: add_or_update\n"
    )
    for name, user, place in (
        ("SOURCE", reader, source),
        ("TARGET", loader, target),
        ("SCRATCH", prover, target),
    ):
        monkeypatch.setenv(f"{name}_URL", user + place.split("@")[1])
    world.source_url, world.target_url = "${SOURCE_URL}", "${TARGET_URL}"
    world.more = "scratch: {source: '${SCRATCH_URL}', target: '${SCRATCH_URL}'}"
    given: list[str] = []
    for _ in range(12):
        world.write()
        done = world.command("run", str(world.mapping))
        if done.code == 0:
            break
        assert done.code == 5, done.err
        is_one_clear_paragraph(done.err, "administrator")
        found = re.search(
            r"(GRANT [^.]*?(?:\.[^.\s][^.]*?)* TO \"\w+\"|ALTER ROLE \"\w+\" CREATEDB)", done.err
        )
        assert found, done.err
        assert found[1] not in given, done.err
        given.append(found[1])
        (world.source if roles[0] in found[1] else world.target).run(found[1])
    plain = [re.sub(r' TO "\w+"| ROLE "\w+"| DATABASE "\w+"', "", g) for g in given]
    assert sorted(plain) == sorted(
        [
            'GRANT SELECT ON "public"."companies"',
            'GRANT SELECT ON "public"."people"',
            "ALTER CREATEDB",
            'GRANT SELECT ON "public"."accounts"',
            'GRANT SELECT ON "public"."contacts"',
            "GRANT CREATE ON",
            'GRANT USAGE ON SEQUENCE "public"."contacts_id_seq"',
            'GRANT SELECT ON SEQUENCE "public"."contacts_id_seq"',
            'GRANT SELECT, UPDATE ON "public"."accounts"',
            'GRANT INSERT ON "public"."accounts"',
            'GRANT INSERT ON "public"."contacts"',
        ]
    ), plain
    everything_once(world)
    assert CANARY not in world.printed()


# -- locks


@contextmanager
def held(url: str, statement: str) -> Iterator[int]:
    """Another session's open transaction; gives its process."""
    with psycopg.connect(url, application_name="the accountant") as other:
        other.execute(statement.encode())
        yield other.info.backend_pid
        other.rollback()


@pytest.mark.parametrize(
    ("statement", "point"),
    [
        ("LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE", "stage.backup.started"),  # somebody alters it
        ("LOCK TABLE contacts IN SHARE MODE", "stage.load.started"),  # somebody builds an index
    ],
)
def test_a_lock_is_waited_for_a_while_and_its_holder_is_named(
    tmp_path: Path, pg_database: str, monkeypatch: pytest.MonkeyPatch, statement: str, point: str
) -> None:
    monkeypatch.setattr(pg_session, "SETTINGS", {**pg_session.SETTINGS, "lock_timeout": "300ms"})
    world = small(tmp_path, pg_database)
    taken: list[Any] = []

    def take() -> None:
        taken.append(held(pg_database, statement))
        taken.append(taken[0].__enter__())

    try:
        with at_point(point, take):
            said = world.says(code=5)
    finally:
        taken[0].__exit__(None, None, None)
    is_one_clear_paragraph(
        said, "contacts", f"process {taken[1]}", "the accountant", "idle in transaction", "the same command"
    )
    assert world.target.one("SELECT count(*) FROM contacts") == 0
    assert world.run()["resumed"]
    everything_once(world)


def test_a_locked_row_is_waited_for_a_while_and_its_holder_is_named(
    tmp_path: Path, pg_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pg_session, "SETTINGS", {**pg_session.SETTINGS, "lock_timeout": "300ms"})
    world = small(tmp_path, pg_database)
    world.target.fill("accounts", [("a", "Old", None, "1")])
    world.entities = world.entities.replace(
        "into: accounts\n", "into: accounts\n    match: [legacy_id]\n    write: add_or_update\n"
    )
    with held(pg_database, "UPDATE accounts SET city = 'Hull' WHERE id = 'a'") as process:
        said = world.says(code=5)
        is_one_clear_paragraph(said, "accounts", f"process {process}", "the accountant")
    assert world.run()["resumed"]
    everything_once(world)


def test_a_sqlite_target_that_another_program_writes_is_waited_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrate.connectors.sqlite.connect.LOCK_SECONDS", 0.2)
    world = small(tmp_path)
    with closing(sqlite3.connect(world.target.path, isolation_level=None)) as other:
        with at_point("load.assigned", lambda: other.execute("BEGIN IMMEDIATE")):
            said = world.says(code=5)
        is_one_clear_paragraph(said, "target.db", "locked by another process", "the same command")
        other.execute("ROLLBACK")
    nothing_loaded(world)
    assert world.run()["resumed"]
    everything_once(world)


# -- a server that goes away and comes back, and one whose disk is full


@pytest.fixture(scope="module")
def private_server() -> Iterator[str]:
    """A PostgreSQL of this module alone, for it is made to crash."""
    binaries = services.installed_binaries() or services.packaged_binaries()
    if binaries is None:
        services.missing("no PostgreSQL programs to start a server of our own")
    url, stop = services.start_private(binaries)
    yield url
    stop()


@pytest.fixture
def private_database(private_server: str) -> Iterator[str]:
    name = f"t_own_{secrets.token_hex(4)}"
    with psycopg.connect(private_server, autocommit=True) as server:
        services.create_database(server, name)
    yield database_url(private_server, name)
    with psycopg.connect(private_server, autocommit=True) as server:
        services.drop_database(server, name)


@pytest.mark.promise(9)
def test_p9_a_server_that_crashes_and_restarts_during_the_load_is_waited_for(
    tmp_path: Path, private_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of it is killed: PostgreSQL then ends all connections, recovers, and lets nobody in meanwhile."""
    monkeypatch.setattr(retry, "WAITS", (0.5, 1.0, 4.0))
    world = small(tmp_path, private_database)

    def crash() -> None:
        with closing(psycopg.connect(private_database)) as victim:
            os.kill(victim.info.backend_pid, signal.SIGKILL)

    with at_point("load.part.inserted", crash):
        document = world.run()
    assert document["state"] == "verified"
    everything_once(world)
    assert world.run()["balances"]["contacts"]["unchanged"] == 3
    everything_once(world)


@contextmanager
def tiny_disk(folder: Path, size: str, owner: int) -> Iterator[Callable[[str], object]]:
    """A file system of that size on `folder`; gives what changes the size. Skips where nothing can be mounted."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False).returncode:  # fmt: skip
        pytest.skip("nothing can be mounted here")
    try:
        os.chown(folder, owner, owner)
        folder.chmod(0o700)
        yield lambda new: subprocess.run(["mount", "-o", f"remount,size={new}", folder], check=True)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def big(folder: Path, target_url: str) -> World:
    """Four hundred notes of four kilobytes that do not compress."""
    world = bare(
        folder,
        ["CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT)"],
        ["CREATE TABLE notes(id INTEGER PRIMARY KEY, body TEXT)"],
        "  notes: {from: notes, key: id, into: notes, fields: {id: id, body: body}}\n",
        target_url=target_url,
    )
    world.source.fill("notes", [(i, secrets.token_urlsafe(3000)) for i in range(400)])
    return world


def test_a_full_disk_of_the_target_ends_the_run_which_resumes_when_there_is_room(
    tmp_path: Path, private_server: str, private_database: str
) -> None:
    """The table lies on a disk of one megabyte, which its rows do not fit."""
    place = Path("/tmp") / f"migrate-test-disk-{secrets.token_hex(4)}"
    with tiny_disk(place, "1m", 65534) as resize:
        world = big(tmp_path, private_database)
        with psycopg.connect(private_database, autocommit=True) as server:
            server.execute(f"CREATE TABLESPACE tiny LOCATION '{place}'".encode())
            server.execute("ALTER TABLE notes SET TABLESPACE tiny")
        try:
            is_one_clear_paragraph(world.says(code=5), "notes", "disk full", "make room", "the same command")
            complete(world.run(code=5))
            assert world.target.one("SELECT count(*) FROM notes") == 0
            resize("64m")
            document = world.run()
            assert (document["state"], document["resumed"]) == ("verified", True)
            assert world.target.one("SELECT count(*) FROM notes") == 400
        finally:
            with psycopg.connect(private_database, autocommit=True) as server:
                server.execute("DROP TABLE notes")
                server.execute("DROP TABLESPACE tiny")
    place.rmdir()


def test_a_full_disk_that_the_server_reports_ends_the_run_which_resumes(
    tmp_path: Path, pg_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where nothing can be mounted: the server's answer is put in its mouth."""
    world = small(tmp_path, pg_database)
    with monkeypatch.context() as patched:

        def full(*_: Any) -> None:
            raise SqlError("53100")

        with at_point("load.assigned", lambda: patched.setattr(Session, "ingest", full)):
            said = world.says(code=5)
    is_one_clear_paragraph(said, "migrate_meta", "disk full", "make room")
    nothing_loaded(world)
    assert world.run()["resumed"]
    everything_once(world)


def test_a_full_disk_of_an_sqlite_target_ends_the_run_which_resumes_when_there_is_room(
    tmp_path: Path,
) -> None:
    place = tmp_path / "disk"
    with tiny_disk(place, "1m", os.geteuid()) as resize:
        world = big(tmp_path, f"sqlite:///{place}/target.db")
        is_one_clear_paragraph(world.says(code=5), "target.db", "no space", "the same command")
        assert world.target.one("SELECT count(*) FROM notes") == 0
        resize("64m")
        assert world.run()["state"] == "verified"
        assert world.target.one("SELECT count(*) FROM notes") == 400


# -- values that are too large for what they go into


@pytest.mark.promise(19)
def test_p19_a_value_that_is_too_long_for_an_index_sets_its_row_aside(
    tmp_path: Path, pg_database: str
) -> None:
    """A unique text of more than a third of a page: PostgreSQL refuses it as a limit of its own (54000)."""
    world = small(tmp_path, pg_database)
    long = secrets.token_urlsafe(30_000)
    world.source.run(f"UPDATE people SET mail = '{long}' WHERE id = 2")
    document = world.run()
    assert balance(document, "contacts") | {"in": 3} == balance(document, "contacts")
    assert world.codes("contacts") == {'["2"]': ["db_value"]}
    assert world.target.rows("SELECT name FROM contacts ORDER BY 1") == [("Ada",), ("Cy",)]
    assert long[:40] not in "".join(d.err for d in world.done)


@pytest.mark.promise(19)
def test_p19_a_value_that_is_longer_than_sqlite_takes_sets_its_row_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's limit is a billion bytes; here it is ten thousand."""
    world = small(tmp_path)
    world.source.run("UPDATE people SET full_name = hex(zeroblob(6000)) WHERE id = 2")
    from migrate.connectors.sqlite import target as module
    from migrate.connectors.sqlite.connect import connect

    original = connect

    def limited(path: Path, *, write: bool) -> sqlite3.Connection:
        connection = original(path, write=write)
        if write:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
        return connection

    monkeypatch.setattr(module, "connect", limited)
    world.run()
    assert world.codes("contacts") == {'["2"]': ["db_value"]}
    assert world.target.rows("SELECT name FROM contacts ORDER BY 1") == [("Ada",), ("Cy",)]


# -- tables that are altered while they are read


def test_a_table_that_is_altered_during_the_extract_is_drift(tmp_path: Path) -> None:
    world = small(tmp_path)
    alter = "ALTER TABLE people ADD COLUMN shoe_size INTEGER"
    with at_point("extract.snapshot_open", lambda: world.source.run(alter)):
        error = world.run(code=7)
    complete(error)
    assert "people" in error["message"] + error["where"]
    nothing_loaded(world)
    world.run("--fresh")
    everything_once(world)


def test_postgresql_lets_nobody_alter_a_table_while_it_is_read(
    tmp_path: Path, make_pg_database: Callable[[], str]
) -> None:
    """And a table that was altered between plan and extract is drift."""
    source, target = make_pg_database(), make_pg_database()
    world = small(tmp_path, target, source)
    world.more = f"scratch: {{source: '{target}', target: '{target}'}}"
    refused: list[str] = []

    def alter(point: str) -> Callable[[], None]:
        def act() -> None:
            with psycopg.connect(source, autocommit=True) as other:
                other.execute("SET lock_timeout = '200ms'")
                try:
                    other.execute("ALTER TABLE people ADD COLUMN shoe_size integer")
                except psycopg.errors.LockNotAvailable:
                    refused.append(point)

        return act

    with at_point("extract.snapshot_open", alter("while it is read")):
        assert world.run("--to", "extract")["state"] == "stopped"
    assert refused == ["while it is read"]
    with at_point("stage.extract.started", alter("before")):
        error = world.run("--fresh", code=7)
    complete(error)
    assert refused == ["while it is read"]
    assert "people" in error["message"] + error["where"]
    nothing_loaded(world)
    world.run("--fresh")
    everything_once(world)
