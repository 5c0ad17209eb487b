"""Excel and OpenDocument sheets: the text of every cell, which rows are rows, and files that cannot be read."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import xlwt
from migrate.connectors.files import packed
from migrate.connectors.files.options import FileOptions
from migrate.connectors.files.spreadsheets.area import Area, areas_of_xlsx
from migrate.connectors.files.spreadsheets.cells import cell_text
from migrate.errors import Corrupt, MigrateError, Unreachable, UsageError

from tests.connectors.folder import Folder
from tests.connectors.spreadsheets import locked_xlsx, ods, raw_xlsx, xlsx, zipped

NULLS = FileOptions(nulls=("#N/A",))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def text(value: str) -> str:
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>'


HEAD = f"<row>{text('a')}{text('b')}</row>"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12.0, "12"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (19.989999999999998, "19.99"),  # what Excel writes for 19.99
        (1e-7, "0.0000001"),
        (1.5e-8, "1.5e-08"),
        (12345678901234567890.0, "12345678901234567000"),
        (1e300, "1e+300"),
        (7, "7"),
        (True, "true"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, 5, 600_000), "2026-01-02T03:04:05.600000"),
        (time(3, 4), "03:04:00"),
        (timedelta(hours=30, milliseconds=5), "30:00:00.005"),
        (timedelta(hours=-1.5), "-01:30:00"),
        (" 007 ", " 007 "),
        ("", None),
    ],
)
def test_the_text_of_a_cell(value: Any, expected: str | None) -> None:
    assert cell_text(value) == expected


@pytest.mark.promise(18)
def test_p18_cells_of_an_excel_file_keep_their_own_types(folder: Folder) -> None:
    rows = [
        f"<row>{text('007')}<c><v>12</v></c></row>",
        '<row><c s="1"><v>46024</v></c><c s="1"><v>46024.5</v></c></row>',
        '<row><c s="2"><v>0.25</v></c><c s="3"><v>1.25</v></c></row>',
        '<row><c t="b"><v>1</v></c><c t="d"><v>2026-01-02T03:04:05</v></c></row>',
        '<row><c t="s"><v>0</v></c><c t="str"><f>A1</f><v>é&amp;</v></c></row>',
        '<row r="9"><c r="A9" t="e"><v>#DIV/0!</v></c><c r="B9" t="e"><f>NA()</f><v>#N/A</v></c></row>',
        '<row><c s="1"><v>-5</v></c><c s="1"><v>60</v></c></row>',  # no days, though formatted as days
        '<row><c s="1"><v>59</v></c><c s="2"><v>0</v></c></row>',
    ]
    rich = '<si><r><t>rich </t></r><r><t xml:space="preserve"> text_x000D_</t></r><rPh><t>no</t></rPh></si>'
    folder.write(t__xlsx=raw_xlsx(HEAD + "".join(rows), shared=rich))
    assert folder.values("t", t=NULLS) == [
        ("007", "12"),
        ("2026-01-02", "2026-01-02T12:00:00"),
        ("06:00:00", "30:00:00"),
        ("true", "2026-01-02T03:04:05"),
        ("rich text\r", "é&"),
        ("#DIV/0!", None),
        ("-5", "1900-02-29"),
        ("1900-02-28", "00:00:00"),
    ]
    assert [r["_line"] for r in folder.rows("t")] == [2, 3, 4, 5, 6, 9, 10, 11]
    folder.write(t__xlsx=raw_xlsx(HEAD + rows[1], date_1904=True))
    assert folder.values("t") == [("2030-01-03", "2030-01-03T12:00:00")]


def test_xls_and_ods_give_what_xlsx_gives(folder: Folder) -> None:
    book, data = xlwt.Workbook(), io.BytesIO()
    sheet = book.add_sheet("S")
    days, hours = xlwt.easyxf(num_format_str="yyyy-mm-dd hh:mm:ss"), xlwt.easyxf(num_format_str="[h]:mm:ss")
    for row, values in enumerate([("a", "b"), ("007", 12), (1.5, True)]):
        for column, value in enumerate(values):
            sheet.write(row, column, value)
    sheet.write(3, 0, datetime(2026, 1, 2), days)
    sheet.write(3, 1, datetime(2026, 1, 2, 3, 4, 5), days)
    sheet.write(4, 0, 1.25, hours)
    sheet.row(4).set_cell_error(1, 42)
    sheet.write(5, 0, -5, days)
    book.save(data)

    def cell(kind: str, shown: str = "", **more: str) -> str:
        rest = "".join(f' {k.replace("_", ":", 1).replace("_", "-")}="{v}"' for k, v in more.items())
        return (
            f'<table:table-cell office:value-type="{kind}"{rest}><text:p>{shown}</text:p></table:table-cell>'
        )

    day = cell("date", "2.1.", office_date_value="2026-01-02") + cell(
        "date", "2.1.", office_date_value="2026-01-02T03:04:05"
    )
    error = cell(
        "string", "#N/A", office_string_value="", calcext_value_type="error", table_formula="of:=NA()"
    )
    lines = [
        cell("string", "a") + cell("string", "b"),
        cell("string", "007") + cell("float", "12,00", office_value="12"),
        cell("currency", "1,50 €", office_value="1.5") + cell("boolean", "WAHR", office_boolean_value="true"),
        day,
        cell("time", "30:00", office_time_value="PT30H00M00S") + error,
        cell("float", "-5", office_value="-5"),
    ]
    folder.write(
        x__xls=data.getvalue(), y__ods=ods("".join(f"<table:table-row>{r}</table:table-row>" for r in lines))
    )
    expected = [
        ("007", "12"),
        ("1.5", "true"),
        ("2026-01-02", "2026-01-02T03:04:05"),
        ("30:00:00", None),
        ("-5", None),
    ]
    assert folder.values("x", x=NULLS) == expected
    assert folder.values("y", y=NULLS) == expected


def test_ods_repeats_and_texts(folder: Folder) -> None:
    row = "<table:table-row{}>{}</table:table-row>"
    error = (
        '<table:table-cell table:number-columns-repeated="2" office:value-type="string" office:string-value=""'
        ' calcext:value-type="error"><text:p>#REF!</text:p></table:table-cell>'
    )
    tab = (
        '<table:table-cell office:value-type="string"><office:annotation><text:p>a note</text:p></office:annotation>'
        '<text:p>one<text:tab/>two<text:s text:c="2"/>x</text:p><text:p>y</text:p></table:table-cell>'
    )
    names = "".join(
        f'<table:table-cell office:value-type="string"><text:p>{n}</text:p></table:table-cell>' for n in "abc"
    )
    empty = row.format(
        ' table:number-rows-repeated="1000000"', '<table:table-cell table:number-columns-repeated="16384"/>'
    )
    repeated = row.format(' table:number-rows-repeated="2"', error + tab)
    folder.write(t__ods=ods(row.format("", names) + repeated + empty))
    assert folder.values("t") == [("#REF!", "#REF!", "one\ttwo  x\ny")] * 2


def test_which_rows_are_rows(folder: Folder) -> None:
    """Lines before the header, blank ones, a footer, a note beside the table, a merged cell, formats without content."""
    sheet: list[list[Any]] = [
        ["Export of 1 May"],
        [],
        [None, "id", "name"],
        [None, 1, "Ada"],
        [],
        [None, 2, None, None, "a note"],
        [None, 3],
        [None, None, "Total: 3"],
        [],
    ]
    folder.write(t__xlsx=xlsx(S=[[], *sheet]))
    with pytest.raises(UsageError, match=r"sheet S\):4: the header has no name for column 1 of 3"):
        folder.rows("t", t=FileOptions(skip_first=3))  # the title stands in column A
    folder.write(t__xlsx=xlsx(S=[[], [], *[r[1:] for r in sheet[2:]]]))
    rows = folder.rows("t", t=FileOptions(skip_last=1))
    assert [(r["id"], r["name"], r["_line"], r["_bad"], r["_raw"]) for r in rows] == [
        ("1", "Ada", 4, None, None),
        (None, None, 6, "ragged_row", b'["2", null, null, "a note"]'),
        ("3", None, 7, None, None),
    ]
    with pytest.raises(UsageError, match=r"skip_last: 9.*only 4 rows"):
        folder.rows("t", t=FileOptions(skip_last=9))
    folder.write(t__xlsx=xlsx(S=[["a", "b", "a"], [1, 2, 3]]))
    with pytest.raises(UsageError, match="more than once: a"):
        folder.rows("t")


def test_sheets_are_tables(folder: Folder) -> None:
    """One filled sheet: the file's name; several: one table each, unless the mapping names the one it means."""
    folder.write(
        one__xlsx=xlsx(Data=[["a"], [1]], Sheet2=[], Sheet3=[]),
        two__xlsx=xlsx(Sheet_1=[["a"], [2]], B=[["b"]]),
        two__csv=b"c\n",
    )
    folder.put({"~$two.xlsx": b"in use"})
    assert folder.open().schema().table_names == ("one", "two", "two.B", "two.Sheet 1")
    assert folder.open().schema(["two.B", "gone"]).table_names == ("two.B",)
    assert folder.values("two.Sheet 1", **{"two.Sheet 1": FileOptions(nulls=("2",))}) == [(None,)]
    named = FileOptions(file="two.xlsx", sheet="Sheet 1")
    assert folder.values("mine", mine=named) == [("2",)]
    with folder.open(mine=named, other=FileOptions(file="two.xlsx", sheet="B")).snapshot(
        ["mine", "other"]
    ) as taken:
        assert [(f.name, Path(f.path).name) for f in taken.originals()] == [("two.xlsx", "two.xlsx")]
    folder.path.joinpath("two.csv").unlink()
    assert folder.values("two", two=FileOptions(sheet="Sheet 1")) == [("2",)]


@pytest.mark.parametrize(
    ("data", "options", "error", "words"),
    [
        (xlsx(A=[["a"]], B=[["b"]]), {}, UsageError, ["2 sheets: A, B", 'sheet: "A"']),
        (xlsx(People=[["a"]]), {"sheet": "people "}, UsageError, ["no sheet 'people '", "'People'"]),
        (xlsx(A=[["a"]], B=[]), {"sheet": "B"}, UsageError, ["sheet B", "empty"]),
        (xlsx(A=[]), {}, UsageError, ["no sheet with anything"]),
        (xlsx(A=[["a"]]), {"skip_first": 1}, UsageError, ["empty after the 1 rows"]),
        (
            raw_xlsx(HEAD + "<row/><row><c><f>1+1</f><v></v></c></row>"),
            {},
            UsageError,
            ["A3", "formula", "Open"],
        ),
        (b"<html><table><tr><td>a</td></tr></table>", {}, UsageError, ["HTML"]),
        (b"a\tb\n1\t2\n", {}, UsageError, ["plain text", ".csv"]),
        (b"", {}, UsageError, ["empty"]),
        (locked_xlsx(), {}, Unreachable, ["password"]),
        (xlsx(A=[["a"]])[:-200], {}, Corrupt, ["damaged"]),
        (b"\x00\x01\x02", {}, Corrupt, ["no spreadsheet"]),
        (zipped({"a.txt": "x"}), {}, Corrupt, ["a part that is not there"]),
        (raw_xlsx(HEAD).replace(b"worksheet", b"workshoot"), {}, Corrupt, ["a part that is not there"]),
        (raw_xlsx("<row><c t='s'><v>7</v></c></row>"), {}, Corrupt, ["damaged"]),
    ],
)
def test_spreadsheets_that_cannot_be_used(
    folder: Folder, data: bytes, options: dict[str, Any], error: type[MigrateError], words: list[str]
) -> None:
    folder.write(t__xlsx=data)
    with pytest.raises(MigrateError) as caught:
        folder.rows("t", t=FileOptions(file="t.xlsx", **options))
    assert type(caught.value) is error, caught.value
    for word in ["t.xlsx", *words]:
        assert word in str(caught.value)


def test_an_xls_with_a_password(folder: Folder) -> None:
    book, data = xlwt.Workbook(), io.BytesIO()
    book.add_sheet("S").write(0, 0, "a")
    book.save(data)
    content = bytearray(data.getvalue())
    at = content.index(b"\x09\x08\x10\x00") + 20  # behind the first record
    content[at : at + 2] = b"\x2f\x00"  # FILEPASS
    folder.write(t__xls=bytes(content))
    with pytest.raises(Unreachable, match="password"):
        folder.rows("t")


def test_a_spreadsheet_unpacks_to_so_much_and_no_more(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sizes that a zip states are not believed."""
    from migrate.connectors.files.spreadsheets import area

    data = raw_xlsx(HEAD + "<row/>" * 100_000)
    folder.write(t__xlsx=data)
    monkeypatch.setattr(area, "LIMIT", 500_000)
    assert packed.LIMIT == 1 << 30
    with pytest.raises(UsageError, match="unpacks to more than"):
        folder.rows("t")


def test_how_far_a_sheet_reaches() -> None:
    """As libraries write it, with their namespaces; without addresses; with a prefix; with single quotes."""
    bare = "<row><c/><c><v>1</v></c></row><row/>"
    prefixed = '<x:row r="7"><x:c r="AB7"/></x:row>'
    quoted = "<row r='3'><c s='1' r='C3'/></row>"
    data = {
        xlsx(One=[["a", "b"], [1]]): Area(2, 2),
        raw_xlsx(bare): Area(2, 2),
        raw_xlsx(prefixed): Area(7, 28),
        raw_xlsx(quoted): Area(3, 3),
        raw_xlsx(""): Area(),
    }
    for content, area in data.items():
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert areas_of_xlsx(archive) == {"xl/worksheets/sheet1.xml": area}


FAR_OUT = [
    '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>',
    '<row r="2"><c r="XFD1048576"><v>1</v></c></row>',
    '<row r="1000000"><c r="AE1000000" t="s"><v>0</v></c></row>',
    "<row r='9'><c r='ZZZZ9'/></row><row r='999999'/>",
]


@pytest.mark.parametrize("row", FAR_OUT)
def test_a_value_far_out_does_not_take_all_the_memory(folder: Folder, row: str) -> None:
    folder.write(t__xlsx=raw_xlsx(HEAD + row))
    with pytest.raises(UsageError, match=r"t\.xlsx: the sheet S reaches as far as cell [A-Z]+[\d,]+: "):
        folder.rows("t")
    cell = (
        '<table:table-cell office:value-type="float" office:value="1"{}><text:p>1</text:p></table:table-cell>'
    )
    many = f'<table:table-row table:number-rows-repeated="1000000">{cell.format("")}</table:table-row>'
    wide = f"<table:table-row>{cell.format(' table:number-columns-repeated=' + chr(34) + '16384' + chr(34))}</table:table-row>"
    folder.write(t__ods=ods(many + wide))
    folder.path.joinpath("t.xlsx").unlink()
    with pytest.raises(UsageError, match=r"cell XFD1,000,001: 16,384,016,384 cells"):
        folder.rows("t")


def test_a_long_sheet_is_read(folder: Folder) -> None:
    """Cells without an address, in many rows, across the blocks that the file is looked through in."""
    row = "<row>{}</row>"
    lines = "".join(row.format(f"<c><v>{n}</v></c>{text('x' * 40)}") for n in range(20_000))
    folder.write(t__xlsx=raw_xlsx(HEAD + lines + row.format('<c t="e"><v>#N/A</v></c>')))
    rows = folder.rows("t")
    assert (len(rows), rows[-2]["a"], rows[-1]["a"], rows[-1]["_line"]) == (20_001, "19999", "#N/A", 20_002)
