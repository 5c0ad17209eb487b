"""The two scanners against a third one that reads byte by byte, over any text and any cut into blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from migrate.connectors.files import scan as scanner
from migrate.connectors.files.bytes_in import Encoding
from migrate.connectors.files.csv_text import CsvFile, read_csv
from migrate.connectors.files.scan import CODES, Dialect, scan

COMMA = Dialect(b",", b'"')
Row = tuple[int, str | None, bytes, list[bytes] | None]  # line, code, raw bytes, values


def reference(data: bytes, dialect: Dialect, width: int, max_record: int, suspect: int) -> list[Row]:
    """The grammar of the scanner's docstring, one byte after the other."""
    rows: list[Row] = []
    pos, line, suspect_until = 0, 1, 0
    while pos < len(data):
        values, end, following, broken_at, stray = _record(data, pos, dialect)
        if broken_at is not None or end - pos > max_record:
            broken_at = min(broken_at if broken_at is not None else len(data), pos + max_record)
            suspect_until = max(suspect_until, broken_at + suspect)
        elif stray and pos < suspect_until:
            broken_at = pos
        if broken_at is not None:
            end = pos
            while end < len(data) and data[end] not in b"\r\n":
                end += 1
            following = end + (2 if data[end : end + 2] == b"\r\n" else 1 if end < len(data) else 0)
            rows.append((line, "bad_row", data[pos:end], None))
        elif end > pos:
            raw = data[pos:end]
            code = "nul_byte" if b"\0" in raw else "ragged_row" if width and len(values) != width else None
            rows.append((line, code, raw, None if code else values))
        text = data[pos:following]
        line += text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").count(b"\n")
        pos = following
    return rows


def _record(data: bytes, pos: int, dialect: Dialect) -> tuple[list[bytes], int, int, int | None, bool]:
    """Values, end, start of the next record, where it broke, and whether a plain field holds a quote."""
    values: list[bytes] = []
    stray = False
    quote = dialect.quote
    while True:
        value = b""
        if quote and data[pos : pos + 1] == quote:
            pos += 1
            while True:
                if pos >= len(data):
                    return values, pos, pos, pos, stray
                if data[pos : pos + 2] == quote * 2:
                    value, pos = value + quote, pos + 2
                elif data[pos : pos + 1] == quote:
                    pos += 1
                    break
                else:
                    value, pos = value + data[pos : pos + 1], pos + 1
            if pos < len(data) and data[pos : pos + 1] not in (dialect.delimiter, b"\r", b"\n"):
                return values, pos, pos, pos, stray
        else:
            while pos < len(data) and data[pos : pos + 1] not in (dialect.delimiter, b"\r", b"\n"):
                stray = stray or data[pos : pos + 1] == quote
                value, pos = value + data[pos : pos + 1], pos + 1
        values.append(value)
        if data[pos : pos + 1] == dialect.delimiter:
            pos += 1
            continue
        step = 2 if data[pos : pos + 2] == b"\r\n" else 1 if pos < len(data) else 0
        return values, pos, pos + step, None, stray


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


def scanned(data: bytes, size: int, dialect: Dialect, width: int, max_record: int) -> list[Row]:
    rows: list[Row] = []
    for found in scan(cut(data, size), dialect, width=width, name="t.csv", max_record=max_record):
        for i in range(len(found)):
            rows.append((int(found.lines[i]), CODES[found.codes[i]], found.raw(i), None))
    return rows


TEXTS = st.lists(
    st.sampled_from(
        [b"a", b"bb", b",", b'"', b'""', b"\n", b"\r", b"\r\n", b"\0", b" ", b'"x"', b'1,"y,\n"\n']
    ),
    max_size=40,
).map(b"".join)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so low that short texts cross them."""
    monkeypatch.setattr(scanner, "SUSPECT", 6)
    monkeypatch.setattr(scanner, "_CAREFUL_STRETCH", 5)
    monkeypatch.setattr(scanner, "_FIRST_WINDOW", 16)
    monkeypatch.setattr(scanner, "_WINDOW", 32)


@pytest.mark.promise(17)
@settings(max_examples=1500, deadline=None)
@given(TEXTS, st.sampled_from([1, 2, 3, 7, 20, 1000]), st.integers(0, 4), st.sampled_from([20, 1 << 20]))
@example(b'"a"\r', 4, 0, 20)
@example(b'1,"a\n2,b\n3,c\n', 3, 2, 1 << 20)
def test_p17_scanners_agree_with_the_grammar_in_any_blocks(
    data: bytes, size: int, width: int, max_record: int
) -> None:
    if any(len(line) > max_record for line in data.replace(b"\r", b"\n").split(b"\n")):
        max_record = 1 << 20
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("SUSPECT", 6), ("_CAREFUL_STRETCH", 5), ("_FIRST_WINDOW", 16), ("_WINDOW", 32)):
            patch.setattr(scanner, name, value)
        found = scanned(data, size, COMMA, width, max_record)
    expected = [row[:3] for row in reference(data, COMMA, width, max_record, 6)]
    assert [row[:3] for row in found] == expected


@pytest.mark.promise(17)
@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from([1, 5, 1000]), st.sampled_from([1, 2, 3]))
def test_p17_values_are_those_of_the_grammar(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int, width: int
) -> None:
    data = b",".join(b"c%d" % i for i in range(width)) + b"\n" + data
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(data)
    file = CsvFile(path, Encoding("utf-8"), COMMA, tuple(f"c{i}" for i in range(width)), ())
    found: list[Row] = []
    for batch in read_csv(file, block=size):
        for row in batch.to_pylist():
            values = [row[name] for name in file.names]
            good = row["_bad"] is None
            assert good or values == [None] * width
            found.append(
                (row["_line"], row["_bad"], row["_raw"], [v.encode() for v in values] if good else None)
            )
    expected = reference(data, COMMA, width, scanner.MAX_RECORD, scanner.SUSPECT)[1:]
    assert found == [(line, code, raw if code else None, values) for line, code, raw, values in expected]


def test_no_quoting_takes_quotes_as_they_are(tmp_path: Path) -> None:
    rows = scanned(b'a|"b\n"c|d"\n', 3, Dialect(b"|", None), 2, 1 << 20)
    assert [(r[0], r[1], r[2]) for r in rows] == [(1, None, b'a|"b'), (2, None, b'"c|d"')]


def test_a_line_longer_than_the_limit_is_refused_with_its_number() -> None:
    from migrate.errors import UsageError

    with pytest.raises(UsageError, match=r"t\.csv:2"):
        scanned(b"a,b\n" + b"x" * 50 + b"\n", 8, COMMA, 2, 20)
