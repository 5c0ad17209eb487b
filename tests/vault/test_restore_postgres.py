"""Levels 4 and 5 on a real PostgreSQL server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from migrate.connectors.postgres.scratch import PostgresScratch, open_scratch
from migrate.connectors.postgres.target import open_database
from migrate.model import PartRef, Schema, Verdict
from migrate.parts import write_parts
from migrate.stores.local import LocalStore
from migrate.vault.check import check
from migrate.vault.reader import Backup, open_backup
from migrate.vault.restore import restore_test
from migrate.vault.writer import write_backup

from tests.vault.building import FACTS

SQL = """
CREATE TYPE stage AS ENUM ('new', 'won');
CREATE TABLE account (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(40) NOT NULL, balance numeric(12,2) DEFAULT 0,
  free numeric, since timestamptz, until timestamp, born date, u uuid DEFAULT gen_random_uuid(), extra jsonb, tags text[]
);
CREATE TABLE deal (
  id serial PRIMARY KEY, account_id bigint REFERENCES account (id) ON DELETE CASCADE, stage stage NOT NULL,
  code char(5), amount double precision CHECK (amount >= 0), UNIQUE (account_id, code)
);
CREATE INDEX deal_won ON deal (amount) WHERE stage = 'won';
INSERT INTO account (name, balance, free, since, until, born, extra, tags) VALUES
  ('Acme', 12.30, 1e-20, 'infinity', '-infinity', 'infinity', '{"b": 1, "a": [1.0]}', ARRAY['x', NULL, '']),
  ('Ü', NULL, 'NaN', '2024-02-29 12:00:00.123456+02', NULL, '0001-01-01', NULL, '{}');
INSERT INTO deal (account_id, stage, code, amount)
  SELECT 1 + n % 2, CASE WHEN n % 3 = 0 THEN 'won' ELSE 'new' END::stage, n::text, n / 7.0 FROM generate_series(1, 999) n;
"""


@pytest.fixture
def database(pg_database: str) -> str:
    with psycopg.connect(pg_database) as db:
        db.execute(SQL)
    return pg_database


@pytest.fixture
def backup(database: str, tmp_path: Path) -> Backup:
    store = LocalStore(tmp_path / "backups")
    with closing(open_database(database)) as source:
        names = source.schema().table_names
        staged: list[tuple[PartRef, Path]] = []
        with source.snapshot(names) as snapshot:
            schema: Schema = snapshot.schema
            for table in schema.tables:
                folder = tmp_path / "work" / table.name
                written = write_parts(
                    snapshot.read(table.name),
                    table=table.name,
                    columns=table.columns,
                    folder=folder,
                    max_rows=400,
                )
                staged += [(ref, folder / ref.path) for ref in written.parts]
    write_backup(store, manifest=replace(FACTS, engine="postgresql"), schema=schema, parts=staged)
    shutil.rmtree(tmp_path / "work")
    return open_backup(store, FACTS.id)


@pytest.fixture
def scratch(database: str, tmp_path: Path) -> Iterator[PostgresScratch]:
    made = open_scratch(database, folder=tmp_path, name=f"migrate_scratch_{tmp_path.name[-12:]}_v", run="r1")
    yield made
    made.drop()


def failed(verdicts: list[Verdict]) -> list[str]:
    return [v.check + ": " + v.reason for v in verdicts if not v.passed]


@pytest.mark.promise(30)
def test_p30_a_postgresql_backup_restores_and_every_value_is_equal(
    backup: Backup, scratch: PostgresScratch
) -> None:
    assert [v.passed for v in check(backup, 3)] == [True] * 4
    found = restore_test(backup, scratch, trusted=True)
    assert failed(found) == []
    assert found[-1].check == "L5"
    assert found[-1].evidence["rows"] == 2 + 999


class Edited(PostgresScratch):
    """One statement is run between the rows and the comparison, that nobody reports."""

    statement = ""

    def restore_constraints(self, schema: Schema) -> None:
        super().restore_constraints(schema)
        with self._side().cursor() as cursor:
            cursor.execute(self.statement.encode())
        self._side().commit()


@pytest.mark.promise(30)
@pytest.mark.parametrize(
    ("statement", "check_"),
    [
        ("DELETE FROM deal WHERE id = 7", "L4 restored"),
        ("UPDATE account SET free = 0 WHERE id = 1", "L5 values"),
        ("UPDATE account SET since = NULL WHERE id = 1", "L5 values"),
        ("DROP INDEX deal_won", "L5 schema"),
        ("ALTER TABLE deal DROP CONSTRAINT deal_account_id_fkey", "L5 schema"),
        ("ALTER TABLE account ALTER COLUMN name DROP NOT NULL", "L5 schema"),
    ],
)
def test_p30_what_went_wrong_in_the_scratch_is_found(
    backup: Backup, scratch: PostgresScratch, statement: str, check_: str
) -> None:
    scratch.__class__ = Edited
    assert isinstance(scratch, Edited)
    scratch.statement = statement
    found = failed(restore_test(backup, scratch, trusted=True))
    assert found[0].startswith(check_)
    assert found[-1].startswith("L5:")
