"""Values over whole runs: what the target declares is what arrives, and what is lost is said."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runs import Db, World, balance, bare, files, is_one_clear_paragraph, parquet_rows

DAYS = ["0001-01-01", "1582-10-15", "1900-02-28", "1969-12-31", "2021-03-28", "2024-02-29", "9999-12-31"]


@pytest.fixture(params=["Pacific/Auckland", "America/Los_Angeles", "UTC"])
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """This process lives in another time zone for the length of a test."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.promise(8)
def test_p8_dates_never_shift_by_a_day(tmp_path: Path, pg_database: str, zone: str) -> None:
    """Text, dates of SQLite and midnights to DATE and TEXT, in zones on both sides of Greenwich."""
    target = Db(pg_database)
    name = pg_database.rsplit("/", 1)[1]
    target.run(f"ALTER DATABASE \"{name}\" SET timezone TO '{zone}'")
    world = bare(
        tmp_path,
        [
            "CREATE TABLE people(id INTEGER PRIMARY KEY, born DATE, said TEXT, at TIMESTAMP)",
            *(f"INSERT INTO people VALUES ({i}, '{d}', '{d}', '{d} 00:00:00')" for i, d in enumerate(DAYS)),
        ],
        ["CREATE TABLE people(id INTEGER PRIMARY KEY, born DATE, said DATE, kept TEXT, at TIMESTAMP)"],
        "  people: {from: people, key: id, into: people, "
        "fields: {id: id, born: born, said: {from: said, do: [{date: [YYYY-MM-DD]}]}, kept: said, at: at}}\n",
        target_url=pg_database,
    )
    world.run()
    found = target.rows("SELECT born::text, said::text, kept, at::text FROM people ORDER BY id")
    assert found == [(d, d, d, f"{d} 00:00:00") for d in DAYS]


@pytest.mark.promise(8)
@pytest.mark.promise(11)
def test_p8_a_timestamp_without_a_zone_is_an_error_until_the_mapping_names_one(
    tmp_path: Path, pg_database: str
) -> None:
    world = bare(
        tmp_path,
        [
            "CREATE TABLE calls(id INTEGER PRIMARY KEY, at TIMESTAMP)",
            "INSERT INTO calls VALUES (1, '2024-01-15 12:00:00'), (2, '2024-07-15 12:00:00')",
        ],
        ["CREATE TABLE calls(id INTEGER PRIMARY KEY, at TIMESTAMPTZ, naive TIMESTAMP)"],
        "  calls: {from: calls, key: id, into: calls, fields: {id: id, at: at, naive: at}}\n",
        target_url=pg_database,
    )
    problems = world.run(code=2)["problems"]
    assert [p["where"].rsplit(":", 2)[0].endswith("m.yaml") for p in problems] == [True]
    assert "zone" in problems[0]["message"] + problems[0]["hint"]
    world.source_more = ", timezone: Europe/London"
    world.run()
    assert world.target.rows("SELECT (at AT TIME ZONE 'UTC')::text, naive::text FROM calls ORDER BY id") == [
        ("2024-01-15 12:00:00", "2024-01-15 12:00:00"),
        ("2024-07-15 11:00:00", "2024-07-15 12:00:00"),  # summer time
    ]


MATRIX = {
    "i2": ("smallint", "'-32768'"),
    "i4": ("integer", "2147483647"),
    "i8": ("bigint", "9007199254740993"),  # 2^53 + 1: no double holds it
    "f4": ("real", "'1.17549435e-38'"),
    "f8": ("double precision", "'5e-324'"),
    "d": ("numeric(38,10)", "'1234567890123456789012345678.0123456789'"),
    "n": ("numeric", "'1e-20'"),
    "b": ("boolean", "false"),
    "t": ("text", "E' padded \\t ' || chr(233) || chr(128512)"),
    "v": ("varchar(5)", "'00010'"),
    "by": ("bytea", "'\\x00ff00'"),
    "da": ("date", "'0001-01-01'"),
    "ti": ("time", "'23:59:59.999999'"),
    "ts": ("timestamp", "'2024-03-31 01:30:00.000001'"),
    "tz": ("timestamptz", "'2024-03-31 01:30:00.000001+00'"),
    "u": ("uuid", "'00000000-0000-0000-0000-00000000000a'"),
    "j": ("jsonb", '\'{"a": [1, null, "x"]}\''),
    "ar": ("text[]", "ARRAY['a', NULL, '']"),
    "ip": ("inet", "'10.0.0.1/8'"),
}


@pytest.mark.promise(11)
@pytest.mark.promise(15)
def test_p11_every_type_of_the_matrix_goes_through_a_whole_run_unchanged(
    tmp_path: Path, make_pg_database: Callable[[], str]
) -> None:
    source, target = Db(make_pg_database()), Db(make_pg_database())
    table = f"CREATE TABLE things(id integer PRIMARY KEY, {', '.join(f'{c} {t}' for c, (t, _) in MATRIX.items())})"
    source.run(
        table,
        f"INSERT INTO things VALUES (1, {', '.join(v for _, v in MATRIX.values())})",
        "INSERT INTO things(id) VALUES (2)",
        "INSERT INTO things(id, t, v, ar, n, f8) VALUES (3, '', '', '{}', 0.000, '-0')",
    )
    target.run(table)
    world = World(
        tmp_path,
        source,
        target,
        entities=f"  things: {{from: things, key: id, into: things, fields: {{id: id, {', '.join(f'{c}: {c}' for c in MATRIX)}}}}}\n",
        more=f"scratch: {{source: '{source.url}', target: '{target.url}'}}",
    )
    assert balance(world.run(), "things")["loaded"] == 3
    texts = f"SELECT id, {', '.join(f'{c}::text' for c in MATRIX)} FROM things ORDER BY id"
    assert target.rows(texts) == source.rows(texts)


@pytest.mark.promise(15)
def test_p15_numbers_keep_every_digit_and_a_lossy_cast_is_an_event_with_the_original(
    tmp_path: Path, pg_database: str
) -> None:
    world = bare(
        tmp_path,
        [
            "CREATE TABLE deals(id INTEGER PRIMARY KEY, amount TEXT, big INTEGER)",
            "INSERT INTO deals VALUES (1, '0.10', 9007199254740993), (2, '12345678901234.5678', -9223372036854775808), "
            "(3, '1.239', 3), (4, '12345678901234567890.00', 4)",
        ],
        ["CREATE TABLE deals(id INTEGER PRIMARY KEY, amount NUMERIC(18,2), exact NUMERIC, big BIGINT)"],
        "  deals: {from: deals, key: id, into: deals, "
        "fields: {id: id, amount: {from: amount, read_as: decimal}, exact: {from: amount, read_as: decimal}, big: big}}\n",
        target_url=pg_database,
    )
    # the default: a value that would lose digits stops the run
    is_one_clear_paragraph(world.says(code=3), "deals.amount", "loss", "Nothing was loaded")
    assert world.target.one("SELECT count(*) FROM deals") == 0
    world.policy += ", lossy: quarantine"
    world.run()
    assert world.codes("deals") == {'["2"]': ["lossy"], '["3"]': ["lossy"], '["4"]': ["type"]}
    assert world.target.rows("SELECT id, amount::text, exact::text, big FROM deals ORDER BY id") == [
        (1, "0.10", "0.10", 9007199254740993)
    ]
    world.policy = world.policy.replace("quarantine", "allow").replace("max_allow", "max_quarantine")
    run = world.run()["run"]
    assert world.target.rows("SELECT id, amount::text, exact::text, big FROM deals ORDER BY id") == [
        (1, "0.10", "0.10", 9007199254740993),
        (2, "12345678901234.57", "12345678901234.5678", -9223372036854775808),
        (3, "1.24", "1.239", 3),
    ]
    events = [
        e
        for path in (world.run_folder(run) / "transform" / "deals").glob("events-*.parquet")
        for e in parquet_rows(path)
    ]
    assert [(e["field"], e["code"], e["original"]) for e in events] == [
        ("amount", "lossy_allowed", "12345678901234.5678"),
        ("amount", "lossy_allowed", "1.239"),
    ]


@pytest.mark.promise(18)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_p18_leading_zeros_and_words_that_look_like_something_else_survive(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    """Column declared TEXT or without any type: what the file says is what arrives."""
    texts = [
        "007",
        "+44 020",
        "1e5",
        "NO",
        "true",
        "null",
        "2024-01-02",
        "0x10",
        "1_000",
        "٣",
        " 1 ",
        "-0",
        "NaN",
        "=1+1",
    ]
    data = "no,postcode\n" + "".join(f'{i:03d},"{t}"\n' for i, t in enumerate(texts))
    world = files(
        tmp_path,
        {"leads.csv": data.encode()},
        ["CREATE TABLE leads(id TEXT PRIMARY KEY, no TEXT, postcode VARCHAR(20))"],
        "  leads: {from: leads, key: no, into: leads, fields: {no: no, postcode: postcode}}\n",
        target_url=request.getfixturevalue("pg_database") if engine == "postgresql" else "",
    )
    world.run()
    assert world.target.rows("SELECT no, postcode FROM leads ORDER BY no") == [
        (f"{i:03d}", t) for i, t in enumerate(texts)
    ]
    assert world.command("trace", "latest", "leads", "007", "--json").document["source"]["postcode"] == "0x10"
