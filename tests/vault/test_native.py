"""The engine's own DDL text beside a manifest: kept where its program is there, and no reason to fail where not."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from migrate import api, failpoints
from migrate.connectors.native import private_file, without_secrets
from migrate.connectors.protocol import DdlText
from migrate.durable import work_folder
from migrate.errors import Corrupt, GateClosed, UsageError
from migrate.failpoints import FailpointError
from migrate.stores.local import LocalStore
from migrate.vault.keyed import with_keys
from migrate.vault.native import ddl_of
from migrate.vault.reader import open_backup

from tests import mariadb
from tests.vault.building import FACTS, make
from tests.vault.test_sealed import KEYS_A, KEYS_B

PASSWORD = """p "w\\d' #:;x"""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    yield
    failpoints.arm()


def create(url: str, place: Path, **more: object) -> str:
    made = api.backup_create(url, prove_it=False, store=str(place / "vault"), home=place / "home", **more)  # type: ignore[arg-type]
    return str(made["backups"][0]["backup"] if "backups" in made else made["backup"])


def show(backup: str, place: Path) -> dict[str, object]:
    found: dict[str, object] = api.backup_show(backup, store=str(place / "vault"), home=place / "home")
    return found


def recording(folder: Path, program: str, file: str) -> Path:
    """The real program behind a script that notes its words and what of its file can be seen; goes first on PATH."""
    real = shutil.which(program)
    if real is None:
        pytest.skip(f"{program} is not installed")
    folder.mkdir()
    note = folder / "seen"
    script = folder / program
    script.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] || {{ printf "%s\\n" "$@"; {file}; }} >> {note}\nexec {real} "$@"\n'
    )
    script.chmod(0o700)
    return note


def test_postgres_tables_as_pg_dump_writes_them(
    pg_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = recording(tmp_path / "bin", "pg_dump", 'stat -c "%a %n" "$PGPASSFILE"; cat "$PGPASSFILE"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with psycopg.connect(pg_database) as db:
        db.execute('CREATE TABLE "Odd.name" (id int PRIMARY KEY, note text)')
        db.execute("CREATE TABLE other (id int PRIMARY KEY)")
        db.execute("COMMENT ON TABLE other IS 'postgresql://u:secret@h/db'")
    head, _, tail = pg_database.rpartition("@")
    user = head.rpartition("/")[2].partition(":")[0]
    url = f"postgresql://{user}:{quote(PASSWORD, safe='')}@{tail}"
    backup = create(url, tmp_path)
    text = api.backup_ddl(backup, store=str(tmp_path / "vault"), home=tmp_path / "home")
    assert 'CREATE TABLE public."Odd.name"' in text
    assert "CREATE TABLE public.other" in text
    assert "\\restrict" not in text
    assert "secret" not in text
    words, _, seen = note.read_text().rpartition("600 ")
    assert words
    assert PASSWORD not in words
    assert seen.split("\n")[1].endswith(":" + PASSWORD.replace("\\", "\\\\").replace(":", "\\:"))
    assert not list((tmp_path / "home").rglob("pgpass"))
    only = create(url, tmp_path, tables=("other",))
    assert "Odd" not in api.backup_ddl(only, store=str(tmp_path / "vault"), home=tmp_path / "home")


def test_mariadb_tables_as_its_dump_writes_them_under_a_password_that_it_must_read(
    mariadb_server: str, my_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "mariadb-dump" if shutil.which("mariadb-dump") else "mysqldump"
    file = 'f=${1#--defaults-file=}; stat -c "%a" "$f"'
    note = recording(tmp_path / "bin", program, file)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    name = f"ddl_{tmp_path.parent.name[-6:]}_{os.getpid()}"
    said = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    database = my_database.rpartition("/")[2].partition("?")[0]
    mariadb.execute(
        my_database,
        "CREATE TABLE `-t` (id int PRIMARY KEY) COMMENT 'x'",
        f"CREATE USER '{name}'@'%' IDENTIFIED BY '{said}'",
        f"GRANT ALL ON `{database}`.* TO '{name}'@'%'",
    )
    try:
        host = my_database.rpartition("@")[2] if "@" in my_database else my_database.partition("://")[2]
        backup = create(f"mysql://{name}:{quote(PASSWORD, safe='')}@{host}", tmp_path)
        native = show(backup, tmp_path)["native"]
        assert isinstance(native, dict)
        assert not native["problem"], native
        text = api.backup_ddl(backup, store=str(tmp_path / "vault"), home=tmp_path / "home")
    finally:
        mariadb.execute(my_database, f"DROP USER '{name}'@'%'")
    assert "CREATE TABLE `-t`" in text
    assert "Dump completed on" not in text
    seen = note.read_text()
    assert PASSWORD not in seen
    assert "\n600\n" in seen
    assert not list((tmp_path / "home").rglob("dump.cnf"))


@pytest.fixture
def file(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "a.db") as db:
        db.executescript(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, n TEXT); CREATE INDEX an ON a (n); CREATE TABLE b (id INTEGER);"
            "INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES (1);"
        )
    return f"sqlite:///{tmp_path / 'a.db'}"


def test_sqlite_says_it_itself_and_a_folder_has_none(file: str, tmp_path: Path) -> None:
    backup = create(file, tmp_path, tables=("a",))
    text = api.backup_ddl(backup, store=str(tmp_path / "vault"), home=tmp_path / "home")
    assert text == "CREATE TABLE a (id INTEGER PRIMARY KEY, n TEXT);\nCREATE INDEX an ON a (n);\n"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "c.csv").write_text("id,n\n1,x\n")
    files = create(str(tmp_path / "in"), tmp_path)
    with pytest.raises(UsageError, match="keeps no DDL text"):
        api.backup_ddl(files, store=str(tmp_path / "vault"), home=tmp_path / "home")


@pytest.mark.parametrize("there", ["missing", "too old"])
def test_a_program_that_is_missing_or_refuses_is_said_and_no_error(
    pg_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    with psycopg.connect(pg_database) as db:
        db.execute("CREATE TABLE other (id int PRIMARY KEY)")
    (tmp_path / "bin").mkdir()
    if there == "too old":
        script = tmp_path / "bin" / "pg_dump"
        script.write_text(
            '#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump (PostgreSQL) 9.6" && exit\n'
            'echo "pg_dump: error: aborting because of server version mismatch" >&2\nexit 1\n'
        )
        script.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    backup = create(pg_database, tmp_path)
    native = show(backup, tmp_path)["native"]
    assert isinstance(native, dict)
    wanted = "not installed" if there == "missing" else "server version mismatch"
    assert wanted in native["problem"]
    assert not native["sha256"]
    with pytest.raises(UsageError, match=wanted):
        api.backup_ddl(backup, store=str(tmp_path / "vault"), home=tmp_path / "home")
    assert api.backup_check(backup, store=str(tmp_path / "vault"), home=tmp_path / "home")[-1]["passed"]


def test_it_is_encrypted_where_the_backup_is_and_needs_the_key(tmp_path: Path) -> None:
    plain = LocalStore(tmp_path / "vault")
    ddl = DdlText("pg_dump 15", "CREATE TABLE canary_of_a_name (id int);\n")
    make(with_keys(plain, KEYS_A), tmp_path / "in", native=ddl)
    stored = tmp_path / "vault" / FACTS.id / "native.sql.age"
    assert stored.is_file()
    assert b"canary" not in stored.read_bytes()
    assert ddl_of(open_backup(with_keys(plain, KEYS_A), FACTS.id)) == ddl.text
    with pytest.raises(GateClosed):
        ddl_of(open_backup(with_keys(plain, KEYS_B), FACTS.id))


def test_a_damaged_text_is_refused_and_the_rows_can_be_read_all_the_same(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "vault")
    make(store, tmp_path / "in", native=DdlText("x", "CREATE TABLE a (id int);\n"))
    (tmp_path / "vault" / FACTS.id / "native.sql").write_bytes(b"CREATE TABLE b (id int);\n")
    backup = open_backup(store, FACTS.id)
    assert sum(b.num_rows for b in backup.batches("contact")) == 250
    with pytest.raises(Corrupt):
        ddl_of(backup)


def test_what_a_killed_backup_left_goes_with_the_next_one_and_a_living_ones_stays(
    file: str, tmp_path: Path
) -> None:
    work = tmp_path / "home" / "work"
    dead = work / "create-dead"
    dead.mkdir(parents=True, mode=0o700)
    with private_file(dead / "ddl", "pgpass", PASSWORD) as left:
        os.link(left, dead / "ddl" / "copy")  # a kill leaves it
    (work / "other").mkdir()
    with work_folder(work, "create-") as living:  # takes the dead one's away
        assert not dead.exists()
        dead.mkdir()
        create(file, tmp_path)
        assert living.is_dir()
    assert [p.name for p in work.iterdir() if p.name.startswith(("create-", "replace-"))] == []
    assert (work / "other").is_dir()


def test_the_password_file_is_private_and_goes_also_when_what_follows_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), private_file(tmp_path / "ddl", "pgpass", "x") as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        _ = 1 / 0
    failpoints.arm("native.password_written:1:raise")
    with pytest.raises(FailpointError), private_file(tmp_path / "ddl", "pgpass", "x"):
        raise AssertionError("not reached")
    assert list((tmp_path / "ddl").iterdir()) == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("CONNECTION='mysql://u:pw@h/db/t'", "CONNECTION='***'"),
        ("OPTIONS (user 'u', password 'it''s')", "OPTIONS (user 'u', password '***')"),
        ("COMMENT='see https://u:pw@h/x'", "COMMENT='see https://u:***@h/x'"),
        ("password text DEFAULT 'x'", "password text DEFAULT 'x'"),
        ('wrapper "mysql", password "pw"', "wrapper \"mysql\", password '***'"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, left: str) -> None:
    assert without_secrets(text) == left
