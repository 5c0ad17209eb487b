"""The demo's data: the same for the same seed, messy on purpose and in known numbers, and safe to make."""

from __future__ import annotations

import csv
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from migrate.demo.generate import MARKER, generate, mapping_text
from migrate.demo.source import COMPANIES, DEALS, NOTES, PEOPLE, PROSPECTS
from migrate.errors import Unreachable, UsageError
from migrate.mapping.load import load_mapping

ROOT = Path(__file__).parents[2]


def content(database: Path) -> list[str]:
    connection = sqlite3.connect(database)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def one(database: Path, query: str) -> Any:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(query).fetchone()[0]
    finally:
        connection.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "demo"
    generate(folder)
    return folder


def everything(folder: Path) -> tuple[Any, ...]:
    return (
        content(folder / "acme.db"),
        content(folder / "crm.db"),
        (folder / "exports" / "prospects.csv").read_bytes(),
    )


def test_the_same_seed_gives_the_same_rows_in_every_process(demo: Path, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from migrate.demo.generate import generate; generate(Path(sys.argv[1]))"
    for hash_seed in ("1", "2"):
        folder = tmp_path / hash_seed
        environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed}
        subprocess.run([sys.executable, "-c", code, str(folder)], env=environment, check=True)
        assert everything(folder) == everything(demo)


def test_another_seed_gives_other_rows(demo: Path, tmp_path: Path) -> None:
    generate(tmp_path / "other", seed=8)
    assert everything(tmp_path / "other") != everything(demo)


def test_it_has_its_size_and_its_mess(demo: Path) -> None:
    source = demo / "acme.db"
    sizes = {
        "companies": COMPANIES,
        "people": PEOPLE,
        "deals": DEALS,
        "notes": NOTES,
        "staff": 14,
        "audit_log": 50,
    }
    assert {table: one(source, f"SELECT count(*) FROM {table}") for table in sizes} == sizes
    assert (
        one(source, "SELECT count(*) FROM companies WHERE typeof(staff_count) = 'text'") > 2
    )  # mixed storage classes
    twice = "SELECT count(*) - count(DISTINCT person_no) FROM people WHERE person_no <> ''"
    assert one(source, twice) == 3
    assert one(source, "SELECT count(*) FROM people WHERE co NOT IN (SELECT id FROM companies)") == 3
    assert one(source, "SELECT count(DISTINCT cntry) FROM companies") > 20
    assert one(source, "SELECT count(*) FROM companies WHERE parent_co IS NOT NULL") > 50
    main = "SELECT count(*) FROM companies c JOIN people p ON p.person_no = c.main_contact WHERE p.co = c.id"
    assert (
        one(source, main)
        == one(source, "SELECT count(*) FROM companies WHERE main_contact IS NOT NULL")
        > 200
    )


def test_the_export_is_what_an_excel_in_germany_saves(demo: Path) -> None:
    raw = (demo / "exports" / "prospects.csv").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        raw.decode("cp1252")
    records = list(csv.reader(raw.decode("latin-1").splitlines(), delimiter=";"))
    assert len(records) == PROSPECTS + 1
    widths = [len(record) for record in records]
    assert (widths.count(9), widths.count(6), widths.count(8)) == (1, 1, PROSPECTS - 1)
    received = [record[7] for record in records[1:] if len(record) == 8]
    formats = [sum(sign in text for text in received) for sign in (".", "-", " ")]
    assert min(formats) > 40


def test_our_crm_keeps_its_own_rules(demo: Path) -> None:
    target = demo / "crm.db"
    connection = sqlite3.connect(target)
    try:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for wrong in (
            "INSERT INTO deals (code, title, account_id, stage, amount) VALUES ('x', 'x', 1, 'won', -1)",
            "INSERT INTO leads (id, contact, email) VALUES ('x', 'x', 'LEAD1@KNOWN.example')",
            "INSERT INTO accounts (name) VALUES (' ')",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(wrong)
    finally:
        connection.close()
    assert one(target, "SELECT count(*) FROM accounts WHERE legacy_id IS NOT NULL") == 25
    assert (
        one(target, "SELECT count(*) FROM contacts WHERE email LIKE '%ltd.example' OR email LIKE '%.example'")
        > 100
    )


def test_the_mapping_is_the_projects_and_is_right(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (ROOT / "mappings" / "demo.yaml").read_text(encoding="utf-8") == mapping_text()
    path = demo / "mappings" / "demo.yaml"
    assert path.read_text(encoding="utf-8") == mapping_text()
    monkeypatch.delenv("DEMO_FOLDER", raising=False)
    mapping = load_mapping(path)
    assert mapping.base == str(demo)
    assert mapping.sources["crm"].url == f"sqlite:///{demo}/acme.db"
    assert list(mapping.entities) == ["owners", "accounts", "contacts", "deals", "notes", "leads"]


def test_every_column_is_mapped_or_left_behind_and_exists(demo: Path) -> None:
    mapping = load_mapping(demo / "mappings" / "demo.yaml")
    target = sqlite3.connect(demo / "crm.db")
    try:
        for entity in mapping.entities.values():
            columns = {row[1] for row in target.execute(f"PRAGMA table_info({entity.into})")}
            assert set(entity.fields) <= columns, entity.name
    finally:
        target.close()


def test_making_it_again_keeps_what_is_there(tmp_path: Path) -> None:
    mapping = generate(tmp_path / "demo")
    (tmp_path / "demo" / "crm.db").write_bytes(b"loaded meanwhile")
    assert generate(tmp_path / "demo") == mapping
    assert (tmp_path / "demo" / "crm.db").read_bytes() == b"loaded meanwhile"


def test_what_a_killed_process_left_is_made_anew(demo: Path, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from migrate.demo.generate import generate; generate(Path(sys.argv[1]))"
    for point in (
        "demo.marker.written:1",
        "demo.marker.written:2",
        "demo.marker.renamed:1",
        "demo.marker.renamed:2",
    ):
        folder = tmp_path / point.replace(":", "-")
        environment = {"PYTHONPATH": str(ROOT), "MIGRATE_FAILPOINT": f"{point}:kill"}
        done = subprocess.run([sys.executable, "-c", code, str(folder)], env=environment, check=False)
        assert done.returncode == -9
        generate(folder)
        assert everything(folder) == everything(demo)
        assert not list(folder.glob(".tmp-*"))


def test_other_peoples_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an empty folder"):
        generate(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(UsageError):
        generate(tmp_path / "thesis.txt")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MARKER).write_text("[]")
    with pytest.raises(UsageError, match="not the demo's"):
        generate(tmp_path / "other")


def test_another_seed_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    generate(tmp_path / "demo", seed=1)
    with pytest.raises(UsageError, match="seed 1"):
        generate(tmp_path / "demo", seed=2)


def test_a_place_that_cannot_be_written_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((Unreachable, UsageError)):
        generate(tmp_path / "file" / "demo")
