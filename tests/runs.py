"""Whole runs in small: a source, a target and a mapping in a folder, driven through the real command line.

The command line is called in-process, so that failpoints and patched hooks work; what it prints is caught.
"""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from migrate.cli import main

from tests import mariadb

# For the fixture `target_url`.
ENGINES = pytest.mark.parametrize("target_url", ["sqlite", "postgresql", "mariadb"], indirect=True)
PARAGRAPH_LIMIT = 1200  # an error is a paragraph, not a page


@dataclass(frozen=True)
class Done:
    """One command line: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["error"]
        return found


def command(*arguments: str | Path) -> Done:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(a) for a in arguments])
    return Done(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Db:
    """A database by its URL; statements are portable SQL."""

    url: str

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(self.url.removeprefix("sqlite:///"))

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite:")

    @property
    def is_mysql(self) -> bool:
        return self.url.startswith("mysql:")

    @property
    def engine(self) -> str:
        """sqlite, postgresql or mysql"""
        return self.url.partition(":")[0]

    def run(self, *statements: str) -> None:
        """All statements, committed together."""
        if self.is_sqlite:
            connection = sqlite3.connect(self.path)
            try:
                with connection:
                    for statement in statements:
                        connection.execute(statement)
            finally:
                connection.close()
            return
        if self.is_mysql:
            mariadb.execute(self.url, *statements)
            return
        with psycopg.connect(self.url) as server:
            for statement in statements:
                server.execute(statement)

    def fill(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert whole rows."""
        content = [tuple(r) for r in rows]
        if not content:
            return
        mark = "?" if self.is_sqlite else "%s"
        statement = f"INSERT INTO {table} VALUES ({', '.join([mark] * len(content[0]))})"
        if self.is_sqlite:
            connection = sqlite3.connect(self.path)
            try:
                with connection:
                    connection.executemany(statement, content)
            finally:
                connection.close()
            return
        if self.is_mysql:
            mariadb.fill(self.url, statement, content)
            return
        with psycopg.connect(self.url) as server, server.cursor() as cursor:
            cursor.executemany(statement, content)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        if self.is_sqlite:
            connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
            try:
                return connection.execute(query).fetchall()
            finally:
                connection.close()
        if self.is_mysql:
            return [tuple(row.values()) for row in mariadb.query(self.url, query)]
        with psycopg.connect(self.url) as server:
            return server.execute(query).fetchall()

    def ours(self, table: str) -> int:
        """How many rows one of our own tables has."""
        return int(
            self.one(
                f"SELECT count(*) FROM {'_migrate_' if self.is_sqlite or self.is_mysql else 'migrate_meta.'}{table}"
            )
        )

    def one(self, query: str) -> Any:
        found = self.rows(query)
        assert len(found) == 1, found
        return found[0][0]

    def tables(self) -> list[str]:
        """All tables, our own too."""
        if self.is_mysql:
            return sorted(row[0] for row in self.rows("SHOW TABLES"))
        query = (
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1"
            if self.is_sqlite
            else "SELECT schemaname || '.' || tablename FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
        )
        return [row[0] for row in self.rows(query)]


ACCOUNTS = "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, city TEXT, legacy_id TEXT)"
CONTACTS = (
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT REFERENCES accounts(id), name TEXT NOT NULL, "
    "email TEXT UNIQUE, legacy_id TEXT)"
)
COMPANIES = "CREATE TABLE companies(id INTEGER PRIMARY KEY, company_name TEXT, town TEXT)"
PEOPLE = "CREATE TABLE people(id INTEGER PRIMARY KEY, co INTEGER, full_name TEXT, mail TEXT)"

ACCOUNTS_MAPPED = """
  accounts:
    from: companies
    key: id
    into: accounts
    fields: {name: company_name, city: town, legacy_id: id}
"""
CONTACTS_MAPPED = """
  contacts:
    from: people
    key: id
    into: contacts
    fields:
      account_id: {from: co, ref: accounts}
      name: full_name
      email: mail
      legacy_id: id
"""


@dataclass
class World:
    """`folder/mappings/m.yaml`, `folder/.migrate`, `folder/backups`; source and target wherever they are."""

    folder: Path
    source: Db
    target: Db
    source_url: str = ""  # as the mapping says it, if not as the tests reach it
    target_url: str = ""
    policy: str = "max_quarantine: 100%"
    more: str = ""  # further top-level keys
    source_more: str = ""  # further keys of the source, ", key: value"
    entities: str = ACCOUNTS_MAPPED + CONTACTS_MAPPED
    done: list[Done] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.folder / ".migrate"

    @property
    def vault(self) -> Path:
        return self.folder / "backups"

    @property
    def mapping(self) -> Path:
        return self.folder / "mappings" / "m.yaml"

    def write(self) -> Path:
        self.mapping.parent.mkdir(exist_ok=True)
        self.mapping.write_text(
            "migrate: 1\nname: small\n"
            f"source: {{system: acme, url: '{self.source_url or self.source.url}'{self.source_more}}}\n"
            f"target: {{url: '{self.target_url or self.target.url}'}}\n"
            f"policy: {{{self.policy}}}\n{self.more}\nentities:\n{self.entities}",
            encoding="utf-8",
        )
        return self.mapping

    def command(self, *arguments: str) -> Done:
        done = command(*arguments, "--home", str(self.home))
        self.done.append(done)
        return done

    def run(self, *arguments: str, code: int = 0) -> Any:
        """`migrate run --json`: the document, or the error where `code` is not 0."""
        self.write()
        done = self.command("run", str(self.mapping), *arguments, "--json")
        assert done.code == code, f"exit {done.code}\n{done.out[-3000:]}\n{done.err[-3000:]}"
        return done.error if code else done.document

    def says(self, *arguments: str, code: int) -> str:
        """`migrate run` for a person: the paragraph of the error, held to what an error has to be."""
        self.write()
        done = self.command("run", str(self.mapping), *arguments)
        assert done.code == code, f"exit {done.code}\n{done.out[-3000:]}\n{done.err[-3000:]}"
        return done.err

    def quarantine(self, run: str = "latest") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.command("quarantine", "list", run, "--json").document
        return found

    def codes(self, entity: str, run: str = "latest") -> dict[str, list[str]]:
        """Key → codes of the quarantined rows of one entity."""
        return {r["key"]: r["codes"] for r in self.quarantine(run) if r["entity"] == entity}

    def run_folder(self, run: str) -> Path:
        return self.home / "runs" / run

    def objects(self) -> list[Path]:
        """The stored parts of all backups."""
        return sorted(p for p in (self.vault / "objects").rglob("*") if p.is_file())

    def printed(self) -> str:
        return "".join(d.out + d.err for d in self.done)


def small(folder: Path, target_url: str = "", source_url: str = "") -> World:
    """Two companies, three people; all of it good."""
    source = Db(source_url or f"sqlite:///{folder}/source.db")
    target = Db(target_url or f"sqlite:///{folder}/target.db")
    world = empty(folder, source, target)
    source.fill("companies", [(1, "Acme", "Leeds"), (2, "Bolt", None)])
    source.fill(
        "people",
        [(1, 1, "Ada", "ada@example.com"), (2, 1, "Bob", "bob@example.com"), (3, 2, "Cy", None)],
    )
    return world


def keyed(database: Db, statement: str) -> str:
    """MariaDB has no keys over TEXT."""
    return statement.replace(" TEXT", " VARCHAR(200)") if database.is_mysql else statement


def empty(folder: Path, source: Db, target: Db) -> World:
    """The same tables without a row."""
    source.run(*(keyed(source, s) for s in (COMPANIES, PEOPLE)))
    target.run(*(keyed(target, s) for s in (ACCOUNTS, CONTACTS)))
    return World(folder, source, target)


def bare(folder: Path, source: Sequence[str], target: Sequence[str], entities: str, **more: Any) -> World:
    """Made by these statements: SQLite on both sides, or another engine's `target_url`."""
    world = World(
        folder,
        Db(f"sqlite:///{folder}/source.db"),
        Db(more.pop("target_url", "") or f"sqlite:///{folder}/target.db"),
        entities=entities,
        **more,
    )
    world.source.run(*source)
    world.target.run(*(keyed(world.target, s) for s in target))
    return world


def files(
    folder: Path, content: dict[str, bytes], target: Sequence[str], entities: str, **more: Any
) -> World:
    """A folder of files as the source."""
    place = folder / "exports"
    place.mkdir()
    for name, data in content.items():
        (place / name).write_bytes(data)
    world = World(
        folder,
        Db(f"files:{place}"),
        Db(more.pop("target_url", "") or f"sqlite:///{folder}/target.db"),
        entities=entities,
        **more,
    )
    world.target.run(*target)
    return world


def balance(document: dict[str, Any], entity: str) -> dict[str, int]:
    """The balance of one entity, which holds."""
    found: dict[str, int] = document["balances"][entity]
    parts = ("loaded", "unchanged", "merged", "quarantined", "excluded")
    assert found["in"] == sum(found[p] for p in parts), found
    return found


def is_one_clear_paragraph(text: str, *words: str) -> None:
    """What every error is held to: one paragraph that names these words, no traceback, no driver's voice."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    assert len(lines) == 1, text
    assert 40 < len(text) < PARAGRAPH_LIMIT, text
    for alien in ("Traceback", "psycopg", "sqlite3.", "pyarrow", "duckdb", "Errno", "DETAIL", "has a bug"):
        assert alien not in text, text
    for word in words:
        assert word in text, f"{word!r} is not in: {text}"


def complete(error: dict[str, Any]) -> None:
    """What happened, what was kept, what to do: none is empty."""
    for part in ("message", "kept", "hint"):
        assert error[part], (part, error)


def open_files(folder: Path) -> list[str]:
    """Everything below `folder` that others may read: files that are not 0600 (or 0400), folders not 0700."""
    found = []
    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode & 0o077:
            found.append(f"{path.relative_to(folder)} {mode:o}")
    return found


def places_of(folders: Iterable[Path], canary: bytes) -> list[str]:
    """Files below `folders` that hold these bytes as they are."""
    return [
        str(path)
        for folder in folders
        for path in (folder.rglob("*") if folder.is_dir() else [folder])
        if path.is_file() and canary in path.read_bytes()
    ]


def parquet_rows(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path).to_pylist())


@contextmanager
def after(module: Any, name: str, act: Callable[[], None]) -> Iterator[None]:
    """Do `act` once, right after the first call of `module.name` came back."""
    original = getattr(module, name)
    fired: list[bool] = []

    def wrapped(*arguments: Any, **named: Any) -> Any:
        result = original(*arguments, **named)
        if not fired:
            fired.append(True)
            act()
        return result

    setattr(module, name, wrapped)
    try:
        yield
    finally:
        setattr(module, name, original)
    assert fired, f"{name} was never called"


def rows_per_part(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Tables are cut into parts of at most so many rows."""
    from migrate.parts import write_parts

    keywords = {**(write_parts.__kwdefaults__ or {}), "max_rows": rows}
    monkeypatch.setattr(write_parts, "__kwdefaults__", keywords)


@contextmanager
def at_point(point: str, act: Callable[[], object]) -> Iterator[None]:
    """Do `act` once, when the failpoint `point` is passed for the first time."""
    from migrate import failpoints

    original = failpoints.hit
    fired: list[bool] = []

    def hit(name: str) -> None:
        original(name)
        if name == point and not fired:
            fired.append(True)
            act()

    failpoints.hit = hit
    try:
        yield
    finally:
        failpoints.hit = original
    assert fired, f"{point} was never passed"
