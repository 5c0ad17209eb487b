"""Training on rows that are too many to compare all pairs: every column stays in the model, also where a key teaches nothing."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest
from migrate import api

WORDS = [a + b + c for a in "bdfgklmnrst" for b in "aeio" for c in ("ra", "ni", "to", "sel", "mon", "dig")]
RULES = "similar: {first: name, last: name, email: email, phone: phone, born: date}\n"


def contacts(path: Path, rows: int) -> set[tuple[str, str]]:
    """People with an address and a number of their own, some of them twice with a letter missing; the true pairs."""
    rng = random.Random(3)
    pairs = set()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "first", "last", "email", "phone", "born"])
        row: list[str] = []
        for number in range(rows):
            if row and number % 12 == 0:
                pairs.add((str(number - 1), str(number)))
                writer.writerow([number, row[0][:-1], row[1], row[2], row[3], row[4]])
                row = []
                continue
            first, last = rng.choice(WORDS), rng.choice(WORDS) + rng.choice(WORDS)
            born = f"{rng.randint(1930, 2008)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
            row = [
                first,
                last,
                f"{first}.{last}{number}@x.example",
                f"0{rng.randint(10**9, 10**10 - 1)}",
                born,
            ]
            writer.writerow([number, *row])
    return pairs


def test_many_contacts_with_addresses_and_numbers(tmp_path: Path) -> None:
    table, rules, weights = tmp_path / "contacts.csv", tmp_path / "rules.yaml", tmp_path / "weights.json"
    true = contacts(table, 2_400)  # 2.9 million pairs: more than are all compared
    rules.write_text(RULES)
    document = api.duplicates_find(str(table), rules=rules, key=["id"], weights=weights)
    assert document["compared"] < 2_400 * 2_399 // 2
    assert document["merge"] >= 0.95 * len(true)
    again = api.duplicates_find(str(table), rules=rules, key=["id"], weights=weights)
    assert (again["merge"], again["review"]) == (document["merge"], document["review"])


def fail_first(monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[int]:
    """The first key raises `error` when it is trained on; the list grows with every key."""
    from splink.internals.em_training_session import EMTrainingSession

    original, calls = EMTrainingSession._train, list[int]()

    def train(session: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise error
        return original(session, *arguments, **named)

    monkeypatch.setattr(EMTrainingSession, "_train", train)
    return calls


def test_a_training_key_that_fails_takes_no_column_out_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, rules, weights = tmp_path / "contacts.csv", tmp_path / "rules.yaml", tmp_path / "weights.json"
    true = contacts(table, 2_400)
    rules.write_text(RULES)
    calls = fail_first(monkeypatch, ValueError("m_probability value 0.0 is below the minimum"))
    document = api.duplicates_find(str(table), rules=rules, key=["id"], weights=weights)
    assert len(calls) > 1
    compared = json.loads(weights.read_text())["model"]["comparisons"]
    assert len(compared) == 5
    assert document["merge"] >= 0.9 * len(true)


def test_a_machine_without_room_is_an_error_and_no_smaller_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from splink.internals.exceptions import SplinkException

    table, rules, weights = tmp_path / "contacts.csv", tmp_path / "rules.yaml", tmp_path / "weights.json"
    contacts(table, 2_400)
    rules.write_text(RULES)
    fail_first(monkeypatch, SplinkException("a statement that DuckDB had no memory for"))
    with pytest.raises(SplinkException, match="no memory"):
        api.duplicates_find(str(table), rules=rules, key=["id"], weights=weights)
    assert not weights.exists()
