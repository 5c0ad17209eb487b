"""What a few bytes may become in memory."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from migrate import parquet_bounds
from migrate.errors import Corrupt
from migrate.parquet_bounds import read_bounded

MEGABYTE = "x" * (1 << 20)


def written(rows: pa.Table, path: Path, **how: object) -> pa.NativeFile:
    pq.write_table(rows, path, compression="zstd", **how)  # type: ignore[arg-type]
    return pa.BufferReader(path.read_bytes())


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.binary()])
def test_rows_come_back_as_they_were_also_where_a_column_had_to_be_weighed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, type_: pa.DataType
) -> None:
    monkeypatch.setattr(parquet_bounds, "DECODED_LIMIT", 1 << 20)
    texts = pa.array([None if n % 7 == 0 else f"text {n % 100}" for n in range(20_000)]).cast(type_)
    rows = pa.table({"id": pa.array(range(20_000)), "text": texts, "list": [[f"{n}"] for n in range(20_000)]})
    found = read_bounded(written(rows, tmp_path / "p", use_dictionary=["text"]), "p")
    assert found.equals(rows)
    assert found.schema.equals(rows.schema)


def one_long_text(times: int) -> pa.Table:
    dictionary = pa.array([MEGABYTE])
    return pa.table({"s": pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), dictionary)})


def test_a_dictionary_of_one_long_text(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="memory"):
        read_bounded(written(one_long_text(100_000), tmp_path / "p"), "p")
    assert read_bounded(written(one_long_text(30), tmp_path / "p"), "p").num_rows == 30


@pytest.mark.parametrize(
    ("rows", "how"),
    [
        (pa.table({"b": pa.array([MEGABYTE] * 20)}), {"use_dictionary": False}),
        (pa.table({"n": pa.array([None] * 3_000_000, pa.int64())}), {}),
        (pa.table({"l": pa.array([[MEGABYTE]] * 20)}), {}),
    ],
    ids=["zeros", "nulls", "lists"],
)
def test_what_the_footer_says_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: pa.Table, how: dict[str, object]
) -> None:
    monkeypatch.setattr(parquet_bounds, "DECODED_LIMIT", 16 << 20)
    source = written(rows, tmp_path / "p", **how)
    assert source.size() < 1 << 21
    monkeypatch.setattr(pq, "ParquetFile", None)  # nothing is decoded
    with pytest.raises(Corrupt, match="memory"):
        read_bounded(source, "p")


def test_prefixes_that_repeat_are_never_written_here(tmp_path: Path) -> None:
    source = written(
        pa.table({"s": [MEGABYTE] * 5}),
        tmp_path / "p",
        use_dictionary=False,
        column_encoding={"s": "DELTA_BYTE_ARRAY"},
    )
    with pytest.raises(Corrupt, match="encoded"):
        read_bounded(source, "p")


def test_one_row_may_be_as_large_as_rows_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_bounds, "DECODED_LIMIT", 1 << 10)
    assert read_bounded(written(pa.table({"s": [MEGABYTE]}), tmp_path / "p"), "p").num_rows == 1
