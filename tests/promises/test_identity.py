"""Who a row is, from run to run: known rows under other names, rows that others edited, references that come true later."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.runs import (
    ACCOUNTS_MAPPED,
    CONTACTS_MAPPED,
    World,
    at_point,
    balance,
    bare,
    complete,
    files,
    small,
)

SYSTEM = "system: acme"


def rows(world: World) -> list[Any]:
    return world.target.rows("SELECT name, legacy_id FROM accounts ORDER BY legacy_id, name")


@pytest.mark.fineprint(15)
@pytest.mark.promise(2)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  accounts:\n    from", "  firms:\n    from"),
        ("system: acme", "system: acme2"),
        ("    key: id\n    into: accounts", "    key: company_name\n    into: accounts"),
    ],
    ids=["entity", "system", "key"],
)
def test_p2_f15_rows_known_under_another_identity_are_not_loaded_again(
    tmp_path: Path, old: str, new: str
) -> None:
    world = small(tmp_path)
    world.entities = ACCOUNTS_MAPPED
    world.run()
    before = rows(world)
    world.write()
    text = world.mapping.read_text()
    assert old in text
    world.mapping.write_text(text.replace(old, new))
    done = world.command("run", str(world.mapping), "--json")
    assert done.code == 7, done.out
    complete(done.error)
    assert "another identity" in done.error["message"]
    assert rows(world) == before


@pytest.mark.fineprint(15)
def test_f15_two_companies_that_both_count_from_one_are_two_companies(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.entities = ACCOUNTS_MAPPED
    world.run()
    world.write()
    other = world.mapping.read_text().replace("name: small", "name: beta", 1).replace(SYSTEM, "system: beta")
    world.mapping.write_text(other)
    done = world.command("run", str(world.mapping), "--json")
    assert done.code == 0, done.out
    assert balance(done.document, "accounts")["loaded"] == 2
    assert len(rows(world)) == 4


@pytest.mark.promise(16)
def test_p16_verified_is_never_said_of_rows_that_somebody_edited_since(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    world.target.run("UPDATE accounts SET name = 'by hand' WHERE legacy_id = '1'")
    document = world.run()
    assert balance(document, "accounts")["unchanged"] == 2
    done = world.command("run", str(world.mapping))
    assert "but for 1 rows edited there" in " ".join(done.out.split())
    found = {v["check"]: v for v in document["verdicts"]}["verify unchanged accounts"]
    assert found["passed"]
    assert "1 of them edited" in found["found"]


@pytest.mark.fineprint(12)
@pytest.mark.promise(1)
def test_p1_f12_a_reference_that_was_emptied_comes_true_when_its_parent_comes(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.entities = ACCOUNTS_MAPPED.replace(
        "key: id", "key: id\n    where: \"company_name <> 'Bolt'\""
    ) + CONTACTS_MAPPED.replace("ref: accounts", "ref: {to: accounts, missing: empty_and_flag}").replace(
        "into: contacts", "into: contacts\n    match: [legacy_id]"
    )
    world.run()
    empty = "SELECT count(*) FROM contacts WHERE account_id IS NULL"
    assert world.target.one(empty) == 1
    again = world.run()
    assert balance(again, "contacts") == balance(again, "contacts") | {"unchanged": 3, "loaded": 0}
    world.source.run("UPDATE companies SET company_name = 'Bolt Ltd' WHERE company_name = 'Bolt'")
    document = world.run()
    assert balance(document, "contacts")["loaded"] == 1
    assert world.target.one(empty) == 0


@pytest.mark.fineprint(8)
def test_f8_two_entities_never_update_one_target_row(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.target.run("INSERT INTO accounts(id, name, legacy_id) VALUES ('a', 'old', '1')")
    first = ACCOUNTS_MAPPED.replace("into: accounts", "into: accounts\n    match: [legacy_id]")
    world.entities = first + first.replace("  accounts:", "  firms:", 1)
    world.run()
    assert world.codes("accounts")['["1"]'] == ["match_conflict"]
    assert world.codes("firms")['["1"]'] == ["match_conflict"]
    assert world.target.one("SELECT name FROM accounts WHERE id = 'a'") == "old"


@pytest.mark.fineprint(8)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_f8_a_row_that_comes_into_the_target_before_ours_is_not_doubled(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    world = small(tmp_path, request.getfixturevalue("pg_database") if engine == "postgresql" else "")
    world.entities = ACCOUNTS_MAPPED.replace("into: accounts", "into: accounts\n    match: [legacy_id]")

    def another() -> None:
        world.target.run("INSERT INTO accounts(id, name, legacy_id) VALUES ('x', 'by hand', '1')")

    with at_point("load.assigned", another):
        document = world.run()
    assert balance(document, "accounts") == balance(document, "accounts") | {"loaded": 1, "quarantined": 1}
    assert world.codes("accounts") == {'["1"]': ["target_changed"]}
    assert world.target.one("SELECT count(*) FROM accounts WHERE legacy_id = '1'") == 1
    assert balance(world.run(), "accounts") == balance(document, "accounts") | {
        "loaded": 1, "unchanged": 1, "quarantined": 0,
    }  # fmt: skip


def test_columns_named_like_ours_are_refused(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.target.run("ALTER TABLE accounts ADD COLUMN __key TEXT")
    world.entities = ACCOUNTS_MAPPED.replace("city: town", "__key: town")
    error = world.run(code=2)
    assert "used by this program itself" in str(error)


def test_a_password_with_a_bare_at_sign_is_never_cut_and_shown(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.target_url = "${CRM_WITH_AT}"
    os.environ["CRM_WITH_AT"] = "postgresql://loader:p@ssS3cr3t@127.0.0.1:5432/crm"
    try:
        said = world.says(code=2) + world.command("doctor", str(world.mapping)).out
    finally:
        del os.environ["CRM_WITH_AT"]
    assert "ssS3cr3t" not in said
    assert "%40" in said


@pytest.mark.fineprint(33)
def test_f33_a_run_is_undone_by_its_own_copy_of_the_mapping(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    world.entities = ACCOUNTS_MAPPED
    world.write()
    assert world.command("rollback", "latest", "--yes").code == 0
    assert rows(world) == []


def test_nothing_is_undone_before_the_backup_that_proves_it_is_at_hand(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.run()
    before = rows(world)
    shutil.move(world.vault, tmp_path / "elsewhere")
    done = world.command("rollback", "latest", "--yes", "--json")
    assert done.code != 0
    complete(done.error)
    assert rows(world) == before
    shutil.rmtree(world.vault, ignore_errors=True)  # an empty one may have been made
    shutil.move(tmp_path / "elsewhere", world.vault)
    assert world.command("rollback", "latest", "--yes").code == 0
    assert rows(world) == []


@pytest.mark.fineprint(32)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_f32_a_row_that_is_edited_while_the_undo_runs_is_kept(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    world = small(tmp_path, request.getfixturevalue("pg_database") if engine == "postgresql" else "")
    world.run()

    def edit() -> None:
        world.target.run("UPDATE contacts SET name = 'by hand' WHERE legacy_id = '3'")

    with at_point("rollback.fence_raised", edit):
        done = world.command("rollback", "latest", "--yes", "--json")
    assert done.code == 3, done.out
    assert world.target.rows("SELECT name FROM contacts") == [("by hand",)]
    assert [name for name, _ in rows(world)] == ["Bolt"]
    reasons = sorted(c["reason"] for c in done.document["conflicts"])
    assert reasons == ["a row of contacts that stays refers to it", "changed since the load"]


@pytest.mark.promise(2)
def test_p2_an_update_that_would_change_nothing_is_none_in_the_plan(tmp_path: Path) -> None:
    world = small(tmp_path)
    world.entities = ACCOUNTS_MAPPED.replace("into: accounts", "into: accounts\n    match: [legacy_id]")
    world.run()
    world.entities = world.entities.replace("name: company_name", "name: {from: company_name, do: trim}")
    world.write()
    document = world.command("plan", str(world.mapping), "--json").document
    assert document["entities"]["accounts"]["updates"] == 0
    assert document["entities"]["accounts"]["unchanged"] == 2
    assert balance(world.run(), "accounts")["loaded"] == 0


@pytest.mark.promise(2)
@pytest.mark.parametrize("source", ["files", "sqlite"])
def test_p2_rows_without_a_key_are_known_by_their_content(tmp_path: Path, source: str) -> None:
    """Equal rows are two rows; whatever the order they come in, a second run finds all of them again."""
    entity = "  notes: {from: log, key: content, into: notes, fields: {body: text}}\n"
    target = ["CREATE TABLE notes(id TEXT PRIMARY KEY, body TEXT)"]
    lines = [("1", "hello"), ("1", "hello"), ("2", "a"), ("1", "hello"), ("", "")]

    def write(rows: list[tuple[str, str]]) -> None:
        if source == "files":
            data = "".join(f'"{n}","{text}"\n' for n, text in [("n", "text"), *rows])
            (tmp_path / "exports" / "log.csv").write_text(data)
        else:
            world.source.run("DELETE FROM log")
            world.source.fill("log", rows)

    if source == "files":
        world = files(tmp_path, {"log.csv": b""}, target, entity)
    else:
        world = bare(tmp_path, ["CREATE TABLE log(n TEXT, text TEXT)"], target, entity)
    write(lines)
    assert balance(world.run(), "notes")["loaded"] == 5
    before = world.target.rows("SELECT id, body FROM notes ORDER BY id")
    assert [body for _, body in sorted(before, key=lambda row: row[1])] == ["", "a", *["hello"] * 3]
    write(lines[::-1])
    assert balance(world.run(), "notes")["unchanged"] == 5
    assert world.target.rows("SELECT id, body FROM notes ORDER BY id") == before
    write([*lines[:3], ("2", "b")])  # one of the three is gone, and what changed is another row
    found = balance(world.run(), "notes")
    assert (found["in"], found["loaded"], found["unchanged"]) == (4, 1, 3)
    keys = [k for (k,) in world.target.rows("SELECT source_key FROM _migrate_crosswalk")]
    assert sorted(k.count(",") for k in keys) == [0, 0, 0, 0, 1, 1]
    assert sorted(k[-4:] for k in keys if "," in k) == [',"2"]'[-4:], ',"3"]'[-4:]]
