"""Random small sources through whole runs: the target is what a plain model of the mapping says, and the balance is exact."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.runs import balance, bare

SOURCE = (
    "CREATE TABLE companies(id INTEGER, name TEXT, code TEXT, parent INTEGER, skip INTEGER)",
    "CREATE TABLE people(id INTEGER, co INTEGER, mail TEXT)",
)
TARGET = (
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, legacy TEXT, name TEXT NOT NULL CHECK (name <> 'BAD'), code TEXT, "
    "parent_id TEXT REFERENCES accounts(id))",
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, legacy TEXT, account_id TEXT REFERENCES accounts(id), mail TEXT UNIQUE)",
)
MAPPED = """
  accounts:
    from: companies
    where: "skip = 0"
    key: id
    into: accounts
    fields:
      legacy: id
      name: {from: name, do: [trim, upper]}
      code: {from: code, check: [unique], on_fail: empty_and_flag}
      parent_id: {from: parent, ref: {to: accounts, missing: empty_and_flag}}
  contacts:
    from: people
    key: id
    into: contacts
    fields:
      legacy: id
      account_id: {from: co, ref: accounts}
      mail: {from: mail, do: [trim, lower]}
"""


@dataclass(frozen=True)
class Company:
    id: int | None
    name: str | None
    code: str | None
    parent: int | None
    skip: int | None


@dataclass(frozen=True)
class Person:
    id: int | None
    co: int | None
    mail: str | None


few = st.one_of(st.integers(1, 6), st.none())
companies = st.builds(
    Company,
    id=st.one_of(st.integers(1, 9), st.integers(1, 9), st.none()),
    name=st.sampled_from([" Acme", "bolt ", "Zoë's ☕", "bad", None]),
    code=st.sampled_from(["x", "y", "z", None]),
    parent=few,
    skip=st.sampled_from([0, 0, 0, 0, 1, None]),
)
people = st.builds(
    Person,
    id=st.one_of(st.integers(1, 12), st.none()),
    co=few,
    mail=st.sampled_from([" A@x", "b@x", "c@x", "d@x", None]),
)


@dataclass
class Expected:
    """By source id: what stands in the target, without its keys; and how many rows went where."""

    accounts: dict[str, tuple[str, str | None, str | None]]
    contacts: dict[str, tuple[str | None, str | None]]
    excluded: int
    doubtful: list[set[str]]  # contacts that want the same address: the database lets one of them in


def model(firms: list[Company], persons: list[Person]) -> Expected:
    kept = [f for f in firms if f.skip == 0]
    counts = Counter(f.id for f in kept)
    good = {f.id: f for f in kept if f.id is not None and counts[f.id] == 1 and f.name is not None}
    codes = Counter(f.code for f in good.values())
    # A parent that two rows claim to be is ambiguous, which keeps its child back; one that is not there is emptied.
    clear = {i: f for i, f in good.items() if f.parent is None or counts[f.parent] < 2}
    loaded = {i: f for i, f in clear.items() if f.name != "bad"}
    accounts = {
        str(i): (
            (f.name or "").strip().upper(),
            f.code if codes[f.code] == 1 else None,
            str(f.parent) if f.parent in loaded else None,
        )
        for i, f in loaded.items()
    }
    counts = Counter(p.id for p in persons)
    unique = [p for p in persons if p.id is not None and counts[p.id] == 1]
    fine = [p for p in unique if p.co is None or p.co in loaded]
    contacts = {
        str(p.id): (None if p.co is None else str(p.co), p.mail and p.mail.strip().lower()) for p in fine
    }
    by_mail: dict[str, set[str]] = {}
    for key, (_, mail) in contacts.items():
        if mail is not None:
            by_mail.setdefault(mail, set()).add(key)
    return Expected(
        accounts, contacts, len(firms) - len(kept), [keys for keys in by_mail.values() if len(keys) > 1]
    )


@pytest.mark.promise(5)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(companies, max_size=9), st.lists(people, max_size=9))
@example(  # a child, and its child, of a key that two rows have
    [
        Company(8, " Acme", "x", 5, 0),
        Company(5, " Acme", None, None, 0),
        Company(5, "bolt ", None, 1, 0),
        Company(2, "bolt ", "x", 8, 0),
        Company(3, "bolt ", "y", 7, 0),
    ],
    [Person(1, 8, None), Person(2, 2, None), Person(3, 5, None)],
)
def test_p5_the_target_is_what_the_model_says(firms: list[Company], persons: list[Person]) -> None:
    expected = model(firms, persons)
    with tempfile.TemporaryDirectory() as name:
        world = bare(Path(name), SOURCE, TARGET, MAPPED)
        world.source.fill("companies", [tuple(vars(f).values()) for f in firms])
        world.source.fill("people", [tuple(vars(p).values()) for p in persons])
        document = world.run()
        accounts = {
            r[0]: r[1:]
            for r in world.target.rows(
                "SELECT a.legacy, a.name, a.code, p.legacy FROM accounts a LEFT JOIN accounts p ON p.id = a.parent_id"
            )
        }
        contacts = {
            r[0]: r[1:]
            for r in world.target.rows(
                "SELECT c.legacy, a.legacy, c.mail FROM contacts c LEFT JOIN accounts a ON a.id = c.account_id"
            )
        }
        assert accounts == expected.accounts
        for keys in expected.doubtful:
            assert len(keys & set(contacts)) == 1
            for lost in keys - set(contacts):
                assert world.codes("contacts")[f'["{lost}"]'] == ["db_unique"]
                del expected.contacts[lost]
        assert contacts == expected.contacts
        found = balance(document, "accounts")
        assert (found["in"], found["loaded"], found["excluded"]) == (
            len(firms),
            len(accounts),
            expected.excluded,
        )
        found = balance(document, "contacts")
        assert (found["in"], found["loaded"], found["excluded"]) == (len(persons), len(contacts), 0)
        waiting = Counter(r["entity"] for r in world.quarantine())
        assert waiting["accounts"] == len(firms) - len(accounts) - expected.excluded
        assert waiting["contacts"] == len(persons) - len(contacts)
        assert all(v["passed"] for v in document["verdicts"])
