"""The ledger: what it keeps, what it refuses, and what a checkpoint is worth."""

from __future__ import annotations

import hashlib
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from migrate import failpoints
from migrate.errors import Corrupt, MigrateError, Unreachable, UsageError
from migrate.ledger import tables, upgrade
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import NEXT_STATES, RUN_STATES, Output
from migrate.model import Manifest, PartRef, Verdict


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "ledger.sqlite"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(path) as opened:
        yield opened


def write(ledger: Ledger, run: str, name: str, data: bytes) -> Output:
    path = ledger.root / run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return Output(name, hashlib.sha256(data).hexdigest(), len(data))


# ------------------------------------------------------------------ the file


def test_the_file_is_private_and_fully_synchronous(ledger: Ledger, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with ledger._db.reading() as db:
        assert db.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_the_migrations_make_exactly_the_declared_tables(ledger: Ledger) -> None:
    assert upgrade.head() == tables.HEAD
    with ledger._db.reading() as db:
        assert compare_metadata(MigrationContext.configure(db), tables.metadata) == []


def test_a_new_ledger_is_what_the_migrations_lead_to(ledger: Ledger, tmp_path: Path) -> None:
    def layout(connection: sa.Connection) -> set[tuple[str, ...]]:
        rows = connection.exec_driver_sql("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master")
        version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").fetchall()
        return {tuple(" ".join(text.split()) for text in row) for row in rows} | {tuple(v) for v in version}

    engine = sa.create_engine(f"sqlite:///{tmp_path / 'by-migrations.db'}")
    with engine.begin() as connection:
        upgrade.upgrade(connection)
        expected = layout(connection)
    engine.dispose()
    with ledger._db.reading() as db:
        assert layout(db) == expected


def test_everything_is_there_after_reopening(ledger: Ledger, path: Path) -> None:
    ledger.begin_run("r1", "m", "d", {"a": 1})
    ledger.close()
    with Ledger.open(path) as again:
        assert again.run("r1").mapping_digest == "d"
        assert again.run_facts("r1") == {"a": 1}


def test_a_newer_ledger_is_refused_and_untouched(ledger: Ledger, path: Path) -> None:
    ledger.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE alembic_version SET version_num = '9999'")
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(UsageError, match="9999"):
        Ledger.open(path)
    assert path.read_bytes() == before


def test_an_older_ledger_is_copied_before_the_upgrade(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.begin_run("r1", "m", "d")
    ledger.close()
    monkeypatch.setattr("migrate.ledger.database.HEAD", "9000")  # as if this program knew a newer layout

    def up(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE later (x)")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9000'")

    monkeypatch.setattr(upgrade, "upgrade", up)
    with Ledger.open(path) as upgraded:
        assert upgraded.run("r1").run == "r1"
    (copy,) = path.parent.glob(f"*.before-9000-from-{tables.HEAD}-*")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    old = sqlite3.connect(copy)
    assert old.execute("SELECT version_num FROM alembic_version").fetchall() == [(tables.HEAD,)]
    assert old.execute("SELECT run FROM run").fetchall() == [("r1",)]
    old.close()


def test_a_killed_first_opening_leaves_a_file_that_opens(path: Path) -> None:
    failpoints.arm("ledger.create.written:1:raise")
    with pytest.raises(failpoints.FailpointError):
        Ledger.open(path)
    failpoints.arm()
    with Ledger.open(path) as ledger:
        assert ledger.runs() == []


@pytest.mark.parametrize("damage", ["not a database", "damaged pages"])
def test_a_damaged_file_is_corrupt(ledger: Ledger, path: Path, damage: str) -> None:
    ledger.begin_run("r1", "m", "d")
    ledger.close()
    data = bytearray(path.read_bytes())
    if damage == "not a database":
        data[:100] = b"x" * 100
    else:
        data[4096 * 2 : 4096 * 6] = b"\xff" * 4096 * 4
    path.write_bytes(data)
    with pytest.raises(Corrupt):
        Ledger.open(path)


def test_another_database_is_not_taken_for_a_ledger(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "crm.sqlite")
    other.execute("CREATE TABLE contact (id)")
    other.close()
    with pytest.raises(UsageError, match="not a ledger"):
        Ledger.open(tmp_path / "crm.sqlite")


def test_a_full_disk_is_unreachable_and_rolls_back(ledger: Ledger) -> None:
    ledger.begin_run("r1", "m", "d", {"kept": 1})
    with ledger._db.reading() as db:
        pages = db.exec_driver_sql("PRAGMA page_count").scalar_one()
    with ledger._db.reading() as db:
        db.exec_driver_sql(f"PRAGMA max_page_count={pages}")  # SQLite itself then reports SQLITE_FULL
    with pytest.raises(Unreachable, match="full"):
        ledger.put_run_facts("r1", {"big": "x" * 100_000})
    assert ledger.run_facts("r1") == {"kept": 1}


@pytest.mark.parametrize("action", ["enospc", "eio", "raise", "interrupt"])
def test_a_failure_before_the_commit_leaves_nothing(ledger: Ledger, action: str) -> None:
    failpoints.arm(f"ledger.run.written:1:{action}")
    with pytest.raises(BaseException) as caught:
        ledger.begin_run("r1", "m", "d")
    if action in ("enospc", "eio"):
        assert isinstance(caught.value, Unreachable)
    failpoints.arm()
    assert ledger.runs() == []
    ledger.begin_run("r1", "m", "d")


# ------------------------------------------------------------- F36: one writer


@pytest.mark.fineprint(36)
def test_f36_many_threads_and_two_openings_lose_no_write(ledger: Ledger, path: Path) -> None:
    ledger.begin_run("r1", "m", "d")
    failures: list[BaseException] = []
    with Ledger.open(path) as other:

        def work(name: int) -> None:
            mine = ledger if name % 2 else other
            try:
                for n in range(10):
                    mine.put_run_facts("r1", {f"{name}.{n}": n})  # reads, then writes, in one transaction
                    mine.audit("tick", "r1", {"n": n})
            except BaseException as error:  # noqa: BLE001 - a thread's error is asserted on below
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert len(ledger.run_facts("r1")) == 60
    assert ledger.verify_audit() == []


@pytest.mark.fineprint(36)
def test_f36_a_plain_begin_would_have_failed_at_once(ledger: Ledger, path: Path) -> None:
    """Why IMMEDIATE: reading first and writing later is refused despite a time-out of ten seconds."""
    ledger.begin_run("r1", "m", "d")
    plain = sqlite3.connect(path, timeout=10, isolation_level=None)
    writer = sqlite3.connect(path, timeout=10, isolation_level=None)
    plain.execute("BEGIN")
    plain.execute("SELECT * FROM run").fetchall()
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        plain.execute("UPDATE run SET state = 'failed'")
    plain.close()
    writer.close()


def test_reading_does_not_wait_for_a_writer(ledger: Ledger, path: Path) -> None:
    ledger.begin_run("r1", "m", "d")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert ledger.run("r1").run == "r1"
    writer.close()


# ------------------------------------------------------------------ runs


def test_runs_newest_first_and_the_latest_unfinished(ledger: Ledger) -> None:
    assert ledger.latest_unfinished("m") is None
    ledger.begin_run("r1", "m", "d1")
    ledger.begin_run("r2", "other", "d2")
    ledger.begin_run("r3", "m", "d3")
    assert [r.run for r in ledger.runs()] == ["r3", "r2", "r1"]
    found = ledger.latest_unfinished("m")
    assert found is not None
    assert (found.run, found.state, found.ended) == ("r3", "running", None)
    ledger.set_state("r3", "verified")
    assert ledger.run("r3").ended is not None
    assert ledger.latest_unfinished("m") is None  # r1 was overtaken by a run that is verified


def test_a_run_begins_once_and_must_exist(ledger: Ledger) -> None:
    ledger.begin_run("r1", "m", "d")
    with pytest.raises(UsageError):
        ledger.begin_run("r1", "m", "d")
    for act in (
        lambda: ledger.run("nope"),
        lambda: ledger.run_facts("nope"),
        lambda: ledger.stage_started("nope", "plan"),
        lambda: ledger.stage_finished("r1", "plan", 1, 0.1),
        lambda: ledger.set_state("r1", "bogus"),
        lambda: ledger.audit("x", "nope"),
    ):
        with pytest.raises(UsageError):
            act()


@pytest.mark.parametrize("first", RUN_STATES)
@pytest.mark.parametrize("second", RUN_STATES)
def test_states_follow_the_state_machine(ledger: Ledger, first: str, second: str) -> None:
    ledger.begin_run("r1", "m", "d")
    ledger.set_state("r1", first)
    if second in NEXT_STATES[first]:
        ledger.set_state("r1", second)
        assert ledger.run("r1").state == second
    else:
        with pytest.raises(UsageError, match="cannot become"):
            ledger.set_state("r1", second)
        assert ledger.run("r1").state == first


@pytest.mark.fineprint(33)
def test_f33_a_rolled_back_run_cannot_be_resumed(ledger: Ledger) -> None:
    ledger.begin_run("r1", "m", "d")
    ledger.set_state("r1", "rolled_back")
    assert ledger.latest_unfinished("m") is None
    with pytest.raises(UsageError):
        ledger.set_state("r1", "running")


def test_facts_are_merged_and_must_be_json(ledger: Ledger) -> None:
    ledger.begin_run("r1", "m", "d", {"a": 1, "b": {"c": [1]}})
    ledger.put_run_facts("r1", {"b": 2, "d": None})
    assert ledger.run_facts("r1") == {"a": 1, "b": 2, "d": None}
    with pytest.raises(TypeError):
        ledger.put_run_facts("r1", {"x": b"bytes"})  # type: ignore[dict-item]


def test_a_stage_that_is_resumed_keeps_its_seconds_and_says_so(ledger: Ledger) -> None:
    ledger.begin_run("r1", "m", "d")
    ledger.stage_started("r1", "extract")
    ledger.stage_finished("r1", "extract", 7, 2.0)
    ledger.stage_started("r1", "extract")
    assert [(s.state, s.seconds, s.rows, s.attempts) for s in ledger.stages("r1")] == [
        ("running", 2.0, None, 2)
    ]
    ledger.stage_finished("r1", "extract", 7, 0.5)
    assert [(s.state, s.seconds, s.rows, s.attempts) for s in ledger.stages("r1")] == [("done", 2.5, 7, 2)]


def test_a_stage_in_which_a_run_ended_is_not_at_work(ledger: Ledger) -> None:
    ledger.begin_run("r1", "m", "d")
    ledger.stage_started("r1", "transform")
    ledger.set_state("r1", "failed")
    assert [s.state for s in ledger.stages("r1")] == ["stopped"]


def test_stages(ledger: Ledger) -> None:
    ledger.begin_run("r1", "m", "d")
    ledger.stage_started("r1", "plan")
    ledger.stage_finished("r1", "plan", None, 0.5)
    ledger.stage_started("r1", "extract")
    assert [(s.stage, s.state, s.seconds, s.rows) for s in ledger.stages("r1")] == [
        ("plan", "done", 0.5, None),
        ("extract", "running", None, None),
    ]
    ledger.stage_started("r1", "extract")
    ledger.stage_finished("r1", "extract", 7, 1.0)
    assert ledger.stages("r1")[1].rows == 7


# ------------------------------------------------------------ checkpoints


def test_a_checkpoint_holds_while_inputs_and_outputs_do(ledger: Ledger) -> None:
    ledger.begin_run("r1", "m", "d")
    outputs = [
        write(ledger, "r1", "extract/a.parquet", b"abc"),
        write(ledger, "r1", "extract/b.parquet", b"def"),
    ]
    ledger.put_checkpoint("r1", "extract", "contact", "in-1", outputs, {"digest": "x"})
    found = ledger.checkpoint("r1", "extract", "contact", "in-1")
    assert found is not None
    assert (found.outputs, found.facts) == (tuple(outputs), {"digest": "x"})
    assert [c.part for c in ledger.checkpoints("r1", "extract")] == ["contact"]
    assert ledger.checkpoint("r1", "extract", "account", "in-1") is None


@pytest.mark.parametrize("damage", ["inputs", "missing", "same size", "shorter", "symlink"])
def test_a_checkpoint_that_no_longer_holds_is_forgotten(ledger: Ledger, damage: str) -> None:
    ledger.begin_run("r1", "m", "d")
    output = write(ledger, "r1", "a.parquet", b"abc")
    ledger.put_checkpoint("r1", "extract", "contact", "in-1", [output])
    path, inputs = ledger.root / "r1" / "a.parquet", "in-1"
    if damage == "inputs":
        inputs = "in-2"
    elif damage == "missing":
        path.unlink()
    elif damage == "same size":
        path.write_bytes(b"abX")
    elif damage == "shorter":
        path.write_bytes(b"ab")
    else:
        path.rename(path.with_name("elsewhere"))
        path.symlink_to(path.with_name("elsewhere"))
    assert ledger.checkpoint("r1", "extract", "contact", inputs) is None
    path.unlink(missing_ok=True)
    path.write_bytes(b"abc")
    assert ledger.checkpoint("r1", "extract", "contact", "in-1") is None  # forgotten, not only doubted
    assert ledger.checkpoints("r1", "extract") == []


def test_a_checkpoint_never_speaks_of_bytes_that_are_not_there(ledger: Ledger, tmp_path: Path) -> None:
    ledger.begin_run("r1", "m", "d")
    (tmp_path / "outside").write_bytes(b"abc")
    output = write(ledger, "r1", "a", b"abc")
    for wrong in (
        Output("gone", output.sha256, 3),
        Output("a", output.sha256, 4),
        Output("../../../outside", output.sha256, 3),
        Output(str(tmp_path / "outside"), output.sha256, 3),
    ):
        with pytest.raises(Corrupt):
            ledger.put_checkpoint("r1", "s", "p", "i", [wrong])
    assert ledger.checkpoints("r1", "s") == []


def test_checkpoints_are_replaced_and_forgotten(ledger: Ledger, tmp_path: Path) -> None:
    ledger.begin_run("r1", "m", "d")
    for part in ("1", "2", "3"):
        ledger.put_checkpoint("r1", "s", part, "i")
    ledger.put_checkpoint("r1", "s", "1", "j")
    assert ledger.checkpoint("r1", "s", "1", "j") is not None
    ledger.forget("r1", "s", "1")
    assert [c.part for c in ledger.checkpoints("r1", "s")] == ["2", "3"]
    ledger.forget("r1", "s")
    assert ledger.checkpoints("r1", "s") == []
    (tmp_path / "x").write_bytes(b"abc")
    ledger.put_checkpoint(
        "r1", "s", "1", "i", [Output("x", hashlib.sha256(b"abc").hexdigest(), 3)], folder=tmp_path
    )
    assert ledger.checkpoint("r1", "s", "1", "i", folder=tmp_path) is not None


# ---------------------------------------------- verdicts, backups, scratch


def test_verdicts_stay_in_order_and_superseded_ones_no_longer_count(ledger: Ledger) -> None:
    ledger.begin_run("r1", "m", "d")
    first = Verdict("L5 values", False, "1", "2", "differs", {"table": "contact", "rows": [1, 2]})
    ledger.put_verdict("r1", "restore-test", first, subject="abc")
    assert ledger.verdicts("r1") == [("restore-test", first)]
    assert ledger.verdicts_about("abc") == [("restore-test", first)]
    ledger.supersede_verdicts("r1", "restore-test")
    second = Verdict("L5 values", True)
    ledger.put_verdict("r1", "restore-test", second, subject="abc")
    assert ledger.verdicts("r1") == [("restore-test", second)]
    assert ledger.verdicts_about("abc") == [("restore-test", second)]


def test_backups_newest_first_by_recorded_time(ledger: Ledger) -> None:
    part = PartRef("t", 0, "x", 5, 100, "0" * 64, "")
    for id_, at in (("z-old", "2026-01-01T00:00:00+00:00"), ("a-new", "2026-02-01T00:00:00+00:00")):
        manifest = Manifest(
            id_, "source", "r1", "crm", "sqlite", "s", at, at, "m", "d", "sd", "canon-1", (part,), {"t": ""}
        )
        ledger.put_backup(manifest, "f" * 64)
        ledger.put_backup(manifest, "f" * 64)
    assert [(b.id, b.rows, b.bytes) for b in ledger.backups()] == [("a-new", 5, 100), ("z-old", 5, 100)]
    ledger.remove_backup("a-new")
    assert [b.id for b in ledger.backups()] == ["z-old"]


@pytest.mark.fineprint(27)
def test_f27_scratch_names_are_on_record_until_removed(ledger: Ledger, path: Path) -> None:
    ledger.put_scratch("scratch_1", "sqlite:///x", "r1")
    with Ledger.open(path) as after_a_kill:
        assert [(s.name, s.location, s.run) for s in after_a_kill.scratches()] == [
            ("scratch_1", "sqlite:///x", "r1")
        ]
        after_a_kill.remove_scratch("scratch_1")
    assert ledger.scratches() == []


# ------------------------------------------------------------------ audit


def test_the_audit_chain_grows_and_verifies(ledger: Ledger) -> None:
    assert ledger.audit_head() == ""
    ledger.begin_run("r1", "m", "digest-1")
    first = ledger.audit("run started", "r1", {"b": 1, "a": "ü"})
    second = ledger.audit("run ended", "r1")
    assert ledger.audit_head() == second != first
    assert ledger.verify_audit([first, second, ""]) == []
    with ledger._db.reading() as db:
        row = db.exec_driver_sql("SELECT * FROM audit WHERE seq = 1").mappings().one()
    assert row["mapping_digest"] == "digest-1"
    assert row["who"]
    assert row["code_version"]


@pytest.mark.fineprint(36)
@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET facts = '{\"n\":9}' WHERE seq = 2", "entry 2 was changed"),
        ("UPDATE audit SET who = 'somebody' WHERE seq = 1", "entry 1 was changed"),
        ("DELETE FROM audit WHERE seq = 2", "entry 2 is missing"),
        ("DELETE FROM audit WHERE seq = 3", "recorded elsewhere"),
        ("DELETE FROM audit", "recorded elsewhere"),
    ],
)
def test_f36_tampering_with_the_trail_is_found(ledger: Ledger, statement: str, broken: str) -> None:
    for n in (1, 2, 3):
        head = ledger.audit("tick", facts={"n": n})
    with ledger._db.transaction("test") as db:
        db.exec_driver_sql(statement)
    assert any(broken in link for link in ledger.verify_audit([head]))


def test_errors_never_carry_values(ledger: Ledger) -> None:
    ledger.begin_run("r1", "m", "d")
    with pytest.raises(MigrateError) as caught, ledger._db.transaction("test") as db:
        db.execute(
            tables.run.insert().values(
                run="r1", mapping="hunter2", mapping_digest="", state="", started="", facts={}
            )
        )
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
