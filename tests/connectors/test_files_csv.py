"""Delimited text as a source: damage, encodings, dialects, NULL words, headers."""

from __future__ import annotations

import codecs
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from migrate.connectors.files.csv_text import count_csv, open_csv, read_csv
from migrate.connectors.files.options import FileOptions
from migrate.errors import UsageError

Row = dict[str, Any]


def shared(*names: str) -> Path:
    base = Path(os.environ.get("MIGRATE_SHARED", Path(__file__).parents[3] / "shared"))
    path = base.joinpath("data", *names)
    if not path.exists():
        pytest.skip(f"no shared test data: {path} is not there (set MIGRATE_SHARED)")
    return path


def rows_of(
    folder: Path, data: bytes, block: int = 8 << 20, name: str = "t.csv", **options: Any
) -> list[Row]:
    path = folder / name
    path.write_bytes(data)
    file = open_csv(path, FileOptions(**options))
    rows = [row for batch in read_csv(file, block=block) for row in batch.to_pylist()]
    counts = count_csv(file)
    assert (counts.records, counts.bad) == (len(rows), sum(r["_bad"] is not None for r in rows))
    for row in rows:  # broken rows have their bytes and no values, the others the other way round
        assert (row["_raw"] is None) == (row["_bad"] is None)
        if row["_bad"]:
            assert all(v is None for k, v in row.items() if not k.startswith("_"))
    return rows


def brief(rows: list[Row]) -> list[tuple[Any, ...]]:
    """(line, values…) of good rows, (line, code, raw) of broken ones."""
    return [
        (r["_line"], r["_bad"], r["_raw"])
        if r["_bad"]
        else (r["_line"], *(v for k, v in r.items() if not k.startswith("_")))
        for r in rows
    ]


@pytest.mark.parametrize(
    "case",
    [
        "comma_in_quotes",
        "empty",
        "empty_crlf",
        "escaped_quotes",
        "json",
        "newlines",
        "newlines_crlf",
        "quotes_and_newlines",
        "simple",
        "simple_crlf",
        "utf8",
    ],
)
def test_spectrum_cases_mean_what_their_json_says(case: str) -> None:
    path = shared("csv", "spectrum", "csvs", f"{case}.csv")
    expected = json.loads(shared("csv", "spectrum", "json", f"{case}.json").read_text())
    file = open_csv(path, FileOptions())
    rows = [r for b in read_csv(file) for r in b.select(list(file.names)).to_pylist()]
    assert rows == expected


def test_a_quote_inside_a_plain_field_is_a_character() -> None:
    path = shared("csv", "spectrum", "csvs", "location_coordinates.csv")
    (row,) = [r for b in read_csv(open_csv(path, FileOptions())) for r in b.to_pylist()]
    assert row["Location Coordinates"].startswith("37\ufffd36'37.8\"N 121")
    assert row["_bad"] is None


def test_wide_crm_exports_equal_the_csv_module() -> None:
    import csv

    for path in sorted(shared("crm_export").glob("*/*.csv")):
        file = open_csv(path, FileOptions())
        found = [list(r.values()) for b in read_csv(file) for r in b.to_pylist()]
        with path.open(newline="", encoding="utf-8-sig") as handle:
            header, *expected = [r for r in csv.reader(handle) if r]
        assert list(file.names) == header
        assert [r[:-3] for r in found] == expected
        assert all(r[-2] is None for r in found)


def test_naughty_strings_come_back_as_they_are(tmp_path: Path) -> None:
    strings = [s for s in json.loads(shared("contact", "naughty_strings.json").read_text()) if "\0" not in s]
    lines = [b"n,text"] + [b'%d,"%s"' % (i, s.replace('"', '""').encode()) for i, s in enumerate(strings)]
    rows = rows_of(tmp_path, b"\r\n".join(lines))
    assert [r["text"] for r in rows] == strings
    assert [r["n"] for r in rows] == [str(i) for i in range(len(strings))]


@pytest.mark.promise(17)
def test_p17_ragged_rows_are_neither_shifted_nor_padded(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, b"a,b,c\n1,2,3\n1,2\n1,2,3,4\n,,\n4,5,6,\n7,8,9\n")
    assert brief(rows) == [
        (2, "1", "2", "3"),
        (3, "ragged_row", b"1,2"),
        (4, "ragged_row", b"1,2,3,4"),
        (5, "", "", ""),
        (6, "ragged_row", b"4,5,6,"),
        (7, "7", "8", "9"),
    ]


@pytest.mark.promise(17)
def test_p17_null_words_are_stated(tmp_path: Path) -> None:
    data = b'a,b\n,""\nNULL,"NULL"\nnull, \n'
    values = [[(r["a"], r["b"]) for r in rows_of(tmp_path, data, nulls=n)] for n in ((), ("",), ("", "NULL"))]
    assert values[0] == [("", ""), ("NULL", "NULL"), ("null", " ")]
    assert values[1] == [(None, None), ("NULL", "NULL"), ("null", " ")]
    assert values[2] == [(None, None), (None, None), ("null", " ")]


@pytest.mark.promise(18)
def test_p18_text_first_nothing_is_guessed(tmp_path: Path) -> None:
    data = b"zip,phone,n,flag,date\n00123,+0049,1e5,TRUE,2021-01-02\n"
    rows = rows_of(tmp_path, data)
    assert brief(rows) == [(2, "00123", "+0049", "1e5", "TRUE", "2021-01-02")]


@pytest.mark.promise(7)
@pytest.mark.promise(10)
def test_p7_p10_every_broken_record_has_line_code_and_bytes(tmp_path: Path) -> None:
    data = b'a,b\r\n1,"x\r\ny"\r\n2,"bro"ken"\r\n3,n\0l\r\n4\r\n\r\n5,ok'
    assert brief(rows_of(tmp_path, data)) == [
        (2, "1", "x\r\ny"),
        (4, "bad_row", b'2,"bro"ken"'),
        (5, "nul_byte", b"3,n\0l"),
        (6, "ragged_row", b"4"),
        (8, "5", "ok"),
    ]


@pytest.mark.promise(19)
def test_p19_a_quote_that_swallows_the_file_costs_one_row(tmp_path: Path) -> None:
    good = b"".join(b"%d,x%d\n" % (i, i) for i in range(20_000))
    rows = rows_of(tmp_path, b"a,b\n" + good + b'bad,"never closed\n' + good)
    assert [(r["_line"], r["_bad"]) for r in rows if r["_bad"]] == [(20_002, "bad_row")]
    assert len(rows) == 40_001
    assert rows[-1]["b"] == "x19999"


@pytest.mark.promise(19)
def test_p19_fourteen_bad_lines_among_many(tmp_path: Path) -> None:
    lines = [b'%d,"name %d",%d' % (i, i, i % 7) for i in range(60_000)]
    for n, i in enumerate(range(1000, 57_000, 4000)):
        lines[i] = [b'1,"open,2', b"1,2", b"1,\xff,2", b'1,"a"b",2', b"1,\0,2"][n % 5]
    rows = rows_of(tmp_path, b"id,name,n\n" + b"\n".join(lines), encoding="utf-8")
    assert sum(r["_bad"] is not None for r in rows) == 14
    assert len(rows) == 60_000
    assert [r["_line"] for r in rows] == list(range(2, 60_002))


def test_the_rest_of_a_broken_record_is_not_taken_for_a_row(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, b'a,b\n1,"said "hi" to\nfoo,bar"\n2,x\n')
    assert brief(rows) == [
        (2, "bad_row", b'1,"said "hi" to'),
        (3, "bad_row", b'foo,bar"'),
        (4, "2", "x"),
    ]


@pytest.mark.promise(17)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_p17_the_result_does_not_depend_on_the_blocks_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    piece = st.sampled_from(["a", ",", '"', "\n", "\r", "é", "😀", "\0", '"x"', '"1,\n""2"', "1,2\n"])
    text = "a,b\n" + "".join(data.draw(st.lists(piece, max_size=30)))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32-le"]))
    raw = bytearray(text.encode(encoding))
    if data.draw(st.booleans()) and encoding == "utf-8":
        raw += b",\xff\n1,2\n"
    if encoding.startswith("utf-16") and data.draw(st.booleans()):
        raw += b"\x00"  # half a character
    folder = tmp_path_factory.mktemp("blocks")
    results = [
        rows_of(folder, bytes(raw), block, encoding=encoding, delimiter=",")
        for block in (1, 3, 7, 64, 8 << 20)
    ]
    assert all(r == results[0] for r in results)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_encodings_keep_the_original_bytes_of_bad_records(tmp_path: Path, encoding: str) -> None:
    unit = 2 if "16" in encoding else 4
    lone = (0xD800).to_bytes(unit, "little" if encoding.endswith("le") else "big")
    bad = "x".encode(encoding) + lone + ",é😀".encode(encoding)
    data = "a,b\né,😀\n".encode(encoding) + bad + "\n1,2\n3,".encode(encoding) + b"\x31" * (unit - 1)
    assert brief(rows_of(tmp_path, data, 5, encoding=encoding, delimiter=",")) == [
        (2, "é", "😀"),
        (3, "bad_encoding", bad),
        (4, "1", "2"),
        (5, "bad_encoding", "3,".encode(encoding) + b"\x31" * (unit - 1)),
    ]


def test_byte_order_marks_say_the_encoding(tmp_path: Path) -> None:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        rows = rows_of(tmp_path, mark + "naïve;b\n1;\ufeff2\n".encode(encoding))
        assert [(r["naïve"], r["b"]) for r in rows] == [("1", "\ufeff2")]
    with pytest.raises(UsageError, match="byte order mark of utf-8"):
        rows_of(tmp_path, codecs.BOM_UTF8 + b"a,b\n", encoding="cp1252")


def test_an_encoding_that_is_not_utf8_is_proposed_never_used(tmp_path: Path) -> None:
    data = "id,name\n1,Ada\n2,Zoë\n3,Ünal\n".encode("cp1252")
    with pytest.raises(UsageError, match=r"t\.csv:3: .*encoding: cp1252") as caught:
        rows_of(tmp_path, data)
    assert "Zo" not in str(caught.value)
    assert [r["name"] for r in rows_of(tmp_path, data, encoding="cp1252")] == ["Ada", "Zoë", "Ünal"]


@pytest.mark.parametrize(
    ("encoding", "bad"),
    [("utf-8", b"2,\xe9"), ("cp1252", b"2,\x81"), ("ascii", b"2,\xe9"), ("shift_jis", b"2,\x81")],
)
def test_records_that_do_not_decode_are_kept_as_bytes(tmp_path: Path, encoding: str, bad: bytes) -> None:
    rows = rows_of(tmp_path, b"a,b\n1,x\n" + bad + b"\n3,y\n" + bad + b"\n", encoding=encoding)
    assert brief(rows) == [(2, "1", "x"), (3, "bad_encoding", bad), (4, "3", "y"), (5, "bad_encoding", bad)]


@pytest.mark.parametrize("encoding", ["utf-7", "idna", "rot13", "hex", "no-such", "iso2022_jp"])
def test_encodings_that_cannot_be_read_are_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(UsageError, match="encoding"):
        rows_of(tmp_path, b"a,b\n1,2\n", encoding=encoding)


@pytest.mark.parametrize(
    ("data", "delimiter"),
    [
        (b"a,b;c,d\n1,2,3\n", ","),
        (b"name;note\nx;a, b, c\ny;d, e\n", ";"),
        (b"a\tb\n1,5\t2,5\n", "\t"),
        (b"a|b\n1|2\n", "|"),
        (b'"a,x";b\n"1,y";2\n', ";"),
        (b"only\n1,2\n", ","),
        (b"a;b;c\n1;2;3\n4;5\n6;7;8\n" + b"1;2;3\n" * 30, ";"),
    ],
)
def test_the_delimiter_is_proposed_from_consistency(tmp_path: Path, data: bytes, delimiter: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    assert open_csv(path, FileOptions()).dialect.delimiter == delimiter.encode()


def test_an_unclear_delimiter_is_asked_for(tmp_path: Path) -> None:
    data = b"last, first;phone\nDoe, John;1\n"
    with pytest.raises(UsageError, match="comma and semicolon"):
        rows_of(tmp_path, data)
    assert [r["phone"] for r in rows_of(tmp_path, data, delimiter=";")] == ["1"]


def test_stated_dialects(tmp_path: Path) -> None:
    assert brief(rows_of(tmp_path, b"a^b\n'x^y'^2\n", delimiter="^", quote="'")) == [(2, "x^y", "2")]
    assert brief(rows_of(tmp_path, b'a\tb\n"x\ty"\n', delimiter="tab", quote="none")) == [(2, '"x', 'y"')]
    assert brief(rows_of(tmp_path, b"a,x\tb\n1,\t2\n", name="t.tsv")) == [(2, "1,", "2")]
    many: tuple[dict[str, Any], ...] = (
        {"delimiter": "::"},
        {"delimiter": "é"},
        {"delimiter": '"'},
        {"quote": "''"},
        {"delimiter": "\n"},
    )
    for wrong in many:
        with pytest.raises(UsageError):
            rows_of(tmp_path, b"a,b\n", **wrong)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty"),
        (b"\n\r\n", "empty"),
        (codecs.BOM_UTF8, "empty"),
        (b"a,b,a\n", "more than once: a"),
        (b"a,,c\n1,2,3\n", "column 2 of 3"),
        (b"a,b,\n1,2,\n", "column 3 of 3"),
        (b"a,_line\n", "reserved: _line"),
        (b'a,"b\n', "broken"),
        ("a,b\n".encode("utf-16-le"), "utf-16"),
    ],
)
def test_headers_that_cannot_be_used_are_named(tmp_path: Path, data: bytes, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        rows_of(tmp_path, data)


def test_header_only_names_as_written_and_blank_lines(tmp_path: Path) -> None:
    assert rows_of(tmp_path, b"a,b") == []
    path = tmp_path / "t.csv"
    path.write_bytes(b'\n" A ","x, ""y""","l\n2"\n\n1,2,3\n\r\n \n')
    file = open_csv(path, FileOptions())
    assert file.names == (" A ", 'x, "y"', "l\n2")
    assert brief([r for b in read_csv(file) for r in b.to_pylist()]) == [
        (5, "1", "2", "3"),
        (7, "ragged_row", b" "),  # a blank is a byte: not a blank line
    ]
    counts = count_csv(file)
    assert (counts.records, counts.bad, counts.blank_lines) == (2, 1, 3)


def test_one_column_files_tell_blank_lines_from_empty_values(tmp_path: Path) -> None:
    assert [(r["_line"], r["a"]) for r in rows_of(tmp_path, b'a\n1\n\n""\n2')] == [
        (2, "1"),
        (4, ""),
        (5, "2"),
    ]


def test_batches_are_bounded_and_in_layout(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"%s,1\n" % (b"x" * 200) * 60_000)
    sizes = []
    for batch in read_csv(open_csv(path, FileOptions())):
        assert batch.schema.types == [pa.string(), pa.string(), pa.int64(), pa.string(), pa.binary()]
        sizes.append(batch.num_rows)
        assert batch.nbytes <= 16 << 20
    assert sum(sizes) == 60_000
    assert len(sizes) > 2


def test_a_long_quoted_value_is_kept_whole(tmp_path: Path) -> None:
    note = b"line\n" * 500_000
    rows = rows_of(tmp_path, b'a,b\n1,"' + note + b'"\n2,x\n')
    assert (rows[0]["b"].encode() == note, rows[1]["_line"]) == (True, 500_003)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("block", [1, 2, 3, 7, 8 << 20])
def test_lines_before_the_header_and_totals_at_the_end(tmp_path: Path, end: bytes, block: int) -> None:
    """Whatever the blocks; lines count from the first of the file, also those left out."""
    lines = [
        b'Report; "1 May',
        b"",
        b"a;b",
        b"1;x",
        b"",
        b'2;"y',
        b'z"',
        b"3",
        b"",
        b"Total;3",
        b"by me",
        b"",
    ]
    rows = rows_of(tmp_path, end.join(lines), block=block, skip_first=2, skip_last=2)
    assert brief(rows) == [(4, "1", "x"), (6, "2", (b"y" + end + b"z").decode()), (8, "ragged_row", b"3")]
    counts = count_csv(open_csv(tmp_path / "t.csv", FileOptions(skip_first=2, skip_last=2)))
    assert (counts.records, counts.bad) == (3, 1)


def test_more_lines_to_skip_than_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="empty after the 3 lines of skip_first"):
        rows_of(tmp_path, b"a,b\n1,2\n", skip_first=3)
    assert rows_of(tmp_path, b"a,b\n1,2\n", skip_last=1) == []
    with pytest.raises(UsageError, match=r"skip_last: 2.*only 1 row\."):
        rows_of(tmp_path, b"a,b\n1,2\n", skip_last=2)
