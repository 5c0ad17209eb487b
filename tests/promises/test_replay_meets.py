"""Replay meets everything else that decides about rows: roads, duplicates, known_as, parts of a migration, erasure."""

from __future__ import annotations

from pathlib import Path

import pytest
from migrate import api

from tests.promises.test_known_as import leads
from tests.promises.test_known_as import world as leads_world
from tests.promises.test_merging import world as merging_world
from tests.promises.test_replay import CONTACTS, Fixing, crm, foretold_and_undone
from tests.promises.test_reviewing import world as reviewing_world
from tests.runs import balance, bare, is_one_clear_paragraph

SOURCE = [
    "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, tel TEXT, mob TEXT)",
    "CREATE TABLE tags(pid INTEGER, name TEXT)",
    "CREATE TABLE lands(pid INTEGER, name TEXT)",
    "CREATE TABLE actions(id INTEGER PRIMARY KEY, type TEXT, body TEXT)",
    "INSERT INTO people VALUES (1, 'Ada', '0113 4960001', '1'), (2, NULL, '2', NULL), (3, 'Cy', NULL, '0113 4960003')",
    "INSERT INTO tags VALUES (1, 'vip'), (1, 'new'), (2, 'old'), (2, 'vip'), (2, 'old')",
    "INSERT INTO lands VALUES (1, 'England'), (2, 'Wales')",
    "INSERT INTO actions VALUES (1, 'call', NULL), (2, 'mail', 'y'), (3, 'fax', 'z'), (4, 'call', 'x')",
]
TARGET = [
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, name TEXT NOT NULL, land TEXT, tags TEXT)",
    "CREATE TABLE phones(id TEXT PRIMARY KEY, contact_id TEXT REFERENCES contacts(id), number TEXT, kind TEXT)",
    "CREATE TABLE calls(id TEXT PRIMARY KEY, body TEXT NOT NULL)",
    "CREATE TABLE mails(id TEXT PRIMARY KEY, body TEXT)",
]
ENTITIES = """
  contacts:
    from: people
    with:
      tag: {table: tags, on: {id: pid}, rows: any, order: name}
      land: {table: lands, on: {id: pid}, rows: one_or_none}
    key: id
    into: contacts
    fields: {name: {from: name, check: required}, land: land.name, tags: {list: {of: tag, each: {from: tag.name}, one_per: item}}}
  phones:
    from: people
    explode: {number: [tel, mob], kind: [work, mobile]}
    key: [id, kind]
    into: phones
    fields: {contact_id: {from: id, ref: contacts}, number: {from: number, check: {phone: GB}}, kind: kind}
  calls: {from: actions, key: id, into: calls, fields: {body: {from: body, check: required}}}
  mails: {from: actions, key: id, into: mails, fields: {body: body}}
"""
SPLIT = """split: {actions: {calls: "type = 'call'", mails: "type = 'mail'", otherwise: quarantine}}"""
PHONES = "SELECT number, kind FROM phones ORDER BY number"


def test_rows_of_joined_exploded_and_split_roads_are_sent_again(tmp_path: Path) -> None:
    world = bare(tmp_path, SOURCE, TARGET, ENTITIES, more=SPLIT)
    fixing = Fixing(world)
    assert world.codes("phones") == {
        '["1","mobile"]': ["phone_invalid"],
        '["2","work"]': ["parent_quarantined", "phone_invalid"],
    }
    fixing.set("contacts", 2, name="Bob", **{"land.name": "Cymru"})
    fixing.edit("phones", lambda row: row["kind"] == "mobile" and row.update(number="0113 4960009"))
    fixing.set("calls", 1, body="late")
    document = fixing.replayed()
    assert document["corrected"] == {"calls": 1, "contacts": 1, "phones": 1}
    assert world.target.rows("SELECT name, land, tags FROM contacts ORDER BY id") is not None
    assert sorted(world.target.rows("SELECT name, land FROM contacts")) == [
        ("Ada", "England"), ("Bob", "Cymru"), ("Cy", None),
    ]  # fmt: skip
    assert world.target.one("SELECT tags FROM contacts WHERE name = 'Bob'") == '["old", "vip"]'
    assert [kind for _, kind in world.target.rows(PHONES)] == ["work", "mobile", "mobile"]
    assert world.target.rows("SELECT body FROM calls ORDER BY 1") == [("late",), ("x",)]
    assert world.codes("phones") == {'["2","work"]': ["phone_invalid"]}
    assert world.command("verify", fixing.run).code == 0
    again = world.run()
    assert balance(again, "contacts")["unchanged"] == 3
    assert balance(again, "phones") == {
        "in": 6, "loaded": 0, "unchanged": 3, "merged": 0, "quarantined": 1, "excluded": 2,
    }  # fmt: skip


def test_rows_that_fit_no_road_are_left_as_they_were_exported(tmp_path: Path) -> None:
    fixing = Fixing(bare(tmp_path, SOURCE, TARGET, ENTITIES, more=SPLIT))
    fixing.edit("actions", lambda row: row.update(type="call"))
    done = fixing.replay()
    assert done.code == 2
    is_one_clear_paragraph(done.err, "fit no road", "actions.csv, line 2", "Nothing was changed")
    assert len(fixing.world.command("runs", "--json").document) == 1


def corrected_twin(folder: Path, write: str) -> Fixing:
    """Company 2 is 1, as its telephone number says once that is corrected; 1 and 3 were one before."""
    small = merging_world(folder)
    pattern = "phone: {from: tel, check: {pattern: '0113.*'}}"
    small.entities = small.entities.replace("phone: tel", pattern).replace(
        "into: accounts", f"into: accounts\n    write: {write}"
    )
    if write == "add_or_update":
        small.entities = small.entities.replace(f"write: {write}", f"write: {write}\n    match: [name]")
    small.source.run("UPDATE companies SET tel = 'x' WHERE id = '2'")
    fixing = Fixing(small)
    assert small.codes("accounts") == {'["2"]': ["pattern"]}
    fixing.set("accounts", 2, tel="0113 1")
    return fixing


def test_a_corrected_row_that_is_a_loaded_one_becomes_part_of_it(tmp_path: Path) -> None:
    """The row of the target is updated; nothing else is."""
    fixing = corrected_twin(tmp_path, "add_or_update")
    small = fixing.world
    before = small.target.one("SELECT count(*) FROM accounts")
    document = fixing.replayed()
    assert balance(document, "accounts") == {
        "in": 5, "loaded": 3, "unchanged": 0, "merged": 2, "quarantined": 0, "excluded": 0,
    }  # fmt: skip
    assert small.target.one("SELECT count(*) FROM accounts") == before
    assert small.target.one("SELECT notes FROM accounts WHERE phone = '0113 1'") == "first; second"
    assert small.target.one("SELECT count(*) FROM contacts") == 4  # who waited for it refers to the survivor
    assert small.command("verify", fixing.run).code == 0
    assert balance(small.run(), "accounts")["loaded"] == 0
    assert small.command("rollback", fixing.run, "--yes").code == 0
    assert small.target.rows("SELECT * FROM accounts") == []


@pytest.mark.fineprint(32)
@pytest.mark.parametrize(
    ("edit", "kept"),
    [
        ("", []),
        ("UPDATE accounts SET notes = 'mine' WHERE phone = '0113 1'", ["accounts"]),
        ("UPDATE contacts SET name = 'mine' WHERE id = {waited}", ["accounts", "contacts"]),
        ("UPDATE contacts SET name = 'mine' WHERE id = {loaded}", ["accounts", "contacts"]),
    ],
    ids=["nobody", "the row that was updated", "a row of the replay", "a row of the run"],
)
def test_f32_the_preview_of_an_undo_knows_rows_that_a_replay_updated(
    tmp_path: Path, edit: str, kept: list[str]
) -> None:
    """They get the values of the run back first, and go with it then."""
    fixing = corrected_twin(tmp_path, "add_or_update")
    world = fixing.world
    here = "SELECT id FROM contacts WHERE account_id = (SELECT id FROM accounts WHERE phone = '0113 1') ORDER BY id"
    loaded = world.target.rows(here)
    fixing.replayed()
    waited = [row for row in world.target.rows(here) if row not in loaded]
    assert loaded
    assert waited
    if edit:
        world.target.run(edit.format(waited=repr(waited[0][0]), loaded=repr(loaded[0][0])))
    foretold_and_undone(world, fixing.run, code=3 if edit else 0)
    there = [t for t in ("accounts", "contacts") if world.target.one(f"SELECT count(*) FROM {t}")]
    assert there == kept


def test_where_loaded_rows_are_not_updated_only_the_corrected_row_stays_behind(tmp_path: Path) -> None:
    fixing = corrected_twin(tmp_path, "add")
    small = fixing.world
    before = small.target.rows("SELECT * FROM accounts ORDER BY id")
    document = fixing.replayed()
    assert small.codes("accounts") == {'["2"]': ["changed_since_load"]}
    assert balance(document, "accounts") == {
        "in": 5, "loaded": 3, "unchanged": 0, "merged": 1, "quarantined": 1, "excluded": 0,
    }  # fmt: skip
    assert small.target.rows("SELECT * FROM accounts ORDER BY id") == before
    assert small.command("verify", fixing.run).code == 0


def test_what_people_decided_since_about_loaded_rows_is_for_the_next_run(tmp_path: Path) -> None:
    small = reviewing_world(tmp_path)
    small.entities = small.entities.replace(
        "name: company_name", "name: {from: company_name, check: required}"
    )
    small.source.fill("companies", [("5", None, "0113 5", None)])
    fixing = Fixing(small)
    (pair,) = small.command("duplicates", "list", fixing.run, "--json").document["pairs"]
    assert small.command("duplicates", "accept", fixing.run, pair["pair"]).code == 0
    fixing.set("accounts", 5, company_name="Cog")
    document = fixing.replayed()
    assert balance(document, "accounts") == {
        "in": 5, "loaded": 4, "unchanged": 0, "merged": 1, "quarantined": 0, "excluded": 0,
    }  # fmt: skip
    assert small.command("verify", fixing.run).code == 0
    assert balance(small.run(), "accounts")["merged"] == 2


def test_a_corrected_lead_who_is_a_customer_is_linked(tmp_path: Path) -> None:
    made = leads_world(tmp_path)
    made.entities = made.entities.replace("email: mail", "email: {from: mail, check: {pattern: '.*@.*'}}")
    made.source.fill("prospects", [("91", "Ada again", "ada at acme.example", None)])
    made.source.fill("calls", [("910", "91", "to Ada again")])
    fixing = Fixing(made)
    before = leads(made)
    assert made.codes("leads")['["91"]'] == ["pattern"]
    fixing.set("leads", 91, mail="ada@acme.example")
    fixing.replayed()
    assert '["91"]' not in made.codes("leads")
    assert leads(made) == before
    assert made.target.one("SELECT about FROM calls WHERE text = 'to Ada again'") == "t1"
    assert made.command("verify", fixing.run).code == 0


def test_a_lead_that_waited_for_its_customer_follows_the_corrected_one(tmp_path: Path) -> None:
    made = leads_world(tmp_path)
    made.source.run("UPDATE people SET co = 'nobody'")
    fixing = Fixing(made)
    before = leads(made)
    assert made.codes("leads") == {'["L2"]': ["known_quarantined"]}
    fixing.set("contacts", 1, co="1")
    fixing.replayed()
    assert made.codes("leads") == {}
    assert leads(made) == before
    bob = made.target.one("SELECT id FROM contacts WHERE name = 'Bob'")
    assert made.command("verify", fixing.run).code == 0
    assert balance(made.run(), "leads")["unchanged"] == 6
    assert made.target.one("SELECT about FROM calls WHERE text = 'to Bob'") == bob


def test_a_run_of_some_entities_only_is_replayed_for_these(tmp_path: Path) -> None:
    world = crm(tmp_path / "crm")
    world.write()
    done = world.command("run", str(world.mapping), "--only", "accounts", "--json")
    assert done.document["state"] == "partial"
    fixing = Fixing.__new__(Fixing)
    fixing.world, fixing.run, fixing.folder = world, done.document["run"], world.folder / "fix"
    fixing.export()
    fixing.set("accounts", 2, title="Bolt")
    document = fixing.replayed()
    assert document["state"] == "partial"
    assert world.target.one("SELECT count(*) FROM accounts") == 3
    assert world.target.one("SELECT count(*) FROM contacts") == 0
    assert [r[0] for r in (world.run(), world.target.rows(CONTACTS))[1]] == ["1", "2"]


@pytest.mark.fineprint(31)
def test_who_was_erased_since_is_not_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay reads the backup without them, and everybody else's correction still finds its row."""
    world = crm(tmp_path / "crm")
    fixing = Fixing(world)
    fixing.set("contacts", 3, full_name="Cy")
    fixing.set("contacts", 5, mail="eve@acme.io")
    fixing.set("accounts", 2, title="Bolt")
    secret = api.backup_keygen(tmp_path / "keys", erasure=True)["secret_file"]
    monkeypatch.setenv("MIGRATE_ERASURE_SECRET", secret)
    done = world.command("erase", str(world.mapping), "--entity", "contacts", "--key", "3")
    assert done.code == 0, done.out + done.err
    document = fixing.replayed()
    assert [r[0] for r in world.target.rows(CONTACTS)] == ["1", "2", "5"]
    assert balance(document, "contacts")["in"] == 4
    assert world.command("verify", document["replay"]).code == 0
    assert balance(world.run(), "accounts")["unchanged"] == 3


# ------------------------------------------------------------------ files and stories


def test_an_earlier_export_makes_room_unless_somebody_worked_in_it(tmp_path: Path) -> None:
    world = crm(tmp_path / "crm")
    fixing = Fixing(world)

    def export(*more: str, code: int = 0) -> str:
        done = world.command("quarantine", "export", fixing.run, str(fixing.folder), *more)
        assert done.code == code, done.out + done.err
        return done.err

    def names() -> list[str]:
        return sorted(p.name for p in fixing.folder.iterdir())

    export("--format", "parquet")  # the files of the first export are as they were
    assert names() == ["accounts.parquet", "contacts.parquet"]
    export()
    fixing.set("accounts", 2, title="Bolt")
    stands = (fixing.folder / "accounts.csv").read_bytes()
    is_one_clear_paragraph(export(code=2), "accounts.csv", "not replayed yet", "Nothing was written")
    assert (fixing.folder / "accounts.csv").read_bytes() == stands
    fixing.replayed()
    export()  # it was carried out; nothing of accounts is left
    assert names() == ["contacts.csv"]
    fixing.set("contacts", 5, mail="eve@acme.io")
    fixing.replayed()  # the folder holds nothing else that would be refused
    (fixing.folder / "mine.csv").write_text("id,name\n1,Ada\n")
    is_one_clear_paragraph(export(code=2), "mine.csv", "no exports of quarantined rows", "empty folder")
    assert names() == ["contacts.csv", "mine.csv"]
    (fixing.folder / "mine.csv").rename(fixing.folder / "mine.txt")
    export()


def test_the_story_of_a_row_tells_that_it_came_by_replay(tmp_path: Path) -> None:
    world = crm(tmp_path / "crm")
    fixing = Fixing(world)
    fixing.set("accounts", 2, title="Bolt")
    replay = fixing.replayed()["replay"]

    def story(run: str, entity: str) -> list[str]:
        found = world.command("trace", run, entity, "2", "--json").document["story"]
        return [f"{s['stage']}: {s['what']} @ {s['where']}" for s in found]

    told = story(fixing.run, "accounts")
    assert f"replay: sent again, corrected: title; decided: insert (verified) @ {replay}" in told
    waited = story(fixing.run, "contacts")
    assert (
        f"replay: sent again, with the row that it waited for; decided: insert (verified) @ {replay}"
        in waited
    )
    assert "transform: read as it was corrected: title @ accounts" in story(replay, "accounts")
    later = str(world.run()["run"])
    assert "transform: read as it was corrected: title @ accounts" in story(later, "accounts")
    assert not [line for line in story(later, "contacts") if "replay" in line or "corrected" in line]
