"""Files inside gzip and zip: read as they would be unpacked, bounded, and kept as they are."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from migrate.connectors.files import packed
from migrate.connectors.files.bytes_in import raw_blocks
from migrate.connectors.files.options import FileOptions
from migrate.connectors.files.packed import Packed
from migrate.errors import Corrupt, Drift, MigrateError, Unreachable, UsageError

from tests.connectors.folder import Folder
from tests.connectors.spreadsheets import xlsx, zipped

CSV = b"id,name\n1,Ada\n\n2,two\n3,Zo\xc3\xab\n"
ROWS = [("1", "Ada"), ("2", "two"), ("3", "Zoë")]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def parquet(**columns: list[Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def test_packed_files_are_tables_like_the_files_inside(folder: Folder) -> None:
    several: dict[str, str | bytes] = {
        "docs/readme.md": "x",
        "in/people.csv": CSV,
        "in/more.csv": b"a\n",
        "__MACOSX/._x.csv": b"?",
    }
    members = gzip.compress(CSV[:10]) + gzip.compress(CSV[10:])  # one after the other is one file
    folder.put(
        {
            "a.csv.gz": members,
            "b.jsonl.gz": gzip.compress(b'{"id": 1, "name": "Ada"}\n'),
            "c.zip": zipped({"c 2026/any name.csv": CSV, ".DS_Store": b"x", "note.txt": "not a table"}),
            "d.csv.zip": zipped({"d.csv": CSV}),
            "e.zip": zipped({"t.xlsx": xlsx(S=[["id", "name"], [1, "Ada"]])}),
            "f.zip": zipped({"t.parquet": parquet(id=["1"], name=["Ada"])}),
            "g.zip": zipped(several),
            "photos.zip": zipped({"1.jpg": b"x"}),
            "u.csv.gz": gzip.compress("id\né\n".encode("utf-16")),
        }
    )
    assert folder.open().schema().table_names == ("a", "b", "c", "d", "e", "f", "u")
    for table in "acd":
        assert folder.values(table) == ROWS
        assert [r["_line"] for r in folder.rows(table)] == [2, 4, 5]
    for table in "bef":
        assert folder.values(table) == ROWS[:1]
    assert folder.values("u") == [("é",)]
    assert folder.values("people", people=FileOptions(file="g.zip", member="in/people.csv")) == ROWS


@pytest.mark.promise(16)
def test_the_packed_file_itself_is_kept_and_pinned(folder: Folder) -> None:
    data = gzip.compress(CSV)
    folder.put({"a.csv.gz": data})
    with folder.open().snapshot(["a"]) as taken:
        (kept,) = taken.originals()
        assert (kept.name, kept.bytes) == ("a.csv.gz", len(data))
        assert kept.sha256 == hashlib.sha256(data).hexdigest()
        folder.put({"a.csv.gz": gzip.compress(CSV.replace(b"Ada", b"Eve"))})
        with pytest.raises(Drift, match=r"a\.csv\.gz"):
            list(taken.read("a"))
        with pytest.raises(Drift, match=r"a\.csv\.gz"):
            taken.verify_unchanged()


def with_password(data: bytes) -> bytes:
    """The flag that says so, in both places."""
    content = bytearray(data)
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


BIG = b"id,name\n" + b"".join(b"%d,%x\n" % (i, i * i) for i in range(20_000))
LINE = b"0," * 500 + b"0\n"
TWO = zipped({"a.csv": CSV, "in/people.csv": CSV})


@pytest.mark.parametrize(
    ("name", "data", "options", "error", "words"),
    [
        ("t.zip", TWO, {}, UsageError, ["2 tables: a.csv, in/people.csv", "member: a.csv"]),
        ("t.zip", TWO, {"member": "people.csv"}, UsageError, ["no member people.csv", "in/people.csv"]),
        ("t.zip", zipped({"a.txt": b"x"}), {}, UsageError, ["no table", "a.txt"]),
        ("t.zip", zipped({"a.csv.gz": gzip.compress(CSV, mtime=0)}), {}, UsageError, ["no table"]),
        ("t.csv", CSV, {"member": "a.csv"}, UsageError, ["member is for a zip"]),
        ("t.csv.gz", gzip.compress(CSV, mtime=0)[:-9], {}, Corrupt, ["gzip", "not whole"]),
        ("t.csv.gz", gzip.compress(BIG, mtime=0)[:-90], {}, Corrupt, ["gzip", "not whole"]),
        ("t.csv.gz", flipped(gzip.compress(BIG, mtime=0), 30_000), {}, Corrupt, ["gzip", "damaged"]),
        ("t.csv.gz", CSV, {}, Corrupt, ["gzip", "damaged"]),
        ("t.zip", zipped({"a.csv": BIG})[:-30], {}, Corrupt, ["zip", "damaged"]),
        ("t.zip", flipped(zipped({"a.csv": BIG}), 30_000), {}, Corrupt, ["zip", "damaged"]),
        ("t.zip", b"no zip", {}, Corrupt, ["zip", "damaged"]),
        ("t.zip", with_password(zipped({"a.csv": CSV})), {}, Unreachable, ["password"]),
        (
            "t.csv.gz",
            gzip.compress(b"a,b\n1,2\n", mtime=0),
            {"sheet": "S"},
            UsageError,
            ["sheet is for spreadsheets"],
        ),
    ],
)
def test_packed_files_that_cannot_be_used(
    folder: Folder,
    name: str,
    data: bytes,
    options: dict[str, Any],
    error: type[MigrateError],
    words: list[str],
) -> None:
    folder.put({name: data})
    with pytest.raises(MigrateError) as caught:
        folder.rows("t", t=FileOptions(file=name, **options))
    assert type(caught.value) is error, caught.value
    for word in [name, *words]:
        assert word in str(caught.value), caught.value


@pytest.mark.parametrize("name", ["t.csv.gz", "t.zip"])
@pytest.mark.parametrize("text", [LINE * 900, BIG * 8, LINE * 5000], ids=["small", "real", "bomb"])
def test_a_bomb_is_refused_and_a_table_that_packs_well_is_not(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str, text: bytes
) -> None:
    monkeypatch.setattr(packed, "LIMIT", 1 << 20)
    data = gzip.compress(text) if name.endswith("gz") else zipped({"a.csv": text})
    folder.put({name: data})
    given: list[bytes] = []

    def read() -> None:
        place = Packed(folder.path / name, "" if name.endswith("gz") else "a.csv")
        given.extend(raw_blocks(place, 1 << 16))

    if text != LINE * 5000:
        read()
        assert b"".join(given) == text
        return
    with pytest.raises(UsageError, match="zip bomb"):
        read()
    assert sum(map(len, given)) <= packed.RATIO * len(data), "it stopped there"


def test_a_zip_packed_in_an_odd_way_is_read_or_told(folder: Folder) -> None:
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", method) as archive:
            archive.writestr("a.csv", CSV)
        folder.put({"t.zip": data.getvalue()})
        assert folder.values("t") == ROWS
    content = bytearray(zipped({"a.csv": CSV}))
    content[8] = content[content.index(b"PK\x01\x02") + 10] = 9  # deflate64
    folder.put({"t.zip": bytes(content)})
    with pytest.raises(UsageError, match="packed in a way"):
        folder.rows("t")
