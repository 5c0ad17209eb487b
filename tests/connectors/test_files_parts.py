"""Several files as one table: their order, their columns, where a row is from, and parts that do not agree."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from migrate.connectors.files.options import FileOptions
from migrate.errors import Drift, UsageError
from migrate.model import Kind

from tests.connectors.folder import Folder
from tests.connectors.spreadsheets import xlsx, zipped

PARTS = 1_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("file", ["people/", "people", "people/*", "people/part-*", "**/part-*.*"])
def test_files_of_a_folder_or_a_pattern_are_one_table(folder: Folder, file: str) -> None:
    """In order of their names; columns by name; the other options hold for every part."""
    folder.put(
        {
            "people/part-1.csv": b"title\nid,name\n1,Ada\n2\ntotal,1\n",
            "people/part-2.csv.gz": gzip.compress(b"title\nname;id\n\nBob;3\ntotal;1\n"),
            "people/part-3.xlsx": xlsx(S=[["title"], ["id", "name"], [4, "Cy"], ["total", 1]]),
            "people/part-4.zip": zipped({"x.csv": b"title\nid,name\n-,Di\ntotal,1\n"}),
            "people/.hidden.csv": b"no\n",
            "other.csv": b"x\n",
        }
    )
    people = FileOptions(file=file, skip_first=1, skip_last=1, nulls=("-",))
    assert folder.open(people=people).schema().table_names == ("other", "people")
    rows = folder.rows("people", people=people)
    assert [(r["id"], r["name"], r["_bad"]) for r in rows] == [
        ("1", "Ada", None),
        (None, None, "ragged_row"),
        ("3", "Bob", None),
        ("4", "Cy", None),
        (None, "Di", None),
    ]
    assert [(r["_file"].removeprefix("people/part-")[0], divmod(r["_line"], PARTS)) for r in rows] == [
        ("1", (0, 3)),
        ("1", (0, 4)),
        ("2", (1, 4)),
        ("3", (2, 3)),
        ("4", (3, 3)),
    ]
    with folder.open(people=people).snapshot(["people"]) as taken:
        names = [f.name for f in taken.originals()]
        assert names == [f"people/part-{n}" for n in ("1.csv", "2.csv.gz", "3.xlsx", "4.zip")]
        folder.put({"people/part-2.csv.gz": gzip.compress(b"title\nname;id\nEve;3\nt;1\n")})
        with pytest.raises(Drift, match=r"part-2\.csv\.gz"):
            list(taken.read("people"))


def test_files_of_a_pattern_are_no_tables_of_their_own(folder: Folder) -> None:
    folder.put({"p-1.csv": b"a\n1\n", "p-2.csv": b"a\n2\n", "q.csv": b"a\n"})
    assert folder.open(p=FileOptions(file="p-*.csv")).schema().table_names == ("p", "q")
    assert folder.open(p=FileOptions(file="p-?.csv")).schema(["q"]).table_names == ("q",)
    one = folder.open(p=FileOptions(file="p-[1].csv")).schema().table("p")
    assert "_file" in one.column_names, "a pattern that happens to match one file gives the same columns"


def test_parts_of_json_lines_and_parquet(folder: Folder) -> None:
    folder.put(
        {
            "j/1.jsonl": b'{"a": 1, "b": "x"}\n',
            "j/2.jsonl": b'{"c": [1], "a": {"k": 2}}\n\n{"a": "t"}\n',
            "p/1.parquet": parquet(pa.table({"a": pa.array([1], pa.int32()), "b": ["x"]})),
            "p/2.parquet": parquet(pa.table({"b": ["y", None], "a": pa.array([2, None], pa.int32())})),
        }
    )
    options = {"j": FileOptions(file="j"), "p": FileOptions(file="p/*.parquet")}
    types = folder.open(**options).schema().table("j").types
    assert (types["a"].kind, types["b"].kind, types["c"].kind) == (Kind.JSON, Kind.TEXT, Kind.JSON)
    assert folder.values("j", **options) == [
        ("1", "x", None),
        ('{"k":2}', None, "[1]"),
        ('"t"', None, None),
    ]
    rows = folder.rows("p", **options)
    assert [(r["a"], r["b"]) for r in rows] == [(1, "x"), (2, "y"), (None, None)]
    assert [(r["_file"], r["_line"]) for r in rows] == [
        ("p/1.parquet", 1),
        ("p/2.parquet", PARTS + 1),
        ("p/2.parquet", PARTS + 2),
    ]


@pytest.mark.parametrize(
    ("files", "file", "words"),
    [
        (
            {"p-1.csv": b"a,b\n", "p-2.csv": b"a,c,d\n"},
            "p-*.csv",
            ["p-2.csv", "no column b", "c, d", "p-1.csv"],
        ),
        ({"p-1.csv": b"a,b\n", "p-2.csv": b"b\n"}, "p-*.csv", ["p-2.csv", "no column a"]),
        ({"p-1.csv": b"a\n", "p-2.csv": b"a,B\n"}, "p-*.csv", ["p-2.csv", "also B"]),
        ({"p-1.csv": b"a\n", "p-2.csv": b""}, "p-*.csv", ["p-2.csv", "empty"]),
        ({"p-1.csv": b"a\n", "p-2.jsonl": b'{"a": 1}'}, "p-*", ["p-2.jsonl", "another kind"]),
        ({"p-1.jsonl": b'{"a": 1}', "p-2.csv": b"a\n"}, "p-*", ["p-2.csv", "another kind"]),
        (
            {"p-1.parquet": parquet(pa.table({"a": [1]})), "p-2.parquet": parquet(pa.table({"a": ["x"]}))},
            "p-*",
            ["p-2.parquet", "another type of a"],
        ),
        ({"p-1.csv": b"a\n"}, "q-*.csv", ["q-*.csv", "no file matches", "p-1.csv"]),
        ({"p/readme.md": b"x"}, "p", ["exports/p", "no file that is a table"]),
        ({"p/1.csv": b"a\n", "p/2026/2.csv": b"a\n"}, "p", ["further folders (2026)", "p/**/*.csv"]),
        ({"people.csv": b"a\n"}, "peple.csv", ["peple.csv", "not there", "Did you mean people.csv"]),
        ({"p-1.jsonl": b'{"a": 1}'}, "p-*", ["skip_first"]),
        ({"p-1.csv": b"_file\n"}, "p-*", ["reserved: _file"]),
    ],
)
def test_parts_that_do_not_make_a_table(
    folder: Folder, files: dict[str, bytes], file: str, words: list[str]
) -> None:
    folder.put(files)
    options: dict[str, Any] = {"skip_first": 1} if words == ["skip_first"] else {}
    with pytest.raises(UsageError) as caught:
        folder.rows("t", t=FileOptions(file=file, **options))
    for word in words:
        assert word in str(caught.value), caught.value


def test_files_outside_the_folder_keep_names_that_lead_nowhere(folder: Folder) -> None:
    folder.put({"x.csv": b"a\n1\n", "../one/x.csv": b"a\n2\n", "../two/x.csv": b"a\n3\n"})
    outside = FileOptions(file="../[ot]*/x.csv")
    with folder.open(o=outside).snapshot(["o", "x"]) as taken:
        assert sorted(f.name for f in taken.originals()) == ["up/one/x.csv", "up/two/x.csv", "x.csv"]
    assert folder.values("o", o=outside) == [("2",), ("3",)]
