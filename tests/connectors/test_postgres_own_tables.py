"""Our own tables in a database whose texts are ordered by the rules of a language, as most are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pyarrow as pa
import pytest
from migrate.arrow import arrow_schema
from migrate.connectors.postgres.target import PostgresTarget, open_database
from migrate.ledger.receipts import meta_table, meta_tables

KEYS = ["a", "A", "á", "b-1", "b1", "B 1", 'x"', "\U0001f600"]


@pytest.fixture
def language(pg_database: str) -> Iterator[str]:
    """A database of its own, ordered by ICU's rules for German."""
    base, _, name = pg_database.rpartition("/")
    other = f"{name[:40]}_icu"
    with psycopg.connect(pg_database, autocommit=True) as server:
        try:
            server.execute(
                f"CREATE DATABASE {other} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'".encode()
            )
        except (psycopg.errors.SyntaxError, psycopg.errors.FeatureNotSupported):
            pytest.skip("this server has no databases ordered by ICU")
        yield f"{base}/{other}"
        server.execute(f"DROP DATABASE {other} WITH (FORCE)".encode())


def _entries(target: PostgresTarget, keys: list[str]) -> pa.Table:
    table = meta_table("crosswalk", target.meta)
    row = {
        "system": "crm",
        "entity": "people",
        "target_key": "t",
        "origin": "insert",
        "run": "r",
        "plan": 1,
        "source_hash": b"h",
    }
    return pa.Table.from_pylist([{**row, "source_key": k} for k in keys], arrow_schema(table.columns))


@pytest.mark.parametrize("made_before", [False, True], ids=["by bytes", "as they were made before"])
@pytest.mark.fineprint(8)
def test_f8_entries_are_found_by_their_bytes(language: str, made_before: bool) -> None:
    with closing(open_database(language)) as target:
        target.create_tables(meta_tables(target.meta))
        with psycopg.connect(language, autocommit=True) as connection:
            found = connection.execute(
                "SELECT a.attname, c.collname FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation "
                "WHERE attrelid = 'migrate_meta.crosswalk'::regclass AND attnum > 0"
            ).fetchall()
            assert {collation for _, collation in found} == {"C"}
            assert {"source_key", "entity", "system"} <= {name for name, _ in found}
            if made_before:
                for name, _ in found:
                    connection.execute(
                        f'ALTER TABLE migrate_meta.crosswalk ALTER {name} TYPE text COLLATE "default"'.encode()
                    )
        table = meta_table("crosswalk", target.meta)
        entries = _entries(target, KEYS)
        transaction = target.begin()
        assert transaction.insert(table, entries, stop_after=0) == []
        wanted = entries.select(list(table.primary_key))
        again = transaction.fetch(table, table.primary_key, wanted, ["source_key"], lock=True)
        assert sorted(again["source_key"].to_numpy().tolist()) == sorted(KEYS)
        changed = entries.set_column(
            entries.column_names.index("target_key"), "target_key", pa.array([f"to {k}" for k in KEYS])
        )
        assert transaction.update(table, table.primary_key, changed, stop_after=0) == []
        some = transaction.fetch(table, table.primary_key, wanted.slice(0, 1), ["source_key", "target_key"])
        assert some.to_pylist() == [{"source_key": "a", "target_key": "to a"}]
        assert transaction.delete(table, table.primary_key, wanted.slice(1)) == len(KEYS) - 1
        transaction.commit()
