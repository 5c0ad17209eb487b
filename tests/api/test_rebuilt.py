"""A ledger is lost: what target and vault have on record becomes a report, plainly marked; nothing is guessed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.runs import World, is_one_clear_paragraph, small


def rebuilt(world: World, run: str = "latest", *more: str) -> dict[str, Any]:
    done = world.command("report", run, "--rebuild", *(more or (str(world.mapping),)), "--json")
    assert done.code == 0, done.out + done.err
    found: dict[str, Any] = done.document
    return found


@pytest.mark.parametrize("target_url", ["sqlite", "postgresql"], indirect=True)
def test_without_the_ledger_target_and_vault_are_told_and_nothing_more(
    tmp_path: Path, target_url: str
) -> None:
    world = small(tmp_path, target_url)
    ran = world.run()
    own = Path(ran["report"]).read_bytes()
    (world.home / "ledger.db").unlink()
    found = rebuilt(world)
    assert (found["run"], found["mapping"], found["state"]) == (ran["run"], "small", "rebuilt")
    told = {name: (e["rows"], e["refused"]) for name, e in found["rebuilt"]["receipts"].items()}
    assert told == {name: (b["loaded"], 0) for name, b in ran["balances"].items()}
    assert found["rebuilt"]["crosswalk"] == {n: {"insert": b["loaded"]} for n, b in ran["balances"].items()}
    assert {(b["role"], b["level"]) for b in found["backups"]} == {("source", "L5"), ("target", "L5")}
    assert found["gates"] == {
        "backup source": None,
        "backup target": None,
        "restore test": True,
        "verification": None,
    }
    assert found["balances"] == {}
    assert found["rebuilt"]["unknown"]
    page = Path(found["page"]).read_text(encoding="utf-8")
    for said in ("Rebuilt without the ledger: 5 rows of 2 entities", "This is not the report that the run wrote",
                 "Whether they were verified is not on record", "Not by this program as things are"):  # fmt: skip
        assert said in page
    assert "Nothing was written to the target" not in page
    for value in ("Ada", "ada@example.com", "Bolt", "Leeds"):
        assert value not in page
    assert Path(ran["report"]).read_bytes() == own  # what the run wrote itself is left as it was
    assert not (world.home / "ledger.db").exists()
    shown = world.command("report", "latest", "--rebuild", str(world.mapping))
    assert shown.code == 0
    assert "Not known: whether the target was verified" in shown.out
    assert "Verified" not in shown.out


def test_a_url_and_a_vault_do_where_no_mapping_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = small(tmp_path)
    ran = world.run()
    world.mapping.unlink()
    (world.home / "ledger.db").write_bytes(b"no database" * 500)
    damaged = world.command("report", "latest")
    assert damaged.code == 6
    is_one_clear_paragraph(damaged.err, "damaged", "--rebuild")
    monkeypatch.chdir(tmp_path)
    found = rebuilt(world, ran["run"][:10], world.target.url, "--store", str(world.vault))
    assert found["run"] == ran["run"]
    assert found["digests"]["mapping"]
    assert len(found["backups"]) == 2


def test_a_run_that_never_loaded_and_one_that_was_rolled_back_are_not_called_loaded(tmp_path: Path) -> None:
    world = small(tmp_path)
    ran = world.run()
    assert world.command("rollback", ran["run"], "--yes").code == 0
    world.source.run("INSERT INTO companies VALUES (3, 'Cork', NULL)")
    stopped = world.run("--to", "restore-test")
    (world.home / "ledger.db").unlink()
    found = rebuilt(world, ran["run"])
    assert found["state"] == "rolled_back"
    assert "the target says that this run was rolled back" in found["sentence"]
    found = rebuilt(world)
    assert found["run"] == stopped["run"]
    assert "no row of this run is on record in the target" in found["sentence"]
    assert found["backups"]


def test_what_is_broken_in_the_vault_is_said_and_proves_nothing(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    (world.home / "ledger.db").unlink()
    target = next(p.parent for p in world.vault.glob("*/manifest.json") if json.loads(p.read_text())["manifest"]["role"] == "target")  # fmt: skip
    (target / "verdicts" / "000000.json").write_text("{}")
    found = rebuilt(world)
    assert found["gates"]["restore test"] is None  # one of two is proven
    assert target.name in found["incomplete"]
    assert "Not all of the vault could be read" in Path(found["page"]).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["zz/../../../evil", "../evil", ""])
def test_a_name_that_is_no_runs_is_passed_over(name: str, tmp_path: Path) -> None:
    """Whoever can write into the target must not choose where this machine writes; a backup of no run has no name."""
    world = small(tmp_path)
    ran = world.run()
    (world.home / "ledger.db").unlink()
    target = sqlite3.connect(world.target.path)
    with closing(target), target:
        columns = [row[1] for row in target.execute("PRAGMA table_info(_migrate_run)")]
        wanted = ", ".join({"run": "?", "started": "'2999-01-01T00:00:00+00:00'"}.get(c, c) for c in columns)
        target.execute(f"INSERT INTO _migrate_run SELECT {wanted} FROM _migrate_run LIMIT 1", [name])
    done = world.command("report", "latest", "--rebuild", str(world.mapping), "--json")
    assert done.code == 0, done.err
    assert done.document["run"] == ran["run"]
    assert not list(tmp_path.rglob("evil*"))


def test_it_is_refused_where_there_is_nothing_to_rebuild_from_or_no_need_to(tmp_path: Path) -> None:
    world = small(tmp_path)
    ran = world.run()
    needless = world.command("report", ran["run"], "--rebuild", str(world.mapping))
    assert needless.code == 2
    is_one_clear_paragraph(needless.err, "the ledger is there and knows run", "migrate report")
    (world.home / "ledger.db").unlink()
    unknown = world.command("report", "1999", "--rebuild", str(world.mapping))
    assert unknown.code == 2
    is_one_clear_paragraph(unknown.err, "no runs named 1999", ran["run"])
    nowhere = world.command("report", "latest", "--rebuild", f"sqlite:///{tmp_path}/nowhere.db")
    assert nowhere.code in (2, 5)
    assert not (tmp_path / "nowhere.db").exists()
    world.target.run("UPDATE _migrate_layout SET version = 99")
    newer = world.command("report", "latest", "--rebuild", str(world.mapping))
    assert newer.code == 2
    is_one_clear_paragraph(newer.err, "newer version", "layout 99")
    for option in (["--with-samples"], ["--pdf", "x.pdf"], ["--bundle", "x.zip"]):
        assert world.command("report", "latest", "--rebuild", str(world.mapping), *option).code == 2
    assert world.command("report", "latest", "--store", "x").code == 2
