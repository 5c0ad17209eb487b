"""The data dictionary: everything the mapping says of a column, for people, and nothing of the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from migrate import api
from migrate.mapping.load import load_mapping
from migrate.report.dictionary import ENTRIES_SHOWN, brief, data_dictionary, says
from migrate.report.dictionary_page import markdown

from tests.runs import command, small

TEXT = """migrate: 1
name: words
description: Acme's into ours
source: {system: acme, url: "sqlite:///source.db", why: the old server}
target: {url: "sqlite:///target.db"}
policy: {max_quarantine: 5%, why: known to be poor}
maps:
  country: {UK: GB, Norge: "NO", unknown: null}
  many: {MANY}
  unused: {a: b}
entities:
  users: {from: staff, key: id, into: users, write: link, match: {email: mail}}
  accounts:
    from: companies
    where: "deleted = 0"
    key: nr
    into: accounts
    match: [name]
    why: only what is | alive
    fields:
      name: {from: full_name, do: [trim, {slice: 40}], check: [required, {max_length: 40, on_fail: warn, why: cards}]}
      country: {from: land, map: country, unmapped: {default: null}}
      size: {from: size, map: many, unmapped: keep, default: "0"}
      kind: {from: k, map: {a: b}}
      owner: {from: rep, ref: {to: users, missing: {find: {in: users, email: "${DESK}"}}}, why: the desk takes the rest}
      about: {from: subject, ref: {kind: subject_type, to: {A: accounts, U: users}, why: two kinds}}
      firm: {from: [land, k], ref: {to: [accounts, users], by: [country, number], ambiguous: stop}}
      plan: {from: k, find: {in: plans, by: title, give: code, missing: {find: {in: plans, title: none, missing: stop}}}}
      seen: {expr: "coalesce(seen, made)", read_as: date, lossy: allow}
      source: {value: "${LABEL}"}
checks: [{sum: size, of: accounts, by: [kind, country], within: 0.1%}, {count: accounts}]
left_behind:
  companies.fax: nobody has a fax
glossary:
  lead: Nobody has bought <b>yet</b>.
"""
SECRETS = {"DESK": "desk@crm.example", "LABEL": "s3cret"}


def document(folder: Path) -> dict[str, object]:
    many = ", ".join(f"k{n}: v{n}" for n in range(ENTRIES_SHOWN + 7))
    file = folder / "m.yaml"
    file.write_text(TEXT.replace("MANY", many), encoding="utf-8")
    return data_dictionary(load_mapping(file, SECRETS))


def test_every_column_says_what_happens_to_it(tmp_path: Path) -> None:
    made = document(tmp_path)
    accounts: Any = made["entities"][1]  # type: ignore[index]
    assert {c["column"]: says(c) for c in accounts["columns"]} == {
        "name": "full_name; trim; slice: 40; checked: required, max_length: 40 (else warn)",
        "country": "land; map country; not in the map: {default: null}",
        "size": "size; map many; not in the map: keep; if empty: 0",
        "kind": "k; map of 1 values",
        "owner": "rep; the row of users (missing: found in users by email = ${DESK})",
        "about": "subject; the row of accounts or users (which one: subject_type)",
        "firm": "land, k; the row of accounts or users with this country, number (ambiguous: stop)",
        "plan": "k; code of what is found in plans by title (missing: found in plans by title = none (missing: stop))",
        "seen": "coalesce(seen, made); read as date; lossy: allow",
        "source": 'always "${LABEL}"',
    }
    assert made["lineage"]["source.companies.made"] == ["accounts.seen"]  # type: ignore[index]
    assert made["lineage"]["source.companies.subject_type"] == ["accounts.about"]  # type: ignore[index]
    maps = {m["map"]: m for m in cast(Any, made["maps"])}
    assert list(maps) == ["country", "many", "unused", "accounts.kind"]
    assert (maps["many"]["size"], len(maps["many"]["entries"])) == (ENTRIES_SHOWN + 7, ENTRIES_SHOWN)
    assert (maps["country"]["used_by"], maps["unused"]["used_by"]) == (["accounts.country"], [])
    reasons = {r["where"]: r["why"] for r in brief(made)["reasons"]}
    assert reasons == {
        "source": "the old server",
        "policy": "known to be poor",
        "entities.accounts.fields.name.check.1": "cards",
        "entities.accounts.fields.about.ref": "two kinds",
        "accounts": "only what is | alive",
        "accounts.owner": "the desk takes the rest",
    }


def test_the_page_is_markdown_and_shows_no_environment(tmp_path: Path) -> None:
    made = document(tmp_path)
    page = markdown(made)
    assert json.loads(json.dumps(made)) == made
    for secret in SECRETS.values():
        assert secret not in page + json.dumps(made)
    assert "only what is \\| alive" in page
    assert "<b>" not in page.replace("\\<b>", "")
    assert "… and 7 more; the first 50 are shown." in page
    assert "| sum accounts.size by kind, country | 0.1% |\n| count accounts | 0% |" in page
    assert "| companies.fax | nobody has a fax |  |" in page
    rows = [line for line in page.splitlines() if line.startswith("| owner ")]
    assert rows == [
        "| owner | rep | the row of users (missing: found in users by email = ${DESK}) |  |  | the desk takes the rest |"
    ]


def test_dictionary_needs_no_database_unless_it_is_asked_for_types(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    world.more = "glossary: {lead: nobody bought}"
    world.entities = world.entities.replace("city: town", "city: {from: town, why: for letters}")
    file = world.write()
    live = api.dictionary(file, live=True)["entities"][0]["columns"]
    assert [(c["column"], c["type"], c["nullable"]) for c in live][:2] == [
        ("name", "TEXT", False),
        ("city", "TEXT", True),
    ]
    plan = world.command("plan", str(file), "--json").document
    assert plan["glossary"] == {"lead": "nobody bought"}
    assert plan["dictionary"]["reasons"] == [{"where": "accounts.city", "why": "for letters"}]
    assert plan["dictionary"]["entities"]["accounts"]["columns"][0]["type"] == "TEXT"
    shown = world.command("plan", str(file)).out
    assert "accounts.city: for letters" in shown
    assert "lead: nobody bought" in shown
    again = world.run()
    assert [b["unchanged"] for b in again["balances"].values()] == [2, 3]  # words make no row another one
    report = world.command("report", again["run"], "--json").document
    assert report["dictionary"]["entities"]["contacts"]["columns"][0]["says"] == "co; the row of accounts"
    assert report["glossary"] == {"lead": "nobody bought"}

    world.target.path.unlink()
    page, out = command("dictionary", str(file)), tmp_path / "words.md"
    assert page.code == 0
    assert page.out.startswith("# Data dictionary: small\n")
    assert command("dictionary", str(file), "--out", str(out)).code == 0
    assert out.read_text(encoding="utf-8") == page.out
    assert command("dictionary", str(file), "--out", str(tmp_path)).code == 2
    assert command("dictionary", str(file), "--live").code == 5
    assert command("dictionary", str(tmp_path / "none.yaml")).code == 2


ROADS = """migrate: 1
name: roads
source: {system: acme, url: "sqlite:///source.db"}
target: {url: "sqlite:///target.db"}
split: {actions: {calls: "type = 'call'", leave_out: {void: "type = 'x'"}, otherwise: quarantine}}
entities:
  people:
    from: people
    key: id
    into: contacts
    with:
      home: {table: homes, on: {id: person}, where: "kind = 'home'", rows: one_or_none}
      tag: {table: tags, on: {id: id}, rows: any, order: [-made]}
    fields: {name: full_name, city: home.city}
  phones:
    from: people
    explode: {number: [tel, mobile], kind: [office, cell]}
    key: [id, kind]
    into: phones
    fields: {number: number, kind: kind}
  calls: {from: actions, key: id, into: calls, fields: {body: body}}
  counted: {query: "SELECT person, count(*) AS n FROM homes GROUP BY person", key: person, into: stats, fields: {n: n}}
"""


def test_roads_are_told_in_words(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(ROADS, encoding="utf-8")
    made = data_dictionary(load_mapping(file, {}))
    rules = {e["entity"]: e["rules"] for e in made["entities"]}
    assert rules["people"] == [
        "with home: one or none of homes by id = person, only where kind = 'home'",
        "with tag: any of tags by id, in the order of -made",
    ]
    assert rules["phones"] == ["one row for each: number from tel, mobile; kind from office, cell"]
    assert made["splits"] == [
        {
            "source": "source",
            "table": "actions",
            "branches": [
                {"when": "type = 'call'", "goes": "calls"},
                {"when": "type = 'x'", "goes": "left out: void"},
            ],
            "otherwise": "quarantine",
        }
    ]
    assert made["lineage"] == {
        "source.actions.body": ["calls.body"],
        "source.homes.city": ["contacts.city"],
        "source.people.full_name": ["contacts.name"],
        "source.people.mobile": ["phones.number"],
        "source.people.tel": ["phones.number"],
        "source.query.n": ["stats.n"],
    }
    page = markdown(made)
    assert "| rows of | a query of source |" in page
    assert "| type = 'x' | left out: void |\n| no other | quarantine |" in page
