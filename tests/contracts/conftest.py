"""One suite, every engine: the fixture `engine` gives a fresh, empty, real database each time.

To add an engine: write a class with the methods of `Engine`, a fixture NAME_engine, and its name in ENGINES.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from migrate.connectors import registry
from migrate.connectors.protocol import Scratch, Target

ENGINES = ["sqlite", "postgresql"]


class Engine(Protocol):
    name: str
    url: str

    def open(self) -> Target:
        """One more `Target` on the same database."""
        ...

    def execute(self, *statements: str) -> None:
        """SQL that is not ours, through the engine's own driver, each statement committed."""
        ...

    def scratch(self) -> Scratch: ...

    def unreachable(self) -> list[str]:
        """URLs that cannot be opened; passwords in them contain 'canary'."""
        ...


class SqliteEngine:
    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder, self._names = folder, itertools.count()
        self.path = folder / "data base.sqlite"
        self.url = f"sqlite:///{self.path}"
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("VACUUM")

    def open(self) -> Target:
        return registry.open_target(self.url, base=self._folder, work=self._folder / "work")

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    def scratch(self) -> Scratch:
        name = f"scratch_{next(self._names)}"
        return registry.open_scratch("sqlite", None, folder=self._folder / "scratch", name=name, run="run")

    def unreachable(self) -> list[str]:
        return [f"sqlite:///{self._folder / 'missing.sqlite'}", f"sqlite:///{self._folder}"]


class PostgresEngine:
    name = "postgresql"

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self._folder, self._names = url, folder, itertools.count()

    def open(self) -> Target:
        return registry.open_target(self.url, base=self._folder, work=self._folder / "work")

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def scratch(self) -> Scratch:
        name = f"{self.url.rpartition('/')[2]}_s{next(self._names)}"
        return registry.open_scratch("postgresql", self.url, folder=self._folder, name=name, run="run")

    def unreachable(self) -> list[str]:
        return [
            "postgresql://nobody:canary@127.0.0.1:1/none",
            f"{self.url}_missing",
            self.url.replace("//", "//u_missing:canary@", 1).replace("canary@postgres@", "canary@"),
        ]


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> SqliteEngine:
    return SqliteEngine(tmp_path)


@pytest.fixture
def postgresql_engine(pg_database: str, tmp_path: Path) -> PostgresEngine:
    return PostgresEngine(pg_database, tmp_path)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture
def target(engine: Engine) -> Iterator[Target]:
    opened = engine.open()
    yield opened
    opened.close()


@pytest.fixture
def make_scratch(engine: Engine) -> Iterator[Callable[[], Scratch]]:
    made: list[Scratch] = []

    def make() -> Scratch:
        made.append(engine.scratch())
        return made[-1]

    yield make
    for scratch in made:
        scratch.drop()
