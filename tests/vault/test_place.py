"""A restore for good: into a place that is empty, or saved first; broken off anywhere; on every engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from migrate import api as migrate
from migrate import failpoints
from migrate.errors import Busy, Drift, GateClosed, MigrateError, Unreachable, UsageError

from tests.runs import Db, rows_per_part

DDL = (
    "CREATE TABLE towns (id integer PRIMARY KEY, name varchar(50) NOT NULL)",
    "CREATE TABLE people (id integer PRIMARY KEY, name varchar(50) NOT NULL, town integer REFERENCES towns (id),"
    " CONSTRAINT name_said CHECK (name <> ''))",
    "CREATE INDEX people_town ON people (town)",
)
POINTS = ("sqlite.place", "postgres.place", "mysql.place", "sqlite.restore", "postgres.scratch", "mysql.scratch",
          "vault.place", "vault.restore", "restore.saved")  # fmt: skip


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm()


@dataclass(frozen=True)
class World:
    source: Db
    fresh: Callable[[], Db]
    folder: Path
    scratch: str | None

    def back_up(self) -> str:
        made = migrate.backup_create(self.source.url, scratch=self.scratch, system="crm", **self.places)
        assert made["proven"], made
        return str(made["backup"])

    def restore(self, backup: str, into: Db, **more: Any) -> dict[str, Any]:
        if more.get("replace"):
            more["scratch"] = self.scratch
        return migrate.backup_restore(backup, into.url, **more, **self.places)

    @property
    def places(self) -> dict[str, Any]:
        return {"store": str(self.folder / "vault"), "home": self.folder / ".migrate"}


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    numbers = iter(range(100))
    make: Callable[[], str] = lambda: f"sqlite:///{tmp_path}/db{next(numbers)}.db"  # noqa: E731
    scratch = None
    if request.param != "sqlite":
        make = request.getfixturevalue(
            "make_pg_database" if request.param == "postgresql" else "make_my_database"
        )
        scratch = make()

    def fresh() -> Db:
        return Db(make())

    source = fresh()
    source.run(*DDL)
    fill(source, "towns", [(1, "Ulm"), (2, "Bern")])
    fill(source, "people", [(1, "Ada", 1), (2, "Bob", None), (3, "Cy", 2)])
    return World(source, fresh, tmp_path, scratch)


def fill(db: Db, table: str, found: Sequence[tuple[Any, ...]]) -> None:
    """With plain statements, which every engine reads alike."""
    said = ["NULL" if v is None else repr(v) for row in found for v in row]
    width = len(found[0])
    values = ", ".join(f"({', '.join(said[n : n + width])})" for n in range(0, len(said), width))
    db.run(f"INSERT INTO {table} VALUES {values}")


def rows(db: Db, table: str) -> list[Any]:
    return sorted(db.rows(f"SELECT * FROM {table}"))


def assert_same(world: World, place: Db) -> None:
    for table in ("towns", "people"):
        assert rows(place, table) == rows(world.source, table)
    with pytest.raises(Exception, match=r"(?i)constraint|foreign|check"):
        place.run("INSERT INTO people VALUES (9, '', NULL)")  # the check is there
    if place.is_sqlite:
        return
    with pytest.raises(Exception, match=r"(?i)foreign"):
        place.run("INSERT INTO people VALUES (9, 'x', 99)")


@pytest.mark.promise(27)
def test_p27_into_an_empty_place_and_never_over_anything(world: World) -> None:
    backup, place = world.back_up(), world.fresh()
    done = world.restore(backup, place)
    assert (done["passed"], done["state"], done["rows"]) == (True, "restored", 5), done["verdicts"]
    assert_same(world, place)
    assert (
        world.restore(backup, place)["state"] == "there already"
    )  # killed after its last step, or made twice
    place.run("DELETE FROM people WHERE id = 3")
    with pytest.raises(UsageError, match="not empty") as refused:
        world.restore(backup, place)
    assert "people" in str(refused.value)
    assert "--replace" in refused.value.hint
    assert len(rows(place, "people")) == 2


@pytest.mark.promise(27)
def test_p27_what_is_replaced_is_in_a_proven_backup_first(world: World) -> None:
    backup, place = world.back_up(), world.fresh()
    place.run(*DDL, "CREATE TABLE others (id integer PRIMARY KEY)")
    fill(place, "towns", [(1, "Rome")])
    fill(place, "people", [(7, "Zoe", 1)])
    fill(place, "others", [(1,)])
    done = world.restore(backup, place, replace=True)
    assert done["passed"], done["verdicts"]
    assert_same(world, place)
    assert rows(place, "others") == [(1,)]
    saved = next(b for b in migrate.backups(**world.places) if b["id"] == done["replaced"])
    assert saved["proven"]
    again = world.fresh()  # and what was there comes back
    assert world.restore(saved["id"], again)["passed"]
    assert rows(again, "people") == [(7, "Zoe", 1)]


@pytest.mark.promise(27)
def test_single_tables(world: World) -> None:
    backup, place = world.back_up(), world.fresh()
    done = world.restore(backup, place, tables=["towns"])
    assert (done["passed"], done["tables"], done["rows"]) == (True, ["towns"], 2), done["verdicts"]
    place.run("CREATE TABLE visits (id integer PRIMARY KEY, town integer REFERENCES towns (id))")
    with pytest.raises(GateClosed, match="visits"):  # a table that refers to it would lose its key
        world.restore(backup, place, tables=["towns"], replace=True)
    assert len(rows(place, "towns")) == 2
    done = world.restore(backup, place, tables=["people"], replace=True)  # nothing of it is in the way
    assert done["passed"], done["verdicts"]
    assert done["replaced"] is None
    assert done["not_restored"] == []  # towns is there, so that the key to it could be made
    assert_same(world, place)
    alone = world.fresh()
    done = world.restore(backup, alone, tables=["people"])
    assert done["passed"], done["verdicts"]
    if not alone.is_sqlite:  # whose keys may lead nowhere
        assert "towns, which is not there" in done["not_restored"][0]
    with pytest.raises(UsageError, match="no table peple"):
        world.restore(backup, world.fresh(), tables=["peple"])


@pytest.mark.promise(28)
def test_p28_broken_off_anywhere_the_same_command_ends_it(world: World, tmp_path: Path) -> None:
    """At every point that a restore with --replace passes; nothing is doubled, and what was there is saved."""
    backup = world.back_up()
    log = tmp_path / "points"
    failpoints.arm(log_path=str(log))
    place = world.fresh()
    place.run(*DDL)
    fill(place, "towns", [(5, "Oslo")])
    world.restore(backup, place, replace=True)
    failpoints.arm()
    passed = [p for p in dict.fromkeys(log.read_text().split()) if p.startswith(POINTS)]
    assert len(passed) > 8
    if not place.is_sqlite:  # what is the engine's own, and one of each that is not
        passed = [p for p in passed if ".place." in p or p.endswith((".tables", ".batch", ".constraints"))]
    for point in passed:
        place.run("UPDATE towns SET name = 'Oslo' WHERE id = 1")  # as people do
        failpoints.arm(f"{point}:1:raise")
        with pytest.raises(failpoints.FailpointError):
            world.restore(backup, place, replace=True)
        failpoints.arm()
        done = world.restore(backup, place, replace=True)
        assert done["passed"], (point, [v for v in done["verdicts"] if not v["passed"]])
        assert rows(place, "people") == rows(world.source, "people"), point
        assert rows(place, "towns") == rows(world.source, "towns"), point


@pytest.mark.promise(28)
def test_p28_killed_in_the_middle(world: World) -> None:
    backup, place = world.back_up(), world.fresh()
    killed(world, backup, place, "vault.restore.table_restored:2")
    other = world.back_up()
    with pytest.raises(
        UsageError, match="broken off"
    ) as refused:  # what lies there is half of something else
        world.restore(other, place, tables=["towns"])
    assert backup in refused.value.hint
    done = world.restore(backup, place)
    assert (done["state"], done["passed"]) == ("resumed", True), done["verdicts"]
    assert_same(world, place)


@pytest.fixture
def two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows_per_part(monkeypatch, 2)


@pytest.mark.promise(28)
@pytest.mark.parametrize(
    ("point", "how", "people", "towns"),
    [  # the third row of people is a part of its own
        ("vault.restore.schema_restored:1", "raise", 0, 0),
        ("vault.restore.part_restored:1", "kill", 1, 0),
        ("vault.restore.part_restored:2", "raise", 2, 0),
        ("vault.restore.part_restored:3", "raise", 2, 1),
        ("vault.restore.rows_restored:1", "kill", 2, 1),  # keys and indexes are there
        ("vault.restore.compared:1", "raise", 2, 1),
    ],
)
def test_p28_broken_off_anywhere_what_is_proven_is_kept(
    world: World, two_parts: None, point: str, how: str, people: int, towns: int
) -> None:
    backup, place = world.back_up(), world.fresh()
    broken_off(world, backup, place, point, how)
    done = world.restore(backup, place)
    assert (done["state"], done["passed"]) == ("resumed", True), done["verdicts"]
    assert_same(world, place)
    gone_on = [v["evidence"] for v in done["verdicts"] if v["check"] == "L4 gone on"]
    assert gone_on[0]["parts"] == {"people": people, "towns": towns}
    assert gone_on[0]["changed"] == []


@pytest.mark.promise(28)
def test_p28_what_somebody_changed_after_the_kill_is_noticed(world: World, two_parts: None) -> None:
    for statement in (
        "UPDATE people SET name = 'Eve' WHERE id = 1",
        "DELETE FROM people",
        "INSERT INTO people VALUES (9, 'Eve', NULL)",
        "DROP TABLE people",
    ):
        backup, place = world.back_up(), world.fresh()
        broken_off(world, backup, place, "vault.restore.rows_restored:1", "raise")
        place.run(statement)
        done = world.restore(backup, place)
        assert (done["state"], done["passed"]) == ("resumed", True), (statement, done["verdicts"])
        assert_same(world, place)
        told = [v for v in done["verdicts"] if v["check"] == "L4 gone on"]
        assert told[0]["evidence"]["changed"] == ["people"], statement
        assert "people" in told[0]["found"]


def broken_off(world: World, backup: str, place: Db, point: str, how: str) -> None:
    if how == "raise":
        failpoints.arm(f"{point}:raise")
        with pytest.raises(failpoints.FailpointError):
            world.restore(backup, place)
        failpoints.arm()
    else:
        killed(world, backup, place, point)


def killed(world: World, backup: str, place: Db, point: str) -> None:
    """A restore in a process of its own, which dies there."""
    command = ["backup", "restore", backup, "--into", place.url, "--store", str(world.folder / "vault")]
    died = subprocess.run(
        [sys.executable, "-m", "migrate", *command],
        env={**os.environ, "MIGRATE_FAILPOINT": f"{point}:kill",
             "MIGRATE_HOME": str(world.folder / ".migrate")},
        capture_output=True,
    )  # fmt: skip
    assert died.returncode == -9, died.stderr


def test_two_at_once_and_rows_that_change_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from migrate.api import restores
    from migrate.api.proofs import prove
    from migrate.connectors.registry import open_restore_place

    backup, place = world.back_up(), world.fresh()
    place.run(*DDL)
    other = open_restore_place(place.url, base=Path.cwd())
    with other.hold(), pytest.raises(Busy):
        world.restore(backup, place, replace=True)
    other.close()

    def meanwhile(*given: Any, **more: Any) -> Any:
        fill(place, "towns", [(8, "Graz")])
        return prove(*given, **more)

    monkeypatch.setattr(restores, "prove", meanwhile)
    with pytest.raises(Drift, match="changed while"):
        world.restore(backup, place, replace=True)
    assert rows(place, "towns") == [(8, "Graz")]


def test_nobody_writes_between_the_last_look_and_the_replacement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from migrate.vault import place as module

    backup, place = world.back_up(), world.fresh()
    place.run(*DDL)
    fill(place, "towns", [(5, "Oslo")])
    still, tried = module._still, []
    impatient = "SET lock_wait_timeout = 1" if place.is_mysql else "SET lock_timeout = '200ms'"

    def and_then_somebody_writes(*given: Any) -> Any:
        unchanged = still(*given)

        def looked(now: Any) -> None:
            unchanged(now)
            tried.append(now)
            late = "INSERT INTO towns VALUES (8, 'Graz')"
            with pytest.raises(Exception, match=r"(?i)lock"):
                place.run(*([late] if place.is_sqlite else [impatient, late]))

        return looked

    monkeypatch.setattr(module, "_still", and_then_somebody_writes)
    done = world.restore(backup, place, replace=True)
    assert done["passed"]
    assert tried
    assert_same(world, place)


def test_rows_written_after_a_kill_before_the_replacement_are_not_lost(world: World) -> None:
    backup, place = world.back_up(), world.fresh()
    place.run(*DDL)
    fill(place, "towns", [(5, "Oslo")])
    failpoints.arm("vault.place.marked:1:raise")
    with pytest.raises(failpoints.FailpointError):
        world.restore(backup, place, replace=True)
    failpoints.arm()
    fill(place, "towns", [(8, "Graz")])
    with pytest.raises(Drift, match="changed while"):
        world.restore(backup, place, replace=True)
    assert rows(place, "towns") == [(5, "Oslo"), (8, "Graz")]
    done = world.restore(backup, place, replace=True)
    assert done["passed"]
    assert_same(world, place)
    world.restore(done["replaced"], place, replace=True)
    assert rows(place, "towns") == [(5, "Oslo"), (8, "Graz")]


def test_rows_written_into_an_empty_place_after_a_kill_are_not_lost(world: World) -> None:
    backup, place = world.back_up(), world.fresh()
    failpoints.arm("vault.place.marked:1:raise")
    with pytest.raises(failpoints.FailpointError):
        world.restore(backup, place)
    failpoints.arm()
    place.run(*DDL)
    fill(place, "towns", [(8, "Graz")])
    with pytest.raises(UsageError, match="not empty"):
        world.restore(backup, place)
    assert rows(place, "towns") == [(8, "Graz")]


def test_clear_words_for_what_cannot_be(world: World, tmp_path: Path) -> None:
    backup = world.back_up()
    wrong = "postgresql://nobody@127.0.0.1:1/x" if world.source.is_sqlite else f"sqlite:///{tmp_path}/x.db"
    with pytest.raises(UsageError, match="is not restored in"):
        world.restore(backup, Db(wrong))
    assert not (tmp_path / "x.db").exists()
    if not world.source.is_sqlite:
        with pytest.raises(UsageError, match="none was named"):
            migrate.backup_restore(backup, world.source.url, replace=True, **world.places)
    place = world.fresh()
    view = "CREATE VIEW people AS SELECT 1 AS id"
    place.run(view)
    with pytest.raises(UsageError, match="people"):
        world.restore(backup, place, replace=True)


@pytest.mark.fineprint(26)
def test_f26_a_backup_that_no_ledger_here_knows_needs_trust(world: World, tmp_path: Path) -> None:
    backup = world.back_up()
    places: dict[str, Any] = {"store": str(world.folder / "vault"), "home": tmp_path / "elsewhere"}
    place = world.fresh()
    done = migrate.backup_restore(backup, place.url, **places)
    assert not done["passed"]
    assert any(v["check"] == "L5 expressions" for v in done["verdicts"])
    done = migrate.backup_restore(backup, place.url, trust_sql=True, **places)
    assert (done["passed"], done["state"]) == (True, "resumed"), done["verdicts"]
    assert_same(world, place)


@pytest.mark.promise(27)
def test_p27_rows_written_after_a_restore_that_failed_are_not_lost(world: World, tmp_path: Path) -> None:
    backup, place = world.back_up(), world.fresh()
    places: dict[str, Any] = {"store": str(world.folder / "vault"), "home": tmp_path / "elsewhere"}
    assert not migrate.backup_restore(backup, place.url, **places)["passed"]
    fill(place, "towns", [(8, "Graz")])
    with pytest.raises(UsageError, match="not empty"):
        migrate.backup_restore(backup, place.url, trust_sql=True, **places)
    assert (8, "Graz") in rows(place, "towns")
    done = migrate.backup_restore(
        backup, place.url, trust_sql=True, replace=True, scratch=world.scratch, **places
    )
    assert (done["passed"], done["state"]) == (True, "restored"), done["verdicts"]
    assert_same(world, place)
    fresh = world.fresh()
    assert migrate.backup_restore(done["replaced"], fresh.url, trust_sql=True, **places)["passed"]
    assert (8, "Graz") in rows(fresh, "towns")


def test_rights_that_are_missing(
    pg_database: str, make_pg_database: Callable[[], str], tmp_path: Path
) -> None:
    source, place = Db(pg_database), Db(make_pg_database())
    source.run(*DDL)
    places: dict[str, Any] = {"store": str(tmp_path / "v"), "home": tmp_path / "h"}
    backup = migrate.backup_create(source.url, prove_it=False, **places)["backup"]
    role = f"reader_{os.getpid()}_{tmp_path.name.replace('-', '_')[-8:]}"
    place.run(f"CREATE ROLE {role} LOGIN")
    try:
        with pytest.raises(Unreachable, match="does not allow") as refused:
            migrate.backup_restore(backup, place.url.replace("postgres@", f"{role}@"), **places)
        assert "GRANT CREATE ON DATABASE" in str(refused.value)
    finally:
        place.run(f"DROP ROLE {role}")


def test_a_full_disk_can_be_gone_on_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from migrate.connectors.sqlite import scratch
    from migrate.connectors.sqlite.connect import connect as real

    source, place = Db(f"sqlite:///{tmp_path}/s.db"), Db(f"sqlite:///{tmp_path}/p.db")
    source.run(*DDL)
    fill(source, "towns", [(n, "x" * 50) for n in range(5_000)])
    places: dict[str, Any] = {"store": str(tmp_path / "v"), "home": tmp_path / "h"}
    backup = migrate.backup_create(source.url, **places)["backup"]

    def small(path: Path, *, write: bool) -> Any:
        connection = real(path, write=write)
        connection.execute("PRAGMA max_page_count = 20")
        return connection

    monkeypatch.setattr(scratch, "connect", small)
    with pytest.raises(MigrateError, match="no space") as full:
        migrate.backup_restore(backup, place.url, **places)
    assert full.value.exit_code == 5
    monkeypatch.setattr(scratch, "connect", real)
    done = migrate.backup_restore(backup, place.url, **places)
    assert (done["passed"], done["state"]) == (True, "resumed")


def test_tables_whose_keys_lead_out_of_the_backup_are_proven_all_the_same(world: World) -> None:
    """Keys to tables that are not in it are listed (F25); and such a table can be replaced alone."""
    made = migrate.backup_create(
        world.source.url, tables=["people"], scratch=world.scratch, system="crm", **world.places
    )
    assert made["proven"], made["verdicts"]
    whole, place = world.back_up(), world.fresh()
    world.restore(whole, place)
    place.run("UPDATE people SET name = 'Eve' WHERE id = 1")
    done = world.restore(whole, place, tables=["people"], replace=True)
    assert done["passed"], done["verdicts"]
    assert done["replaced"]
    assert_same(world, place)
