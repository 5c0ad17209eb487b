"""Every value there and back: read in a snapshot, restored into a scratch database, compared by the server itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from migrate.arrow import DATE_INFINITY, TIMESTAMP_INFINITY, arrow_schema
from migrate.connectors.postgres.scratch import PostgresScratch, open_scratch
from migrate.connectors.postgres.target import open_database
from migrate.errors import UsageError
from migrate.model import Kind

from tests.services import has_extension

# type → values as SQL literals; nasty ones first. Each column also gets a NULL.
MATRIX: dict[str, tuple[str, ...]] = {
    "smallint": ("-32768", "32767", "0"),
    "integer": ("-2147483648", "2147483647"),
    "bigint": ("-9223372036854775808", "9223372036854775807", "9007199254740993"),
    "real": ("'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "1.1", "3.4028235e38", "1e-45"),
    "double precision": ("'NaN'", "'Infinity'", "'-0'", "0.1", "1.7976931348623157e308", "5e-324"),
    "numeric": (
        "'NaN'",
        "1e-20",
        "1e300",
        "0.00",
        "1.50",
        "1.5",
        "12345678901234567890123456789012345678.9",
        "-0.0001000",
    ),
    "numeric(12,2)": ("9999999999.99", "-0.01", "0", "1.5"),
    "numeric(38,10)": ("1234567890123456789012345678.0123456789", "-1e-10"),
    "numeric(70,5)": ("12345678901234567890123456789012345678901234567890123456789012345.12345", "-0.00001"),
    "numeric(200,1)": ("1e150", "-0.1"),
    "numeric(5,-2)": ("1234500", "-100"),
    "numeric(2,4)": ("0.0012", "-0.0099"),
    "boolean": ("true", "false"),
    "text": (
        "''",
        "'NULL'",
        "' x '",
        "E'a\\tb\\r\\nc\\\\d\"e''f'",
        "U&'\\+01F600'",
        "E'e\\u0301'",
        "'\\N'",
        "repeat('ü', 9000)",
    ),
    "character varying(3)": ("'abc'", "''", "'  '", "'äöü'"),
    "character(4)": ("'a'", "'abcd'", "''", "' a'"),
    "name": ("'abc'",),
    "bytea": ("'\\x'", "'\\x00ff5c27'", "'\\x00'"),
    "date": (
        "'0001-01-01'",
        "'4714-11-24 BC'",
        "'9999-12-31'",
        "'5874897-12-31'",
        "'1970-01-01'",
        "'1900-02-28'",
        "'2000-02-29'",
    ),
    "time without time zone": ("'00:00:00'", "'23:59:59.999999'", "'24:00:00'"),
    "timestamp without time zone": (
        "'4714-11-24 00:00:00 BC'",
        "'0044-03-15 12:00:00.000001 BC'",
        "'9999-12-31 23:59:59.999999'",
        "'2021-03-28 02:30:00'",
        "'1969-12-31 23:59:59.999999'",
    ),
    "timestamp with time zone": (
        "'2021-03-28 02:30:00+01'",
        "'1883-11-18 12:03:58-04:56:02'",
        "'9999-12-31 23:59:59.999999+00'",
        "'0001-01-01 00:00:00+00 BC'",
    ),
    "uuid": (
        "'00000000-0000-0000-0000-000000000000'",
        "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
    ),
    "json": ('\'{"b": 1,  "a":2, "a": 3}\'', "'null'", "'\"\\u00e4\"'", "'1e400'", "' [ ] '"),
    "jsonb": ('\'{"b": 1,  "a":2, "a": 3}\'', "'null'", "'123456789012345678901234567890.10'", "'\"ü\"'"),
    "interval": (
        "'1 mon 2 days 03:04:05.000006'",
        "'-1 year -1 day +00:00:01'",
        "'178000000 years'",
        "'00:00:00'",
    ),
    "inet": ("'192.168.0.1/24'", "'::1'", "'10.0.0.1'"),
    "cidr": ("'10.0.0.0/8'", "'2001:db8::/32'"),
    "macaddr": ("'08:00:2b:01:02:03'",),
    "macaddr8": ("'08:00:2b:01:02:03:04:05'",),
    "xml": ("'<a b=\"1\">ü</a>'", "'text only'"),
    "bit(3)": ("B'101'", "B'000'"),
    "bit varying(9)": ("B''", "B'1011'"),
    "time with time zone": ("'12:00:00+05:30'", "'24:00:00-11'"),
    "int4range": ("'[1,5)'", "'empty'", "'(,)'"),
    "tstzrange": ("'[2020-01-01 00:00+00,infinity)'",),
    "tsvector": ("'a:1A b:2'::tsvector",),
    "point": ("'(0.1,-1e300)'",),
    "polygon": ("'((0,0),(1,0.1),(1,1))'",),
    "pg_lsn": ("'16/B374D848'",),
    "integer[]": ("'{1,NULL,3}'", "'{}'"),
    "text[]": ("ARRAY['a,b','\"',NULL,'','NULL']", "'{}'"),
    "character varying(3)[]": ("ARRAY['abc',NULL]",),
    "character(3)[]": ("ARRAY['a',NULL]",),
    "numeric(5,1)[]": ("ARRAY[1.5,NULL]",),
    "numeric[]": ("ARRAY[1.50,1e-20]",),
    "boolean[]": ("ARRAY[true,NULL]",),
    "bytea[]": ("ARRAY['\\x00'::bytea,NULL]",),
    "date[]": ("ARRAY['2020-02-29'::date,NULL]",),
    "timestamp with time zone[]": ("ARRAY['2020-02-29 00:00+00'::timestamptz]",),
    "uuid[]": ("ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid,NULL]",),
    "jsonb[]": ("ARRAY['{\"a\": [1, 2]}'::jsonb,NULL]",),
    "inet[]": ("ARRAY['::1'::inet]",),
    "mood": ("'so so'", "'it''s \"ok\"'", "'Ü'"),
    "mood[]": ("ARRAY['so so','Ü']::mood[]",),
    "citext": ("'AbC'", "''"),
    "hstore": ("'a=>1, b=>NULL'",),
}
# Values whose mere presence changes how the whole column has to travel.
SURPRISES: dict[str, tuple[str, ...]] = {
    "numeric(12,2)": ("'NaN'", "1.50"),
    "date": ("'infinity'", "'-infinity'", "'2020-02-29'", "'0044-03-15 BC'"),
    "timestamp without time zone": (
        "'infinity'",
        "'-infinity'",
        "'2020-02-29 12:00:00.000001'",
        "'0044-03-15 12:00:00.000001 BC'",
    ),
    "timestamp with time zone": ("'infinity'", "'-infinity'", "'1883-11-18 12:03:58.000001-04:56:02'"),
    "integer[]": ("'{{1,2},{3,4}}'", "'[2:3]={7,8}'", "'{1}'"),
    "date[]": ("ARRAY['infinity'::date]", "ARRAY['2020-02-29'::date]"),
    "numeric(5,1)[]": ("ARRAY['NaN'::numeric]", "ARRAY[1.5]"),
}
PREPARE = """CREATE TYPE mood AS ENUM ('so so', 'it''s "ok"', 'Ü')"""
EXTENSIONS = ("citext", "hstore")


def prepared(url: str, columns: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Make the types; the columns without those that this server's build does not have."""
    missing = {name for name in EXTENSIONS if not has_extension(url, name)}
    with psycopg.connect(url) as connection:  # a build without libxml has the type and none of its values
        try:
            connection.execute("SELECT '<a/>'::xml")
        except psycopg.errors.FeatureNotSupported:
            missing.add("xml")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(PREPARE.encode())
        for name in EXTENSIONS:
            if name not in missing:
                connection.execute(f"CREATE EXTENSION {name}".encode())
    return {type_: values for type_, values in columns.items() if type_ not in missing}


@contextmanager
def scratch_on(url: str, tmp_path: Path, name: str) -> Iterator[PostgresScratch]:
    scratch = open_scratch(url, folder=tmp_path, name=name, run="run-1")
    try:
        yield scratch
    finally:
        scratch.drop()


def fill(url: str, table: str, columns: dict[str, tuple[str, ...]]) -> None:
    names = {type_: f'"c {i}"' for i, type_ in enumerate(columns)}
    with psycopg.connect(url, autocommit=True) as connection:
        declared = ", ".join(f"{name} {type_}" for type_, name in names.items())
        connection.execute(f"CREATE TABLE {table} (id serial PRIMARY KEY, {declared})".encode())
        for type_, values in columns.items():
            for value in values:
                connection.execute(f"INSERT INTO {table} ({names[type_]}) VALUES ({value})".encode())


def as_the_server_says(url: str, table: str) -> list[tuple[object, ...]]:
    """Bytes of the server's own binary output of every column, row by row."""
    with psycopg.connect(url) as connection:
        connection.execute("SET extra_float_digits = 3; SET timezone = 'UTC'")
        return connection.execute(f"SELECT t.*::text FROM {table} t ORDER BY id".encode()).fetchall()


@pytest.mark.promise(8)
@pytest.mark.promise(11)
@pytest.mark.promise(15)
def test_p15_p11_p8_every_type_reads_and_restores_exactly(pg_database: str, tmp_path: Path) -> None:
    columns = prepared(pg_database, MATRIX)
    fill(pg_database, "matrix", columns)
    database = open_database(pg_database)
    with (
        database.snapshot(["matrix"]) as snapshot,
        scratch_on(pg_database, tmp_path, pg_database[-8:] + "_s") as scratch,
    ):
        table = snapshot.schema.table("matrix")
        batches = list(snapshot.read("matrix"))
        assert all(b.schema == arrow_schema(table.columns) for b in batches)
        assert sum(b.num_rows for b in batches) == snapshot.count("matrix") == sum(map(len, columns.values()))
        scratch.restore_schema(snapshot.schema)
        scratch.restore_rows(table, iter(batches))
        scratch.restore_constraints(snapshot.schema)
        assert scratch.not_restored == []
        assert as_the_server_says(scratch._url, "matrix") == as_the_server_says(pg_database, "matrix")
        with scratch.snapshot(["matrix"]) as again:
            assert again.schema == snapshot.schema
            restored = pa.Table.from_batches(again.read("matrix")).sort_by("id")
            assert restored.equals(pa.Table.from_batches(batches).sort_by("id")) or _same(restored, batches)
    database.close()


def _same(restored: pa.Table, batches: list[pa.RecordBatch]) -> bool:
    """Equal where NaN equals itself, which Arrow's `equals` denies."""
    wanted = pa.Table.from_batches(batches).sort_by("id")
    return all(
        repr(a.to_pylist()) == repr(b.to_pylist())
        for a, b in zip(_plain(restored), _plain(wanted), strict=True)
    )


def _plain(table: pa.Table) -> list[pa.ChunkedArray[Any]]:
    views = {
        pa.date32(): pa.int32(),
        pa.timestamp("us"): pa.int64(),
        pa.timestamp("us", "UTC"): pa.int64(),
        pa.time64("us"): pa.int64(),
    }
    columns: list[Any] = [
        c.combine_chunks().view(views[c.type]) if c.type in views else c for c in table.columns
    ]
    return columns


@pytest.mark.promise(15)
def test_p15_infinities_nan_and_nested_arrays_are_exact(pg_database: str, tmp_path: Path) -> None:
    fill(pg_database, "odd", SURPRISES)
    database = open_database(pg_database)
    with (
        database.snapshot(["odd"]) as snapshot,
        scratch_on(pg_database, tmp_path, pg_database[-8:] + "_s") as scratch,
    ):
        types = {c.type.native: c.type for c in snapshot.schema.table("odd").columns}
        assert types["numeric(12,2)"].precision is None
        assert types["numeric(12,2)"].kind is Kind.DECIMAL
        assert types["integer[]"].kind is types["date[]"].kind is types["numeric(5,1)[]"].kind is Kind.OPAQUE
        rows = pa.Table.from_batches(snapshot.read("odd")).sort_by("id")
        dates = rows["c 1"].combine_chunks().view(pa.int32()).drop_null().to_pylist()
        assert dates == [DATE_INFINITY, -DATE_INFINITY, 18321, -735160]
        moments = rows["c 2"].combine_chunks().view(pa.int64()).drop_null().to_pylist()
        assert moments[:3] == [TIMESTAMP_INFINITY, -TIMESTAMP_INFINITY, 1582977600000001]
        scratch.restore_schema(snapshot.schema)
        scratch.restore_rows(snapshot.schema.table("odd"), snapshot.read("odd"))
        scratch.restore_constraints(snapshot.schema)
        assert as_the_server_says(scratch._url, "odd") == as_the_server_says(pg_database, "odd")
        with scratch.snapshot(["odd"]) as again:
            assert again.schema == snapshot.schema
    database.close()


@pytest.mark.promise(11)
@pytest.mark.promise(15)
@pytest.mark.parametrize("timezone", ["Pacific/Kiritimati", "America/New_York"])
@pytest.mark.promise(8)
def test_p8_p11_session_defaults_of_the_role_change_nothing(pg_database: str, timezone: str) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        name = connection.info.dbname
        for setting in (
            f"timezone = '{timezone}'",
            "datestyle = 'SQL, DMY'",
            "intervalstyle = 'iso_8601'",
            "bytea_output = 'escape'",
            "extra_float_digits = 0",
            "lc_monetary = 'C'",
        ):
            connection.execute(f'ALTER DATABASE "{name}" SET {setting}'.encode())
        connection.execute(
            "CREATE TABLE t AS SELECT date '2021-03-28' d, timestamp '2021-03-28 02:30' n, timestamptz '2021-03-28 01:30+00' z, "
            "interval '1 day' i, tstzrange('2020-01-01 00:00+00', NULL) r, 0.1::float8 f"
        )
    database = open_database(pg_database)
    with database.snapshot(["t"]) as snapshot:
        row = pa.Table.from_batches(snapshot.read("t")).to_pylist()[0]
    database.close()
    assert row["d"].isoformat() == "2021-03-28"
    assert row["n"].isoformat() == "2021-03-28T02:30:00"
    assert row["z"].isoformat() == "2021-03-28T01:30:00+00:00"
    assert (row["i"], row["r"], row["f"]) == ("1 day", '["2020-01-01 00:00:00+00",)', 0.1)


@pytest.mark.promise(15)
def test_p15_types_that_cannot_travel_are_refused_by_name(pg_database: str) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("CREATE TYPE pair AS (a int, b int)")
        connection.execute("CREATE TABLE bad (id int, price money, p pair, ps pair[])")
        connection.execute("CREATE TABLE good (id int)")
    database = open_database(pg_database)
    with pytest.raises(UsageError) as refused:
        database.schema(["bad", "good"])
    assert "bad.price (money)" in str(refused.value)
    assert "bad.p (public.pair)" in str(refused.value)
    assert "bad.ps (public.pair[])" in str(refused.value)
    everything = database.schema()
    assert everything.table_names == ("good",)
    assert any("bad.price (money)" in note for note in everything.not_carried)
    database.close()


@pytest.mark.promise(15)
def test_p15_timestamps_beyond_the_layout_are_refused(pg_database: str) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE late AS SELECT timestamp '294276-12-31 23:59:59.999999' AS at")
    database = open_database(pg_database)
    with pytest.raises(UsageError, match="294246"), database.snapshot(["late"]):
        pass
    database.close()


@pytest.mark.promise(6)
def test_p6_batches_are_bounded(pg_database: str) -> None:
    with psycopg.connect(pg_database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE wide AS SELECT i, repeat(md5(i::text), 3000) AS t FROM generate_series(1, 800) i"
        )
    database = open_database(pg_database)
    with database.snapshot(["wide"]) as snapshot:
        sizes = [(b.num_rows, b.nbytes) for b in snapshot.read("wide")]
    database.close()
    assert sum(rows for rows, _ in sizes) == 800
    assert len(sizes) > 3
    assert max(size for _, size in sizes) <= 16 << 20


@pytest.mark.promise(15)
@pytest.mark.parametrize("columns", [MATRIX, SURPRISES], ids=["matrix", "surprises"])
def test_p15_fetch_reads_as_the_snapshot_does(
    pg_database: str, make_pg_database: Callable[[], str], columns: dict[str, tuple[str, ...]]
) -> None:
    fill(pg_database, "t", prepared(pg_database, columns))
    database = open_database(pg_database)
    with database.snapshot(["t"]) as snapshot:
        table = snapshot.schema.table("t")
        wanted = pa.Table.from_batches(snapshot.read("t")).sort_by("id")
    transaction = database.begin()
    found = transaction.fetch(table, ["id"], wanted.select(["id"]), table.column_names).sort_by("id")
    transaction.rollback()
    database.close()
    assert found.schema == wanted.schema
    assert _same(found, wanted.to_batches())


@pytest.mark.promise(15)
@pytest.mark.parametrize("staging", [False, True], ids=["copy", "staging"])
def test_p15_insert_and_update_write_every_type_exactly(pg_database: str, staging: bool) -> None:
    columns = prepared(pg_database, MATRIX)
    fill(pg_database, "matrix", columns)
    database = open_database(pg_database)
    with database.snapshot(["matrix"]) as snapshot:
        table = snapshot.schema.table("matrix")
        rows = pa.Table.from_batches(snapshot.read("matrix"))
    before = as_the_server_says(pg_database, "matrix")
    transaction = database.begin()
    transaction.delete(table, ["id"], rows.select(["id"]))
    # one column at a time, so that most go through COPY; `staging` sends all together with one that needs a cast
    if staging:
        assert transaction.insert(table, rows, stop_after=0) == []
    else:
        first = [c.name for c in table.columns if not c.nullable]
        assert transaction.insert(table, rows.select(first), stop_after=0) == []
        for column in table.columns:
            if column.name not in first:
                assert (
                    transaction.update(table, ["id"], rows.select([*first, column.name]), stop_after=0) == []
                )
    transaction.commit()
    assert as_the_server_says(pg_database, "matrix") == before
    database.close()


@pytest.mark.fineprint(4)
def test_f4_each_type_alone_through_copy_or_staging(pg_database: str) -> None:
    """One table per type: whatever way `insert` chooses, the server says the same text."""
    columns = prepared(pg_database, MATRIX)
    for i, (type_, values) in enumerate(columns.items()):
        fill(pg_database, f"m{i}", {type_: values})
    database = open_database(pg_database)
    names = [f"m{i}" for i in range(len(columns))]
    transaction = database.begin()
    before = {name: as_the_server_says(pg_database, name) for name in names}
    with database.snapshot(names) as snapshot:
        for name in names:
            table = snapshot.schema.table(name)
            rows = pa.Table.from_batches(snapshot.read(name))
            transaction.delete(table, ["id"], rows.select(["id"]))
            assert transaction.insert(table, rows, stop_after=0) == [], table.columns[1].type.native
    transaction.commit()
    database.close()
    assert {name: as_the_server_says(pg_database, name) for name in names} == before
