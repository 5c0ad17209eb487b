"""Each type of MariaDB out, into a scratch database, and equal; and what no Arrow type holds."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from migrate.arrow import layout
from migrate.connectors.mysql.target import MysqlTarget
from migrate.connectors.mysql.types import type_of
from migrate.errors import UsageError
from migrate.model import Kind

from tests import mariadb
from tests.connectors.mysql_world import assert_restored, filled, opened, scratch_of, values

UTC = dt.UTC
NINES = "9" * 35 + "." + "9" * 30
MARIADB_ONLY = ("uuid", "inet6")
# declared type → (kind it travels under, (SQL value, value found) …); every column also holds a NULL
TYPES: dict[str, tuple[Kind, list[tuple[str, Any]]]] = {
    "tinyint": (Kind.INT, [("-128", -128), ("127", 127)]),
    "tinyint(1)": (Kind.INT, [("1", 1), ("0", 0), ("-7", -7)]),
    "tinyint(3) unsigned": (Kind.INT, [("255", 255)]),
    "smallint": (Kind.INT, [("-32768", -32768)]),
    "smallint(5) unsigned": (Kind.INT, [("65535", 65535)]),
    "mediumint(8) unsigned zerofill": (Kind.INT, [("16777215", 16777215), ("7", 7)]),
    "int(10) unsigned": (Kind.INT, [("4294967295", 4294967295)]),
    "bigint": (Kind.INT, [(str(-(2**63)), -(2**63)), (str(2**63 - 1), 2**63 - 1)]),
    "bigint(20) unsigned": (Kind.INT, [(str(2**63 - 1), 2**63 - 1), ("0", 0)]),
    "bit(1)": (Kind.BOOL, [("b'1'", True), ("b'0'", False)]),
    "bit(12)": (Kind.INT, [("b'101010101010'", 0b101010101010)]),
    "decimal(10,2)": (Kind.DECIMAL, [("-0.01", Decimal("-0.01")), ("99999999.99", Decimal("99999999.99"))]),
    "decimal(65,30)": (Kind.DECIMAL, [(NINES, Decimal(NINES)), ("1e-30", Decimal("1e-30"))]),
    "decimal(65,0)": (Kind.DECIMAL, [("-" + "9" * 65, Decimal("-" + "9" * 65))]),
    "float": (Kind.FLOAT, [("16777217", 16777216.0), ("0.1", 0.10000000149011612), ("-3.4e38", -3.3999999521443642e38)]),
    "double": (Kind.FLOAT, [("0.1", 0.1), ("5e-324", 5e-324), ("-1.7976931348623157e308", -1.7976931348623157e308)]),
    "char(5)": (Kind.TEXT, [("'ab  '", "ab"), ("'  ab'", "  ab"), ("''", "")]),
    "varchar(20)": (Kind.TEXT, [("'ab  '", "ab  "), ("'a\\tb\\nc\\\\d\\0e'", "a\tb\nc\\d\0e"), ("'\\\\N'", "\\N")]),
    "text": (Kind.TEXT, [("'it''s \"x\"'", 'it\'s "x"'), ("'NULL'", "NULL"), ("''", "")]),
    "longtext": (Kind.TEXT, [("REPEAT('ä😀', 100000)", "ä😀" * 100000)]),
    "varchar(20) CHARACTER SET latin1": (Kind.TEXT, [("'Zoë €'", "Zoë €"), ("_latin1 0x81", "\x81")]),
    "varchar(20) CHARACTER SET utf8mb3": (Kind.TEXT, [("'größe 漢'", "größe 漢")]),
    "varchar(20) CHARACTER SET utf16": (Kind.TEXT, [("'😀ü'", "😀ü")]),
    "varchar(20) CHARACTER SET cp1251": (Kind.TEXT, [("'Привет'", "Привет")]),
    "enum('new','it''s','b\\\\c','1')": (Kind.TEXT, [("'it''s'", "it's"), ("'b\\\\c'", "b\\c"), ("'1'", "1")]),
    "set('a','b c','d''e')": (Kind.TEXT, [("'d''e,a'", "a,d'e"), ("''", "")]),
    "binary(4)": (Kind.BYTES, [("'a'", b"a\0\0\0"), ("X'FFFE5C0A'", b"\xff\xfe\\\n")]),
    "varbinary(20)": (Kind.BYTES, [("X'00095C0A0DFF27'", b"\x00\t\\\n\r\xff'"), ("''", b"")]),
    "blob": (Kind.BYTES, [("X'C3285C4E'", b"\xc3(\\N")]),
    "date": (Kind.DATE, [("'0001-01-01'", dt.date(1, 1, 1)), ("'9999-12-31'", dt.date(9999, 12, 31))]),
    "time": (Kind.TIME, [("'23:59:59'", dt.time(23, 59, 59)), ("'00:00:00'", dt.time(0))]),
    "time(6)": (Kind.TIME, [("'23:59:59.999999'", dt.time(23, 59, 59, 999999))]),
    "datetime": (Kind.TIMESTAMP, [("'2024-02-29 12:00:01'", dt.datetime(2024, 2, 29, 12, 0, 1))]),
    "datetime(6)": (Kind.TIMESTAMP, [("'0001-01-01 00:00:00.000001'", dt.datetime(1, 1, 1, 0, 0, 0, 1)), ("'9999-12-31 23:59:59.999999'", dt.datetime.max)]),
    "timestamp(6)": (Kind.TIMESTAMPTZ, [("'1970-01-01 00:00:01.5'", dt.datetime(1970, 1, 1, 0, 0, 1, 500000, UTC)), ("'2038-01-19 03:14:07'", dt.datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC))]),
    "timestamp": (Kind.TIMESTAMPTZ, [("'2024-03-31 02:30:00'", dt.datetime(2024, 3, 31, 2, 30, tzinfo=UTC))]),
    "year": (Kind.INT, [("2155", 2155), ("1901", 1901), ("0", 0)]),
    "json": (Kind.JSON, [("'{\"b\": 1.0,  \"a\": [null, \"ü\\\\\\\\n\"]}'", '{"b": 1.0,  "a": [null, "ü\\\\n"]}'), ("'null'", "null")]),
    MARIADB_ONLY[0]: (Kind.UUID, [("'6D71B252-C310-4AB3-AE1A-8FAE23938EC8'", "6d71b252-c310-4ab3-ae1a-8fae23938ec8")]),
    MARIADB_ONLY[1]: (Kind.OPAQUE, [("'2001:db8::ff00:42:8329'", "2001:db8::ff00:42:8329")]),
    # what no Arrow type of the column's own kind holds travels as text, or as a wider number
    "date COMMENT 'zero'": (Kind.TEXT, [("'0000-00-00'", "0000-00-00"), ("'2024-02-00'", "2024-02-00"), ("'2023-02-29'", "2023-02-29"), ("'2024-02-29'", "2024-02-29")]),
    "datetime COMMENT 'zero'": (Kind.TEXT, [("'0000-00-00 00:00:00'", "0000-00-00 00:00:00")]),
    "timestamp COMMENT 'zero'": (Kind.TEXT, [("'0000-00-00 00:00:00'", "0000-00-00 00:00:00")]),
    "time(3) COMMENT 'long'": (Kind.TEXT, [("'-00:00:00.001'", "-00:00:00.001"), ("'838:59:59'", "838:59:59.000")]),
    "bigint(20) unsigned COMMENT 'large'": (Kind.DECIMAL, [(str(2**64 - 1), Decimal(2**64 - 1)), ("1", Decimal(1))]),
    "bit(64)": (Kind.DECIMAL, [("0xFFFFFFFFFFFFFFFF", Decimal(2**64 - 1))]),
}  # fmt: skip


def types_of(url: str) -> dict[str, tuple[Kind, list[tuple[str, Any]]]]:
    """Those of this server: MySQL keeps JSON as values, whose text is its own."""
    if not mariadb.is_mysql(url):
        return TYPES
    kept = {d: t for d, t in TYPES.items() if d not in MARIADB_ONLY}
    kind, ((text, _), other) = kept["json"]
    return kept | {"json": (kind, [(text, '{"a": [null, "ü\\\\n"], "b": 1.0}'), other])}


@pytest.fixture
def every_type(my_database: str) -> str:
    """One table with a column per type, c0, c1 …; row 0 holds NULL in all of them."""
    types = types_of(my_database)
    columns = [
        f"c{i} {declared}" + (" NULL" if "timestamp" in declared else "") for i, declared in enumerate(types)
    ]
    columns = [
        c.replace(" COMMENT", " NULL COMMENT").removesuffix(" NULL") if "COMMENT" in c else c for c in columns
    ]
    rows = max(len(found) for _, found in types.values())
    inserts = ["INSERT INTO t (id) VALUES (0)"]
    for n in range(rows):
        chosen = [found[n % len(found)][0] for _, found in types.values()]
        inserts.append(f"INSERT INTO t VALUES ({n + 1}, {', '.join(chosen)})")
    filled(my_database, f"CREATE TABLE t (id int PRIMARY KEY, {', '.join(columns)})", *inserts)
    return my_database


@pytest.mark.promise(11)
@pytest.mark.promise(15)
def test_p15_every_type_is_read_exactly(every_type: str) -> None:
    with opened(every_type) as target:
        for i, (declared, (kind, found)) in enumerate(types_of(every_type).items()):
            type_, got = values(target, "t", f"c{i}")
            expected = [None, *(v for _, v in found)]
            assert (declared, type_.kind, got[: len(expected)]) == (declared, kind, expected)


@pytest.mark.promise(30)
def test_p30_every_type_is_restored_exactly(every_type: str) -> None:
    with opened(every_type) as source, scratch_of(every_type) as scratch:
        assert_restored(source, scratch, ["t"])


@pytest.mark.promise(30)
def test_p30_every_type_is_restored_exactly_without_local_files(
    every_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As INSERT statements, where either side forbids LOAD DATA LOCAL."""
    forbid_files(monkeypatch)
    with opened(every_type) as source, scratch_of(every_type) as scratch:
        assert_restored(source, scratch, ["t"])


def forbid_files(monkeypatch: pytest.MonkeyPatch) -> None:
    from migrate.connectors.mysql import session

    monkeypatch.setattr(session.Session, "load", lambda *_: pytest.fail("no file may be sent"))
    plain = session.Session.__init__

    def without(self: session.Session, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        self.takes_files = False

    monkeypatch.setattr(session.Session, "__init__", without)


def copied(target: MysqlTarget) -> list[int]:
    """Rows of `t` written into its twin `u` by a transaction; the ordinals that were refused."""
    declared = target.schema(["t", "u"])
    with target.snapshot(["t"]) as snapshot:
        rows = pa.Table.from_batches(list(snapshot.read("t")))
    transaction = target.begin()
    try:
        refused = transaction.insert(declared.table("u"), rows, stop_after=0)
        transaction.commit()
    finally:
        transaction.rollback()
    return [r.ordinal for r in refused]


@pytest.mark.fineprint(2)
@pytest.mark.parametrize("files", [True, False])
def test_f02_every_type_is_written_exactly(
    my_database: str, monkeypatch: pytest.MonkeyPatch, files: bool
) -> None:
    """By strict statements out of a staging table, filled by a file or by INSERTs."""
    plain = {d: t for d, t in types_of(my_database).items() if "COMMENT" not in d and d != "bit(64)"}
    columns = ", ".join(f"c{i} {d}{' NULL' if 'timestamp' in d else ''}" for i, d in enumerate(plain))
    chosen = [", ".join(found[n % len(found)][0] for _, found in plain.values()) for n in range(3)]
    filled(
        my_database,
        f"CREATE TABLE t (id int PRIMARY KEY, {columns})",
        "CREATE TABLE u LIKE t",
        "INSERT INTO t (id) VALUES (0)",
        *(f"INSERT INTO t VALUES ({n + 1}, {row})" for n, row in enumerate(chosen)),
    )
    if not files:
        forbid_files(monkeypatch)
    with opened(my_database) as target:
        assert copied(target) == []
        found = target.schema(["t", "u"])
        both = []
        for name in ("t", "u"):
            with target.snapshot([name]) as snapshot:
                both.append(pa.Table.from_batches(list(snapshot.read(name))).sort_by("id"))
        assert found.table("t").columns == found.table("u").columns
        assert both[0].equals(both[1])


@pytest.mark.promise(15)
def test_p15_types_without_an_exact_form_are_refused_by_name(my_database: str) -> None:
    filled(
        my_database,
        "CREATE TABLE places (id int PRIMARY KEY, spot point, name text)",
        "CREATE TABLE old (id int) ENGINE=MyISAM",
        "CREATE TABLE good (id int PRIMARY KEY)",
    )
    with opened(my_database) as target:
        with pytest.raises(UsageError) as caught:
            target.schema(["places", "good", "old"])
        assert "places.spot (point)" in str(caught.value)
        assert "old (a MyISAM table" in str(caught.value)
        found = target.schema()
        assert found.table_names == ("good",)
        assert len([n for n in found.not_carried if "cannot be carried" in n]) == 2
        with pytest.raises(UsageError), target.snapshot(["old"]):
            pytest.fail("a table without transactions has no snapshot")


@pytest.mark.promise(15)
def test_p15_texts_that_utf8_maps_to_others_are_refused_by_name(my_database: str) -> None:
    """In cp932 two codes are one character; an enum's error value is no label."""
    filled(
        my_database,
        "CREATE TABLE a (id int PRIMARY KEY, t varchar(10) CHARACTER SET cp932)",
        "INSERT INTO a VALUES (1, 0xFA54), (2, 0x81CA)",
        "CREATE TABLE b (id int PRIMARY KEY, e enum('x','y'))",
        "INSERT INTO b VALUES (1, 'nothing of it')",
    )
    with opened(my_database) as target:
        for table, column in (("a", "a.t"), ("b", "b.e")):
            with pytest.raises(UsageError) as caught, target.snapshot([table]):
                pytest.fail("it was carried")
            assert column in str(caught.value)


def test_every_declared_type_has_a_layout() -> None:
    for declared in TYPES:
        type_ = type_of(
            declared.partition(" CHARACTER")[0].partition(" COMMENT")[0], charset="utf8mb4", json=False
        )
        assert type_ is not None
        assert layout(type_) is not None
    assert type_of("geometry", charset=None, json=False) is None
    assert type_of("vector(3)", charset=None, json=False) is None
