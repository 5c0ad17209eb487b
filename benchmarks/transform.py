"""Transform of the reference shape: 17 fields with trim, lower, phone digits, two value maps and three checks.

    python benchmarks/transform.py                     # 1,000,000 rows
    python benchmarks/transform.py --rows 200000 --json figures.json

Rows per second of the compiled entity over parts of 100,000 rows that lie in memory, without a reference; and with one
through the crosswalk: the same, then every row's fate settled and its reference resolved, over Parquet files as in a
run. No database. Beside it, in the same run: Polars hashing the same rows, as a measure of the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
from migrate.mapping.load import load_mapping
from migrate.model import Column, Kind, Table, Type
from migrate.parts import write_rows
from migrate.transform.apply import apply
from migrate.transform.compile import compile_entity
from migrate.transform.entity import CompiledEntity
from migrate.transform.settle import Road, settle

PART = 100_000
TEXT, INT = Type(Kind.TEXT), Type(Kind.INT, bits=64)
AMOUNT = Type(Kind.DECIMAL, precision=12, scale=2)
KINDS = {
    "id": INT, "account_id": INT, "first_name": TEXT, "last_name": TEXT, "email": TEXT, "phone": TEXT, "title": TEXT,
    "lead_source": TEXT, "street": TEXT, "city": TEXT, "country": TEXT, "amount": AMOUNT, "opted_in": Type(Kind.BOOL),
    "created_at": Type(Kind.TIMESTAMPTZ), "updated_at": Type(Kind.TIMESTAMP), "birth": Type(Kind.DATE), "notes": TEXT,
}  # fmt: skip
MAPPING = """
migrate: 1
name: transform
source: {{system: reference, url: "sqlite:///none.db"}}
target: {{url: "sqlite:///none.db"}}
maps:
  source: {{Web: web, Referral: referral, Trade show: event, Cold call: call}}
  country: {{US: US, GB: GB, DE: DE, FR: FR}}
entities:
  accounts: {{from: account, key: id, into: account, fields: {{id: id}}}}
  contacts:
    from: contact
    key: id
    into: contact
    fields:
      id: id
      account_id: {account}
      first_name: {{from: first_name, do: [trim, squeeze], check: {{max_length: 60}}}}
      last_name: {{from: last_name, do: [trim], check: required}}
      email: {{from: email, do: [trim, lower], check: [{{pattern: "^[^@ ]+@[^@ ]+$"}}], on_fail: empty_and_flag}}
      phone: {{from: phone, do: [digits]}}
      title: {{from: title, do: [trim]}}
      lead_source: {{from: lead_source, map: source}}
      street: {{from: street, do: [trim]}}
      city: {{from: city, do: [trim]}}
      country: {{from: country, map: country}}
      amount: amount
      opted_in: opted_in
      created_at: created_at
      updated_at: updated_at
      birth: birth
      notes: notes
"""
ROWS = """
SELECT i AS id, (i * 7919) % 100000 + 1 AS account_id, 'First' || (i % 5000) AS first_name, 'Last' || (i * 31 % 20000) AS last_name,
  'first' || (i % 5000) || '.last' || i || '@Example' || (i % 300) || '.com' AS email,
  '+1 (' || (200 + i % 700) || ') 555-' || lpad((i % 10000)::VARCHAR, 4, '0') AS phone,
  (['CEO', 'CTO', 'Head of Sales', 'Account Manager', NULL])[1 + i % 5] AS title,
  (['Web', 'Referral', 'Trade show', 'Cold call'])[1 + i % 4] AS lead_source, (i % 9999) || ' Main Street' AS street,
  'City ' || (i % 1200) AS city, (['US', 'GB', 'DE', 'FR'])[1 + i % 4] AS country, (i * 7.13 % 100000)::DECIMAL(12, 2) AS amount,
  i % 3 = 0 AS opted_in, TIMESTAMPTZ '2015-01-01 00:00+00' + to_minutes(i) AS created_at,
  TIMESTAMP '2020-01-01' + to_seconds(i * 37) AS updated_at, DATE '1950-01-01' + (i % 20000)::INTEGER AS birth,
  CASE WHEN i % 10 = 0 THEN repeat('note text ', (i % 12)::INTEGER) END AS notes
FROM range(1, {rows} + 1) r(i)
"""


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args(words)
    parts = rows(arguments.rows)
    with tempfile.TemporaryDirectory() as name:
        plain = compiled(Path(name), "account_id")
        referring = compiled(Path(name), "{from: account_id, ref: accounts}")
        pool = ThreadPoolExecutor(arguments.threads)
        measures: dict[str, Callable[[], object]] = {
            "polars hash of the same rows": lambda: [
                pl.DataFrame(pl.from_arrow(p)).hash_rows() for p in parts
            ],
            "transform": lambda: transformed(plain, parts, pool),
            "transform, reference and fates": lambda: settled(referring, parts, pool, Path(name)),
        }
        seconds: dict[str, list[float]] = {label: [] for label in measures}
        for _ in range(arguments.rounds):
            for label, measure in measures.items():
                begin = time.perf_counter()
                measure()
                seconds[label].append(time.perf_counter() - begin)
    figures = {
        label: {
            "seconds": round(statistics.median(s), 3),
            "rows_per_second": round(arguments.rows / statistics.median(s)),
        }
        for label, s in seconds.items()
    }
    for label, figure in figures.items():
        sys.stdout.write(f"{label:34} {figure['seconds']:8.2f} s {figure['rows_per_second']:12,} rows/s\n")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"rows": arguments.rows, **figures}, indent=1) + "\n")
    return 0


def rows(count: int) -> list[pa.Table]:
    """The reference shape in parts, in the layouts that parts have."""
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    table: Any = db.sql(ROWS.format(rows=count)).to_arrow_table()
    return [table.slice(at, PART).combine_chunks() for at in range(0, count, PART)]


def compiled(folder: Path, account: str) -> CompiledEntity:
    file = folder / "m.yaml"
    file.write_text(MAPPING.format(account=account))
    table = Table("contact", tuple(Column(n, t, nullable=n != "id") for n, t in KINDS.items()), ("id",))
    made, problems = compile_entity(load_mapping(file), "contacts", table, table, now="2026-01-01T00:00:00Z")
    assert made is not None, problems
    return made


def transformed(entity: CompiledEntity, parts: Sequence[pa.Table], pool: ThreadPoolExecutor) -> list[Any]:
    def one(number: int) -> Any:
        rids = (np.int64(number) << 32) + np.arange(parts[number].num_rows, dtype=np.int64)
        return apply(entity, parts[number], rids)

    return list(pool.map(one, range(len(parts))))


def settled(
    entity: CompiledEntity, parts: Sequence[pa.Table], pool: ThreadPoolExecutor, folder: Path
) -> object:
    """As the stage does it: transformed parts written, then the fates of all rows of both entities."""

    def one(number: int) -> tuple[Path, Path, Path]:
        rids = (np.int64(number) << 32) + np.arange(parts[number].num_rows, dtype=np.int64)
        found = apply(entity, parts[number], rids)
        paths = [folder / f"{kind}-{number:05d}.parquet" for kind in ("rows", "reasons", "excluded")]
        for path, table in zip(paths, (found.rows, found.reasons, found.excluded), strict=True):
            write_rows(table, path, point="benchmark")
        return paths[0], paths[1], paths[2]

    files = list(pool.map(one, range(len(parts))))
    accounts = pa.table(
        {
            "__rid": pa.array(range(100_000), pa.int64()),
            "__key": pa.array([f'["{i}"]' for i in range(1, 100_001)]),
            "__hash": pa.array([b"0" * 16] * 100_000, pa.binary()),
        }
    )
    write_rows(accounts, folder / "accounts.parquet", point="benchmark")
    ref = entity.entity.fields["account_id"].ref
    assert ref is not None
    roads = [
        Road("accounts", "reference", "add", "account", 1, (folder / "accounts.parquet",), (), ()),
        Road(
            "contacts", "reference", "add", "contact", 2, tuple(f[0] for f in files), tuple(f[1] for f in files),
            tuple(f[2] for f in files), refs={"account_id": ref},
        ),
    ]  # fmt: skip
    systems = {"accounts": "reference", "contacts": "reference"}
    return settle(
        roads, systems=systems, crosswalk=None, targets={}, out=folder / "out", temp=folder / "temp"
    )


if __name__ == "__main__":
    raise SystemExit(main())
