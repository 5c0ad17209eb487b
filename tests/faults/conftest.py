"""The worlds that faults are tried on: made once per process, and what an undisturbed run makes of them."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests import mariadb, services
from tests.conftest import database_url
from tests.faults import child
from tests.faults.world import World, copied, make_template, saved

ENGINES = ("sqlite", "postgresql", "mysql")


@dataclass
class Base:
    """A world before its run, the points that the run passes, and how everything stands after it."""

    template: World
    place: Path
    name: str  # the target's database, the same for every copy, for the mapping names it
    passed: list[str]
    standing: dict[str, Any]
    loaded: World  # a template: the world after the run
    rollback_passed: list[str]
    before: dict[str, Any]  # the target's rows before the run
    imported: list[str]  # modules that the run and its rollback had to load, see child.py
    made: list[str] = field(default_factory=list)

    def world(self, template: World | None = None) -> AbstractContextManager[World]:
        return copied(template or self.template, self.place / "w", self.name)

    @cached_property
    def standing_again(self) -> dict[str, Any]:
        """How everything stands after a second run: it looks again at references to rows that the target refused."""
        with self.world(self.loaded) as world:
            done = world.run()
            assert (done.code, world.states()) == (0, ["verified"] * 2), done.answer
            return world.standing()


def _base(engine: str, place: Path, make: Callable[[], str]) -> Base:
    urls = [] if engine == "sqlite" else [make(), make()]
    template = make_template(engine, place / "template", urls)
    name = f"t_fault_{secrets.token_hex(6)}"
    log = place / "log"
    with copied(template, place / "w", name) as world:
        before = world.rows()
        done = world.run(log=log)
        assert done.code == 0, done.answer
        assert done.answer["state"] == "verified"
        standing = world.standing()
        loaded = saved(world, place / "loaded", f"{name}_l")
        undo = place / "undo"
        undone = world.rollback(log=undo)
        assert undone.code == 0, undone.answer
        imported = [*done.imported, *undone.imported]
    return Base(
        template, place, name, child.passings(log), standing, loaded, child.passings(undo), before, imported
    )


@pytest.fixture(scope="session")
def own_server() -> Iterator[str]:
    """A PostgreSQL server of this process alone where one can be started: killed sessions, scratch databases and
    checkpoints of others then play no part. Else the one that all tests use."""
    binaries = services.packaged_binaries()
    if binaries is None:
        url = services.postgres_url()
        if url is None:
            services.missing("no PostgreSQL: see tests/services.py")
        yield url
        return
    url, stop = services.start_private(binaries)
    yield url
    stop()


@pytest.fixture(scope="session")
def bases(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Base]]:
    """The base of an engine, made when first asked for."""
    place = Path(tempfile.mkdtemp(prefix="migrate-faults-", dir=services.memory()))
    made: dict[str, Base] = {}
    names: list[str] = []
    servers: list[str] = []
    mariadbs: list[str] = []
    on_mariadb: list[str] = []

    def make_on_mariadb() -> str:
        server = request.getfixturevalue("mariadb_server")
        mariadbs.append(server)
        on_mariadb.append(f"t_fault_{secrets.token_hex(6)}")
        return mariadb.create_database(server, on_mariadb[-1])

    def make() -> str:
        servers.append(request.getfixturevalue("own_server"))
        names.append(f"t_fault_{secrets.token_hex(6)}")
        with psycopg.connect(servers[-1], autocommit=True) as server:
            services.create_database(server, names[-1])
        return database_url(servers[-1], names[-1])

    def base(engine: str) -> Base:
        if engine not in made:
            made[engine] = _base(engine, place / engine, make_on_mariadb if engine == "mysql" else make)
            if engine != "sqlite":
                kept = on_mariadb if engine == "mysql" else names
                kept.extend([made[engine].name, f"{made[engine].name}_l"])
        return made[engine]

    try:
        yield base
    finally:
        shutil.rmtree(place, ignore_errors=True)
        for name in on_mariadb:
            with suppress(pymysql.MySQLError):
                mariadb.drop_database(mariadbs[-1], name)
        for name in names:
            # A server of our own may have been stopped already.
            with (
                suppress(psycopg.OperationalError),
                psycopg.connect(servers[-1], autocommit=True) as server,
            ):
                services.drop_database(server, name)
