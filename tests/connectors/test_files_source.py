"""A folder of files as a Database: tables, snapshots, drift, JSON lines, Parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from migrate.arrow import arrow_schema
from migrate.connectors.files.options import FileOptions
from migrate.connectors.files.source import FilesDatabase, open_database
from migrate.errors import Drift, Unreachable, UsageError
from migrate.mapping.model import Source, SourceTable
from migrate.model import Kind

Make = Callable[..., FilesDatabase]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def write(files: dict[str, bytes], **options: FileOptions) -> FilesDatabase:
        folder = tmp_path / "exports"
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
        return open_database("files:exports/", base=tmp_path, tables=options)

    return write


def read(db: FilesDatabase, table: str) -> list[dict[str, Any]]:
    with db.snapshot([table]) as snapshot:
        declared = arrow_schema(snapshot.schema.table(table).columns)
        rows = []
        for batch in snapshot.read(table):
            assert batch.schema.equals(declared)
            rows += batch.to_pylist()
        assert snapshot.count(table) == len(rows)
        snapshot.verify_unchanged()
    return rows


def test_tables_are_files(make: Make) -> None:
    db = make(
        {
            "people.csv": b"id,name\n1,Ada\n",
            "Oppertunity Table.CSV": b"id\n7\n",
            "x.tsv": b"a\tb\n",
            "notes.txt": b"a|b\n1|2\n",
            "readme.txt": b"not a table",
            ".hidden.csv": b"a\n",
            "sub/deep.csv": b"a\n1\n",
            "image.png": b"\x89PNG",
        },
        deals=FileOptions(file="Oppertunity Table.CSV"),
        notes=FileOptions(delimiter="|"),
        deep=FileOptions(file="sub/deep.csv"),
    )
    schema = db.schema()
    assert (schema.engine, schema.table_names) == ("files", ("deals", "deep", "notes", "people", "x"))
    columns = schema.table("people").columns
    assert [(c.name, c.type.kind, c.nullable) for c in columns] == [
        ("id", Kind.TEXT, True),
        ("name", Kind.TEXT, True),
        ("_line", Kind.INT, False),
        ("_bad", Kind.TEXT, True),
        ("_raw", Kind.BYTES, True),
    ]
    assert db.schema(["people", "nobody"]).table_names == ("people",)
    assert read(db, "notes") == [{"a": "1", "b": "2", "_line": 2, "_bad": None, "_raw": None}]


def test_two_files_of_one_name_are_refused_until_named(make: Make) -> None:
    files = {"a.csv": b"x\n", "a.tsv": b"y\n"}
    with pytest.raises(UsageError, match=r"a\.csv and a\.tsv"):
        make(files).schema()
    assert make(files, b=FileOptions(file="a.tsv")).schema().table_names == ("a", "b")


def test_others_are_counted_as_far_as_they_can_be_read(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "people.csv": b"id\n1\n2\n",
        "empty.csv": b"id\n",
        "coded.csv": b"n\nJos\xe9\n",
        "used.csv": b"id\n1\n",
    }
    assert make(files).others(["used"]) == {"people": 2, "empty": 0, "coded": None}
    monkeypatch.setattr("migrate.connectors.files.source._LARGEST_OTHER", 5)
    assert make({}).others(["used", "coded"]) == {"people": None, "empty": 0}
    # files that contradict each other stop nobody who wants neither
    assert make({"people.tsv": b"x\n"}).others(["used"]) == dict.fromkeys(
        ["coded.csv", "empty.csv", "people.csv", "people.tsv"]
    )


def test_what_is_not_there(make: Make, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="nowhere"):
        open_database("files:nowhere/", base=tmp_path)
    with pytest.raises(UsageError, match="FOLDER"):
        open_database("sqlite:///x", base=tmp_path)
    with pytest.raises(UsageError, match=r"gone\.csv"):
        make({}, t=FileOptions(file="gone.csv")).schema()


def test_options_come_from_the_mapping(tmp_path: Path) -> None:
    (tmp_path / "a b.csv").write_bytes("n\u00e4me;x\nNULL;\n-;1\n".encode("cp1252"))
    (tmp_path / "other.csv").write_bytes("é\n1\n".encode("latin-1"))
    source = Source(
        system="s",
        url="files:.",
        encoding="latin-1",
        nulls=("NULL",),
        tables={"t": SourceTable(file="a b.csv", encoding="cp1252", nulls=("-", ""))},
    )
    db = open_database(f"files:{tmp_path}", base=Path("/"), source=source)
    assert [(r["näme"], r["x"]) for r in read(db, "t")] == [("NULL", None), (None, "1")]
    assert read(db, "other")[0]["é"] == "1"


def test_snapshot_pins_the_bytes(make: Make) -> None:
    data = b"id\n1\n"
    db = make({"a.csv": data, "b.csv": b"id\n2\n"})
    with db.snapshot(["a", "b"]) as one, db.snapshot(["a", "b"]) as two:
        assert one.id == two.id
        assert len(one.id) == 64
        refs = {r.name: r for r in one.originals()}
        assert (refs["a.csv"].bytes, refs["a.csv"].sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert Path(refs["a.csv"].path).is_absolute()
        one.verify_unchanged()
        make({"b.csv": b"id\n3\n"})
        with pytest.raises(Drift, match=r"b\.csv"):
            one.verify_unchanged()
        with pytest.raises(Drift, match=r"b\.csv"):
            list(one.read("b"))
        assert [r["id"] for b in one.read("a", ["id"]) for r in b.to_pylist()] == ["1"]
    with db.snapshot(["a", "b"]) as three:
        assert three.id != one.id
        Path(refs["a.csv"].path).unlink()
        with pytest.raises(Drift, match="gone"):
            three.verify_unchanged()


def test_json_lines_keep_exact_texts(make: Make) -> None:
    lines = [
        rb'{"id": 1, "amount": 1.50, "big": 123456789012345678901234567890, "ok": true, "name": "A\u00e9\n"}',
        rb'{"id": 1e400, "extra": {"b": [1.0, "x"], "a": null}, "name": null}',
        b"",
        rb'{"id": "x", "extra": "text", "ok": false}',
    ]
    db = make({"t.jsonl": b"\r\n".join(lines)})
    types = db.schema().table("t").types
    assert (types["extra"].kind, types["amount"].kind) == (Kind.JSON, Kind.TEXT)
    rows = read(db, "t")
    assert rows[0]["amount"] == "1.50"
    assert rows[0]["big"] == "123456789012345678901234567890"
    assert (rows[0]["ok"], rows[2]["ok"], rows[0]["name"]) == ("true", "false", "Aé\n")
    assert [r["id"] for r in rows] == ["1", "1e400", "x"]
    assert [r["extra"] for r in rows] == [None, '{"b":[1.0,"x"],"a":null}', '"text"']
    assert [r["name"] for r in rows][1:] == [None, None]
    assert [r["_line"] for r in rows] == [1, 2, 4]


@pytest.mark.promise(7)
def test_p7_broken_json_lines_are_rows_with_their_bytes(make: Make) -> None:
    bad = {
        b'{"a": ': "bad_row",
        b"[1]": "bad_row",
        b'{"a": 1} x': "bad_row",
        b'{"a": 1, "a": 2}': "bad_row",
        b'{"a": NaN}': "bad_row",
        rb'{"a": "\ud800"}': "bad_row",
        b"[" * 100_000: "bad_row",
        b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}": "bad_row",
        b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}": "bad_row",
        b'{"a": "\xff"}': "bad_encoding",
        b'{"a": "\0"}': "nul_byte",
        rb'{"a": "\u0000"}': "nul_byte",
    }
    good = [rb'{"a": "\\u0000"}', b'{"a": "' + b"[" * 300 + b'"}']
    db = make({"t.ndjson": b"\n".join([*bad, *good])}, t=FileOptions(encoding="utf-8"))
    rows = read(db, "t")
    assert [(r["_raw"], r["_bad"]) for r in rows[: len(bad)]] == list(bad.items())
    assert [(r["a"], r["_bad"]) for r in rows[len(bad) :]] == [("\\u0000", None), ("[" * 300, None)]
    assert all(r["a"] is None for r in rows if r["_bad"])


def test_json_files_that_cannot_be_used(make: Make) -> None:
    for data, named in (
        (b"", "empty"),
        (b'{"": 1}', "no name"),
        (b'{"_bad": 1}', "reserved"),
        (b"\xff", "cp1252"),
    ):
        with pytest.raises(UsageError, match=named):
            make({"t.jsonl": data}).schema()


def test_json_null_words_and_blocks(make: Make, tmp_path: Path) -> None:
    from migrate.connectors.files.json_lines import open_json_lines, read_json_lines

    make({"t.jsonl": '{"a": "-"}\n{"a": "é😀"}\n{"a": 0}'.encode()})
    file = open_json_lines(tmp_path / "exports" / "t.jsonl", FileOptions(nulls=("-",)))
    for block in (1, 2, 7, 1000):
        rows = [r for b in read_json_lines(file, block=block) for r in b.to_pylist()]
        assert [(r["a"], r["_line"]) for r in rows] == [(None, 1), ("é😀", 2), ("0", 3)]


def parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.promise(11)
@pytest.mark.promise(15)
def test_p11_p15_parquet_types_are_exact(make: Make) -> None:
    table = pa.table(
        {
            "i8": pa.array([-128, None], pa.int8()),
            "u32": pa.array([2**32 - 1, 0], pa.uint32()),
            "u64": pa.array([2**64 - 1, 0], pa.uint64()),
            "f": pa.array([0.1, float("nan")], pa.float32()),
            "d": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
            "s": pa.array(["x", ""], pa.large_string()),
            "cat": pa.array(["x", None]).dictionary_encode(),
            "b": pa.array([b"\xff", None]),
            "day": pa.array([date(1500, 1, 1), None]),
            "ns": pa.array([1_000, None], pa.timestamp("ns")),
            "tz": pa.array([1, None], pa.timestamp("ms", "Europe/London")),
            "tags": pa.array([["a", None], None], pa.list_(pa.string())),
            "none": pa.nulls(2),
        }
    )
    db = make({"t.parquet": parquet_bytes(table)})
    types = db.schema().table("t").types
    kinds = {name: type_.kind.value for name, type_ in types.items()}
    assert list(kinds.values())[:13] == [
        *("int", "int", "decimal", "float", "decimal", "text", "text", "bytes", "date"),
        *("timestamp", "timestamptz", "array", "text"),
    ]
    assert (types["i8"].bits, types["u32"].bits, types["u64"].precision, types["f"].bits) == (16, 64, 20, 32)
    first, second = read(db, "t")
    assert (first["i8"], first["u32"], first["u64"]) == (-128, 2**32 - 1, Decimal(2**64 - 1))
    assert (first["day"], first["ns"], first["tags"]) == (
        date(1500, 1, 1),
        datetime(1970, 1, 1, 0, 0, 0, 1),
        ["a", None],
    )
    assert (first["_line"], second["_line"], second["s"], second["none"]) == (1, 2, "", None)


@pytest.mark.parametrize(
    "array",
    [
        pa.array([{"x": 1}]),
        pa.array([1], pa.duration("s")),
        pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        pa.array([[[1]]]),
        pa.array([[{"x": 1}]]),
    ],
)
def test_parquet_types_without_an_exact_one_are_refused_by_name(make: Make, array: pa.Array[Any]) -> None:
    with pytest.raises(UsageError, match=r"t\.odd"):
        make({"t.parquet": parquet_bytes(pa.table({"odd": array}))}).schema()


def test_parquet_nanoseconds_are_not_rounded(make: Make) -> None:
    db = make({"t.parquet": parquet_bytes(pa.table({"at": pa.array([1], pa.timestamp("ns"))}))})
    with pytest.raises(UsageError, match=r"t\.at.*timestamp\[ns\]"):
        read(db, "t")
    with pytest.raises(UsageError, match="Parquet"):
        make({"t.parquet": b"PAR1 not really PAR1"}).schema()
