"""`migrate duplicates find` on real files and databases."""

from __future__ import annotations

import csv
import json
import logging
import os
import random
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from migrate import api
from migrate.cli import main
from migrate.errors import MappingError, UsageError


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rules(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return path


SHARED = Path(os.environ.get("MIGRATE_SHARED", Path(__file__).parents[3] / "shared"))

PEOPLE = [
    {"id": "1", "first": "Ada", "last": "Lovelace", "mail": "ada@example.com"},
    {"id": "2", "first": "ADA", "last": "Lovelace ", "mail": "Ada@Example.com"},
    {"id": "3", "first": "Grace", "last": "Hopper", "mail": ""},
    {"id": "4", "first": "Alan", "last": "Turing", "mail": ""},
]


def test_exact_keys_need_no_more_than_this_and_empty_equals_nothing(tmp_path: Path) -> None:
    found = api.duplicates_find(
        str(write(tmp_path / "people.csv", PEOPLE)),
        rules=rules(tmp_path, "same: [mail, [first, last]]"),
        key=["id"],
    )
    assert found["clusters"] == [["1", "2"]]
    assert found["pairs"][0]["reasons"] == ["same first + last, mail"]
    assert found["review"] == 0


@pytest.mark.promise(26)
def test_a_placeholder_that_everybody_has_is_named_and_merges_nobody(tmp_path: Path) -> None:
    rows = [{"id": str(n), "mail": "none@none.com" if n % 2 else "info@firm.example"} for n in range(20_000)]
    rows += [{"id": "x", "mail": "ada@firm.example"}, {"id": "y", "mail": "ADA@firm.example"}]
    found = api.duplicates_find(
        str(write(tmp_path / "people.csv", rows)), rules=rules(tmp_path, "same: [[mail]]"), key=["id"]
    )
    assert found["clusters"] == [["x", "y"]]
    assert {(p["values"][0], p["rows"]) for p in found["placeholders"]} == {
        ("none@none.com", 10_000),
        ("info@firm.example", 10_000),
    }


def test_a_word_for_nothing_is_no_key_however_few_have_it(tmp_path: Path) -> None:
    rows = [{"id": str(n), "mail": "none@none.com"} for n in range(2)]
    found = api.duplicates_find(
        str(write(tmp_path / "p.csv", rows)), rules=rules(tmp_path, "same: [[mail]]"), key=["id"]
    )
    assert found["clusters"] == []
    assert found["placeholders"][0]["rows"] == 2


def test_rules_that_would_compare_all_with_all_are_refused_with_the_number(tmp_path: Path) -> None:
    path = write(tmp_path / "people.csv", [{"sex": "fm"[n % 2], "n": str(n)} for n in range(10_000)])
    with pytest.raises(UsageError, match="49,995,000 pairs"):
        api.duplicates_find(str(path), rules=rules(tmp_path, "similar: {sex: exact}"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("same: [[mial]]", "did you mean `mail`"),
        ("similar: {mail: emial}", "did you mean `email`"),
        ("same: [[mail, mail]]", "twice"),
        ("decide: {merge_above: 0.9}", "says nothing of which rows are one"),
        ("same: [mail]\ndecide: {merge_above: 50%, review_above: 80%}", "no pair could lie between"),
        ("sme: [mail]", "did you mean `same`"),
    ],
)
def test_wrong_rules_are_told_with_the_right_word(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path / "people.csv", PEOPLE)
    with pytest.raises(MappingError) as error:
        api.duplicates_find(str(path), rules=rules(tmp_path, text))
    assert said in str(error.value)


def test_without_splink_one_paragraph_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "splink", None)
    path = write(tmp_path / "people.csv", PEOPLE)
    assert (
        main(["duplicates", "find", str(path), "--rules", str(rules(tmp_path, "similar: {last: name}"))]) == 2
    )
    said = capsys.readouterr().err
    assert "migrate-crm[match]" in said
    assert said.count("\n") == 1
    assert main(["duplicates", "find", str(path), "--rules", str(rules(tmp_path, "same: [mail]"))]) == 0


def test_no_rows_and_one_row_have_no_duplicates(tmp_path: Path) -> None:
    for text in ("id,surname\n", "id,surname\n1,Hopper\n"):
        (tmp_path / "people.csv").write_text(text)
        assert api.duplicates_find(str(tmp_path / "people.csv"))["clusters"] == []


def test_unnamed_columns_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [{"a": "1", "b": "2"}])
    with pytest.raises(UsageError, match="do not tell how"):
        api.duplicates_find(str(path))


def families(path: Path, rows: int = 400) -> Path:
    """Couples at one address with one phone, and one person in four written twice."""
    rng = random.Random(3)
    names = [
        a + b + c for a in "bdgklmnrst" for b in "aeiou" for c in ("rt", "nda", "lf", "mma", "sko", "vi")
    ]
    found: list[dict[str, str]] = []
    house: dict[str, str] = {}
    for n in range(rows):
        if n % 2 == 0:
            house = {
                "surname": rng.choice(names) + rng.choice(names),
                "street": f"{rng.randint(1, 90)} {rng.choice(names)} street",
                "postcode": str(rng.randint(10_000, 99_999)),
                "phone": f"0207{rng.randint(1_000_000, 9_999_999)}",
            }
        row = {"id": str(n), "first_name": rng.choice(names) + rng.choice("aeiou"), **house}
        found.append(row)
        if n % 4 == 0:
            first = row["first_name"]
            found.append(row | {"id": f"{n}b", "first_name": first[:3] + "x" + first[3:], "postcode": ""})
    return write(path, found)


def test_similar_rows_are_found_the_same_every_time_and_family_is_not_one_person(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = families(tmp_path / "people.csv")
    weights = tmp_path / "weights.json"
    with caplog.at_level(logging.DEBUG):
        first = api.duplicates_find(str(path), key=["id"], weights=weights)
    everything = caplog.text + "".join(capfd.readouterr())
    assert " street" not in everything  # no value
    assert "0207" not in everything
    twins = {(str(n), f"{n}b") for n in range(0, 400, 4)}
    merged = {tuple(sorted(cluster)) for cluster in first["clusters"]}
    assert len(merged & twins) >= 90
    assert len(merged - twins) <= 3  # couples with nearly the same first name
    assert stat.S_IMODE(weights.stat().st_mode) == 0o600
    assert "Ada" not in weights.read_text()
    assert "street" in weights.read_text()
    assert api.duplicates_find(str(path), key=["id"], weights=weights)["pairs"] == first["pairs"]
    assert (
        api.duplicates_find(str(path), key=["id"], weights=tmp_path / "others.json")["pairs"]
        == first["pairs"]
    )
    assert (tmp_path / "others.json").read_text() == weights.read_text()
    other = rules(tmp_path, "similar: {surname: name}")
    with pytest.raises(UsageError, match="trained for other columns"):
        api.duplicates_find(str(path), rules=other, weights=weights)
    weights.write_text("{}")
    with pytest.raises(UsageError, match="no file of weights"):
        api.duplicates_find(str(path), weights=weights)


def test_pairs_go_to_a_private_file(tmp_path: Path) -> None:
    path = families(tmp_path / "people.csv")
    one_house = rules(tmp_path, "same: [[surname, phone]]")
    for name in ("pairs.csv", "pairs.parquet"):
        found = api.duplicates_find(str(path), key=["id"], out=tmp_path / name, rules=one_house)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert pq.read_table(tmp_path / "pairs.parquet").num_rows == len(found["pairs"]) == 300
    assert (tmp_path / "pairs.csv").read_text().count("\n") == 301
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        api.duplicates_find(str(path), rules=one_house, out=tmp_path / "pairs.txt")


def test_two_places_are_linked_and_a_database_is_as_good_as_a_file(tmp_path: Path) -> None:
    ours = write(tmp_path / "ours.csv", PEOPLE)
    with sqlite3.connect(tmp_path / "theirs.db") as db:
        db.execute("CREATE TABLE people(no INTEGER PRIMARY KEY, first TEXT, last TEXT, mail TEXT)")
        db.execute(
            "INSERT INTO people VALUES (9, 'Grace', 'Hopper', 'g@h.example'), (8, 'Ada', 'Byron', 'ada@example.com')"
        )
    db.close()
    found: dict[str, Any] = api.duplicates_find(
        str(ours), str(tmp_path / "theirs.db"), rules=rules(tmp_path, "same: [mail, [first, last]]")
    )
    assert {(p["a"], p["b"]) for p in found["pairs"]} == {("row 1", "8"), ("row 2", "8"), ("row 3", "9")}
    assert found["rows"] == [4, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "key", "text", "right", "at_least"),
    [
        (
            ["febrl/dataset1.csv"],
            "rec_id",
            "similar: {given_name: name, surname: name, street_number: exact, address_1: address, address_2: address, "
            "suburb: text, postcode: postcode, state: exact, date_of_birth: date, soc_sec_id: exact}",
            lambda a, b: a.split("-")[1] == b.split("-")[1],
            495,
        ),
    ],
)
def test_real_sets_are_matched(
    tmp_path: Path, files: list[str], key: str, text: str, right: Any, at_least: int
) -> None:
    places = [SHARED / "data" / file for file in files]
    if not all(place.exists() for place in places):
        pytest.skip(f"{places[0]} is not there")
    found = api.duplicates_find(*map(str, places), rules=rules(tmp_path, text), key=[key])
    pairs = [(p["a"], p["b"]) for p in found["pairs"] if p["decided"] == "merge"]
    assert len(pairs) >= at_least
    assert sum(not right(a, b) for a, b in pairs) <= 2
    assert json.dumps(found)
