"""Deltas: what a second run does with rows that are gone at the source, and with rows that changed on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from migrate import failpoints

from tests.runs import (
    ACCOUNTS_MAPPED,
    CONTACTS_MAPPED,
    World,
    at_point,
    balance,
    bare,
    complete,
    files,
    is_one_clear_paragraph,
    small,
)

ENGINES = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])


@pytest.fixture(autouse=True)
def disarm() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.fixture
def target_url(engine: str, request: pytest.FixtureRequest) -> str:
    databases = {"postgresql": "pg_database", "mariadb": "my_database"}
    return str(request.getfixturevalue(databases[engine])) if engine in databases else ""


def said(entity: str, more: str) -> str:
    """The entity with these keys, its rows matched by where they came from."""
    mapped = {"accounts": ACCOUNTS_MAPPED, "contacts": CONTACTS_MAPPED}[entity]
    return mapped.replace(f"into: {entity}\n", f"into: {entity}\n    match: [legacy_id]\n    {more}\n")


def deleting(folder: Path, target_url: str = "", *, limit: str = "100%") -> World:
    """Loaded once; both entities delete what is gone."""
    world = small(folder, target_url)
    world.policy += f", max_gone: {limit}"
    world.entities = said("accounts", "on_gone: delete") + said("contacts", "on_gone: delete")
    world.run()
    return world


def rows(world: World) -> dict[str, list[str]]:
    return {
        table: [str(r[0]) for r in world.target.rows(f"SELECT legacy_id FROM {table} ORDER BY legacy_id")]
        for table in ("accounts", "contacts")
    }


def ended(world: World, entity: str) -> dict[str, Any]:
    """How gone rows of the last run ended, as its report says."""
    found: dict[str, Any] = world.command("report", "latest", "--json").document["gone"][entity]["ended"]
    return found


def gone(world: World) -> dict[str, str]:
    found = world.command("gone", "latest", "--json").document
    return {f"{r['entity']} {r['key']}": r["decided"] for r in found}


# ------------------------------------------------------------------ gone: kept


@pytest.mark.fineprint(13)
@pytest.mark.promise(2)
def test_f13_gone_rows_are_kept_counted_and_listed_unless_the_mapping_says_otherwise(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    world.source.run("DELETE FROM people WHERE id = 3")
    planned = world.command("plan", str(world.mapping), "--json").document["entities"]["contacts"]
    assert {k: planned[k] for k in ("gone", "gone_deleted", "gone_flagged")} == {
        "gone": 1, "gone_deleted": 0, "gone_flagged": 0,
    }  # fmt: skip
    document = world.run()
    assert rows(world)["contacts"] == ["1", "2", "3"]
    assert balance(document, "contacts")["in"] == 2
    assert ended(world, "contacts") == {"keep": 1}
    assert gone(world) == {'contacts ["3"]': "keep"}
    assert "gone at the source" in world.command("report", "latest").out
    assert "gone at the source" in world.command("trace", "latest", "contacts", "3").out
    assert world.command("gone", "latest", "--entity", "nobody").code == 2


# ------------------------------------------------------------------ gone: deleted


@ENGINES
@pytest.mark.fineprint(13)
@pytest.mark.fineprint(32)
def test_f13_on_gone_delete_deletes_what_we_added_and_rollback_brings_it_back(
    tmp_path: Path, engine: str, target_url: str
) -> None:
    world = deleting(tmp_path, target_url)
    before = [world.target.rows(f"SELECT * FROM {t} ORDER BY id") for t in ("accounts", "contacts")]
    world.source.run(
        "DELETE FROM companies WHERE id = 2",
        "DELETE FROM people WHERE id IN (2, 3)",
        "INSERT INTO people VALUES (9, 1, 'Bob again', 'bob@example.com')",  # takes over a value that is unique
    )
    planned = world.command("plan", str(world.mapping), "--json").document["entities"]
    assert (planned["accounts"]["gone_deleted"], planned["contacts"]["gone_deleted"]) == (1, 2)
    document = world.run()
    assert rows(world) == {"accounts": ["1"], "contacts": ["1", "9"]}
    assert ended(world, "accounts") == {"deleted": 1}
    assert ended(world, "contacts") == {"deleted": 2}
    assert any(v["check"] == "verify gone contacts" and v["passed"] for v in document["verdicts"])
    preview = world.command("rollback", "latest", "--preview", "--json").document["entities"]
    assert (preview["contacts"]["bring_back"], preview["accounts"]["bring_back"]) == (2, 1)
    undone = world.command("rollback", "latest", "--yes", "--json").document
    assert undone["proof"]["passed"]
    assert [world.target.rows(f"SELECT * FROM {t} ORDER BY id") for t in ("accounts", "contacts")] == before
    # the crosswalk knows them again: the next run takes them for what they are
    world.source.run("INSERT INTO people VALUES (3, 1, 'Cy', NULL)")
    document = world.run()
    assert balance(document, "contacts") == {
        "in": 3, "loaded": 2, "unchanged": 1, "merged": 0, "quarantined": 0, "excluded": 0,
    }  # fmt: skip
    assert rows(world)["contacts"] == ["1", "3", "9"]


@pytest.mark.fineprint(13)
def test_f13_a_row_that_comes_back_after_its_deletion_is_new(tmp_path: Path) -> None:
    world = deleting(tmp_path)
    world.source.run("DELETE FROM people WHERE id = 3")
    world.run()
    assert world.run()["state"] == "verified"  # gone is gone: nothing is left to be done
    world.source.run("INSERT INTO people VALUES (3, 2, 'Cy', NULL)")
    assert balance(world.run(), "contacts")["loaded"] == 1
    assert rows(world)["contacts"] == ["1", "2", "3"]


@ENGINES
@pytest.mark.fineprint(13)
@pytest.mark.fineprint(32)
def test_f13_f32_rows_that_may_not_be_deleted_are_kept_for_a_reason(
    tmp_path: Path, engine: str, target_url: str
) -> None:
    world = small(tmp_path, target_url)
    world.policy += ", max_gone: 100%"
    world.source.run(
        "INSERT INTO companies VALUES (3, 'Corp', NULL), (4, 'Dyn', NULL), (5, 'Echo', NULL), (6, 'Fox', NULL), (7, 'Gnu', NULL), (8, 'Hub', NULL)"
    )
    world.target.fill("accounts", [("a3", "Corp old", None, "3")])
    world.target.run(
        "CREATE TABLE theirs(id TEXT PRIMARY KEY, account TEXT REFERENCES accounts(id) ON DELETE CASCADE)"
    )
    world.entities = said("accounts", "on_gone: delete") + said("contacts", "on_gone: delete")
    world.run()
    world.source.run("UPDATE companies SET town = 'York' WHERE id = 6")
    world.run()  # 6 is one that we added and updated since
    world.target.run(
        "UPDATE accounts SET city = 'by hand' WHERE legacy_id = '4'",
        "INSERT INTO theirs SELECT 't1', id FROM accounts WHERE legacy_id = '5'",
        "DELETE FROM accounts WHERE legacy_id = '7'",
    )
    world.source.run(
        "DELETE FROM companies WHERE id > 1",
        "INSERT INTO people VALUES (5, 8, 'Eve', NULL)",  # refers to a company that is no more
    )
    world.run()
    assert gone(world) == {
        'accounts ["2"]': "referenced",  # people 3 is there still, and refers to it
        'accounts ["3"]': "not_ours",
        'accounts ["4"]': "edited",
        'accounts ["5"]': "delete",
        'accounts ["6"]': "delete",
        'accounts ["7"]': "target_gone",
        'accounts ["8"]': "referenced",
    }
    assert ended(world, "accounts") == {
        "referenced": 3, "not_ours": 1, "edited": 1, "deleted": 1, "target_gone": 1,
    }  # fmt: skip
    assert rows(world)["accounts"] == ["1", "2", "3", "4", "5", "8"]
    assert world.target.one("SELECT count(*) FROM theirs") == 1  # nobody's row goes along
    assert world.command("trace", "latest", "accounts", "6").code == 0


@pytest.mark.fineprint(13)
def test_f13_children_that_this_run_moves_away_let_their_parent_go(tmp_path: Path) -> None:
    world = deleting(tmp_path)
    world.source.run("UPDATE people SET co = 1 WHERE id = 3", "DELETE FROM companies WHERE id = 2")
    world.run()
    assert rows(world) == {"accounts": ["1"], "contacts": ["1", "2", "3"]}
    assert ended(world, "accounts") == {"deleted": 1}
    assert world.command("rollback", "latest", "--yes", "--json").document["proof"]["passed"]


TREE = """
  nodes:
    from: things
    key: id
    into: nodes
    match: [legacy_id]
    on_gone: delete
    fields:
      parent_id: {from: parent, ref: nodes}
      legacy_id: id
"""


@pytest.mark.fineprint(13)
@pytest.mark.fineprint(11)
def test_f13_rows_that_refer_to_one_another_go_together_and_come_back(tmp_path: Path) -> None:
    world = bare(
        tmp_path,
        ["CREATE TABLE things(id INTEGER PRIMARY KEY, parent INTEGER)", "INSERT INTO things VALUES (1, NULL), (2, 3), (3, 2), (4, 3)"],
        ["CREATE TABLE nodes(id TEXT PRIMARY KEY, parent_id TEXT REFERENCES nodes(id), legacy_id TEXT)"],
        TREE,
        policy="max_gone: 100%",
    )  # fmt: skip
    world.run()
    before = world.target.rows("SELECT * FROM nodes ORDER BY id")
    world.source.run("DELETE FROM things WHERE id IN (2, 3)")
    world.run()  # 4 refers to them still, here and there
    assert world.target.one("SELECT count(*) FROM nodes") == 4
    world.source.run("DELETE FROM things WHERE id = 4")
    world.run()
    assert world.target.one("SELECT count(*) FROM nodes") == 1
    assert world.command("rollback", "latest", "--yes", "--json").document["proof"]["passed"]
    assert world.target.rows("SELECT * FROM nodes ORDER BY id") == before


@ENGINES
@pytest.mark.fineprint(9)
@pytest.mark.fineprint(13)
def test_f9_a_gone_row_that_changes_between_decision_and_lock_stays(
    tmp_path: Path, engine: str, target_url: str
) -> None:
    world = deleting(tmp_path, target_url)
    world.source.run("DELETE FROM people WHERE id IN (2, 3)")
    edit = "UPDATE contacts SET name = 'Cy (VIP)' WHERE legacy_id = '3'"
    with at_point("load.assigned", lambda: world.target.run(edit)):
        world.run()
    assert rows(world)["contacts"] == ["1", "3"]
    assert ended(world, "contacts") == {"deleted": 1, "target_changed": 1}


@pytest.mark.fineprint(13)
def test_f13_a_reference_that_only_the_mapping_knows_keeps_the_row(tmp_path: Path) -> None:
    """Without a foreign key in the target; the child's source row is in quarantine, so its row there is as it was."""
    world = bare(
        tmp_path,
        ["CREATE TABLE companies(id INTEGER PRIMARY KEY, company_name TEXT, town TEXT)",
         "CREATE TABLE people(id INTEGER PRIMARY KEY, co INTEGER, full_name TEXT, mail TEXT)",
         "INSERT INTO companies VALUES (1, 'Acme', NULL), (2, 'Bolt', NULL)", "INSERT INTO people VALUES (1, 2, 'Ada', NULL)"],
        ["CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, city TEXT, legacy_id TEXT)",
         "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT, name TEXT NOT NULL, email TEXT, legacy_id TEXT)"],
        said("accounts", "on_gone: delete") + said("contacts", "on_gone: delete"),
        policy="max_quarantine: 100%, max_gone: 100%",
    )  # fmt: skip
    world.run()
    world.source.run(
        "DELETE FROM companies WHERE id = 2", "UPDATE people SET full_name = NULL, co = 1 WHERE id = 1"
    )
    world.run()
    assert ended(world, "accounts") == {"referenced": 1}
    assert rows(world) == {"accounts": ["1", "2"], "contacts": ["1"]}


# ------------------------------------------------------------------ what is not gone


@pytest.mark.fineprint(13)
@pytest.mark.fineprint(18)
def test_f13_rows_left_out_or_in_quarantine_are_not_gone(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.policy += ", max_gone: 100%"
    contacts = said("contacts", "on_gone: delete")
    world.entities = said("accounts", "on_gone: delete") + contacts
    world.run()
    world.entities = said("accounts", "on_gone: delete") + contacts.replace(
        "key: id", "key: id\n    where: id <> 3"
    )
    world.source.run("UPDATE people SET full_name = NULL WHERE id = 2")
    document = world.run()
    assert balance(document, "contacts") == {
        "in": 3, "loaded": 0, "unchanged": 1, "merged": 0, "quarantined": 1, "excluded": 1,
    }  # fmt: skip
    assert rows(world)["contacts"] == ["1", "2", "3"]
    told = world.command("report", "latest", "--json").document["gone"]["contacts"]
    assert (told["known"], told["gone"], told["left_out"]) == (3, 0, 1)
    assert gone(world) == {}
    assert "left out by rule" in world.command("report", "latest").out


@pytest.mark.fineprint(13)
def test_f13_a_row_without_a_readable_key_might_be_the_one_that_is_missing(tmp_path: Path) -> None:
    world = files(
        tmp_path,
        {"people.csv": b"id,full_name\n1,Ada\n2,Bob\n3,Cy\n"},
        ["CREATE TABLE contacts(id TEXT PRIMARY KEY, name TEXT NOT NULL, legacy_id TEXT)"],
        "\n  contacts: {from: people, key: id, into: contacts, match: [legacy_id], on_gone: delete, fields: {name: full_name, legacy_id: id}}\n",
        policy="max_quarantine: 100%, max_gone: 100%",
    )
    world.run()
    table = tmp_path / "exports" / "people.csv"
    table.write_bytes(b"id,full_name\n1,Ada\n2,Bob\n,Cy\n")
    world.run()
    assert gone(world) == {'contacts ["3"]': "key_unknown"}
    assert world.target.one("SELECT count(*) FROM contacts") == 4
    table.write_bytes(b"id,full_name\n1,Ada\n2,Bob\n")
    world.run()
    assert world.target.one("SELECT count(*) FROM contacts") == 2


@pytest.mark.fineprint(13)
def test_f13_a_row_that_another_source_row_is_found_to_be_is_not_deleted(tmp_path: Path) -> None:
    """The company was entered anew under another id, and `match` finds the row that the old one became."""
    world = small(tmp_path)
    world.policy += ", max_gone: 100%"
    accounts = ACCOUNTS_MAPPED.replace(
        "into: accounts\n", "into: accounts\n    match: [name]\n    on_gone: delete\n"
    )
    world.entities = accounts.replace(", legacy_id: id", "")
    world.run()
    world.source.run("DELETE FROM companies WHERE id = 2", "INSERT INTO companies VALUES (7, 'Bolt', 'Bath')")
    world.run()
    assert gone(world) == {'accounts ["2"]': "shared"}
    assert world.target.rows("SELECT name, city FROM accounts ORDER BY name") == [
        ("Acme", "Leeds"),
        ("Bolt", "Bath"),
    ]


@pytest.mark.fineprint(13)
@pytest.mark.fineprint(34)
def test_f13_only_looks_at_nothing_else(tmp_path: Path) -> None:
    world = deleting(tmp_path)
    world.source.run("DELETE FROM people WHERE id = 3", "DELETE FROM companies WHERE id = 2")
    world.run("--only", "accounts")
    assert rows(world) == {"accounts": ["1", "2"], "contacts": ["1", "2", "3"]}  # a contact refers to it
    world.run("--only", "contacts")
    assert rows(world)["contacts"] == ["1", "2"]
    world.run("--only", "accounts")
    assert rows(world)["accounts"] == ["1"]


# ------------------------------------------------------------------ too many


@pytest.mark.fineprint(13)
@pytest.mark.promise(2)
def test_f13_more_gone_than_policy_allows_stops_before_the_first_write(tmp_path: Path) -> None:
    world = deleting(tmp_path, limit="50%")
    world.source.run("DELETE FROM people WHERE id > 1", "UPDATE companies SET town = 'York'")
    plan = world.command("plan", str(world.mapping), "--json").document
    assert any("2 of 3 loaded rows are gone" in p["message"] for p in plan["problems"])
    assert plan["entities"]["contacts"]["gone_deleted"] == 2
    is_one_clear_paragraph(
        world.says(code=3),
        "2 of 3 loaded rows are gone",
        "50.0%",
        "contacts",
        "max_gone",
        "Nothing was loaded",
    )
    assert rows(world)["contacts"] == ["1", "2", "3"]
    assert world.target.rows("SELECT DISTINCT city FROM accounts ORDER BY city NULLS LAST") == [
        ("Leeds",),
        (None,),
    ]
    complete(world.run(code=3))
    world.entities = world.entities.replace("on_gone: delete", "on_gone: delete\n    max_gone: 70%")
    world.run()
    assert rows(world)["contacts"] == ["1"]


@pytest.mark.fineprint(13)
@pytest.mark.promise(2)
def test_p2_a_plan_that_counted_other_deletions_is_not_followed(tmp_path: Path) -> None:
    world = deleting(tmp_path)
    plan = tmp_path / "plan.json"
    assert world.command("plan", str(world.mapping), "--out", str(plan)).code == 0
    world.source.run("DELETE FROM people WHERE id = 3", "INSERT INTO people VALUES (4, 1, 'Dee', NULL)")
    error = world.run("--plan", str(plan), code=7)
    assert "gone_deleted" in error["message"]
    assert rows(world)["contacts"] == ["1", "2", "3"]


# ------------------------------------------------------------------ gone: flagged

FLAGGED = """
  accounts:
    from: companies
    key: id
    into: accounts
    match: [legacy_id]
    on_gone: {flag: city, value: gone}
    fields: {name: company_name, city: {value: here}, legacy_id: id}
"""


@ENGINES
@pytest.mark.fineprint(13)
@pytest.mark.fineprint(12)
def test_f13_a_flag_is_set_once_and_taken_back_when_the_row_is_there_again(
    tmp_path: Path, engine: str, target_url: str
) -> None:
    world = small(tmp_path, target_url)
    world.policy += ", max_gone: 100%"
    world.entities = FLAGGED
    world.run()
    cities = "SELECT legacy_id, name, city FROM accounts ORDER BY legacy_id"
    world.target.run("UPDATE accounts SET name = 'Bolt (VIP)' WHERE legacy_id = '2'")
    world.source.run("DELETE FROM companies WHERE id = 2")
    world.run()
    assert world.target.rows(cities) == [("1", "Acme", "here"), ("2", "Bolt (VIP)", "gone")]
    assert ended(world, "accounts") == {"flagged": 1}
    receipts = "_migrate_receipt" if engine == "sqlite" else "migrate_meta.receipt"
    wrote = world.target.one(f"SELECT count(*) FROM {receipts}")
    world.run()
    assert gone(world) == {'accounts ["2"]': "flagged"}
    assert world.target.one(f"SELECT count(*) FROM {receipts}") == wrote  # nothing was left to write
    world.source.run("INSERT INTO companies VALUES (2, 'Bolt', NULL)")
    world.run()
    assert world.target.rows(cities) == [("1", "Acme", "here"), ("2", "Bolt", "here")]
    assert balance(world.run(), "accounts")["unchanged"] == 2


@pytest.mark.fineprint(13)
@pytest.mark.fineprint(33)
def test_f13_rollback_takes_the_flag_back(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.policy += ", max_gone: 100%"
    world.entities = FLAGGED
    world.run()
    world.source.run("DELETE FROM companies WHERE id = 2")
    world.run()
    assert world.command("rollback", "latest", "--yes", "--json").document["proof"]["passed"]
    assert world.target.rows("SELECT DISTINCT city FROM accounts") == [("here",)]
    world.entities = FLAGGED.replace("on_gone: {flag: city, value: gone}", "on_gone: delete")
    world.run()
    assert rows(world)["accounts"] == ["1"]


@pytest.mark.fineprint(13)
def test_f13_gone_and_trace_say_what_became_of_a_row_and_not_what_was_to_become_of_it(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.policy += ", max_gone: 100%"
    world.entities = FLAGGED
    world.run()
    world.source.run("DELETE FROM companies WHERE id = 2")

    def said(run: str = "latest") -> tuple[list[tuple[str, str | None]], str]:
        (traced,) = [
            step["what"]
            for step in world.command("trace", run, "accounts", "2", "--json").document["story"]
            if step["what"].startswith("gone")
        ]
        words = traced.removeprefix("gone at the source: ")
        assert words in " ".join(world.command("gone", run).out.split())
        found = world.command("gone", run, "--json").document
        return [(row["decided"], row["ended"]) for row in found], words

    world.run("--to", "transform")
    assert said() == ([("flag", None)], "to be flagged")
    flagged = world.run()["run"]
    assert said() == ([("flag", "flagged")], "flagged")
    world.run()
    assert said() == ([("flagged", "flagged")], "flagged")
    assert world.command("rollback", "latest", "--yes").code in (0, 2)  # it wrote nothing
    assert world.command("rollback", flagged, "--yes").code == 0
    assert said(flagged) == ([("flag", "undone")], "undone by rollback")


@pytest.mark.fineprint(13)
def test_f13_a_row_that_was_flagged_may_be_deleted_later(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.policy += ", max_gone: 100%"
    world.entities = FLAGGED
    world.run()
    world.source.run("DELETE FROM companies WHERE id = 2")
    world.run()
    world.entities = FLAGGED.replace("on_gone: {flag: city, value: gone}", "on_gone: delete")
    world.run()
    assert rows(world)["accounts"] == ["1"]
    assert world.command("rollback", "latest", "--yes", "--json").document["proof"]["passed"]
    assert world.target.rows("SELECT city FROM accounts WHERE legacy_id = '2'") == [("gone",)]


@pytest.mark.fineprint(13)
@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("active", "perhaps", "true or false"),
        ("short", "longer", "2 characters"),
        ("born", "soon", "cannot hold"),
    ],
)
def test_f13_a_flag_that_the_column_cannot_hold_is_refused_by_the_plan(
    pg_database: str, tmp_path: Path, column: str, value: str, reason: str
) -> None:
    world = bare(
        tmp_path,
        ["CREATE TABLE companies(id INTEGER PRIMARY KEY, a TEXT)"],
        ["CREATE TABLE accounts(id TEXT PRIMARY KEY, active BOOLEAN, short VARCHAR(2), born DATE)"],
        "\n  accounts: {from: companies, key: id, into: accounts, write: add_or_update, match: {id: id}, "
        f"on_gone: {{flag: {column}, value: {value}}}, fields: {{id: id, {column}: a}}}}\n",
        target_url=pg_database,
    )
    problems = world.run(code=2)["problems"]
    assert any(reason in p["message"] for p in problems), problems


# ------------------------------------------------------------------ killed


_POINTS = [
    "load.gone.locked", "load.gone.flagged", "load.gone.referenced", "load.gone.journalled", "load.gone.opened",
    "load.gone.deleted", "load.gone.forgotten", "load.gone.done",
]  # fmt: skip


@pytest.mark.parametrize("engine", ["sqlite", "postgresql", "mariadb"])
@pytest.mark.fineprint(13)
@pytest.mark.promise(9)
def test_p9_a_run_that_dies_while_it_deletes_goes_on_and_undo_is_whole(
    tmp_path: Path, engine: str, target_url: str
) -> None:
    """At every new point in turn, each time the same run going on; then the undo, interrupted at each of its points."""
    world = bare(
        tmp_path,
        ["CREATE TABLE things(id INTEGER PRIMARY KEY, parent INTEGER)", "INSERT INTO things VALUES (1, NULL), (2, 3), (3, 2), (4, 1)",
         "CREATE TABLE others(id INTEGER PRIMARY KEY, a TEXT)", "INSERT INTO others VALUES (1, 'x'), (2, 'y')"],
        ["CREATE TABLE nodes(id VARCHAR(36) PRIMARY KEY, parent_id VARCHAR(36), legacy_id VARCHAR(9), FOREIGN KEY (parent_id) REFERENCES nodes(id))",
         "CREATE TABLE flags(id VARCHAR(36) PRIMARY KEY, a VARCHAR(9), state VARCHAR(9), legacy_id VARCHAR(9))"],
        TREE + "\n  flags: {from: others, key: id, into: flags, match: [legacy_id], on_gone: {flag: state, value: gone},"
        " fields: {a: a, state: {value: here}, legacy_id: id}}\n",
        target_url=target_url,
        policy="max_gone: 100%",
    )  # fmt: skip
    world.run()
    before = [world.target.rows(f"SELECT * FROM {t} ORDER BY id") for t in ("nodes", "flags")]
    world.source.run("DELETE FROM things WHERE id IN (2, 3)", "DELETE FROM others WHERE id = 2")
    for point in _POINTS:
        failpoints.arm(f"{point}:1:raise")
        assert world.command("run", str(world.mapping)).code == 1, point
        failpoints.arm()
        standing = [
            world.target.one("SELECT count(*) FROM nodes"),
            world.target.one("SELECT count(*) FROM flags WHERE state = 'gone'"),
        ]
        assert standing == ([2, 1] if point == "load.gone.done" else [4, 0]), point
    assert world.run()["resumed"]
    assert world.target.rows("SELECT legacy_id FROM nodes ORDER BY 1") == [("1",), ("4",)]
    for point in ("rollback.brought_back", "rollback.cycles_closed", "rollback.committed"):
        failpoints.arm(f"{point}:1:raise")
        assert world.command("rollback", "latest", "--yes").code == 1, point
        failpoints.arm()
    assert world.command("rollback", "latest", "--yes", "--json").document["proof"]["passed"]
    assert [world.target.rows(f"SELECT * FROM {t} ORDER BY id") for t in ("nodes", "flags")] == before


@pytest.mark.fineprint(32)
def test_f32_undo_lists_what_cannot_come_back(tmp_path: Path) -> None:
    world = deleting(tmp_path)
    world.source.run("DELETE FROM people WHERE id IN (2, 3)")
    world.run()
    world.target.run(
        "INSERT INTO contacts VALUES ('mine', NULL, 'Bo', 'bob@example.com', NULL)"
    )  # his address
    done = world.command("rollback", "latest", "--yes", "--json")
    assert done.code == 3
    assert [c["reason"].startswith("was deleted by the run") for c in done.document["conflicts"]] == [True]
    assert sorted(rows(world)["contacts"]) == ["1", "3", "None"]


# ------------------------------------------------------------------ changed on both sides


def conflicting(folder: Path, target_url: str, rule: str) -> World:
    world = small(folder, target_url)
    world.entities = said("accounts", f"on_conflict: {rule}") + CONTACTS_MAPPED
    world.run()
    world.source.run("UPDATE companies SET town = 'York'")
    world.target.run("UPDATE accounts SET city = 'by hand' WHERE legacy_id = '2'")
    return world


CITIES = "SELECT city FROM accounts ORDER BY legacy_id"


@pytest.mark.fineprint(9)
@pytest.mark.fineprint(12)
@pytest.mark.promise(2)
@pytest.mark.parametrize(
    ("engine", "rule", "city", "ends"),
    [
        ("sqlite", "quarantine", "by hand", {"loaded": 1, "unchanged": 0, "quarantined": 1}),
        ("sqlite", "keep", "by hand", {"loaded": 1, "unchanged": 1, "quarantined": 0}),
        ("sqlite", "overwrite", "York", {"loaded": 2, "unchanged": 0, "quarantined": 0}),
        ("postgresql", "overwrite", "York", {"loaded": 2, "unchanged": 0, "quarantined": 0}),
        ("mariadb", "overwrite", "York", {"loaded": 2, "unchanged": 0, "quarantined": 0}),
    ],
)
def test_f9_rows_changed_on_both_sides_obey_on_conflict(
    tmp_path: Path, engine: str, target_url: str, rule: str, city: str, ends: dict[str, int]
) -> None:
    world = conflicting(tmp_path, target_url, rule)
    word = {"quarantine": "quarantined", "keep": "kept", "overwrite": "overwritten"}[rule]
    planned = world.command("plan", str(world.mapping), "--json").document["entities"]["accounts"]
    assert (planned["kept"], planned["overwritten"]) == (int(rule == "keep"), int(rule == "overwrite"))
    document = world.run()
    found = balance(document, "accounts")
    assert {k: found[k] for k in ends} == ends
    assert world.target.rows(CITIES) == [("York",), (city,)]
    assert world.command("report", "latest", "--json").document["conflicts"] == {"accounts": {word: 1}}
    assert f"1 {word}" in world.command("report", "latest").out
    if rule != "quarantine":
        story = world.command("trace", "latest", "accounts", "2", "--json").document["story"]
        assert any(f"edited in the target: {word}" in step["what"] for step in story)
    # until somebody decides, the next run finds the same
    world.run()
    assert world.target.rows(CITIES) == [("York",), (city,)]
    assert world.command("report", "latest", "--json").document["conflicts"] == (
        {} if rule == "overwrite" else {"accounts": {word: 1}}
    )
    if rule == "overwrite":
        assert world.command("rollback", "latest", "--yes").code == 2  # that run wrote nothing
        assert world.command("rollback", document["run"], "--yes", "--json").document["proof"]["passed"]
        assert world.target.rows(CITIES) == [("Leeds",), ("by hand",)]


@ENGINES
@pytest.mark.fineprint(9)
def test_f9_an_edit_between_the_decision_to_overwrite_and_the_lock_is_not_overwritten(
    tmp_path: Path, engine: str, target_url: str
) -> None:
    world = conflicting(tmp_path, target_url, "overwrite")
    edit = "UPDATE accounts SET city = 'a moment ago' WHERE legacy_id = '2'"
    with at_point("load.assigned", lambda: world.target.run(edit)):
        world.run()
    assert world.codes("accounts") == {'["2"]': ["target_changed"]}
    assert world.target.rows(CITIES) == [("York",), ("a moment ago",)]
    world.run()
    assert world.target.rows(CITIES) == [("York",), ("York",)]


@pytest.mark.fineprint(9)
def test_f9_a_row_that_is_kept_needs_nothing_of_its_references(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.entities = ACCOUNTS_MAPPED + said("contacts", "on_conflict: keep")
    world.run()
    world.source.run("UPDATE people SET co = 99 WHERE id IN (2, 3)")
    world.target.run("UPDATE contacts SET name = 'Cy (VIP)' WHERE legacy_id = '3'")
    world.run()
    assert world.codes("contacts") == {'["2"]': ["ref_missing"]}


@pytest.mark.fineprint(12)
def test_f12_what_happens_to_gone_and_edited_rows_changes_no_row(tmp_path: Path) -> None:
    """`on_gone` and `on_conflict` are no change of the mapping in whose light every row would be looked at again."""
    world = small(tmp_path)
    world.entities = said("accounts", "max_quarantine: 5%") + said("contacts", "max_quarantine: 5%")
    world.run()
    world.entities = said("accounts", "on_gone: delete") + said("contacts", "on_conflict: keep")
    assert balance(world.run(), "contacts")["unchanged"] == 3
