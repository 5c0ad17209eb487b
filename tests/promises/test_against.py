"""Rows that the target has already are never inserted a second time: `duplicates … against` (P3, P26)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runs import ENGINES, World, balance, bare

ROOT = Path(__file__).parents[2]
MAPPED = """
  contacts:
    from: people
    key: id
    into: contacts
    fields: {name: full_name, email: mail, phone: tel, city: town, tax: tax, legacy_id: id}
    duplicates:
      same: [[email], [phone]]
      decide: {never_differ: tax}
      survive: {phone: target_wins}
      against: target
"""
PEOPLE = [
    ("1", "Ada L", "ada@acme.example", "1", "Leeds", None),
    ("2", "Bob", None, "0113 496 0999", "York", "T2"),  # by the telephone, but for another tax number
    ("3", "Cy", "cy@two.example", None, None, None),  # twice in the target
    ("4", "Di", "none@none.com", None, None, None),
    ("5", "Ed", "ed@new.example", None, None, None),
]
THERE = [
    ("t1", "Ada", "ADA@acme.example", "0113 1", None, None, None),
    ("t2", "Bob", None, "0113 496 0999", None, "T1", None),
    ("t3", "Cy", "cy@two.example", None, None, None, None),
    ("t4", "Cyril", "cy@two.example", None, None, None, None),
    ("t5", "Nobody", "none@none.com", None, None, None, None),
]


def world(folder: Path, entities: str = MAPPED, target_url: str = "") -> World:
    folder.mkdir(exist_ok=True)
    made = bare(
        folder,
        [
            "CREATE TABLE people(id TEXT PRIMARY KEY, full_name TEXT, mail TEXT, tel TEXT, town TEXT, tax TEXT)"
        ],
        [
            "CREATE TABLE contacts(id TEXT PRIMARY KEY, name TEXT, email TEXT, phone TEXT, city TEXT, tax TEXT, legacy_id TEXT)"
        ],
        entities,
        policy="max_quarantine: 100%",
        target_url=target_url,
    )
    made.source.fill("people", PEOPLE)
    made.target.fill("contacts", THERE)
    return made


def stands(made: World, key: str) -> tuple[object, ...]:
    return made.target.rows(f"SELECT name, email, phone, city FROM contacts WHERE id = '{key}'")[0]


@ENGINES
@pytest.mark.promise(3)
@pytest.mark.promise(26)
def test_a_row_that_the_target_has_is_updated_and_one_that_may_be_several_is_not(
    tmp_path: Path, target_url: str
) -> None:
    made = world(tmp_path, target_url=target_url)
    before = made.target.rows("SELECT * FROM contacts ORDER BY id")
    document = made.run()
    assert document["state"] == "verified"
    assert balance(document, "contacts") == {
        "in": 5, "loaded": 4, "unchanged": 0, "merged": 0, "quarantined": 1, "excluded": 0,
    }  # fmt: skip
    # What the target has of its own stays where it wins; an empty value is filled.
    assert stands(made, "t1") == ("Ada L", "ada@acme.example", "0113 1", "Leeds")
    assert stands(made, "t2") == ("Bob", None, "0113 496 0999", None)
    assert made.codes("contacts") == {'["3"]': ["match_ambiguous"]}
    assert made.target.one("SELECT count(*) FROM contacts") == len(THERE) + 3
    # The second run knows them by the crosswalk, whatever they are like by then.
    made.source.run("UPDATE people SET mail = 'other@acme.example' WHERE id = '1'")
    again = made.run()
    assert balance(again, "contacts")["loaded"] == 1
    assert stands(made, "t1")[1] == "other@acme.example"
    assert made.target.one("SELECT count(*) FROM contacts") == len(THERE) + 3
    for run in [r["run"] for r in made.command("runs", "--json").document]:
        assert made.command("rollback", run, "--yes").code == 0
    assert made.target.rows("SELECT * FROM contacts ORDER BY id") == before


@pytest.mark.fineprint(18)
def test_rows_are_linked_left_out_or_set_aside_as_the_mapping_says(tmp_path: Path) -> None:
    for then, place in (("link", "unchanged"), ("skip", "excluded"), ("quarantine", "quarantined")):
        text = MAPPED.replace("      survive: {phone: target_wins}\n", "")
        text = text.replace("against: target", f"against: {{contacts: {{}}, then: {then}}}")
        made = world(tmp_path / then, text)
        document = made.run()
        assert document["state"] == "verified", then
        assert stands(made, "t1") == ("Ada", "ADA@acme.example", "0113 1", None)
        assert made.target.one("SELECT count(*) FROM contacts") == len(THERE) + 3
        found = balance(document, "contacts")
        assert found[place] == {"unchanged": 1, "excluded": 1, "quarantined": 2}[place], found
        if then == "quarantine":
            assert made.codes("contacts")['["1"]'] == ["duplicate_in_target"]


def test_similar_rows_are_found_too(tmp_path: Path) -> None:
    text = MAPPED.replace(
        "[[email], [phone]]", "[[email]]\n      similar: {name: name, city: text, phone: phone}"
    )
    made = world(tmp_path, text)
    cities = ("Leeds", "York", "Hull", "Bath", "Wells", "Ely", "Ripon", "Truro")
    made.target.fill(
        "contacts",
        [
            (
                f"u{n}",
                f"Person{n} Number{n * 7}",
                None,
                f"0113 {n:03d} {n * 37 % 997:03d}",
                cities[n % 8],
                None,
                None,
            )
            for n in range(60)
        ],
    )
    made.source.fill(
        "people",
        [
            (
                f"9{n}",
                f"Number{n * 7} Person{n}",
                None,
                f"+44 113 {n:03d}{n * 37 % 997:03d}",
                cities[n % 8],
                None,
            )
            for n in range(40, 60)
        ],
    )
    document = made.run()
    assert document["state"] == "verified"
    assert made.target.one("SELECT count(*) FROM contacts WHERE id LIKE 'u%' AND legacy_id IS NOT NULL") == 20


@pytest.mark.parametrize("point", ["transform.in_target.found:1", "load.part.committed:1"])
def test_a_killed_run_goes_on_and_decides_the_same(tmp_path: Path, point: str) -> None:
    made = world(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "migrate", "run", str(made.write()), "--home", str(made.home)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "MIGRATE_FAILPOINT": f"{point}:kill"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr[-2000:]
    document = made.run()
    assert document["state"] == "verified"
    assert made.codes("contacts") == {'["3"]': ["match_ambiguous"]}
    assert stands(made, "t1") == ("Ada L", "ada@acme.example", "0113 1", "Leeds")
    assert made.target.one("SELECT count(*) FROM contacts") == len(THERE) + 3


# ------------------------------------------------------------------ what people say of them


def queue(made: World, *more: str) -> dict[tuple[str, str], dict[str, Any]]:
    done = made.command("duplicates", "list", str(made.mapping), "--json", *more)
    return {(p["a"], p["b"]): p for p in done.document["pairs"]}


def say(made: World, what: str, *rest: str) -> dict[str, Any]:
    done = made.command("duplicates", what, str(made.mapping), *rest, "--json")
    assert done.code == 0, done.out + done.err
    return dict(done.document)


def undo_all(made: World) -> None:
    for run in [r["run"] for r in made.command("runs", "--json").document]:
        assert made.command("rollback", run, "--yes").code in (0, 2)  # 2: nothing of it is left


@ENGINES
@pytest.mark.promise(3)
@pytest.mark.promise(26)
def test_a_person_says_which_row_of_the_target_it_is_and_that_is_remembered(
    tmp_path: Path, target_url: str
) -> None:
    made = world(tmp_path, target_url=target_url)
    before = made.target.rows("SELECT * FROM contacts ORDER BY id")
    made.run()
    waits = queue(made)
    assert {k: p["doubt"] for k, p in waits.items()} == {
        ('["2"]', '["t2"]'): "a column that never differs differs",
        ('["3"]', '["t3"]'): "2 rows of the target fit",
        ('["3"]', '["t4"]'): "2 rows of the target fit",
    }
    assert made.command("status", "--json").document["review"] == {"contacts": 3}
    assert "two.example" not in made.done[-2].out
    shown = {v["field"]: v for v in queue(made, "--show-values")['["3"]', '["t3"]']["values"]}
    assert (shown["email"]["a"], shown["email"]["b"]) == ("cy@two.example", "cy@two.example")
    assert 'row ["t3"] of the target' in made.command("duplicates", "list", str(made.mapping)).out
    assert b"two.example" not in (made.home / "ledger.db").read_bytes()

    assert say(made, "accept", waits['["3"]', '["t4"]']["pair"])["inserted"] == []
    document = made.run()
    assert balance(document, "contacts")["quarantined"] == 0
    assert made.target.one("SELECT legacy_id FROM contacts WHERE id = 't4'") == "3"
    assert made.target.one("SELECT count(*) FROM contacts") == len(THERE) + 3
    undo_all(made)
    assert made.target.rows("SELECT * FROM contacts ORDER BY id") == before
    made.run()  # anew, and still known
    assert made.codes("contacts") == {}
    assert made.target.one("SELECT legacy_id FROM contacts WHERE id = 't4'") == "3"


def test_a_rejected_row_of_the_target_is_not_taken_and_is_asked_again_when_values_change(
    tmp_path: Path,
) -> None:
    made = world(tmp_path)
    made.write()
    made.command("run", str(made.mapping), "--to", "transform")
    pair = queue(made)['["3"]', '["t3"]']["pair"]
    say(made, "reject", pair)
    assert made.run()["resumed"]  # it had written nothing, so it looks again
    assert made.target.one("SELECT legacy_id FROM contacts WHERE id = 't4'") == "3"
    assert ('["3"]', '["t3"]') not in queue(made)
    undo_all(made)
    made.target.run("UPDATE contacts SET phone = '0113 7' WHERE id = 't3'")
    made.run()
    assert made.target.one("SELECT legacy_id FROM contacts WHERE id = 't4'") == "3"  # still kept apart
    assert (queue(made)['["3"]', '["t3"]']["earlier"], made.codes("contacts")) == ("reject", {})


def test_a_row_that_was_inserted_becomes_that_of_the_target_once_its_run_is_rolled_back(
    tmp_path: Path,
) -> None:
    """The pair is left to a person because the group would grow too large; `never_differ` no person overrules."""
    made = world(
        tmp_path,
        MAPPED.replace("decide: {never_differ: tax}", "decide: {never_differ: tax, largest: 2}"),
    )
    made.source.run("DELETE FROM people WHERE id IN ('3', '4')")
    made.source.fill("people", [("6", "Fay", "fay@six.example", "0113 6", None, None)])
    made.target.fill("contacts", [("t6", "Fay", "fay@six.example", None, None, None, None)])
    made.target.fill("contacts", [("t7", "F", None, "0113 6", None, None, None)])
    first = made.run()["run"]
    assert made.target.one("SELECT legacy_id FROM contacts WHERE id = 't6'") == "6"
    waits = queue(made)
    never, large = waits['["2"]', '["t2"]']["pair"], waits['["6"]', '["t7"]']["pair"]
    assert waits['["6"]', '["t7"]']["doubt"] == "the cluster would have 3 rows"
    left = say(made, "accept", "--all-above", "0.5")
    assert left["pairs"] == []
    assert {one["pair"] for one in left["left"]} == {never, large}
    assert set(say(made, "accept", never, large)["inserted"]) == {never, large}
    assert f"roll back {first}" in " ".join(made.command("duplicates", "accept", first, large).out.split())
    undo_all(made)
    made.run()
    assert made.target.one("SELECT legacy_id FROM contacts WHERE id = 't7'") == "6"
    assert made.target.one("SELECT legacy_id FROM contacts WHERE id = 't6'") is None
    assert list(queue(made)) == [('["2"]', '["t2"]')]
    assert made.target.one("SELECT legacy_id FROM contacts WHERE id = 't2'") is None
