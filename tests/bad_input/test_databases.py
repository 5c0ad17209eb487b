"""Databases that are away, forbidden, empty, or not what they were: one clear paragraph each, and nothing lost."""

from __future__ import annotations

import os
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.runs import (
    Db,
    at_point,
    balance,
    bare,
    complete,
    empty,
    is_one_clear_paragraph,
    open_files,
    places_of,
    small,
)

CANARY = "Kanarienvogel-71!"


@pytest.fixture
def role(postgres_server: str) -> Iterator[str]:
    """A role that may log in and nothing else; its password is the canary."""
    name = f"t_role_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(CANARY))
        )
    yield name
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def as_role(url: str, role: str) -> str:
    place = url.split("@", 1)[1]
    return f"postgresql://{role}:{CANARY}@{place}"


def test_a_server_that_is_not_there_is_named_and_the_password_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = small(tmp_path)
    monkeypatch.setenv("CRM_URL", f"postgresql://admin:{CANARY}@127.0.0.1:9/crm")
    world.target_url = "${CRM_URL}"
    is_one_clear_paragraph(world.says(code=5), "127.0.0.1:9/crm")
    error = world.run(code=5)
    complete(error)
    world.command("run", str(world.mapping), "-v", "--log-json")
    world.command("doctor", str(world.mapping))
    assert CANARY not in world.printed()
    assert places_of([world.home], CANARY.encode()) == []


def test_a_password_that_works_is_kept_nowhere(
    tmp_path: Path, role: str, pg_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ledger, staged parts, reports, plan, vault, logs: after a whole run over a URL that holds a password."""
    world = small(tmp_path, pg_database)
    server = pg_database.rsplit("/", 1)[0]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(role)))
        name = sql.Identifier(pg_database.rsplit("/", 1)[1])
        admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(name, sql.Identifier(role)))
    world.target.run(f'ALTER TABLE accounts OWNER TO "{role}"', f'ALTER TABLE contacts OWNER TO "{role}"')
    monkeypatch.setenv("CRM_URL", as_role(pg_database, role))
    world.target_url = "${CRM_URL}"
    world.run()
    for arguments in (["report", "latest"], ["status", "--json"], ["backup", "list", "--json"], ["doctor", str(world.mapping)]):  # fmt: skip
        world.command(*arguments)
    world.source.run("DROP TABLE people")  # and an error with it
    world.run("--fresh", code=2)
    assert CANARY not in world.printed()
    assert places_of([world.home, world.vault], CANARY.encode()) == []


def test_a_missing_right_is_named(
    tmp_path: Path, role: str, pg_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No SELECT; then no CREATE for our own tables; then no INSERT: each names the right, nothing is half done."""
    world = small(tmp_path, pg_database)
    monkeypatch.setenv("CRM_URL", as_role(pg_database, role))
    world.target_url = "${CRM_URL}"
    server = pg_database.rsplit("/", 1)[0]
    is_one_clear_paragraph(world.says(code=5), "CREATEDB")  # no place for the restore test
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER ROLE {} CREATEDB").format(sql.Identifier(role)))
    is_one_clear_paragraph(world.says(code=5), "accounts", "GRANT", "SELECT")
    world.target.run(f'GRANT SELECT ON accounts, contacts TO "{role}"')
    is_one_clear_paragraph(world.says(code=5), "CREATE")  # our own tables
    database = pg_database.rsplit("/", 1)[1]
    world.target.run(f'GRANT CREATE ON DATABASE "{database}" TO "{role}"')
    is_one_clear_paragraph(world.says(code=5), "INSERT")
    assert world.target.one("SELECT count(*) FROM accounts") == 0
    world.target.run(f'GRANT INSERT, UPDATE ON accounts, contacts TO "{role}"')
    document = world.run()
    assert document["state"] == "verified"
    assert document["resumed"]
    assert CANARY not in world.printed()


def test_a_sqlite_file_that_is_missing_or_something_else(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.source_url = f"sqlite:///{tmp_path}/not-here.db"
    said = world.says(code=5)
    is_one_clear_paragraph(said, "not-here.db")
    assert not (tmp_path / "not-here.db").exists()
    (tmp_path / "letter.db").write_text("Dear Sir or Madam, " * 50)
    world.source_url = f"sqlite:///{tmp_path}/letter.db"
    is_one_clear_paragraph(world.says(code=6), "letter.db", "not an SQLite database")


def test_nothing_to_migrate_is_fine(tmp_path: Path) -> None:
    """No row anywhere: every stage runs, every balance is zero, the second run too."""
    world = empty(tmp_path, Db(f"sqlite:///{tmp_path}/source.db"), Db(f"sqlite:///{tmp_path}/target.db"))
    for _ in range(2):
        document = world.run()
        assert document["state"] == "verified"
        assert balance(document, "accounts")["in"] == 0
        assert balance(document, "contacts")["in"] == 0


def test_nothing_to_migrate_is_fine_on_postgresql(
    tmp_path: Path, make_pg_database: Callable[[], str]
) -> None:
    source, target = Db(make_pg_database()), Db(make_pg_database())
    world = empty(tmp_path, source, target)
    world.more = f"scratch: {{source: '{source.url}', target: '{target.url}'}}"
    world.target.fill("accounts", [("a", "Ours", None, None)])
    assert world.run()["state"] == "verified"
    assert world.target.one("SELECT count(*) FROM accounts") == 1


def test_a_table_or_column_that_is_missing_is_told_with_place_and_nearest_name(tmp_path: Path) -> None:
    """All of them at once."""
    world = small(tmp_path)
    world.entities = world.entities.replace("from: companies", "from: company").replace(
        "into: contacts", "into: contact"
    )
    problems = world.run(code=2)["problems"]
    assert {p["code"] for p in problems} == {"unknown_table"}
    assert all(str(world.mapping) in p["where"] and p["hint"] for p in problems)
    assert "company" in problems[0]["message"]
    world.entities = world.entities.replace("from: company\n", "from: companies\n").replace("into: contact\n", "into: contacts\n")  # fmt: skip
    world.entities = world.entities.replace("company_name", "companyname").replace(
        "email: mail", "e_mail: mail"
    )
    text = str(world.run(code=2)["problems"])
    assert "companyname" in text
    assert "company_name" in text
    assert "e_mail" in text
    assert "email" in text
    assert world.target.tables() == ["accounts", "contacts"]


RENAME = "ALTER TABLE {} RENAME COLUMN {} TO {}"


def test_a_source_that_changed_between_plan_and_extract_is_drift(tmp_path: Path) -> None:
    world = small(tmp_path)
    rename = RENAME.format("people", "mail", "email_address")
    with at_point("stage.extract.started", lambda: world.source.run(rename)):
        error = world.run(code=7)
    complete(error)
    assert "people" in error["message"] + error["where"]
    assert "--fresh" in error["hint"]
    world.entities = world.entities.replace("email: mail", "email: email_address")
    assert world.run()["state"] == "verified"


@pytest.mark.parametrize(
    ("engine", "point"),
    [
        ("sqlite", "stage.backup.started"),
        ("sqlite", "stage.load.started"),
        ("postgresql", "stage.load.started"),
    ],
)
def test_a_target_that_changed_its_columns_before_the_load_is_drift(
    tmp_path: Path, engine: str, point: str, request: pytest.FixtureRequest
) -> None:
    world = small(tmp_path, request.getfixturevalue("pg_database") if engine == "postgresql" else "")
    rename = RENAME.format("contacts", "email", "e_mail")
    with at_point(point, lambda: world.target.run(rename)):
        error = world.run(code=7)
    complete(error)
    assert "contacts" in error["message"] + error["where"]
    assert world.target.one("SELECT count(*) FROM contacts") == 0


def test_a_target_table_without_a_key_is_refused_by_the_plan(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.target.run(
        "DROP TABLE contacts", "CREATE TABLE contacts(account_id TEXT, name TEXT, email TEXT, legacy_id TEXT)"
    )
    problem = world.run(code=2)["problems"][0]
    assert problem["code"] == "target_key"
    assert "contacts has no primary key" in problem["message"]
    assert problem["hint"]


def test_values_that_do_not_fit_the_target_stay_behind(tmp_path: Path, pg_database: str) -> None:
    """Too long, too large, no number, infinite, a NUL inside: each row with its reason; the good ones arrive."""
    world = bare(
        tmp_path,
        [
            "CREATE TABLE deals(id INTEGER PRIMARY KEY, title TEXT, n TEXT, price TEXT, rate REAL)",
            "INSERT INTO deals VALUES (1, 'fine', '1', '1.50', 0.5), (2, 'a title that is too long', '1', '1', 1), "
            "(3, 'x', '99999999999', '1', 1), (4, 'x', '1', '123456789.00', 1), (5, 'x', 'NaN', '1', 1), "
            "(6, 'x', '1', 'NaN', 1), (7, 'x', '1', '1', 9e999), (8, 'nul' || char(0) || 'x', '1', '1', 1), (9, 'x', '1.5', '1', 1)",
        ],
        ["CREATE TABLE deals(id INTEGER PRIMARY KEY, title VARCHAR(10), n INTEGER, price NUMERIC(8,2), rate DOUBLE PRECISION)"],
        "  deals: {from: deals, key: id, into: deals, fields: {id: id, title: title, n: n, price: price, rate: rate}}\n",
        target_url=pg_database,
        policy="max_quarantine: 100%, lossy: quarantine",
    )  # fmt: skip
    document = world.run()
    codes = world.codes("deals")
    assert balance(document, "deals")["in"] == 9
    assert [i for (i,) in world.target.rows("SELECT id FROM deals ORDER BY id")] in ([1], [1, 7])
    assert codes['["2"]'][0] in ("too_long", "lossy")
    assert codes['["3"]'] == ["type"]
    assert codes['["4"]'] == ["type"]
    assert codes['["5"]'] == ["type"]
    assert codes['["6"]'] == ["type"]
    assert codes['["8"]'] in (["nul_byte"], ["type"], ["db_value"])
    assert codes['["9"]'][0] in ("type", "lossy")


def test_source_rows_of_one_key_stay_behind_together(tmp_path: Path) -> None:
    world = bare(
        tmp_path,
        [
            "CREATE TABLE people(id TEXT, name TEXT)",
            "INSERT INTO people VALUES ('1', 'one'), ('1', 'also one'), (NULL, 'none'), ('2', 'two'), ('02', 'not two')",
        ],
        ["CREATE TABLE people(id TEXT PRIMARY KEY, name TEXT)"],
        "  people: {from: people, key: id, into: people, fields: {name: name}}\n",
    )
    document = world.run()
    assert balance(document, "people")["loaded"] == 2
    found = sorted((r["key"] or "", r["codes"][0]) for r in world.quarantine())
    assert found == [("", "key_missing"), ('["1"]', "key_not_unique"), ('["1"]', "key_not_unique")]


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Root may write everywhere: meanwhile this process is nobody, who owns `folder`. Others stay who they are."""
    if os.geteuid() != 0:
        yield
        return
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, 65534, 65534)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that nobody, too, can reach; that of pytest is private."""
    with tempfile.TemporaryDirectory(prefix="migrate-test-") as name:
        yield Path(name)


def test_places_that_cannot_be_written_are_named(reachable: Path, tmp_path: Path) -> None:
    """The state folder, the vault, the target; and once they can be, the same command goes on."""
    small(tmp_path).run()  # every module is loaded: the library's folder may be private too
    import_module("email.policy")  # but what a library loads the first time that it looks up a version
    world = small(reachable)
    world.write()
    for path, kind in ((world.home, "folder"), (world.vault, "folder"), (world.target.path, "file")):
        if kind == "folder":
            path.mkdir(mode=0o700)
        with as_nobody(reachable):
            path.chmod(0o500 if kind == "folder" else 0o400)
            said = world.says(code=5)
            path.chmod(0o700 if kind == "folder" else 0o600)
        is_one_clear_paragraph(said, "migrate_layout" if kind == "file" else path.name)
        assert world.target.rows("SELECT 1 FROM accounts") == []
    with as_nobody(reachable):
        assert world.run()["state"] == "verified"


def test_a_home_that_is_a_file_is_named(tmp_path: Path) -> None:
    """Also for root, who may write everywhere."""
    world = small(tmp_path)
    world.home.write_text("not a folder")
    is_one_clear_paragraph(world.says(code=5), ".migrate")
    assert world.home.read_text() == "not a folder"


def test_personal_data_lie_nowhere_but_where_they_must_and_nobody_else_reads_them(tmp_path: Path) -> None:
    """0700/0600 below .migrate and backups whatever the umask; no source value in ledger, report or masked profile."""
    before = os.umask(0o000)
    try:
        world = small(tmp_path)
        world.source.run(
            "UPDATE people SET full_name = 'Canary McBird', mail = 'canary@example.com' WHERE id = 1",
            "INSERT INTO people VALUES (4, 99, 'Canary Junior', 'canary@example.com')",
        )
        run = world.run()["run"]
        world.command("quarantine", "export", "latest", str(tmp_path / "export"))
    finally:
        os.umask(before)
    assert open_files(world.home) == []
    assert open_files(world.vault) == []
    if (tmp_path / "export").exists():
        assert open_files(tmp_path / "export") == []
    for canary in (b"Canary", b"canary@"):
        found = places_of([world.home], canary)
        assert [p for p in found if "ledger" in Path(p).name or Path(p).name.startswith("report")] == []
        assert [p for p in found if p.endswith((".masked.json", "plan.json", "capture.json"))] == []
    ledger = sqlite3.connect(world.home / "ledger.db")
    try:
        dump = "\n".join(ledger.iterdump())
    finally:
        ledger.close()
    assert "anary" not in dump
    report = (world.run_folder(run) / "report.json").read_text()
    assert "anary" not in report
    printed = "".join(d.out + d.err for d in world.done if '"row"' not in d.out)
    assert "anary" not in printed


def test_a_mapping_that_cannot_be_read(tmp_path: Path) -> None:
    from tests.runs import command

    done = command("run", str(tmp_path / "none.yaml"), "--home", str(tmp_path / "h"))
    assert done.code == 2
    assert "there is no such file" in done.err
    assert "none.yaml" in done.err
    assert not (tmp_path / "h").exists()
