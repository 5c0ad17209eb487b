"""`migrate test`: examples of a mapping tried out with no database, and told cell by cell."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from migrate import api
from migrate.errors import MappingError, UsageError

from tests.runs import command

HEAD = """migrate: 1
name: tried
source: {{system: acme, url: "{url}", nulls: ["-"]}}
target: {{url: "sqlite:////nowhere/crm.db"}}
maps: {{country: {{UK: GB, Norge: "NO", unknown: null}}}}
entities:
  users: {{from: staff, key: id, into: users, write: link, match: {{mail: mail}}}}
  contacts:
    from: people
    where: "{where}"
    key: [person_no, part]
    into: contacts
    match: {{login: "lower(login)"}}
    fields:
      name: {{from: full_name, do: [trim, squeeze], check: [required, {{max_length: 12}}]}}
      mail: {{from: mail, do: [lower], check: [{{pattern: "[^@]+@[^@]+"}}], on_fail: empty_and_flag}}
      born: {{from: born, do: [{{date: D/M/YYYY}}]}}
      worth: {{from: worth, do: [currency], default: "0"}}
      size: {{from: size, do: [integer], default: many}}
      country: {{from: land, map: country}}
      owner: {{from: rep, ref: {{kind: rep_kind, to: {{U: users, C: contacts2}}, missing: {{find: {{in: users, mail: x@y}}}}}}}}
      desk: {{from: rep, find: {{in: users, by: login, active: "1"}}}}
      team: {{value: "", find: {{in: teams, name: Sales}}}}
      twice: {{expr: "{expr}"}}
      events: {{value: "yes"}}
    examples:
"""
TAIL = "  contacts2: {from: others, key: id, into: contacts, fields: {name: n}}\n"


def tried(folder: Path, *examples: str, files: bool = False, **more: str) -> Any:
    """The document of `migrate test`, with these examples of `contacts`."""
    file = folder / "m.yaml"
    where, expr = more.get("where", "deleted = 0"), more.get("expr", "worth_now * 2")
    if files:
        where, expr = "deleted = '0'", "cast(worth_now as decimal(12,2)) * 2"
    head = HEAD.format(
        url="files:nowhere/" if files else "sqlite:////nowhere/acme.db", where=where, expr=expr
    )
    lines = []
    for example in examples:
        mine = {"deleted": "0", "person_no": "1", "part": "a"} if "deleted" in where else {}
        also = "".join(f"{name}: {value}, " for name, value in mine.items() if f"{name}:" not in example)
        lines.append(f"      - {{given: {{{also}{example}}}\n")
    file.write_text(head + "".join(lines) + TAIL, encoding="utf-8")
    return api.examples(file)


def told(document: Any) -> list[tuple[str, Any, Any]]:
    return [(d["column"], d["expected"], d["got"]) for e in document["examples"] for d in e["differences"]]


GOOD = (
    'full_name: "  Ada   L ", mail: ADA@x.com}, expect: {name: Ada L, mail: ada@x.com}',
    'full_name: x, born: 10/12/1815, worth: "£1,200.50"}, expect: {born: 1815-12-10, worth: "1200.500"}',
    "full_name: x, size: 7}, expect: {size: 7, worth: 0, born: null}",
    "full_name: x, size: null}, expect: {size: many}",
    "full_name: x, land: Norge, rep: 7, rep_kind: U}, expect: {country: \"NO\", owner: {ref: [users, '7']}}",
    "full_name: x, land: unknown, rep: 7, rep_kind: C}, expect: {country: null, owner: {ref: [contacts2, 7]}}",
    "full_name: x, rep: 7}, expect: {desk: {find: [users, login, 7, active, 1]}, team: {find: [teams, name, Sales]}}",
    "full_name: x}, expect: {owner: null, desk: null}",
    "full_name: x, worth_now: 2.5}, expect: {twice: 5}",
    "full_name: x, mail: nobody}, expect: {mail: null, events: {mail: emptied}, columns: {events: yes}}",
    'full_name: "-"}, expect: {quarantine: required}',
    "full_name: much too long a name, born: never}, expect: {quarantine: [type, max_length]}",
    "full_name: x, part: null}, expect: {quarantine: key_missing, name: x}",
    "deleted: 1}, expect: {excluded: where}",
)


@pytest.mark.parametrize("files", [False, True], ids=["database", "files"])
def test_examples_that_hold(tmp_path: Path, files: bool) -> None:
    file = tmp_path / "m.yaml"
    found = tried(tmp_path, *GOOD, files=files)
    assert told(found) == []
    assert (found["passed"], found["failed"], found["exit_code"]) == (len(GOOD), 0, 0)
    assert found["without"] == ["users", "contacts2"]
    done = command("test", str(file), "--entity", "contacts")
    assert done.code == 0
    assert done.out.endswith(f"All {len(GOOD)} examples passed.\n")


def test_every_difference_has_its_place(tmp_path: Path) -> None:
    found = tried(
        tmp_path,
        "full_name: x, worth: 3}, expect: {name: y, worth: 4, owner: {ref: [users, 1]}, mail: a@b}",
        "full_name: x}, expect: {quarantine: [required, type], events: {name: emptied}}",
        "full_name: null, land: Mars}, expect: {name: x}",
        "full_name: x}, expect: {excluded: where}",
    )
    assert told(found) == [
        ("name", "y", "x"),
        ("worth", "4", "3"),
        ("owner", {"ref": ["users", "1"]}, None),
        ("mail", "a@b", None),
        ("", "quarantine: required, type", "goes into the target"),
        ("name", {"events": ["emptied"]}, {"events": []}),
        ("", "goes into the target", "quarantine: required (name: empty), unmapped_value (country: the map does not name it)"),
        ("name", "x", None),
        ("", "excluded: where", "goes into the target"),
    ]  # fmt: skip
    assert (found["failed"], found["exit_code"]) == (4, 3)
    places = [d["where"] for d in found["examples"][0]["differences"]]
    lines = (tmp_path / "m.yaml").read_text(encoding="utf-8").splitlines()
    for place, column in zip(places, ("name", "worth", "owner", "mail"), strict=True):
        name, line, at = place.rsplit(":", 2)
        assert name.endswith("m.yaml")
        assert lines[int(line) - 1][int(at) - 1 :].startswith(f"{column}:")
    done = command("test", str(tmp_path / "m.yaml"))
    assert done.code == 3
    assert 'name: expected "y", got "x"' in done.out
    assert "4 of 4 examples failed." in done.out
    assert command("test", str(tmp_path / "m.yaml"), "--json").document == found


def test_a_column_that_no_example_gives_is_what_sql_asks_of_it(tmp_path: Path) -> None:
    """Over a database its type is not known; nothing is guessed of one that is given."""
    sql = "made >= DATE '2020-01-01' AND coalesce(kind, 'a') = 'a' OR gone"
    found = tried(tmp_path, "full_name: x, gone: true}, expect: {name: x}", where=sql)
    assert told(found) == []
    with pytest.raises(MappingError) as caught:
        tried(tmp_path, 'full_name: x, made: "yesterday"}, expect: {name: x}', where=sql)
    assert "made is text" in str(caught.value)
    assert "No example gives" not in str(caught.value)


def test_no_examples_are_no_failure_but_are_said(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    text = HEAD.format(url="files:nowhere/", where="deleted = '0'", expr="upper(login)") + TAIL
    file.write_text(text.replace("    examples:\n", ""), encoding="utf-8")
    done = command("test", str(file))
    assert done.code == 0
    assert "There are no examples" in done.out
    with pytest.raises(UsageError) as caught:
        api.examples(file, entity="contact")
    assert "contacts" in caught.value.hint
    assert command("test", str(tmp_path / "none.yaml")).code == 2


def test_a_hundred_examples_take_a_moment(tmp_path: Path) -> None:
    tried(tmp_path, *GOOD[:1])  # loads libraries
    started = time.process_time()
    found = tried(tmp_path, *(GOOD * 8)[:100])
    assert found["passed"] == 100
    assert time.process_time() - started < 3.0  # told in fractions of it; guards against what runs away


JOINED = """migrate: 1
name: joined
source: {system: acme, url: "sqlite:////nowhere/acme.db"}
target: {url: "sqlite:////nowhere/crm.db"}
entities:
  contacts:
    from: people
    with: {home: {table: homes, on: {person_no: person}, rows: one_or_none}}
    where: "home.country <> 'XX' OR home.country IS NULL"
    explode: {number: [tel, mobile], kind: [office, cell]}
    key: [person_no, kind]
    into: contacts
    fields: {city: {from: home.city, do: [upper]}, number: number, kind: kind}
    examples:
      - {given: {person_no: 1, kind: cell, number: "07", home: {city: Oslo}}, expect: {city: OSLO, number: "07", kind: cell}}
      - {given: {person_no: 1, kind: cell}, expect: {city: null}}
      - {given: {home: {country: XX}}, expect: {excluded: where}}
"""


def test_rows_of_joins_stand_under_their_name(tmp_path: Path) -> None:
    """A row is one of the road: what `explode` makes is given as it was made."""
    file = tmp_path / "m.yaml"
    file.write_text(JOINED, encoding="utf-8")
    assert told(api.examples(file)) == []
    wrong = JOINED.replace("home: {city: Oslo}", "home: [{city: Oslo}, {town: Bergen}]")
    file.write_text(wrong.replace("{home: {country", "{house: {country"), encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        api.examples(file)
    assert [p.message for p in caught.value.problems] == [
        "`home` gives one_or_none row, and here are 2",
        "nothing in `contacts` reads a column of `home` `town`",
        "`contacts` has no join `house`",
    ]
    assert [p.where.rsplit(":", 1)[1] for p in caught.value.problems] == ["58", "80", "18"]


def test_references_by_other_columns_are_tried_too(tmp_path: Path) -> None:
    """An entity whose rows others name by a column that no example gives; several columns; one of several entities."""
    file = tmp_path / "m.yaml"
    file.write_text(
        """migrate: 1
name: tried
source: {system: acme, url: "sqlite:////nowhere/acme.db"}
target: {url: "sqlite:////nowhere/crm.db"}
entities:
  accounts: {from: companies, key: id, into: accounts, fields: {name: name},
    examples: [{given: {name: Acme}, expect: {name: Acme}}]}
  leads: {from: prospects, key: id, into: leads, fields: {name: name}}
  contacts:
    from: people
    key: id
    into: contacts
    fields:
      account_id: {from: [land, nr], ref: {to: accounts, by: [country, number]}}
      who_id: {from: who, ref: {to: [accounts, leads]}}
    examples:
      - {given: {land: DE, nr: 7, who: 3}, expect: {account_id: {ref: [accounts, DE, "7"]}, who_id: {ref: [leads, "3"]}}}
      - {given: {land: DE, nr: null, who: 3}, expect: {account_id: null, who_id: {ref: [leads, "4"]}}}
""",
        encoding="utf-8",
    )
    document = api.examples(file)
    assert told(document) == [("who_id", {"ref": ["leads", "4"]}, {"ref": ["leads", "3"]})]


def test_the_examples_of_the_demo_hold() -> None:
    found = api.examples(Path(__file__).parents[2] / "mappings" / "demo.yaml")
    assert told(found) == []
    assert found["passed"] >= 6
