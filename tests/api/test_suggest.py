"""`migrate suggest` on the demo's two CRMs, and on places that hold nothing, secrets, or a file already."""

from __future__ import annotations

from pathlib import Path

import pytest
from migrate.api import plan, suggest
from migrate.demo.generate import generate
from migrate.mapping.load import load_mapping

from tests.runs import Db, command


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suggest") / "demo"
    generate(folder)
    return folder


def test_the_mapping_is_one_that_the_plan_takes(demo: Path, tmp_path: Path) -> None:
    out = tmp_path / "mappings" / "first.yaml"
    done = command("suggest", demo / "acme.db", demo / "crm.db", "--out", out)
    assert done.code == 0, done.err
    assert "companies → accounts" in done.out
    assert "Go nowhere: audit_log" in done.out
    mapping = load_mapping(out)
    assert set(mapping.entities) == {"accounts", "contacts", "deals", "notes", "users"}
    fields = mapping.entities["contacts"].fields
    assert (fields["email"].from_, fields["legacy_no"].from_) == ("mail", "person_no")
    assert mapping.entities["contacts"].key == ("person_no",)
    assert mapping.entities["notes"].fields["contact_id"].ref is not None
    assert mapping.entities["users"].write == "link"
    document = plan(out, home=tmp_path / "home")
    assert document["entities"]["accounts"]["inserts"] > 0
    again = command("suggest", demo / "acme.db", demo / "crm.db", "--out", out)
    assert again.code == 2
    assert "It was left as it is." in again.err
    assert command("suggest", demo / "acme.db", demo / "crm.db", "--out", out, "--force").code == 0


def test_without_out_it_is_printed_and_nothing_else(demo: Path) -> None:
    done = command("suggest", demo / "acme.db", demo / "crm.db")
    assert done.out.startswith("# yaml-language-server")
    assert suggest(str(demo / "acme.db"), str(demo / "crm.db"))["text"] == done.out
    values = [
        row[0]
        for row in Db(f"sqlite:///{demo}/acme.db").rows(
            "SELECT mail FROM people WHERE mail LIKE '%@%' LIMIT 50"
        )
    ]
    assert not any(v in done.out for v in values)


def test_a_folder_of_files_into_postgresql_and_no_password_in_the_text(
    pg_database: str, tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_text(
        "Nr,Surname,Mail\n" + "".join(f"{n},P{n},p{n}@x.org\n" for n in range(20))
    )
    Db(pg_database).run(
        "CREATE TABLE contacts (id serial PRIMARY KEY, last_name text NOT NULL, email text UNIQUE)"
    )
    found = suggest(str(tmp_path), pg_database)
    assert pg_database not in found["text"]
    assert 'target: {url: "${TARGET_URL}"}' in found["text"]
    (entity,) = found["entities"]
    assert {f["column"]: f["from"] for f in entity["fields"]} == {"last_name": "Surname", "email": "Mail"}


def test_places_that_are_not_there_or_hold_nothing(demo: Path, tmp_path: Path) -> None:
    assert command("suggest", tmp_path / "none.db", demo / "crm.db").code == 5
    Db(f"sqlite:///{tmp_path}/empty.db").run("CREATE TABLE x (a)", "DROP TABLE x")
    done = command("suggest", demo / "acme.db", tmp_path / "empty.db")
    assert done.code == 2
    assert "no table in the target" in done.err
    assert command("suggest", demo / "acme.db", demo / "exports").code == 2
    nothing = suggest(str(tmp_path / "empty.db"), str(demo / "crm.db"))
    assert nothing["entities"] == []
