"""What name servers answer is asked once in a run: whoever goes on with it, and whoever replays its rows, decides the same."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dns.resolver
import pytest

from tests.runs import World, bare, open_files


class Resolver:
    """Domains of `takes` take mail, all others do not exist."""

    def __init__(self, *takes: str) -> None:
        self.takes, self.asked = takes, list[str]()

    def resolve(self, domain: str, kind: str, lifetime: float) -> Any:
        self.asked.append(domain)
        if domain not in self.takes:
            raise dns.resolver.NXDOMAIN
        return [SimpleNamespace(exchange=f"mx.{domain}.")]


@pytest.fixture
def crm(tmp_path: Path) -> World:
    return bare(
        tmp_path,
        [
            "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, mail TEXT)",
            "INSERT INTO people VALUES (1, 'Ada', 'ada@one.dev'), (2, 'Bob', 'bob@two.dev'), (3, '', 'cy@three.dev')",
        ],
        ["CREATE TABLE contacts(id TEXT PRIMARY KEY, name TEXT, email TEXT)"],
        "  contacts: {from: people, key: id, into: contacts, fields: {name: {from: name, check: required}, "
        "email: {from: mail, check: {email: {mx: yes}}}}}",
        source_more=", nulls: ['']",
    )


def ask(monkeypatch: pytest.MonkeyPatch, *takes: str) -> Resolver:
    made = Resolver(*takes)
    monkeypatch.setattr(dns.resolver, "get_default_resolver", lambda: made)
    return made


def test_a_run_that_goes_on_and_its_replay_decide_as_it_did(
    crm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(monkeypatch, "one.dev", "three.dev")
    run = str(crm.run("--to", "transform")["run"])
    answered = crm.run_folder(run) / "mail_servers"
    assert len(list(answered.iterdir())) == 1
    assert open_files(answered) == []
    asked = len(first.asked)

    # The other way round by now; and the rows have to be made again.
    second = ask(monkeypatch, "two.dev")
    (crm.run_folder(run) / "transform" / "contacts" / "rows-00000.parquet").unlink()
    assert crm.run()["resumed"]
    assert (asked, second.asked) == (3, [])
    assert crm.codes("contacts") == {'["2"]': ["email_no_mx"], '["3"]': ["required"]}

    assert crm.command("quarantine", "export", run, str(crm.folder / "fix")).code == 0
    path = crm.folder / "fix" / "contacts.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["name"] = row["name"] or "Cy"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    done = crm.command("quarantine", "replay", run, "--from", str(path))
    assert done.code == 0, done.out + done.err
    assert second.asked == []
    assert crm.target.rows("SELECT name, email FROM contacts ORDER BY 1") == [
        ("Ada", "ada@one.dev"), ("Cy", "cy@three.dev"),
    ]  # fmt: skip

    crm.run()  # another run asks again
    assert sorted(second.asked) == ["one.dev", "three.dev", "two.dev"]
    assert crm.codes("contacts")['["1"]'] == ["email_no_mx"]
