"""`migrate audit`: scores of a database and of files, and what changed since the last time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from migrate import api
from migrate.errors import UsageError

from tests.runs import command

PEOPLE = (
    "CREATE TABLE companies(id INTEGER PRIMARY KEY, name TEXT)",
    """CREATE TABLE people(id INTEGER PRIMARY KEY, last_name TEXT, mail TEXT, tel TEXT, co INTEGER REFERENCES companies(id),
        born DATE, updated_at DATE)""",
    "INSERT INTO companies VALUES (1, 'Acme')",
    """INSERT INTO people VALUES (1, 'Lovelace', 'ada@gmail.com', '020 7946 0018', 1, '1980-01-01', '9999-01-01'),
        (2, 'asdf', 'nobody', '12', 7, '2999-01-01', '1999-01-01')""",
)


@pytest.fixture
def crm(tmp_path: Path) -> Path:
    path = tmp_path / "crm.db"
    with sqlite3.connect(path) as database:
        for statement in PEOPLE:
            database.execute(statement)
    database.close()
    return path


def test_scores_findings_and_what_changed_since(crm: Path, tmp_path: Path) -> None:
    first = api.audit(str(crm), region="GB", home=tmp_path)
    people = first["tables"]["people"]
    assert people["scores"] == {
        "completeness": 1.0,
        "validity": 0.5,
        "uniqueness": 1.0,
        "timeliness": 0.5,
        "consistency": 0.5,
    }
    assert {(f["column"], f["code"]) for f in people["findings"]} == {
        ("last_name", "test_data"),
        ("mail", "email_syntax"),
        ("tel", "phone_invalid"),
        ("co", "ref_missing"),
        ("born", "not_after"),
        ("updated_at", "fresh"),
    }
    assert first["since"] is None
    kept = Path(first["kept"])
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "nobody" not in kept.read_text()
    with sqlite3.connect(crm) as database:
        database.execute(
            "UPDATE people SET mail = 'bob@gmail.com', tel = NULL, last_name = 'Bob' WHERE id = 2"
        )
        database.execute("CREATE TABLE more(id INTEGER)")
    database.close()
    second = api.audit(str(crm), region="GB", home=tmp_path)
    assert second["since"]["tables"]["people"] == {
        "rows": 0,
        "scores": {
            "completeness": -0.0714,
            "validity": 0.5,
            "uniqueness": 0.0,
            "timeliness": 0.0,
            "consistency": 0.0,
        },
    }
    assert second["since"]["new"] == ["more"]


def test_files_and_an_audit_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,email\n1,ada@gmail.com\n2,ada@\n")
    first = api.audit(str(tmp_path / "people.csv"), home=tmp_path)
    assert first["tables"]["people"]["scores"]["validity"] == 0.5
    Path(first["kept"]).write_text("{")
    assert api.audit(str(tmp_path / "people.csv"), home=tmp_path)["since"] is None


def test_blank_texts_are_empty_and_not_wrong(tmp_path: Path) -> None:
    path = tmp_path / "blank.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE people(id INTEGER PRIMARY KEY, mail TEXT, fax TEXT)")
        database.execute("INSERT INTO people VALUES (1, '', '  '), (2, 'ada@gmail.com', NULL), (3, 'x', '')")
    database.close()
    people = api.audit(str(path), region="GB", home=tmp_path)["tables"]["people"]
    assert people["findings"] == [{"column": "mail", "code": "email_syntax", "rows": 1}]
    assert people["scores"]["validity"] == 0.6667


def test_empty_tables_have_no_scores(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "e.db") as database:
        database.execute("CREATE TABLE people(id INTEGER PRIMARY KEY, email TEXT)")
    database.close()
    done = command("audit", str(tmp_path / "e.db"), "--home", str(tmp_path / "h"))
    assert done.code == 0
    found = api.audit(str(tmp_path / "e.db"), home=tmp_path)["tables"]["people"]["scores"]
    assert set(found.values()) == {None}


@pytest.mark.parametrize("wrong", [{"region": "Narnia"}, {"fresh": "some moons"}, {"tables": ("nothing",)}])
def test_what_is_not_known_is_a_usage_error(crm: Path, tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        api.audit(str(crm), home=tmp_path, **wrong)  # type: ignore[arg-type]
