"""Parquet parts: exact round trips, bounds, and what happens when bytes or disks go wrong."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate import canon, failpoints, parts
from migrate.arrow import DATE_INFINITY, MIXED, TIMESTAMP_INFINITY, arrow_schema
from migrate.errors import Corrupt, Unreachable
from migrate.model import Column, Kind, PartRef, Type

T = Type
COLUMNS = (
    Column("b", T(Kind.BOOL)),
    Column("i2", T(Kind.INT, bits=16)),
    Column("i4", T(Kind.INT, bits=32)),
    Column("i8", T(Kind.INT, bits=64)),
    Column("f4", T(Kind.FLOAT, bits=32)),
    Column("f8", T(Kind.FLOAT, bits=64)),
    Column("d38", T(Kind.DECIMAL, precision=38, scale=6)),
    Column("d76", T(Kind.DECIMAL, precision=76, scale=20)),
    Column("dtext", T(Kind.DECIMAL)),
    Column("t", T(Kind.TEXT)),
    Column("raw", T(Kind.BYTES)),
    Column("day", T(Kind.DATE)),
    Column("clock", T(Kind.TIME)),
    Column("ts", T(Kind.TIMESTAMP)),
    Column("tz", T(Kind.TIMESTAMPTZ)),
    Column("u", T(Kind.UUID)),
    Column("a", T(Kind.ARRAY, item=T(Kind.INT, bits=32))),
    Column("m", T(Kind.MIXED)),
)
SIMPLE = (Column("id", T(Kind.INT, bits=64)), Column("t", T(Kind.TEXT)))


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm()


def everything() -> pa.RecordBatch:
    """Two rows of extremes and one of NULLs."""
    raw = {
        "b": [True, False, None],
        "i2": [32767, -32768, None],
        "i4": [2**31 - 1, -(2**31), None],
        "i8": [2**63 - 1, -(2**63), None],
        "f4": [1.5, float("inf"), None],
        "f8": [float("nan"), -0.0, None],
        "d38": [Decimal("99999999999999999999999999999999.999999"), Decimal("-0.000001"), None],
        "d76": [Decimal("9" * 56 + "." + "9" * 20), Decimal("-" + "9" * 56 + "." + "1" * 20), None],
        "dtext": ["1e-20", "NaN", None],
        "t": ["", "ü\u0000 ", None],
        "raw": [b"\x00\xff", b"", None],
        "day": [DATE_INFINITY, -DATE_INFINITY, None],
        "clock": [0, 86_399_999_999, None],
        "ts": [TIMESTAMP_INFINITY, -TIMESTAMP_INFINITY, None],
        "tz": [TIMESTAMP_INFINITY, 1, None],
        "u": ["00000000-0000-0000-0000-000000000000", "", None],
        "a": [[1, None, 3], [], None],
        "m": [
            {"tag": 1, "int": 2**62, "real": None, "bytes": None},
            {"tag": 3, "int": None, "real": None, "bytes": b"\xff"},
            {"tag": 0, "int": None, "real": None, "bytes": None},
        ],
    }
    schema = arrow_schema(COLUMNS)
    arrays = []
    for field in schema:
        values: Any = raw[field.name]
        if pa.types.is_date32(field.type):
            arrays.append(pa.array(values, pa.int32()).view(field.type))
        elif pa.types.is_temporal(field.type):
            kind: Any = field.type
            arrays.append(pa.array(values, pa.int64()).view(kind))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def simple(rows: int, text: str = "x") -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array(range(rows), pa.int64()), pa.array([text] * rows, pa.string())], schema=arrow_schema(SIMPLE)
    )


def write(
    folder: Path, *batches: pa.RecordBatch, columns: tuple[Column, ...] = SIMPLE, **more: int
) -> parts.PartsWritten:
    return parts.write_parts(batches, table="t", columns=columns, folder=folder, **more)  # type: ignore[arg-type]


@pytest.mark.promise(11)
def test_p11_every_layout_comes_back_bit_for_bit(tmp_path: Path) -> None:
    batch = everything()
    (ref,) = write(tmp_path, batch, columns=COLUMNS).parts
    back = parts.read_part(tmp_path / ref.path, ref)
    assert back.schema.equals(batch.schema)
    for column in COLUMNS:
        if column.name == "f8":  # NaN is not equal to itself
            continue
        assert back.column(column.name).combine_chunks().equals(batch.column(column.name)), column.name
    assert back.column("m").type == MIXED
    types = {c.name: c.type for c in COLUMNS}
    assert canon.digest(back.to_batches(), types).text() == ref.digest == canon.digest([batch], types).text()


def test_the_file_is_private_named_by_its_number_and_hashed(tmp_path: Path) -> None:
    written = write(tmp_path / "t", simple(250), max_rows=100)
    assert [p.path for p in written.parts] == [
        "part-00000.parquet",
        "part-00001.parquet",
        "part-00002.parquet",
    ]
    assert [p.rows for p in written.parts] == [100, 100, 50]
    assert [p.index for p in written.parts] == [0, 1, 2]
    for ref in written.parts:
        path = tmp_path / "t" / ref.path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert hashlib.sha256(path.read_bytes()).hexdigest() == ref.sha256
        assert path.stat().st_size == ref.bytes
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o700
    assert sorted(p.name for p in (tmp_path / "t").iterdir()) == [p.path for p in written.parts]


def test_compression_and_no_statistics(tmp_path: Path) -> None:
    (ref,) = write(tmp_path, everything(), columns=COLUMNS).parts
    with pq.ParquetFile(tmp_path / ref.path) as file:
        columns = [file.metadata.row_group(0).column(n) for n in range(file.metadata.num_columns)]
    assert {c.compression for c in columns} == {"ZSTD"}
    assert not any(c.is_stats_set for c in columns)


def test_duckdb_prunes_nothing_by_sentinels(tmp_path: Path) -> None:
    (ref,) = write(tmp_path, everything(), columns=COLUMNS).parts
    found = duckdb.execute(
        f"SELECT count(*) FILTER (ts = 'infinity'), count(*) FILTER (ts = '-infinity'), count(*) FILTER (day = 'infinity') "
        f"FROM '{tmp_path / ref.path}'"
    ).fetchall()
    assert found == [(1, 1, 1)]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 40), max_size=8),
    max_rows=st.integers(1, 50),
    max_bytes=st.integers(1, 2000),
    wide=st.integers(0, 60),
)
def test_cutting_keeps_every_row_in_order_within_bounds(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], max_rows: int, max_bytes: int, wide: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    batches, at = [], 0
    for n, size in enumerate(sizes):
        ids = pa.array(range(at, at + size), pa.int64())
        texts = pa.array(["y" * (wide * (n % 3))] * size, pa.string())
        batches.append(pa.RecordBatch.from_arrays([ids, texts], schema=arrow_schema(SIMPLE)))
        at += size
    seen: list[PartRef] = []
    written = parts.write_parts(
        batches,
        table="t",
        columns=SIMPLE,
        folder=folder,
        max_rows=max_rows,
        max_bytes=max_bytes,
        on_part=seen.append,
    )
    assert tuple(seen) == written.parts
    ids_back: list[int] = []
    for ref in written.parts:
        rows = parts.read_part(folder / ref.path, ref)
        ids_back += rows.column("id").to_numpy().tolist()
        assert 1 <= ref.rows <= max_rows
        assert ref.rows == 1 or rows.nbytes <= max_bytes + 16 * len(batches)  # buffers are rounded per slice
    assert ids_back == list(range(at))
    types = {c.name: c.type for c in SIMPLE}
    assert written.digest == canon.digest(batches, types)
    assert written.rows == at


def test_no_rows_give_no_parts_and_the_empty_digest(tmp_path: Path) -> None:
    written = write(tmp_path / "t", simple(0))
    assert written.parts == ()
    assert written.digest == canon.Digest.EMPTY
    assert list((tmp_path / "t").iterdir()) == []


@pytest.mark.promise(15)
def test_p15_a_batch_in_another_layout_is_refused_not_cast(tmp_path: Path) -> None:
    wrong = pa.RecordBatch.from_arrays([pa.array([1.0]), pa.array(["x"])], names=["id", "t"])
    with pytest.raises(ValueError, match=r"t\.id: batch holds double, declared is int64"):
        write(tmp_path, wrong)
    renamed = simple(1).rename_columns(["id", "other"])
    with pytest.raises(ValueError, match="other"):
        write(tmp_path, renamed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["flip", "truncate", "append", "missing", "swapped", "rows"])
def test_damage_is_corrupt(tmp_path: Path, damage: str) -> None:
    first, second = write(tmp_path, simple(100), max_rows=50).parts
    path = tmp_path / first.path
    data = path.read_bytes()
    if damage == "flip":
        path.write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])
    elif damage == "truncate":
        path.write_bytes(data[:-1])
    elif damage == "append":
        path.write_bytes(data + b"\0")
    elif damage == "missing":
        path.unlink()
    elif damage == "swapped":
        path = tmp_path / second.path
    else:
        first = replace(first, rows=51)
    with pytest.raises(Corrupt):
        parts.read_part(path, first)
    if damage in ("truncate", "missing", "rows"):
        with pytest.raises(Corrupt):
            parts.read_part(path, first, verify=False)


def test_what_is_not_parquet_is_corrupt_even_where_the_hash_fits(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"not parquet")
    ref = PartRef("t", 0, "x", 1, 11, hashlib.sha256(b"not parquet").hexdigest(), "")
    with pytest.raises(Corrupt, match="does not decode"):
        parts.read_part(path, ref)
    with pytest.raises(Corrupt, match="does not decode"):
        list(parts.iter_part(path, 10))


def test_iterating_in_batches(tmp_path: Path) -> None:
    (ref,) = write(tmp_path, simple(70), simple(30)).parts
    batches = list(parts.iter_part(tmp_path / ref.path, 40))
    assert [b.num_rows for b in batches] == [40, 40, 20]


@pytest.mark.parametrize("moment", ["written", "fsynced", "renamed", "folder_fsynced"])
@pytest.mark.parametrize("action", ["enospc", "eio"])
def test_a_failing_disk_leaves_whole_parts_only(tmp_path: Path, moment: str, action: str) -> None:
    failpoints.arm(f"extract.part.{moment}:2:{action}")
    seen: list[PartRef] = []
    with pytest.raises(Unreachable):
        parts.write_parts(
            [simple(100)], table="t", columns=SIMPLE, folder=tmp_path, max_rows=50, on_part=seen.append
        )
    assert [p.path for p in seen] == ["part-00000.parquet"]
    assert [p.name for p in tmp_path.iterdir()] == ["part-00000.parquet"]
    parts.read_part(tmp_path / seen[0].path, seen[0])


def test_a_limit_of_the_system_while_parquet_is_written(tmp_path: Path) -> None:
    """Not injected: the kernel refuses the write in the middle of pyarrow's own code."""
    code = """
import resource, signal, sys
from pathlib import Path
import pyarrow as pa
from migrate import parts
from migrate.errors import Unreachable
from migrate.model import Column, Kind, Type
import os
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
batch = pa.RecordBatch.from_arrays([pa.array([os.urandom(1000)] * 1 + [os.urandom(9000)])], names=["raw"])
try:
    parts.write_parts([batch], table="t", columns=[Column("raw", Type(Kind.BYTES))], folder=Path(sys.argv[1]))
except Unreachable:
    print("unreachable", os.listdir(sys.argv[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    assert done.stdout == "unreachable []\n"
