"""Connections that are cut in mid-stream: the work is tried again where that is safe, else exit 5 and the same command
finishes; nothing is lost, nothing is there twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from migrate import failpoints, retry
from migrate.connectors.postgres.transaction import PostgresTransaction
from migrate.errors import Transient

from tests.runs import Db, World, at_point, is_one_clear_paragraph, small

# Where a run is cut, and whose connections are: every stage that talks to a server.
CUTS = {
    "extract": ("postgres.snapshot.read", "source"),
    "extract, at the end": ("extract.captured", "source"),
    "backup of the target": ("backup.target.snapshot_open", "target"),
    "restore": ("postgres.scratch.batch", "scratch"),
    "restore, while comparing": ("vault.restore.rows_restored", "scratch"),
    "load, before a part": ("load.part.begun", "target"),
    "load, inside a part": ("load.part.inserted", "target"),
    "load, at the fence": ("load.tables_created", "target"),
    "load, at the commit": ("load.part.before_commit", "target"),
    "verify": ("verify.entity_read", "target"),
}


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "WAITS", (0.0, 0.0, 0.0))


@pytest.fixture
def world(tmp_path: Path, make_pg_database: Callable[[], str]) -> World:
    source, target = make_pg_database(), make_pg_database()
    made = small(tmp_path, target, source)
    made.more = f"scratch: {{source: '{target}', target: '{target}'}}"
    return made


def cut(world: World, whose: str) -> Callable[[], None]:
    """Ends the program's connections to one side, as an administrator or a network would."""

    def act() -> None:
        where = {
            "source": "datname = %s",
            "target": "datname = %s",
            "scratch": "datname LIKE 'migrate\\_scratch\\_%%' AND %s::text IS NOT NULL",
        }[whose]
        name = (world.source if whose == "source" else world.target).url.rsplit("/", 1)[1]
        with psycopg.connect(world.target.url, autocommit=True) as server:
            found = server.execute(
                f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {where} AND application_name = 'migrate'".encode(),
                [name],
            ).fetchall()
        assert found

    return act


@contextmanager
def at_every(point: str, act: Callable[[], None]) -> Iterator[None]:
    original = failpoints.hit

    def hit(name: str) -> None:
        original(name)
        if name == point:
            act()

    failpoints.hit = hit
    try:
        yield
    finally:
        failpoints.hit = original


def everything_once(world: World) -> None:
    """Two companies and three people, each once, with one receipt per part."""
    assert world.target.rows("SELECT name FROM accounts ORDER BY 1") == [("Acme",), ("Bolt",)]
    assert world.target.rows("SELECT name FROM contacts ORDER BY 1") == [("Ada",), ("Bob",), ("Cy",)]
    receipts = world.target.rows("SELECT part, row_count FROM migrate_meta.receipt ORDER BY 1")
    assert receipts == [("accounts/0", 2), ("contacts/0", 3)]
    assert world.target.one("SELECT count(*) FROM migrate_meta.crosswalk") == 5
    left = world.target.rows("SELECT 1 FROM pg_database WHERE datname LIKE 'migrate\\_scratch\\_%'")
    assert left == [] or world.target.url.startswith(
        "postgresql://postgres@127.0.0.1:5432"
    )  # a shared server


@pytest.mark.promise(9)
def test_p9_connections_that_are_cut_once_everywhere_are_not_felt(world: World) -> None:
    """One run, cut at the first passing of every point."""
    with ExitStack() as cuts:
        for point, whose in CUTS.values():
            cuts.enter_context(at_point(point, cut(world, whose)))
        document = world.run()
    assert document["state"] == "verified"
    everything_once(world)
    assert [s["state"] for s in document["stages"]] == ["done"] * 9
    assert world.run()["balances"]["contacts"]["unchanged"] == 3
    everything_once(world)


@pytest.mark.promise(9)
@pytest.mark.parametrize("stage", ["extract", "restore", "load, inside a part", "verify"])
def test_p9_one_that_is_cut_again_and_again_ends_the_run_which_resumes(world: World, stage: str) -> None:
    point, whose = CUTS[stage]
    with at_every(point, cut(world, whose)):
        said = world.says(code=5)
    is_one_clear_paragraph(said, "4 tries", "What was committed stays", "the same command")
    document = world.run()
    assert (document["state"], document["resumed"]) == ("verified", True)
    everything_once(world)


@pytest.mark.promise(9)
def test_p9_a_commit_without_an_answer_is_looked_up_and_not_done_again(world: World) -> None:
    """The server committed and the answer was lost: the receipt says so, and the part is not written again."""
    begun: list[str] = []

    def lost() -> None:
        raise Transient("the connection to PostgreSQL was lost while committing")

    original = failpoints.hit
    committed = {"load": False}

    def hit(name: str) -> None:
        original(name)
        begun.append(name)
        if name == "load.part.before_commit":
            committed["load"] = True
        if name == "postgres.commit.after" and committed["load"]:
            committed["load"] = False
            lost()

    failpoints.hit = hit
    try:
        assert world.run()["state"] == "verified"
    finally:
        failpoints.hit = original
    assert begun.count("load.part.inserted") == 2  # one part per entity, none of them twice
    everything_once(world)


@pytest.mark.promise(9)
def test_p9_a_commit_without_an_answer_that_lands_late_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is gone before the server has committed: the next try meets the part while it is still open."""
    commit, rollback = PostgresTransaction.commit, PostgresTransaction.rollback
    late: list[PostgresTransaction] = []
    threads: list[threading.Timer] = []

    def lost(self: PostgresTransaction) -> None:
        if late:
            return commit(self)
        late.append(self)
        threads.append(threading.Timer(0.7, commit, [self]))
        threads[0].start()
        raise Transient("the connection to PostgreSQL was lost while committing")

    def arm() -> None:
        monkeypatch.setattr(PostgresTransaction, "commit", lost)
        monkeypatch.setattr(PostgresTransaction, "rollback", lambda t: t in late or rollback(t))

    world.policy = "max_quarantine: 0%"
    with at_point("load.part.before_commit", arm):
        document = world.run()
    threads[0].join()
    assert document["state"] == "verified"
    everything_once(world)


# Between the pieces of work that are tried again by themselves: the stage is, from where it stands.
BETWEEN = (
    "extract.captured",
    "profile.checkpointed",
    "backup.manifest_written",
    "restore_test.checkpointed",
    "transform.before_settle",
    "load.assigned",
    "load.checkpointed",
    "verify.verdicts_written",
)


@pytest.mark.promise(9)
def test_p9_what_is_lost_between_pieces_of_work_is_not_felt_either(world: World) -> None:
    """One run in which a connection is lost once in every stage, at a place that has no try of its own."""

    def lost() -> None:
        raise Transient("the connection was lost")

    with ExitStack() as losses:
        for point in BETWEEN:
            losses.enter_context(at_point(point, lost))
        document = world.run()
    assert document["state"] == "verified"
    everything_once(world)
    assert [s["state"] for s in document["stages"]] == ["done"] * 9
    assert document["balances"]["contacts"]["loaded"] == 3


def test_work_inside_work_is_not_tried_more_often_for_that() -> None:
    calls: list[int] = []

    def refuse() -> None:
        calls.append(1)
        raise Transient("away")

    with pytest.raises(Transient) as error:
        retry.retried(lambda: retry.retried(refuse, note=lambda _: None), note=lambda _: None)
    assert len(calls) == 4
    assert str(error.value).count("4 tries") == 1


def test_what_is_not_transient_is_not_tried_again() -> None:
    told: list[str] = []
    calls: list[int] = []

    def refuse() -> Any:
        calls.append(1)
        raise retry_error

    for retry_error, times in ((ValueError("x"), 1), (Transient("away"), 4)):
        calls.clear()
        with pytest.raises(type(retry_error)):
            retry.retried(refuse, note=told.append)
        assert len(calls) == times
    assert told == ["away; try 2 of 4 in 0 s", "away; try 3 of 4 in 0 s", "away; try 4 of 4 in 0 s"]


def test_a_source_that_never_answered_is_not_waited_for(tmp_path: Path) -> None:
    """A wrong port is told at once: only work that was under way is tried again."""
    made = small(tmp_path)
    made.source_url = "postgresql://nobody@127.0.0.1:9/crm"
    said = made.says(code=5)
    is_one_clear_paragraph(said, "127.0.0.1:9/crm")
    assert " in 0 s" not in said
    assert Db(made.target.url).rows("SELECT 1 FROM accounts") == []
