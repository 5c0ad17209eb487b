"""A vault that was put back whole shows nothing by itself: the ledger knows what it lacks."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from migrate import api
from migrate.errors import UsageError

from tests.runs import command


class Place:
    """A database, its vault beside a ledger, and how to go back in time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.vault = folder, folder / ".migrate", folder / "backups"
        self.source = folder / "crm.db"
        with sqlite3.connect(self.source) as db:
            db.execute("CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT)")
            db.execute("INSERT INTO people VALUES(1, 'Ada')")
        db.close()

    def back_up(self, store: Path | None = None) -> str:
        made = api.backup_create(str(self.source), store=str(store or self.vault), home=self.home)
        return str(made["backup"])

    def put_back(self, copy: Path) -> None:
        shutil.rmtree(self.vault)
        shutil.copytree(copy, self.vault)

    def listed(self, store: Path | None = None) -> list[dict[str, Any]]:
        return api.backups(store=str(store or self.vault), home=self.home)

    def missing(self, store: Path | None = None) -> list[str]:
        return [b["id"] for b in self.listed(store) if b.get("missing")]

    def command(self, *words: str) -> Any:
        return command(*words, "--home", str(self.home))

    def doctor(self) -> dict[str, Any] | None:
        return next((c for c in api.doctor(home=self.home) if c["check"] == "vault"), None)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def put_back(place: Place, tmp_path: Path) -> tuple[Place, list[str]]:
    """The vault as it was after the first of three backups."""
    made = [place.back_up()]
    shutil.copytree(place.vault, tmp_path / "copy")
    made += [place.back_up(), place.back_up()]
    assert place.missing() == []
    assert (place.doctor() or {})["passed"]
    place.put_back(tmp_path / "copy")
    return place, made


def test_list_check_and_doctor_say_how_many_and_the_newest(put_back: tuple[Place, list[str]]) -> None:
    place, made = put_back
    assert place.missing() == [made[2], made[1]]
    done = place.command("backup", "list", "--store", str(place.vault))
    told = " ".join(done.out.split())
    assert "This vault lacks 2 backups that this ledger knows, the newest of 20" in told
    assert made[2] in told

    checked = api.backup_check(made[0], store=str(place.vault), home=place.home)
    assert [v["passed"] for v in checked] == [True, True, True, True, False]
    assert checked[-1]["evidence"]["missing"] == [made[2], made[1]]
    done = place.command("backup", "check", "latest", "--store", str(place.vault))
    assert done.code == 3
    assert "lacks 2 backups" in " ".join(done.out.split())

    found = place.doctor()
    assert found is not None
    assert not found["passed"]
    assert "lacks 2 backups" in found["found"]
    assert place.command("doctor").code == 3


def test_a_backup_that_is_asked_for_and_missing_is_said_to_be_known(
    put_back: tuple[Place, list[str]],
) -> None:
    place, made = put_back
    with pytest.raises(UsageError, match="no backup is named") as caught:
        api.backup_check(made[2], store=str(place.vault), home=place.home)
    assert "This vault lacks 2 backups" in caught.value.hint


def test_an_empty_folder_in_its_place_is_said_too(put_back: tuple[Place, list[str]]) -> None:
    place, made = put_back
    shutil.rmtree(place.vault)
    place.vault.mkdir()
    assert place.missing() == made[::-1]


def test_a_new_backup_is_the_newest_again(put_back: tuple[Place, list[str]]) -> None:
    place, _ = put_back
    place.back_up()
    assert place.missing() == []
    assert (place.doctor() or {})["passed"]
    assert all(v["passed"] for v in api.backup_check("latest", store=str(place.vault), home=place.home))


def test_an_older_copy_in_another_place_is_known_by_what_it_holds(
    put_back: tuple[Place, list[str]], tmp_path: Path
) -> None:
    place, made = put_back
    assert place.missing(tmp_path / "copy") == [made[2], made[1]]


def test_what_was_pruned_or_is_of_another_vault_is_not_missed(place: Place, tmp_path: Path) -> None:
    made = [place.back_up(), place.back_up(), place.back_up()]
    other = place.back_up(tmp_path / "other")
    shutil.rmtree(place.vault / made[0])  # pruned from another machine, whose ledger is another
    assert place.missing() == place.missing(tmp_path / "other") == []
    assert [b["id"] for b in place.listed(tmp_path / "other")] == [other]
    api.backup_prune(last=1, really=True, store=str(place.vault), home=place.home)
    assert [b["id"] for b in place.listed()] == [made[2]]
    shutil.rmtree(place.vault / made[2])
    # what the prune took away is forgotten; of what another machine pruned this ledger does not know that
    assert place.missing() == [made[2], made[0]]


def test_what_another_machine_pruned_after_a_newer_backup_of_its_own_is_not_missed(
    place: Place, tmp_path: Path
) -> None:
    place.back_up()
    theirs = tmp_path / "theirs"
    made = api.backup_create(str(place.source), store=str(place.vault), home=theirs)["backup"]
    api.backup_prune(last=1, really=True, store=str(place.vault), home=theirs)
    assert [b["id"] for b in place.listed()] == [made]
    assert (place.doctor() or {})["passed"]


def test_without_a_ledger_nothing_is_said(place: Place, tmp_path: Path) -> None:
    place.back_up()
    assert api.backups(store=str(place.vault), home=tmp_path / "elsewhere")[0]["system"] == "crm"
    assert [c for c in api.doctor(home=tmp_path / "elsewhere") if c["check"] == "vault"] == []
