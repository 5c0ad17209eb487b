"""One suite, every engine: the fixture `engine` gives a fresh, empty, real database each time.

To add an engine: write a class with the methods of `Engine`, a fixture NAME_engine, and its name in ENGINES.
"""

from __future__ import annotations

import datetime as dt
import itertools
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from math import isfinite
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from migrate.connectors import registry
from migrate.connectors.protocol import Scratch, Target
from migrate.model import Kind

from tests import mariadb

ENGINES = ["sqlite", "postgresql", "mysql"]


class Engine(Protocol):
    name: str
    url: str
    indexes: tuple[str, ...]  # more than columns: statements that make such indexes on `child`
    first_instant: dt.datetime  # the earliest that a column which holds instants takes
    kinds: Mapping[
        str, Kind
    ]  # columns of `every_kind` for whose type it has none of its own: what they are read as
    deferrable: bool  # foreign keys may be checked at the end of a transaction
    whole_statements: bool  # foreign keys are checked at the end of a statement, not row by row

    def open(self) -> Target:
        """One more `Target` on the same database."""
        ...

    def holds(self, row: Mapping[str, object]) -> bool:
        """Whether its types have all values of a row of `every_kind`."""
        ...

    def execute(self, *statements: str) -> None:
        """SQL that is not ours, through the engine's own driver, each statement committed."""
        ...

    def scratch(self) -> Scratch: ...

    def unreachable(self) -> list[str]:
        """URLs that cannot be opened; passwords in them contain 'canary'."""
        ...


_EARLY = dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)
_INDEXES = (
    "CREATE UNIQUE INDEX child_code_lower ON child (lower(code))",
    "CREATE INDEX child_some ON child (parent_id) WHERE amount > 5",
)


class SqliteEngine:
    name = "sqlite"
    indexes, first_instant = _INDEXES, _EARLY
    kinds: Mapping[str, Kind] = {}
    deferrable = whole_statements = True

    def __init__(self, folder: Path) -> None:
        self._folder, self._names = folder, itertools.count()
        self.path = folder / "data base.sqlite"
        self.url = f"sqlite:///{self.path}"
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("VACUUM")

    def open(self) -> Target:
        return registry.open_target(self.url, base=self._folder, work=self._folder / "work")

    def holds(self, row: Mapping[str, object]) -> bool:
        """No -0.0: whole numbers are kept as integers there, which have one zero."""
        return str(row.get("ratio")) != "-0.0"

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
    indexes, first_instant = _INDEXES, _EARLY
    kinds: Mapping[str, Kind] = {}
    deferrable = whole_statements = True

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self._folder, self._names = url, folder, itertools.count()

    def open(self) -> Target:
        return registry.open_target(self.url, base=self._folder, work=self._folder / "work")

    def holds(self, row: Mapping[str, object]) -> bool:
        return True

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


class MysqlEngine:
    name = "mysql"
    indexes = (
        "CREATE UNIQUE INDEX child_code_amount ON child (code(3), amount)",
        "CREATE FULLTEXT INDEX child_words ON child (code)",
    )
    first_instant = dt.datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=dt.UTC)
    deferrable = whole_statements = False

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self._folder, self._names = url, folder, itertools.count()
        self.kinds: Mapping[str, Kind] = {"token": Kind.TEXT} if mariadb.is_mysql(url) else {}

    def open(self) -> Target:
        return registry.open_target(self.url, base=self._folder, work=self._folder / "work")

    def holds(self, row: Mapping[str, object]) -> bool:
        """No infinity, no -0.0; MariaDB's uuid takes those of RFC 4122 alone."""
        ratio, token = row.get("ratio"), row.get("token")
        plain = ratio is None or (isfinite(float(str(ratio))) and str(ratio) != "-0.0")
        return plain and (token is None or uuid.UUID(str(token)).variant == uuid.RFC_4122)

    def execute(self, *statements: str) -> None:
        mariadb.execute(self.url, *statements)

    def scratch(self) -> Scratch:
        name = f"{self.url.rpartition('/')[2]}_s{next(self._names)}"
        return registry.open_scratch("mysql", self.url, folder=self._folder, name=name, run="run")

    def unreachable(self) -> list[str]:
        return [
            "mysql://nobody:canary@127.0.0.1:1/none",
            f"{self.url}_missing",
            self.url.replace("//root", "//u_missing:canary", 1),
        ]


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> SqliteEngine:
    return SqliteEngine(tmp_path)


@pytest.fixture
def postgresql_engine(pg_database: str, tmp_path: Path) -> PostgresEngine:
    return PostgresEngine(pg_database, tmp_path)


@pytest.fixture
def mysql_engine(my_database: str, tmp_path: Path) -> MysqlEngine:
    return MysqlEngine(my_database, tmp_path)


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
