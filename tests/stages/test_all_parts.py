"""Parts of an entity over several connections at once: only where their order cannot matter, and never twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from migrate import failpoints
from migrate.stages.load import all_parts
from migrate.stages.load.parts import load_part

from tests.runs import Db, World, balance, rows_per_part

ROWS = 200
PEOPLE = "  people: {from: people, key: id, into: people, fields: {id: id, name: name}}\n"


class Watched:
    """`load_part`, with how many were at work at the same time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.most = self._now = 0
        self._lock, self._carried = threading.Lock(), load_part
        self._met = threading.Barrier(2)
        monkeypatch.setattr(all_parts, "load_part", self)

    def __call__(self, *arguments: Any) -> Any:
        with self._at_work():
            return self._carried(*arguments)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            # whoever is alone waits a little for a second one: without it, a fast part proves nothing
            self._met.wait(timeout=0.1)
        except threading.BrokenBarrierError:
            self._met.reset()
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows_per_part(monkeypatch, ROWS // 5)


def people(folder: Path, target_url: str, name: str = "TEXT") -> World:
    source, target = Db(f"sqlite:///{folder}/source.db"), Db(target_url)
    source.run("CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT)")
    source.fill("people", [(n, f"N{n % 150}") for n in range(ROWS)])
    target.run(f"CREATE TABLE people(id INTEGER PRIMARY KEY, name {name})")
    return World(folder, source, target, entities=PEOPLE)


@pytest.mark.usefixtures("small_parts")
def test_parts_go_in_at_the_same_time(
    tmp_path: Path, pg_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, watched = people(tmp_path, pg_database), Watched(monkeypatch)
    document = world.run("--workers", "3")
    assert watched.most >= 2
    assert balance(document, "people")["loaded"] == ROWS
    assert world.target.rows("SELECT id, name FROM people ORDER BY id") == world.source.rows(
        "SELECT id, name FROM people ORDER BY id"
    )


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("reason", ["unique", "workers", "trigger"])
def test_one_after_the_other_where_their_order_matters_or_is_asked_for(
    reason: str, tmp_path: Path, pg_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = people(tmp_path, pg_database, "TEXT UNIQUE" if reason == "unique" else "TEXT")
    if reason == "trigger":
        world.target.run(
            "CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "CREATE TRIGGER t BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION quiet()",
        )
    watched = Watched(monkeypatch)
    document = world.run("--workers", "1" if reason == "workers" else "4")
    assert watched.most == 1
    if reason == "unique":  # the first of each name, as whenever this is run
        assert balance(document, "people") == {
            "in": ROWS, "loaded": 150, "unchanged": 0, "merged": 0, "quarantined": 50, "excluded": 0,
        }  # fmt: skip
        assert world.target.one("SELECT max(id) FROM people") == 149


@pytest.mark.usefixtures("small_parts")
@pytest.mark.promise(9)
def test_a_part_that_fails_beside_others_leaves_them_whole_and_is_done_by_the_next_run(
    tmp_path: Path, make_pg_database: Callable[[], str]
) -> None:
    world = people(tmp_path, make_pg_database())
    failpoints.arm("load.part.read_back:2:eio")
    try:
        error = world.run("--workers", "2", code=5)
    finally:
        failpoints.arm()
    assert error["kept"]
    stands = world.target.one("SELECT count(*) FROM people")
    assert stands % (ROWS // 5) == 0
    assert 0 < stands < ROWS
    receipts = "SELECT coalesce(sum(row_count), 0) FROM migrate_meta.receipt WHERE part LIKE 'people/%'"
    assert world.target.one(receipts) == stands
    document = world.run("--workers", "2")
    assert balance(document, "people")["loaded"] == ROWS
    assert world.target.one("SELECT count(*) FROM people") == ROWS
