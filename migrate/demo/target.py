"""Our CRM, before the take-over: a SQLite file with rules of its own and rows that are already there."""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path
from random import Random

from migrate.demo import values
from migrate.demo.exports import KNOWN_ALREADY
from migrate.demo.source import REPS, Acme

TABLES = """
CREATE TABLE territories (id INTEGER PRIMARY KEY, country CHAR(2) NOT NULL UNIQUE, name VARCHAR(40) NOT NULL);
CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(120) NOT NULL UNIQUE, name VARCHAR(80) NOT NULL);
CREATE TABLE accounts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name VARCHAR(80) NOT NULL CHECK (length(trim(name)) > 0),
  phone VARCHAR(20),
  country CHAR(2),
  industry VARCHAR(20),
  employees INTEGER CHECK (employees >= 0),
  revenue DECIMAL(12, 0),
  website VARCHAR(120),
  territory_id INTEGER REFERENCES territories (id),
  owner_id INTEGER REFERENCES users (id),
  parent_id INTEGER REFERENCES accounts (id),
  primary_contact_id INTEGER REFERENCES contacts (id),
  legacy_id VARCHAR(20) UNIQUE,
  source VARCHAR(20),
  created_on DATE,
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE contacts (
  id INTEGER PRIMARY KEY,
  account_id INTEGER REFERENCES accounts (id),
  first_name VARCHAR(40),
  last_name VARCHAR(40) NOT NULL,
  email VARCHAR(120) COLLATE NOCASE UNIQUE,
  phone VARCHAR(20),
  country CHAR(2),
  born_on DATE,
  newsletter BOOLEAN NOT NULL DEFAULT 0,
  legacy_no VARCHAR(20) UNIQUE,
  source VARCHAR(20),
  updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX contacts_account ON contacts (account_id);
CREATE INDEX accounts_parent ON accounts (parent_id);
CREATE INDEX accounts_primary_contact ON accounts (primary_contact_id);
CREATE TABLE deals (
  id INTEGER PRIMARY KEY,
  code VARCHAR(20) NOT NULL UNIQUE,
  title VARCHAR(80) NOT NULL,
  account_id INTEGER NOT NULL REFERENCES accounts (id),
  contact_id INTEGER REFERENCES contacts (id),
  owner_id INTEGER REFERENCES users (id),
  stage VARCHAR(20) NOT NULL CHECK (stage IN ('qualification', 'proposal', 'negotiation', 'won', 'lost')),
  amount DECIMAL(12, 2) CHECK (amount >= 0),
  probability DECIMAL(5, 2),
  closes_on DATE
);
CREATE INDEX deals_account ON deals (account_id);
CREATE INDEX deals_contact ON deals (contact_id);
CREATE TABLE notes (
  id INTEGER PRIMARY KEY,
  contact_id INTEGER NOT NULL REFERENCES contacts (id),
  body TEXT NOT NULL,
  written_at TIMESTAMP
);
CREATE INDEX notes_contact ON notes (contact_id);
CREATE TABLE leads (
  id UUID PRIMARY KEY NOT NULL,
  company VARCHAR(80),
  contact VARCHAR(80) NOT NULL,
  email VARCHAR(120) NOT NULL COLLATE NOCASE UNIQUE,
  country CHAR(2),
  worth DECIMAL(12, 2),
  received_on DATE,
  legacy_id VARCHAR(20) UNIQUE
);
"""
_COUNTRIES = (
    ("GB", "Britain"),
    ("IE", "Ireland"),
    ("DE", "Germany"),
    ("FR", "France"),
    ("NL", "Netherlands"),
)
_PILOT = range(1, 26)  # companies that a pilot brought a year ago, under their old id
_SHARED = range(40, 60)  # people whom both companies know, by their e-mail
_OWN_ACCOUNTS, _OWN_CONTACTS, _OWN_DEALS, _OWN_LEADS = 35, 100, 40, 28


def write_target(path: Path, random: Random, made: Acme) -> None:
    """`path` becomes our CRM; it must not exist. Some of its rows are Acme's customers too."""
    database = sqlite3.connect(path)
    try:
        database.execute("PRAGMA foreign_keys = ON")
        database.executescript(TABLES)
        database.executemany("INSERT INTO territories (country, name) VALUES (?, ?)", _COUNTRIES)
        reps = [(f"rep{number:02d}@crm.example", f"Rep {number}") for number in range(1, REPS - 1)]
        database.executemany(
            "INSERT INTO users (email, name) VALUES (?, ?)", [("desk@crm.example", "Sales desk"), *reps]
        )
        _accounts(database, random, made)
        _contacts(database, random, made)
        _deals(database, random)
        _leads(database, random)
        database.commit()
    finally:
        database.close()


def _accounts(database: sqlite3.Connection, random: Random, made: Acme) -> None:
    pilot = [(" ".join(str(made.companies[n - 1][1]).split()), str(n), "pilot") for n in _PILOT]
    own = [(f"Customer {n} Ltd", None, "own") for n in range(1, _OWN_ACCOUNTS + 1)]
    rows = [
        (name, "GB", random.randrange(1, 11), legacy, source, "2025-10-01 09:00:00")
        for name, legacy, source in [*own, *pilot]
    ]
    database.executemany(
        "INSERT INTO accounts (name, country, owner_id, legacy_id, source, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
        rows,
    )


def _contacts(database: sqlite3.Connection, random: Random, made: Acme) -> None:
    shared = [
        (str(p[1]).strip(), str(p[2]).strip(), str(p[3]).strip().lower())
        for p in (made.people[i] for i in _SHARED)
        if p[3]
    ]
    own = [(*values.person(random), f"customer{n}@own.example") for n in range(1, _OWN_CONTACTS + 1)]
    rows = [
        (random.randrange(1, _OWN_ACCOUNTS + 1), first, last, email, "own", "2025-10-01 09:00:00")
        for first, last, email in [*own, *shared]
    ]
    database.executemany(
        "INSERT INTO contacts (account_id, first_name, last_name, email, source, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
        rows,
    )


def _deals(database: sqlite3.Connection, random: Random) -> None:
    rows = [
        (
            f"OWN-{n:04d}",
            f"Own deal {n}",
            random.randrange(1, _OWN_ACCOUNTS + 1),
            random.choice(("won", "proposal")),
            n * 100,
        )
        for n in range(1, _OWN_DEALS + 1)
    ]
    database.executemany(
        "INSERT INTO deals (code, title, account_id, stage, amount) VALUES (?, ?, ?, ?, ?)", rows
    )


def _leads(database: sqlite3.Connection, random: Random) -> None:
    own = [f"lead{n}@own.example" for n in range(1, _OWN_LEADS + 1)]
    rows = [
        (str(uuid.UUID(int=random.getrandbits(128), version=4)), f"Lead {n}", email)
        for n, email in enumerate([*own, *KNOWN_ALREADY], start=1)
    ]
    database.executemany("INSERT INTO leads (id, contact, email) VALUES (?, ?, ?)", rows)
