"""Levels 4 and 5 against a real SQLite database: only a restore proves."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest
from migrate import failpoints
from migrate.arrow import arrow_schema
from migrate.connectors.sqlite.scratch import SqliteScratch, open_scratch
from migrate.connectors.sqlite.target import open_database
from migrate.errors import Corrupt, GateClosed, Unreachable
from migrate.model import Column, Index, Kind, PartRef, Schema, Table, Type, Verdict
from migrate.parts import write_parts
from migrate.stores.local import LocalStore
from migrate.vault import layout, schema_json
from migrate.vault.check import check
from migrate.vault.expressions import without_expressions
from migrate.vault.reader import Backup, open_backup
from migrate.vault.restore import restore_test
from migrate.vault.verdicts import is_proven, put_verdict
from migrate.vault.writer import write_backup

from tests.vault.building import FACTS, original

SQL = """
PRAGMA foreign_keys = OFF;
CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, balance DECIMAL(12,2) DEFAULT 0);
CREATE TABLE contact (
  id INTEGER PRIMARY KEY, email TEXT UNIQUE, account_id INTEGER REFERENCES account (id) ON DELETE SET NULL,
  born DATE, anything BLOB, active BOOLEAN NOT NULL DEFAULT 1 CHECK (active IN (0, 1))
);
CREATE INDEX contact_account ON contact (account_id) WHERE account_id IS NOT NULL;
CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO account (id, name, balance) VALUES (1, 'Acme', '12.30'), (7, 'Ü & Söhne', -0.5), (9, '', NULL);
DELETE FROM account WHERE id = 9;
INSERT INTO contact (id, email, account_id, born, anything) VALUES
  (1, 'a@example.org', 1, '1999-12-31', X'00FF'), (2, NULL, 7, NULL, 17), (3, '', 1, 'unknown', 'text'),
  (4, 'orphan@example.org', 999, '2000-01-01', 2.5);
"""


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "crm.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SQL)
        db.executemany("INSERT INTO note VALUES (?, ?)", [(n, f"note {n}") for n in range(1, 1001)])
        db.commit()
    return path


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "backups")


def back_up(source: Path, store: LocalStore, work: Path, **edits: object) -> tuple[Backup, list[str]]:
    """A backup of the whole file and the source's own violations; nothing is left of the staged parts."""
    database = open_database(f"sqlite:///{source}")
    names = database.schema().table_names
    staged: list[tuple[PartRef, Path]] = []
    with database.snapshot(names) as snapshot:
        for table in snapshot.schema.tables:
            written = write_parts(
                snapshot.read(table.name),
                table=table.name,
                columns=table.columns,
                folder=work / table.name,
                key=table.primary_key,
                max_rows=300,
            )
            staged += [(ref, work / table.name / ref.path) for ref in written.parts]
        schema: Schema = replace(snapshot.schema, **edits)  # type: ignore[arg-type]
        violations = snapshot.violations()
    write_backup(store, manifest=FACTS, schema=schema, parts=staged)
    shutil.rmtree(work)
    return open_backup(store, FACTS.id), violations


@pytest.fixture
def proven(source: Path, store: LocalStore, tmp_path: Path) -> tuple[Backup, list[str]]:
    return back_up(source, store, tmp_path / "work")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[SqliteScratch]:
    made = open_scratch(None, folder=tmp_path / "scratch", name="scratch_1", run="r1")
    yield made
    made.drop()


def failed(verdicts: Sequence[Verdict]) -> list[str]:
    return [v.check for v in verdicts if not v.passed]


def tamper(scratch: SqliteScratch, sql: str) -> None:
    with closing(sqlite3.connect(scratch.path)) as db:
        db.execute(sql)
        db.commit()


# ------------------------------------------------------------------- proven


@pytest.mark.promise(30)
@pytest.mark.fineprint(25)
def test_p30_f25_everything_comes_back_with_the_sources_own_violations(
    proven: tuple[Backup, list[str]], scratch: SqliteScratch, store: LocalStore
) -> None:
    backup, violations = proven
    assert len(violations) == 1  # the orphan
    found = restore_test(backup, scratch, trusted=True, violations=violations)
    assert failed(found) == []
    assert [v.check for v in found] == [
        "L0 manifest",
        "L1 objects",
        "L4 restored",
        *["L5 values"] * 3,
        "L5 schema",
        "L5 violations",
        "L5",
    ]
    assert found[-1].evidence["rows"] == 2 + 4 + 1000
    assert set(cast(dict[str, float], found[-1].evidence["seconds"])) == {
        "fetch",
        "decrypt",
        "decode",
        "schema",
        "load",
        "index",
        "verify",
    }
    for verdict in found:
        put_verdict(store, backup, verdict)
    assert is_proven(store, FACTS.id, backup.manifest_sha256)
    assert not is_proven(store, FACTS.id, "0" * 64)


def test_the_sequence_position_comes_back(proven: tuple[Backup, list[str]], scratch: SqliteScratch) -> None:
    restore_test(proven[0], scratch, trusted=True)
    with closing(sqlite3.connect(scratch.path)) as db:
        assert db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'account'").fetchall() == [(9,)]


# ------------------------------------------------- what only a restore can find


@pytest.mark.promise(30)
def test_p30_every_check_of_the_bytes_passes_and_the_restore_fails(
    source: Path, store: LocalStore, tmp_path: Path, scratch: SqliteScratch
) -> None:
    """The schema on record declares a unique index that the rows do not satisfy."""
    database = open_database(f"sqlite:///{source}")
    schema = database.schema()
    (note,) = (t for t in schema.tables if t.name == "contact")
    index = Index(
        "one_account", "CREATE UNIQUE INDEX one_account ON contact (account_id)", True, ("account_id",)
    )
    with database.snapshot(schema.table_names) as snapshot:
        stored = snapshot.schema
    tables = tuple(
        replace(t, indexes=(*t.indexes, index)) if t.name == note.name else t for t in stored.tables
    )
    backup, _ = back_up(source, store, tmp_path / "work", tables=tables)
    assert [v.passed for v in check(backup, 3)] == [True] * 4
    found = restore_test(backup, scratch, trusted=True)
    assert failed(found) == ["L4 restored", "L5"]
    assert "one_account" in found[-2].reason


class Careless(SqliteScratch):
    """Real SQLite, and one thing goes wrong that nobody reports."""

    after_rows = ""
    after_constraints = ""
    keeps_nothing = False

    def restore_rows(self, table: Table, batches: Iterator[pa.RecordBatch]) -> int:
        if self.keeps_nothing:
            return sum(batch.num_rows for batch in batches)
        return super().restore_rows(table, batches)

    def restore_constraints(self, schema: Schema) -> None:
        if self.after_rows:
            tamper(self, self.after_rows)
        super().restore_constraints(schema)
        if self.after_constraints:
            tamper(self, self.after_constraints)


@pytest.fixture
def careless(scratch: SqliteScratch) -> Careless:
    scratch.__class__ = Careless
    assert isinstance(scratch, Careless)
    return scratch


@pytest.mark.promise(27)
def test_p27_a_restore_that_reports_success_and_kept_nothing(
    proven: tuple[Backup, list[str]], careless: Careless
) -> None:
    careless.keeps_nothing = True
    found = restore_test(proven[0], careless, trusted=True)
    assert failed(found) == ["L4 restored", "L5"]
    assert "note: 0 of 1000 rows" in found[-2].reason


@pytest.mark.promise(27)
def test_p27_only_into_a_proven_empty_place(proven: tuple[Backup, list[str]], scratch: SqliteScratch) -> None:
    tamper(scratch, "CREATE TABLE somebodys (x)")
    with pytest.raises(GateClosed, match="not empty"):
        restore_test(proven[0], scratch, trusted=True)


@pytest.mark.parametrize(
    ("sql", "level"),
    [
        ("DELETE FROM note WHERE id = 500", "L4 restored"),
        ("INSERT INTO note VALUES (5000, 'x')", "L4 restored"),
        ("UPDATE note SET body = 'note 5' WHERE id = 6", "L5 values"),
        ("UPDATE contact SET email = NULL WHERE email = ''", "L5 values"),
        ("UPDATE contact SET anything = '17' WHERE id = 2", "L5 values"),
        ("UPDATE contact SET anything = 17.0 WHERE id = 2", "L5 values"),
        ("UPDATE account SET balance = 12.31 WHERE id = 1", "L5 values"),
    ],
)
def test_damage_to_rows_in_the_scratch_names_its_level(
    proven: tuple[Backup, list[str]], careless: Careless, sql: str, level: str
) -> None:
    careless.after_rows = sql
    found = restore_test(proven[0], careless, trusted=True)
    assert failed(found)[0] == level
    assert failed(found)[-1] == "L5"
    if level == "L5 values":
        assert [v.passed for v in found if v.check == "L4 restored"] == [
            True
        ]  # the level below did not see it


@pytest.mark.parametrize(
    ("sql", "check_"),
    [
        ("DROP INDEX contact_account", "L5 schema"),
        ("UPDATE sqlite_sequence SET seq = 8 WHERE name = 'account'", "L5 schema"),
        ("ALTER TABLE note ADD COLUMN more TEXT", "L5 schema"),
    ],
)
def test_what_a_schema_loses_is_found(
    proven: tuple[Backup, list[str]], careless: Careless, sql: str, check_: str
) -> None:
    careless.after_constraints = sql
    found = restore_test(proven[0], careless, trusted=True)
    assert failed(found) == [check_, "L5"]


@pytest.mark.fineprint(25)
def test_f25_other_violations_than_the_sources_fail(
    proven: tuple[Backup, list[str]], scratch: SqliteScratch
) -> None:
    found = restore_test(proven[0], scratch, trusted=True, violations=[])
    assert failed(found) == ["L5 violations", "L5"]
    assert "only in the copy" in found[-2].reason


@pytest.mark.fineprint(24)
def test_f24_the_rows_come_from_the_vault_and_damage_there_fails_the_restore(
    proven: tuple[Backup, list[str]], scratch: SqliteScratch, store: LocalStore
) -> None:
    backup, _ = proven
    path = store.folder / backup.parts_by_table["note"][-1].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    found = restore_test(backup, scratch, trusted=True)
    assert failed(found) == ["L4 restored", "L5"]
    assert "not what was written" in found[-2].reason


def test_a_manifest_that_is_not_the_one_on_record_is_not_restored(
    proven: tuple[Backup, list[str]], scratch: SqliteScratch
) -> None:
    found = restore_test(proven[0], scratch, trusted=True, known_sha256="0" * 64)
    assert failed(found) == ["L0 manifest", "L5"]
    with closing(sqlite3.connect(scratch.path)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'note'").fetchall() == [(0,)]


def test_could_not_check_is_an_error_never_a_verdict(
    proven: tuple[Backup, list[str]], scratch: SqliteScratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup, _ = proven

    def unreadable(*_: object, **__: object) -> bytes:
        raise Unreachable("the vault is gone")

    monkeypatch.setattr(type(backup.store), "open_read", unreadable)
    with pytest.raises(Unreachable):
        restore_test(backup, scratch, trusted=True)


# --------------------------------------------------- F26: whose SQL may be run


@pytest.mark.fineprint(26)
def test_f26_an_untrusted_manifest_runs_no_sql_and_never_reaches_l5(
    proven: tuple[Backup, list[str]], scratch: SqliteScratch
) -> None:
    found = restore_test(proven[0], scratch, trusted=False)
    assert "L4 restored" not in failed(found)
    assert {v.check for v in found if v.check == "L5 values" and v.passed}
    assert failed(found)[-1] == "L5"
    (listed,) = (v for v in found if v.check == "L5 expressions")
    for name in ("contact_account", "contact.active: default", "account.balance: default"):
        assert name in listed.reason
    with closing(sqlite3.connect(scratch.path)) as db:
        assert "CHECK" not in db.execute("SELECT sql FROM sqlite_master WHERE name = 'contact'").fetchone()[0]


@pytest.mark.fineprint(26)
def test_f26_sql_hidden_in_a_hostile_schema_is_never_run(
    proven: tuple[Backup, list[str]], scratch: SqliteScratch, store: LocalStore
) -> None:
    backup, _ = proven
    evil = "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT DEFAULT (load_extension('evil')))"
    tables = tuple(replace(t, sql=evil) if t.name == "note" else t for t in backup.schema.tables)
    schema = replace(backup.schema, tables=tables)
    manifest = replace(backup.manifest, schema_digest=schema_json.digest(schema))
    (store.folder / FACTS.id / "schema.json").write_bytes(schema_json.dump(schema))
    (store.folder / FACTS.id / "manifest.json").write_bytes(layout.dump_manifest(manifest))
    (store.folder / FACTS.id / "manifest-sha256.txt").write_bytes(layout.checksums(manifest))
    found = restore_test(open_backup(store, FACTS.id), scratch, trusted=False)
    assert failed(found)[-1] == "L5"
    with closing(sqlite3.connect(scratch.path)) as db:
        texts = [row[0] or "" for row in db.execute("SELECT sql FROM sqlite_master")]
    assert not any("load_extension" in text for text in texts)


@pytest.mark.fineprint(26)
@pytest.mark.parametrize(
    "native", ["INTEGER); DROP TABLE x; --", "TEXT DEFAULT (evil())", "int\n", "a'b", "numeric(1,2", "x(1);"]
)
def test_f26_a_type_that_is_sql_is_refused(native: str) -> None:
    column = Column("id", Type(Kind.INT, native=native))
    with pytest.raises(Corrupt):
        without_expressions(Schema("sqlite", "3", (Table("t", (column,)),)))


@pytest.mark.parametrize(
    "native",
    [
        "",
        "INTEGER",
        "decimal(12,2)",
        "numeric(10, -2)",
        "character varying(20)",
        "timestamp(3) with time zone",
        "double precision",
        "int4[]",
    ],
)
def test_plain_type_names_pass(native: str) -> None:
    column = Column("id", Type(Kind.INT, native=native))
    stripped, left = without_expressions(Schema("postgresql", "15", (Table("t", (column,)),)))
    assert stripped.tables[0].columns[0].type.native == native
    assert left == ()


# -------------------------------------------------------------- file sources

CSV = Table(
    "contacts",
    (
        Column("_line", Type(Kind.INT, bits=64)),
        Column("_bad", Type(Kind.TEXT)),
        Column("_raw", Type(Kind.BYTES)),
        Column("id", Type(Kind.TEXT)),
        Column("born", Type(Kind.DATE)),
        Column("amount", Type(Kind.DECIMAL, precision=12, scale=2)),
    ),
)


@pytest.fixture
def files_backup(store: LocalStore, tmp_path: Path) -> Backup:
    batch = pa.RecordBatch.from_pylist(
        [
            {
                "_line": 2,
                "_bad": None,
                "_raw": None,
                "id": "007",
                "born": date(1999, 1, 1),
                "amount": Decimal("1.10"),
            },
            {"_line": 3, "_bad": "ragged_row", "_raw": b"1;\xff;;", "id": None, "born": None, "amount": None},
        ],
        schema=arrow_schema(CSV.columns),
    )
    written = write_parts([batch], table="contacts", columns=CSV.columns, folder=tmp_path / "staging")
    write_backup(
        store,
        manifest=replace(FACTS, engine="files"),
        schema=Schema("files", "1", (CSV,)),
        parts=[(ref, tmp_path / "staging" / ref.path) for ref in written.parts],
        files=[original(tmp_path / "in")],
    )
    return open_backup(store, FACTS.id)


def test_file_sources_restore_rows_and_their_files_byte_for_byte(
    files_backup: Backup, scratch: SqliteScratch
) -> None:
    found = restore_test(files_backup, scratch, trusted=True)
    assert failed(found) == []
    assert [v.check for v in found] == [
        "L0 manifest",
        "L1 objects",
        "L4 restored",
        "L5 values",
        "L5 files",
        "L5",
    ]


def test_a_changed_original_fails(files_backup: Backup, scratch: SqliteScratch, store: LocalStore) -> None:
    path = store.folder / files_backup.manifest.files[0].path
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert failed(restore_test(files_backup, scratch, trusted=True)) == ["L5 files", "L5"]
