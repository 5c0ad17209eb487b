"""Two small CRMs and a mapping between them that makes every step of a load happen, and how both stand afterwards.

In it: an entity that is only linked, rows updated by a match, a self-reference, a cycle, rows that are
quarantined and their children, a row that only the database refuses and its child, several parts.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests import mariadb, services
from tests.faults.child import Ended, command

TABLES = ("users", "accounts", "contacts", "deals", "notes")
_SOURCE = """
CREATE TABLE staff (id INTEGER PRIMARY KEY, mail VARCHAR(80) NOT NULL);
CREATE TABLE companies (id INTEGER PRIMARY KEY, name VARCHAR(80), parent INTEGER, main_contact INTEGER, rep INTEGER);
CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(80), mail VARCHAR(80), co INTEGER);
CREATE TABLE offers (id INTEGER PRIMARY KEY, code VARCHAR(20), co INTEGER, amount NUMERIC(12, 2));
CREATE TABLE remarks (id INTEGER PRIMARY KEY, offer INTEGER, body VARCHAR(200));
"""
_ROWS = """
INSERT INTO staff VALUES (1, 'ann@x.example'), (2, 'bob@x.example');
INSERT INTO companies VALUES
  (1, 'Alpha', NULL, 11, 1), (2, 'Beta', 1, 12, 2), (3, '', 1, NULL, 1), (4, 'Delta', 3, 14, 1),
  (5, 'Epsilon', 5, 15, 2), (6, 'Zeta', 7, NULL, NULL), (7, 'Eta', 6, 17, 1);
INSERT INTO people VALUES
  (11, 'Eve', 'eve@x.example', 1), (12, 'Finn', 'finn@x.example', 2), (13, NULL, 'gus@x.example', 3),
  (14, 'Gwen', 'gwen@x.example', 4), (15, 'Hal', 'EVE@x.example', 5), (16, 'Ida', 'ida@x.example', 99),
  (17, 'Jan', 'jan@x.example', 7);
INSERT INTO offers VALUES
  (21, 'o-1', 1, 10.50), (22, 'o-2', 2, -1), (23, 'o-3', 3, 5), (24, 'o-4', 4, 0.10), (25, 'o-5', 7, 99);
INSERT INTO remarks VALUES
  (31, 21, 'first'), (32, 22, 'of a row that is refused'), (33, 24, 'third'), (34, 25, 'fourth'), (35, 21, '');
"""
_TARGET = {
    "sqlite": """
CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(80) NOT NULL UNIQUE);
CREATE TABLE accounts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(80) NOT NULL, parent_id INTEGER REFERENCES accounts (id),
  contact_id INTEGER REFERENCES contacts (id), owner_id INTEGER REFERENCES users (id),
  legacy_id VARCHAR(20) UNIQUE, updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE contacts (
  id INTEGER PRIMARY KEY, name VARCHAR(80) NOT NULL, email VARCHAR(80) COLLATE NOCASE UNIQUE,
  account_id INTEGER REFERENCES accounts (id));
CREATE TABLE deals (
  id INTEGER PRIMARY KEY, code VARCHAR(20) NOT NULL UNIQUE, account_id INTEGER NOT NULL REFERENCES accounts (id),
  amount DECIMAL(12, 2) CHECK (amount >= 0));
CREATE TABLE notes (id UUID PRIMARY KEY NOT NULL, deal_id INTEGER NOT NULL REFERENCES deals (id), body VARCHAR(200) NOT NULL);
""",
    "postgresql": """
CREATE TABLE users (id serial PRIMARY KEY, email varchar(80) NOT NULL UNIQUE);
CREATE TABLE accounts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(80) NOT NULL, parent_id bigint REFERENCES accounts (id),
  contact_id bigint, owner_id integer REFERENCES users (id),
  legacy_id varchar(20) UNIQUE, updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE contacts (
  id bigserial PRIMARY KEY, name varchar(80) NOT NULL, email varchar(80), account_id bigint REFERENCES accounts (id));
CREATE UNIQUE INDEX contacts_email ON contacts (lower(email));
ALTER TABLE accounts ADD FOREIGN KEY (contact_id) REFERENCES contacts (id);
CREATE TABLE deals (
  id serial PRIMARY KEY, code varchar(20) NOT NULL UNIQUE, account_id bigint NOT NULL REFERENCES accounts (id),
  amount numeric(12, 2) CHECK (amount >= 0));
CREATE TABLE notes (id uuid PRIMARY KEY, deal_id integer NOT NULL REFERENCES deals (id), body varchar(200) NOT NULL);
""",
    "mysql": """
CREATE TABLE users (id int AUTO_INCREMENT PRIMARY KEY, email varchar(80) NOT NULL UNIQUE);
CREATE TABLE accounts (
  id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(80) NOT NULL, parent_id bigint, contact_id bigint, owner_id int,
  legacy_id varchar(20) UNIQUE, updated_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  FOREIGN KEY (parent_id) REFERENCES accounts (id), FOREIGN KEY (owner_id) REFERENCES users (id));
CREATE TABLE contacts (
  id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(80) NOT NULL, email varchar(80) UNIQUE, account_id bigint,
  FOREIGN KEY (account_id) REFERENCES accounts (id));
ALTER TABLE accounts ADD FOREIGN KEY (contact_id) REFERENCES contacts (id);
CREATE TABLE deals (
  id int AUTO_INCREMENT PRIMARY KEY, code varchar(20) NOT NULL UNIQUE, account_id bigint NOT NULL,
  amount decimal(12, 2) CHECK (amount >= 0), FOREIGN KEY (account_id) REFERENCES accounts (id));
CREATE TABLE notes (id uuid PRIMARY KEY, deal_id int NOT NULL, body varchar(200) NOT NULL,
  FOREIGN KEY (deal_id) REFERENCES deals (id));
""",
}
_THERE = """
INSERT INTO users (email) VALUES ('ann@x.example'), ('bob@x.example'), ('zoe@x.example');
INSERT INTO accounts (name, owner_id, legacy_id, updated_at) VALUES
  ('Old Alpha', 3, '1', '2020-01-01 00:00:00'), ('Ours', 3, NULL, '2020-01-01 00:00:00'), ('Zeta', NULL, '6', '2020-01-01 00:00:00');
INSERT INTO contacts (name, email, account_id) VALUES ('Ours', 'ours@x.example', 2);
"""
_MAPPING = """
migrate: 1
name: sweep
source: {{system: old, url: "{source}", nulls: [""]}}
target: {{url: "{target}"}}
policy: {{max_quarantine: 90%, unmapped: error, backup: {{to: backups/}}}}
entities:
  users: {{from: staff, key: id, into: users, write: link, match: {{email: mail}}}}
  accounts:
    from: companies
    key: id
    into: accounts
    match: [legacy_id]
    write: add_or_update
    fields:
      name: {{from: name, check: [required]}}
      parent_id: {{from: parent, ref: {{to: accounts, missing: empty_and_flag}}}}
      contact_id: {{from: main_contact, ref: {{to: contacts, missing: empty_and_flag}}}}
      owner_id: {{from: rep, ref: users}}
      legacy_id: id
    target_sets: {{updated_at: any}}
  contacts:
    from: people
    key: id
    into: contacts
    fields:
      name: {{from: name, check: [required]}}
      email: mail
      account_id: {{from: co, ref: {{to: accounts, missing: empty_and_flag}}}}
  deals:
    from: offers
    key: id
    into: deals
    fields: {{code: code, account_id: {{from: co, ref: accounts}}, amount: amount}}
  notes:
    from: remarks
    key: id
    into: notes
    fields: {{deal_id: {{from: offer, ref: deals}}, body: {{from: body, check: [required]}}}}
"""
_KEYS = {
    "users": ("users", "id"),
    "accounts": ("accounts", "id"),
    "contacts": ("contacts", "id"),
    "deals": ("deals", "id"),
    "notes": ("notes", "id"),
}
_REFERENCES = {
    ("accounts", "parent_id"): "accounts", ("accounts", "contact_id"): "contacts", ("accounts", "owner_id"): "users",
    ("contacts", "account_id"): "accounts", ("deals", "account_id"): "accounts", ("notes", "deal_id"): "deals",
}  # fmt: skip
_UNTOLD = ("updated_at",)  # the target's own clock


@dataclass(frozen=True)
class World:
    """One folder with a mapping in it, and the target that the mapping names."""

    engine: str
    folder: Path
    target: str  # SQLite: a path; else a URL

    @property
    def mapping(self) -> Path:
        return self.folder / "mapping.yaml"

    @property
    def home(self) -> Path:
        return self.folder / ".migrate"

    def run(self, arm: str = "", log: Path | None = None, since: str = "") -> Ended:
        """A killed process' session in PostgreSQL may hold the lock for a moment longer: exit 8 is tried again."""
        return self._patient("run", arm, log, since)

    def rollback(self, arm: str = "", log: Path | None = None, since: str = "") -> Ended:
        return self._patient("rollback", arm, log, since)

    def replay(self, arm: str = "", log: Path | None = None) -> Ended:
        """Of the corrected files in `fix`."""
        return self._patient("replay", arm, log, "")

    def _patient(self, what: str, arm: str, log: Path | None, since: str) -> Ended:
        until = time.monotonic() + 20
        while True:
            found = command(what, self.mapping, arm=arm, log=log, since=since)
            if found.code != 8 or self.engine == "sqlite" or time.monotonic() > until:
                return found
            time.sleep(0.05)

    def query(self, text: str) -> list[dict[str, Any]]:
        if self.engine == "sqlite":
            with closing(sqlite3.connect(self.target)) as database:
                found = database.execute(text)
                names = [d[0] for d in found.description]
                return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        if self.engine == "mysql":
            return mariadb.query(self.target, text)
        with psycopg.connect(self.target, row_factory=psycopg.rows.dict_row) as database:
            return database.execute(text.encode()).fetchall()

    def meta(self, name: str) -> list[dict[str, Any]]:
        place = f"migrate_meta.{name}" if self.engine == "postgresql" else f"_migrate_{name}"
        return self.query(f"SELECT * FROM {place}")

    def ledger(self, text: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.home / "ledger.db")) as ledger:
            return ledger.execute(text).fetchall()

    def states(self) -> list[str]:
        """Of all runs that the ledger knows, oldest first."""
        if not (self.home / "ledger.db").exists():
            return []
        tables = {name for (name,) in self.ledger("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return (
            [s for (s,) in self.ledger("SELECT state FROM run ORDER BY started")] if "run" in tables else []
        )

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All business rows as they are, keys and all."""
        return {name: self.query(f"SELECT * FROM {name} ORDER BY id") for name in TABLES}

    def standing(self) -> dict[str, Any]:
        """Target and our own records of the first run, serial keys replaced by source keys: what must not depend on a kill."""
        entries = self.meta("crosswalk")
        run = min(r["run"] for r in self.meta("run"))  # names of runs begin with their time

        def mine(name: str) -> list[dict[str, Any]]:
            return [r for r in self.meta(name) if r["run"] == run]

        names = {
            (e["entity"], json.loads(e["target_key"])[0]): f"{e['entity']} {e['source_key']}" for e in entries
        }

        def named(entity: str, key: object) -> object:
            return None if key is None else names.get((entity, str(key)), f"own {key}")

        tables: dict[str, list[str]] = {}
        for table in TABLES:
            rows = []
            for row in self.query(f"SELECT * FROM {table}"):
                told = {c: v for c, v in row.items() if c not in _UNTOLD}
                told["id"] = named(table, row["id"])
                told |= {c: named(parent, row[c]) for (t, c), parent in _REFERENCES.items() if t == table}
                rows.append(repr(sorted(told.items())))
            tables[table] = sorted(rows)
        return {
            **tables,
            "crosswalk": sorted(
                repr((e["system"], e["entity"], e["source_key"], named(e["entity"], json.loads(e["target_key"])[0]),
                      e["origin"], e["plan"], bytes(e["source_hash"]), e["target_hash"] is None, e["row_hash"] is None))
                for e in entries
            ),
            "receipts": sorted((r["part"], r["row_count"], r["rejected"]) for r in mine("receipt")),
            "rejects": sorted((r["part"], r["entity"], r["rid"], r["source_key"], r["code"]) for r in mine("reject")),
            "journal": sorted((r["part"], r["kind"], r["entity"], r["row_count"]) for r in mine("journal")),
        }  # fmt: skip

    def left_over(self) -> list[str]:
        """What a killed process may leave for a while, and what must be gone once the run has been finished."""
        found = [
            str(p.relative_to(self.folder))
            for p in self.home.rglob("*")
            if p.name.startswith((".tmp-", "migrate-snapshot-"))
        ]
        found += [str(p.relative_to(self.folder)) for p in self.home.glob("runs/*/scratch/*")]
        found += [str(p.relative_to(self.folder)) for p in self.home.glob("runs/*/temp/*")]
        found += [str(p.relative_to(self.folder)) for p in self.home.glob("runs/*/extract/*/*/*.parquet")]
        found += [str(p.relative_to(self.folder)) for p in self.home.glob("runs/*/target/*/*.parquet")]
        found += [f"ledger: scratch {name}" for (name,) in self.ledger("SELECT name FROM scratch")]
        if self.engine == "postgresql":
            names = {name for (name,) in self._scratches()}
            found += [f"database {name}" for name in names]
        if self.engine == "mysql":
            found += [f"database {name}" for name in self._marked_on_mariadb()]
        return found

    def _marked_on_mariadb(self) -> list[str]:
        """Scratch databases on the server that carry the mark of one of our runs."""
        runs = {run for (run,) in self.ledger("SELECT run FROM run")}
        found = self.query(
            "SELECT TABLE_SCHEMA AS name FROM information_schema.TABLES WHERE TABLE_NAME = '_migrate_marker'"
        )
        return [
            r["name"]
            for r in found
            if {m["run"] for m in self.query(f"SELECT run FROM `{r['name']}`._migrate_marker")} & runs
        ]

    def _scratches(self) -> list[tuple[str]]:
        """Scratch databases on the server that carry the mark of one of our runs, or no mark at all while named by our ledger."""
        with psycopg.connect(self.target) as server:
            names = [
                n
                for (n,) in server.execute(
                    "SELECT datname FROM pg_database WHERE datname LIKE 'migrate\\_scratch\\_%'"
                ).fetchall()
            ]
        runs = {run for (run,) in self.ledger("SELECT run FROM run")}
        mine = []
        for name in names:
            try:
                with psycopg.connect(with_database(self.target, name)) as inside:
                    marked = inside.execute(
                        "SELECT to_regclass('migrate_meta.migrate_marker') IS NOT NULL"
                    ).fetchone()
                    whose = (
                        inside.execute("SELECT run FROM migrate_meta.migrate_marker").fetchall()
                        if marked and marked[0]
                        else []
                    )
            except psycopg.OperationalError:
                continue  # somebody else's, dropped meanwhile
            if {run for (run,) in whose} & runs:
                mine.append((name,))
        return mine


def with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def make_template(engine: str, folder: Path, urls: Sequence[str] = ()) -> World:
    """A world before any run. Servers: `urls` are two empty databases, source and target."""
    folder.mkdir(parents=True, exist_ok=True)
    if engine == "sqlite":
        for name, text in (("source", _SOURCE + _ROWS), ("target", _TARGET[engine] + _THERE)):
            with closing(sqlite3.connect(folder / f"{name}.db")) as database:
                database.executescript(text)
        return World(engine, folder, str(folder / "target.db"))
    for url, text in zip(urls, (_SOURCE + _ROWS, _TARGET[engine] + _THERE), strict=True):
        if engine == "mysql":
            mariadb.execute(url, *(s for s in text.split(";") if s.strip()))
            continue
        with psycopg.connect(url, autocommit=True) as database:
            database.execute(text.encode())
    (folder / "source.url").write_text(urls[0])
    return World(engine, folder, urls[1])


@contextmanager
def copied(template: World, folder: Path, name: str = "") -> Iterator[World]:
    """A world of its own, equal to `template`, which must not be in use; gone at the end."""
    shutil.copytree(template.folder, folder)
    world = World(template.engine, folder, str(folder / "target.db"))
    source = "sqlite:///source.db"
    target = "sqlite:///target.db"
    if template.engine != "sqlite":
        source = (folder / "source.url").read_text()
        target = with_database(template.target, name)
        world = World(template.engine, folder, target)
        _copy_database(template, name)
    (folder / "mapping.yaml").write_text(
        _MAPPING.format(source=source, target=target)
    )  # the same in every copy
    try:
        yield world
    finally:
        shutil.rmtree(folder)
        if template.engine == "mysql":
            mariadb.drop_database(template.target, name)
        elif template.engine == "postgresql":
            with server_of(template.target) as server:
                services.drop_database(server, name)


def saved(world: World, folder: Path, name: str = "") -> World:
    """The world as it is now, as a template for others."""
    shutil.copytree(world.folder, folder)
    if world.engine == "sqlite":
        return World(world.engine, folder, str(folder / "target.db"))
    _copy_database(world, name)
    return World(world.engine, folder, with_database(world.target, name))


def _copy_database(world: World, name: str) -> None:
    template = urlsplit(world.target).path[1:]
    if world.engine == "mysql":
        mariadb.copy_database(world.target, name, template)
        return
    with server_of(world.target) as server:
        services.create_database(server, name, template)


def server_of(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(with_database(url, "postgres"), autocommit=True)


def difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Empty, or what differs, for people."""
    told = []
    for name, value in expected.items():
        if found[name] == value:
            continue
        if isinstance(value, list):
            missing, extra = Counter(map(repr, value)), Counter(map(repr, found[name]))
            told.append(
                f"{name}: missing {list((missing - extra).elements())}, extra {list((extra - missing).elements())}"
            )
        else:
            told.append(f"{name}: {value!r} expected, {found[name]!r} found")
    return "\n".join(told)
