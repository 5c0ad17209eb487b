"""Joins, shapes, queries and splits over whole runs: what arrives, and that every row of every table is accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from migrate.cli import views_plan
from migrate.report.terminal import console_on

from tests.runs import World, at_point, balance, bare, files, is_one_clear_paragraph, rows_per_part

SOURCE = [
    "CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, tel TEXT, mob TEXT, drugs TEXT)",
    "CREATE TABLE addr(aid INTEGER PRIMARY KEY, pid TEXT, kind TEXT, city TEXT, land INTEGER)",
    "CREATE TABLE lands(id INTEGER PRIMARY KEY, name TEXT)",
    "CREATE TABLE tags(pid INTEGER, name TEXT, prio INTEGER)",
    "CREATE TABLE cells(pid INTEGER, f TEXT, v TEXT)",
    "CREATE TABLE actions(id INTEGER PRIMARY KEY, type TEXT, body TEXT, n TEXT)",
    "CREATE TABLE audit(id INTEGER PRIMARY KEY, what TEXT)",
    "INSERT INTO people VALUES (1,'Ada','t1','m1','A; B ;;C'), (2,'Bob','t2','  ',NULL), (3,'Cy',NULL,NULL,' '), (4,'Di',NULL,'m4','Z')",
    "INSERT INTO addr VALUES (10,'1','home','Leeds',7), (11,'1','work','York',8), (12,'2','home','Hull',NULL), (13,NULL,'home','Nowhere',7)",
    "INSERT INTO lands VALUES (7,'England'), (8,'Wales')",
    "INSERT INTO tags VALUES (1,'t',3), (1,'s',5), (3,'q',NULL), (77,'r',1), (1,'t',3)",
    "INSERT INTO cells VALUES (1,'b','x'), (1,'b','x'), (1,'c','y'), (2,'b','p'), (2,'b','q'), (3,'zz','k'), (NULL,'b','k')",
    "INSERT INTO actions VALUES (1,'call','x',NULL), (2,'mail','y',NULL), (3,'workflow',NULL,NULL), (4,'fax','z','12'), (5,NULL,'q',NULL), (6,'call','w',NULL)",
    "INSERT INTO audit VALUES (1,'x')",
    "CREATE TABLE forgotten(id INTEGER)",
    "INSERT INTO forgotten VALUES (1), (2)",
    "CREATE TABLE hollow(id INTEGER)",
]
TARGET = [
    "CREATE TABLE contacts(id TEXT PRIMARY KEY, name TEXT NOT NULL, city TEXT, country TEXT, b TEXT)",
    "CREATE TABLE phones(id TEXT PRIMARY KEY, contact_id TEXT REFERENCES contacts(id), number TEXT NOT NULL, kind TEXT)",
    "CREATE TABLE drugs(id TEXT PRIMARY KEY, name TEXT NOT NULL)",
    "CREATE TABLE tags(id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE profiles(id TEXT PRIMARY KEY, b TEXT, c TEXT)",
    "CREATE TABLE stats(id TEXT PRIMARY KEY, n INTEGER, s INTEGER)",
    "CREATE TABLE calls(id TEXT PRIMARY KEY, body TEXT)",
    "CREATE TABLE mails(id TEXT PRIMARY KEY, body TEXT)",
]
ENTITIES = """
  contacts:
    from: people
    with:
      home: {table: addr, on: {id: pid}, where: "kind = 'home'", rows: one}
      land: {table: lands, on: {home.land: id}, rows: one_or_none}
      tag: {table: tags, on: {id: pid}, rows: any, order: [-prio]}
      more: {table: cells, on: {id: pid}, rows: one_or_none, pivot: {name: f, value: v, columns: [b, c]}}
    key: id
    into: contacts
    where: "home.city <> 'Hull'"
    fields: {name: name, city: home.city, country: land.name, b: more.b}
  phones:
    from: people
    explode: {number: [tel, mob], kind: [work, mobile]}
    key: [id, kind]
    into: phones
    fields: {contact_id: {from: id, ref: {to: contacts, missing: empty_and_flag}}, number: number, kind: kind}
  drugs: {from: people, explode: {split: drugs, on: ";"}, key: [id, slot], into: drugs, fields: {name: drugs}}
  tags: {from: tags, one_per: name, key: name, into: tags, fields: {name: name}}
  profiles:
    from: cells
    pivot: {per: pid, name: f, value: v, columns: [b, c]}
    key: pid
    into: profiles
    fields: {b: b, c: c}
  stats:
    query: SELECT p.id, count(*) AS n, sum(t.prio) AS s FROM people p JOIN tags t ON t.pid = p.id GROUP BY p.id
    key: id
    into: stats
    fields: {n: n, s: s}
  calls: {from: actions, key: id, into: calls, fields: {body: body}}
  mails: {from: actions, key: id, into: mails, fields: {body: body}}
"""
MORE = """
split:
  actions:
    leave_out: {pipeline: "type = 'workflow' AND body IS NULL", numbers: "CAST(n AS INTEGER) > 5"}
    calls: "type = 'call'"
    mails: "type = 'mail'"
    otherwise: quarantine
left_behind: {"aud*": nobody wants it}
"""


TABLES = ("contacts", "phones", "drugs", "tags", "profiles", "stats", "calls", "mails")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return bare(tmp_path, SOURCE, TARGET, ENTITIES, more=MORE)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, dict[str, Any]]:
    """A world after its run; nobody changes it."""
    world = bare(tmp_path_factory.mktemp("roads"), SOURCE, TARGET, ENTITIES, more=MORE)
    return world, world.run()


def figures(document: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Per entity: in, loaded, unchanged, quarantined, excluded."""
    names = ("in", "loaded", "unchanged", "quarantined", "excluded")
    return {e: tuple(balance(document, e)[n] for n in names) for e in document["balances"]}


@pytest.mark.promise(5)
def test_p5_rows_of_joins_and_shapes_arrive_and_are_accounted_for(
    done: tuple[World, dict[str, Any]],
) -> None:
    world, document = done
    assert figures(document) == {
        "contacts": (4, 1, 0, 2, 1),
        "phones": (8, 4, 0, 0, 4),
        "drugs": (7, 4, 0, 0, 3),
        "tags": (5, 4, 0, 0, 1),
        "profiles": (4, 2, 0, 1, 1),
        "stats": (2, 2, 0, 0, 0),
        "calls": (2, 2, 0, 0, 0),
        "mails": (1, 1, 0, 0, 0),
    }
    rows = world.target.rows
    assert rows("SELECT name, city, country, b FROM contacts") == [("Ada", "Leeds", "England", "x")]
    assert rows("SELECT number, kind, contact_id IS NULL FROM phones ORDER BY number") == [
        ("m1", "mobile", 0), ("m4", "mobile", 1), ("t1", "work", 0), ("t2", "work", 1),
    ]  # fmt: skip
    assert rows("SELECT name FROM drugs ORDER BY name") == [("A",), ("B",), ("C",), ("Z",)]
    assert rows("SELECT name FROM tags ORDER BY name") == [("q",), ("r",), ("s",), ("t",)]
    assert rows("SELECT b, c FROM profiles ORDER BY b DESC") == [("x", "y"), (None, None)]
    assert rows("SELECT n, s FROM stats ORDER BY n") == [(1, None), (3, 11)]
    assert {(r["entity"], r["key"], *r["codes"]) for r in world.quarantine()} == {
        ("contacts", '["3"]', "join_missing"),
        ("contacts", '["4"]', "join_missing"),
        ("profiles", '["2"]', "pivot_ambiguous"),
        ("actions", '["5"]', "no_road"),
    }
    lost = next(r for r in world.quarantine() if r["entity"] == "actions")
    assert lost["row"] == {"id": 5, "type": None, "body": "q", "n": None}


@pytest.mark.promise(2)
def test_p2_a_joined_value_that_changes_is_a_change_of_its_row(world: World) -> None:
    world.more = ""
    world.entities = ENTITIES.partition("  phones:")[0].replace(
        "into: contacts", "into: contacts\n    match: [name]"
    )
    assert figures(world.run())["contacts"] == (4, 1, 0, 2, 1)
    world.source.run(
        "UPDATE addr SET city = 'Bath' WHERE aid = 10", "UPDATE lands SET name = 'x' WHERE id = 8"
    )
    assert figures(world.run())["contacts"] == (4, 1, 0, 2, 1)
    assert world.target.rows("SELECT name, city FROM contacts") == [("Ada", "Bath")]
    assert figures(world.run())["contacts"] == (4, 0, 1, 2, 1)


@pytest.mark.promise(32)
def test_p32_parts_do_not_matter_for_shapes(
    world: World, done: tuple[World, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_per_part(monkeypatch, 2)
    assert figures(world.run()) == figures(done[1])
    for table in TABLES:
        query = f"SELECT * FROM {table} ORDER BY id"
        assert world.target.rows(query) == done[0].target.rows(query)


def test_a_join_that_would_multiply_stops_with_exit_3(world: World) -> None:
    world.entities = ENTITIES.replace(""", where: "kind = 'home'", rows: one}""", ", rows: one}")
    is_one_clear_paragraph(
        world.says(code=3),
        "home",
        "contacts",
        "1 row finds more than one row of addr",
        "pid 1: 2 rows",
        "rows: any",
    )
    assert world.target.one("SELECT count(*) FROM contacts") == 0


def test_too_many_rows_that_fit_no_road_stop_the_run(world: World) -> None:
    world.policy = "max_quarantine: 15%"
    world.entities = "".join(
        f"  {n}: {{from: actions, key: id, into: {n}, fields: {{body: body}}}}\n" for n in ("calls", "mails")
    )
    is_one_clear_paragraph(world.says(code=4), "1 of 6 rows of actions fit no road", "16.7%", "leave_out")
    assert [world.target.one(f"SELECT count(*) FROM {n}") for n in ("calls", "mails")] == [0, 0]


def test_postgres_to_postgres(tmp_path: Path, make_pg_database: Callable[[], str]) -> None:
    """Joins, exploded slots and a query over the types of a server: arrays, numeric without limits, dates."""
    source, target = make_pg_database(), make_pg_database()
    world = bare(tmp_path, [], [], "", target_url=target)
    world.source_url = source
    world.source = type(world.source)(source)
    world.source.run(
        "CREATE TABLE people(id bigint PRIMARY KEY, tel text, mob varchar(20), born date)",
        "CREATE TABLE extra(pid bigint, big numeric, many text[], since timestamptz)",
        "INSERT INTO people VALUES (1, 'a', 'b', 'infinity'), (2, NULL, 'c', '2001-02-03')",
        "INSERT INTO extra VALUES (1, 12345678901234567890123456789012345678901234567890.5, '{x,NULL}', '2020-01-01 00:00+00')",
    )
    world.target.run(
        "CREATE TABLE contacts(id bigint PRIMARY KEY, born date, big numeric, many text[], since timestamptz)",
        "CREATE TABLE phones(id uuid PRIMARY KEY, number text NOT NULL, slot integer NOT NULL)",
        "CREATE TABLE latest(id bigint PRIMARY KEY, since timestamptz, n integer)",
    )
    world.entities = """
  contacts:
    from: people
    with: {more: {table: extra, on: {id: pid}, rows: one_or_none}}
    key: id
    into: contacts
    fields: {id: id, born: born, big: more.big, many: more.many, since: more.since}
  phones: {from: people, explode: {number: [tel, mob]}, key: [id, slot], into: phones, fields: {number: number, slot: slot}}
  latest: {query: "SELECT pid AS id, max(since) AS since, count(*) AS n FROM extra GROUP BY pid", key: id, into: latest, fields: {id: id, since: since, n: n}}
"""
    document = world.run()
    assert document["state"] == "verified"
    assert world.target.rows(
        "SELECT id, born::text, big::text, many, since::date::text FROM contacts ORDER BY id"
    ) == [
        (1, "infinity", "12345678901234567890123456789012345678901234567890.5", ["x", None], "2020-01-01"),
        (2, "2001-02-03", None, None, None),
    ]
    assert world.target.rows("SELECT number, slot FROM phones ORDER BY number") == [
        ("a", 1),
        ("b", 2),
        ("c", 2),
    ]
    assert world.target.rows("SELECT id, n FROM latest") == [(1, 1)]


def report_of(world: World, run: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((world.run_folder(run) / "report.json").read_text())
    return document


@pytest.mark.promise(5)
def test_p5_every_table_of_the_source_is_accounted_for(done: tuple[World, dict[str, Any]]) -> None:
    world, document = done
    planned = world.command("plan", str(world.mapping), "--json").document
    said = StringIO()
    views_plan.plan(console_on(said, width=200), planned)
    for words in (
        "people: phones leaves out 4 (empty)",
        "addr: contacts.home uses 2 of 4 rows",
        "other names: zz (1)",
        "actions: left out, pipeline: 1",
    ):
        assert words in said.getvalue()
    report = report_of(world, document["run"])
    tables = report["tables"]
    names = planned["tables"]["cells"]["pivots"]["profiles"].pop("names")
    assert names == {"zz": 1}  # values of rows: for the eyes of who plans, not for a report
    assert planned["tables"]["cells"]["joins"]["contacts.more"].pop("names") == names
    for account in (tables["cells"]["pivots"]["profiles"], tables["cells"]["joins"]["contacts.more"]):
        assert account.pop("names") == 1
    assert planned["tables"] == tables
    assert tables["people"] == {
        "rows": 4,
        "roads": {"contacts": 4, "phones": 4, "drugs": 4},
        "excluded": {"contacts": {"where": 1}, "phones": {"empty": 4}, "drugs": {"empty": 3}},
        "queries": ["stats"],
    }
    assert tables["actions"] == {
        "rows": 6, "roads": {"calls": 2, "mails": 1}, "left_out": {"pipeline": 1, "numbers": 1}, "quarantined": 1,
    }  # fmt: skip
    assert tables["tags"]["joins"] == {"contacts.tag": {"rows": 5, "used": 3, "unused": 2}}
    assert tables["addr"] == {"rows": 4, "joins": {"contacts.home": {"rows": 4, "used": 2, "unused": 2}}}
    assert tables["cells"]["pivots"] == {"profiles": {"used": 5, "unused": 1, "empty": 1}}
    assert tables["cells"]["roads"] == {"profiles": 5}
    assert tables["audit"] == {"rows": 1, "left_behind": "nobody wants it"}
    assert tables["forgotten"] == {"rows": 2, "left_behind": None}
    assert tables["hollow"]["rows"] == 0
    assert report["joins"].keys() == {"contacts.home", "contacts.land", "contacts.tag", "contacts.more"}
    checked = {v["check"] for v in report["verdicts"] if v["check"].startswith("table ")}
    assert checked == {"table people", "table tags", "table cells", "table actions"}
    assert {q["entity"] for q in report["quarantine"]} >= {"actions"}
    told = [p["message"] for p in report["plan"]["problems"] if "nothing reads it" in p["message"]]
    assert told == ["forgotten has 2 rows and nothing reads it"]


def test_a_table_that_nothing_reads_stops_the_run_where_the_policy_says_so(world: World) -> None:
    world.policy = "max_quarantine: 100%, unmapped: error"
    text = world.says(code=3)
    is_one_clear_paragraph(text, "policy.unmapped says error", "left_behind")
    assert "audit" not in text
    world.more = MORE.replace(
        'left_behind: {"aud*": nobody wants it}', 'left_behind: {"people.*": x, "t*": x, "CELLS.v": x}'
    )
    assert "audit has 1 row and nothing reads it" in world.says(code=3)


def test_rows_that_vanish_from_a_road_are_missed(world: World) -> None:
    """A road's file without a row, and with a row of nowhere: the verdict on the table names both."""

    def damage() -> None:
        [path] = list((world.home / "runs").glob("*/roads/phones/part-00000.parquet"))
        rows = pq.read_table(path)
        base = rows["__base"].to_pylist()
        rows = rows.set_column(
            rows.column_names.index("__base"), "__base", [[99 if b == 2 else b for b in base]]
        )
        pq.write_table(rows, path)

    with at_point("verify.entity_read", damage):
        error = world.run(code=3)
    assert "table people" in error["message"]
    assert "phones: 1 rows are missing" in error["message"]


PEOPLE_CSV = (
    b"no;name;tel;kind\n"
    b"1;Ada;1,2;a\n"  # line 2
    b"2;Bob\n"  # 3: ragged
    b"3;Cy;-;b\n"  # 4: no number, for - is a NULL word
    b"4;Zoe;7,7,;-\n"  # 5: fits no road
    b"5;Ed;9;b\n"  # 6
)
CITY_CSV = b"who;city\n1;Leeds\n-;Nowhere\n5;Bath\n5;Bath;more\n"


@pytest.mark.promise(7)
def test_p7_roads_over_files_with_broken_records_and_null_words(tmp_path: Path) -> None:
    entities = """
  first: {from: people, key: line, into: first, fields: {name: name, line: line}}
  phones:
    from: people
    with: {home: {table: city, on: {no: who}, rows: one_or_none}}
    explode: {split: tel, on: ","}
    one_per: tel
    key: [no, slot]
    into: phones
    fields: {tel: tel, city: home.city}
"""
    more = """split: {people: {first: "kind = 'a'", phones: "kind = 'b' OR name = 'Di'", otherwise: quarantine}}"""
    content = {"people.csv": PEOPLE_CSV, "city.csv": CITY_CSV}
    target = [
        "CREATE TABLE first(id TEXT PRIMARY KEY, name TEXT, line INTEGER)",
        "CREATE TABLE phones(id TEXT PRIMARY KEY, tel TEXT NOT NULL, city TEXT)",
    ]
    world = files(tmp_path, content, target, entities, more=more, source_more=", nulls: ['-']")
    document = world.run()
    assert figures(document) == {"first": (1, 1, 0, 0, 0), "phones": (2, 1, 0, 0, 1)}
    assert world.target.rows("SELECT name, line FROM first") == [("Ada", 2)]
    assert world.target.rows("SELECT tel, city FROM phones") == [("9", "Bath")]
    lost = {r["line"]: (r["entity"], r["codes"], r["raw"]) for r in world.quarantine()}
    assert lost == {3: ("people", ["ragged_row"], "2;Bob"), 5: ("people", ["no_road"], None)}
    tables = report_of(world, document["run"])["tables"]
    assert tables["people"] == {
        "rows": 5,
        "roads": {"first": 1, "phones": 2},
        "excluded": {"phones": {"empty": 1}},
        "left_out": {},
        "quarantined": 2,
    }
    assert tables["city"]["joins"] == {"phones.home": {"rows": 4, "used": 1, "unused": 3, "unread": 1}}
    shown = world.command("quarantine", "show", "latest", "line:5", "--json")
    exported = world.command("quarantine", "export", "latest", str(tmp_path / "out"))
    assert shown.code == exported.code == 0, (shown.err, exported.err)
    assert "no_road" in shown.out
    assert "no_road" in (tmp_path / "out" / "people.csv").read_text()
