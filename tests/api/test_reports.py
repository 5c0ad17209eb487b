"""The report of runs that ended well, ended badly, or left next to nothing behind."""

from __future__ import annotations

import html
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from migrate import api
from migrate.errors import Corrupt, MigrateError
from migrate.ledger.ledger import Ledger

from tests.runs import World, files

TARGET = ("CREATE TABLE people(id TEXT PRIMARY KEY, name TEXT NOT NULL, mail TEXT, legacy_id TEXT)",)
MAPPED = """
  people:
    from: people
    key: id
    into: people
    fields: {name: {from: name, check: [required, {max_length: 12}]}, mail: mail, legacy_id: id}
"""
PEOPLE = (
    b"id,name,mail\r\n1,Ada Lovelace,ada@private.example\r\n2,,bob@private.example\r\n"
    b"3,Wolfeschlegelstein,w@private.example\r\n4,<script>alert(1)</script>,x@private.example\r\n5,Grace,\r\n"
)


def made(folder: Path) -> World:
    world = files(folder, {"people.csv": PEOPLE}, TARGET, MAPPED)
    world.source_more = ", nulls: ['']"
    world.write()
    return world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return made(tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def done(world: World) -> dict[str, Any]:
    return api.run(world.mapping, home=world.home)


def test_the_page_lies_beside_the_document_and_holds_no_value(world: World, done: dict[str, Any]) -> None:
    path = Path(done["page"])
    assert path.parent == Path(done["report"]).parent
    text = path.read_text(encoding="utf-8")
    for secret in ("Lovelace", "Wolfe", "private.example", "alert(1)"):
        assert secret not in text
        assert secret not in Path(done["report"]).read_text(encoding="utf-8")
    kinds = {
        (k["field"], k["code"]): k["examples"] for k in api.report("latest", home=world.home)["quarantine"]
    }
    assert kinds[("name", "required")] == ["(empty)"]
    assert kinds[("name", "max_length")] == ["Aaaaaaaaaaaaaaaaaa", "<aaaaaa>aaaaa(9)</aaaaaa>"]
    assert "Aaaaaaaaaaaaaaaaaa" in text


def test_samples_go_into_a_file_of_their_own(world: World, done: dict[str, Any]) -> None:
    found = api.report("latest", with_samples=True, home=world.home)
    text = Path(found["page"]).read_text(encoding="utf-8")
    assert Path(found["page"]).stat().st_mode & 0o777 == 0o600
    assert "Wolfeschlegelstein" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Wolfe" not in Path(done["page"]).read_text(encoding="utf-8")
    assert "Wolfe" not in json.dumps(found)


def test_digests_are_those_of_the_ledger_and_the_vault(world: World, done: dict[str, Any]) -> None:
    digests = json.loads(Path(done["report"]).read_text(encoding="utf-8"))["digests"]
    with Ledger.open(world.home / "ledger.db") as ledger:
        assert digests["mapping"] == ledger.run(done["run"]).mapping_digest
        assert digests["audit"] == {"head": ledger.audit_head(), "broken": 0}
    assert len(digests["schemas"]) == 2


def test_a_run_that_an_error_stopped_says_what_it_was(tmp_path: Path) -> None:
    world = made(tmp_path)
    world.policy = "max_quarantine: 1%"
    world.write()
    with pytest.raises(MigrateError) as stopped:
        api.run(world.mapping, home=world.home)
    found = api.report("latest", home=world.home)
    assert found["stopped_by"]["message"] == stopped.value.message
    text = Path(found["page"]).read_text(encoding="utf-8")
    assert "This run did not finish." in text
    assert html.escape(stopped.value.message) in text


def test_what_a_kill_left_is_told_as_it_stands_now(tmp_path: Path) -> None:
    """A report from before the run went on is not the report of the run."""
    world = made(tmp_path)
    stopped = api.run(world.mapping, to="extract", home=world.home)
    with Ledger.open(world.home / "ledger.db") as ledger:
        ledger.set_state(stopped["run"], "running")  # as a process leaves it that was killed after that
    found = api.report("latest", home=world.home)
    assert found["state"] == "running"
    text = Path(found["page"]).read_text(encoding="utf-8")
    assert "Its process ended before its work did" in text
    assert found["incomplete"] is None
    assert found["stages"][-1]["stage"] == "extract"

    with Ledger.open(world.home / "ledger.db") as ledger:
        ledger.set_state(stopped["run"], "interrupted")
    shutil.rmtree(world.folder / "mappings")
    shutil.rmtree(world.home / "runs" / stopped["run"])
    found = api.report("latest", home=world.home)  # nothing but the ledger is left
    assert found["incomplete"]
    assert found["stages"][-1]["stage"] == "extract"
    assert "Made from the ledger alone" in Path(found["page"]).read_text(encoding="utf-8")


def test_what_could_not_be_read_for_a_while_is_told_again_when_it_can(tmp_path: Path) -> None:
    """A report of the ledger alone neither replaces the whole one nor stands for longer than it must."""
    world = made(tmp_path)
    stopped = api.run(world.mapping, to="extract", home=world.home)
    whole = Path(api.report("latest", home=world.home)["path"])
    before = whole.read_bytes()
    with Ledger.open(world.home / "ledger.db") as ledger:
        ledger.set_state(stopped["run"], "interrupted")
    away = world.mapping.rename(world.mapping.with_suffix(".away"))
    (whole.parent / "mapping.yaml").rename(whole.parent / "mapping.away")
    found = api.report("latest", home=world.home)
    assert found["incomplete"]
    assert whole.read_bytes() == before
    away.rename(world.mapping)
    (whole.parent / "mapping.away").rename(whole.parent / "mapping.yaml")
    found = api.report("latest", home=world.home)
    assert (found["incomplete"], found["state"]) == (None, "interrupted")


def test_a_ledger_that_is_gone_is_not_the_same_as_no_runs(tmp_path: Path) -> None:
    world = made(tmp_path)
    done = api.run(world.mapping, home=world.home)
    (world.home / "ledger.db").unlink()
    with pytest.raises(Corrupt, match="the ledger is gone") as lost:
        api.report("latest", home=world.home)
    assert done["report"] in lost.value.kept
    assert "ledger.db" in lost.value.hint
