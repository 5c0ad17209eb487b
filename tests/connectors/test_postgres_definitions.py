"""Definitions that a restore keeps: what the catalogue says, created again, is what the catalogue says then."""

from __future__ import annotations

import psycopg
from migrate.connectors.postgres.definitions import settled
from migrate.connectors.postgres.target import open_database

DDL = r"""
CREATE TABLE deal (id int PRIMARY KEY, stage varchar(20), code char(2), note text, worth numeric, day date,
  CONSTRAINT listed CHECK (stage IN ('new', 'it''s', 'a\b', '[]),', '(ARRAY[''x''::text])::text[]')),
  CONSTRAINT unlisted CHECK (stage NOT IN ('a', 'b')), CONSTRAINT one CHECK (stage IN ('a')),
  CONSTRAINT with_null CHECK (stage IN ('a', NULL)), CONSTRAINT fixed CHECK (code IN ('a', 'b')),
  CONSTRAINT texts CHECK (note IN ('a', 'b')), CONSTRAINT lowered CHECK (lower(stage) IN ('x', 'y')),
  CONSTRAINT joined CHECK (stage || note IN ('x', 'y')), CONSTRAINT numbers CHECK (worth IN (1, 2.5)),
  CONSTRAINT days CHECK (day IN ('2020-01-01', '2020-02-01')),
  is_open boolean GENERATED ALWAYS AS (stage IN ('x', 'y')) STORED);
CREATE INDEX open_deals ON deal (id) WHERE stage IN ('p', 'q');
"""


def test_definitions_stay_as_they_are_when_created_again(pg_database: str) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(DDL.encode())
        database = open_database(pg_database)
        before = database.schema(["deal"]).table("deal")
        connection.execute("DROP TABLE deal")
        connection.execute(
            b"CREATE TABLE deal (id int PRIMARY KEY, stage varchar(20), code char(2), note text, worth numeric, day date)"
        )
        made = [f"ALTER TABLE deal ADD CONSTRAINT {c.name} {c.sql}" for c in before.checks]
        generated = before.column("is_open").generated
        made.append(f"ALTER TABLE deal ADD is_open boolean GENERATED ALWAYS AS ({generated}) STORED")
        made += [i.sql for i in before.indexes]
        for statement in made:
            connection.execute(statement.encode())
        after = database.schema(["deal"]).table("deal")
        database.close()
    assert len(before.checks) == 10
    assert after == before


def test_only_casts_of_whole_literal_arrays_change() -> None:
    kept = "CHECK ((note = ANY (ARRAY['a'::text, 'b'::text])) AND ((tags)::text[] <> '{}'::text[]))"
    assert settled(kept) == kept
    assert (
        settled("(a)::text = ANY ((ARRAY['x'::character varying, 'it''s, ok'::character varying])::text[])")
        == "(a)::text = ANY (ARRAY[('x'::character varying)::text, ('it''s, ok'::character varying)::text])"
    )
