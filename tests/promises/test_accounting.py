"""Every row is accounted for, over whole runs: balance, quarantine with its origin, good rows survive bad ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs import (
    ACCOUNTS,
    Db,
    World,
    balance,
    files,
    is_one_clear_paragraph,
    parquet_rows,
    rows_per_part,
    small,
)

LEADS = "CREATE TABLE leads(id TEXT PRIMARY KEY, name TEXT NOT NULL, city TEXT, note TEXT)"
SAID = ", encoding: utf-8, nulls: ['']"
LEADS_MAPPED = """
  leads:
    from: leads
    key: no
    into: leads
    where: "city IS NULL OR city <> 'Ghost Town'"
    fields: {name: {from: name, check: [required, {max_length: 20}]}, city: city, note: note}
"""
MESSY = (
    b"no,name,city,note\n"
    b"1,Ada,Leeds,\n"  # line 2
    b"2,Bob\n"  # 3: ragged
    b'3,"Cy,\nwith a break",York,x\n'  # 4 and 5
    b"4,D\xff\xfe,Hull,x\n"  # 6: not UTF-8
    b"5,E\x00ve,Hull,x\n"  # 7: NUL
    b"6,,Bath,x\n"  # 8: name is required
    b"7,Much too long a name for this,Bath,x\n"  # 9
    b"8,Casper,Ghost Town,x\n"  # 10: left out
    b"1,Ada again,Leeds,x\n"  # 11: key not unique, with line 2
    b"9,Fay,Leeds,x,extra\n"  # 12: ragged
    b"10,Gus,Leeds,fine\n"  # 13
)


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, dict[str, object]]:
    folder = tmp_path_factory.mktemp("messy")
    world = files(folder, {"leads.csv": MESSY}, [LEADS], LEADS_MAPPED, source_more=SAID)
    return world, world.run()


@pytest.mark.promise(5)
@pytest.mark.promise(10)
def test_p5_the_counts_add_up_from_persisted_rows(messy: tuple[World, dict[str, object]]) -> None:
    world, document = messy
    assert balance(document, "leads") == {
        "in": 11, "loaded": 2, "unchanged": 0, "merged": 0, "quarantined": 8, "excluded": 1,
    }  # fmt: skip
    assert world.target.rows("SELECT name FROM leads ORDER BY name") == [("Cy,\nwith a break",), ("Gus",)]
    # the same figures from the files that the run left behind, not from what it printed
    folder = world.run_folder(str(document["run"]))
    ended = [
        row["rid"]
        for name in ("quarantine.parquet", "excluded-00000.parquet", "settled.parquet")
        for row in parquet_rows(folder / "transform" / "leads" / name)
    ]
    assert sorted(ended) == list(range(11))


@pytest.mark.promise(7)
def test_p7_every_quarantined_row_has_line_bytes_rule_and_code(
    messy: tuple[World, dict[str, object]],
) -> None:
    world, _ = messy
    rows = world.quarantine()
    found = {r["line"]: (r["codes"], r["key"]) for r in rows}
    assert found == {
        2: (["key_not_unique"], '["1"]'),
        3: (["ragged_row"], None),
        6: (["bad_encoding"], None),
        7: (["nul_byte"], None),
        8: (["required"], '["6"]'),
        9: (["max_length"], '["7"]'),
        11: (["key_not_unique"], '["1"]'),
        12: (["ragged_row"], None),
    }
    raw = {r["line"]: r["raw"] for r in rows if r["raw"] is not None}
    assert {line: text.rstrip("\n") for line, text in raw.items()} == {
        3: "2,Bob",
        6: "4,D\\xff\\xfe,Hull,x",
        7: "5,E\x00ve,Hull,x",
        12: "9,Fay,Leeds,x,extra",
    }
    whole = next(r for r in rows if r["line"] == 9)
    assert whole["row"] == {
        "no": "7",
        "name": "Much too long a name for this",
        "city": "Bath",
        "note": "x",
    }
    assert all(r["reasons"] and r["stage"] == "transform" for r in rows)


@pytest.mark.promise(10)
def test_p10_nothing_is_discarded_and_a_fix_at_the_source_brings_the_row_in(tmp_path: Path) -> None:
    world = files(tmp_path, {"leads.csv": MESSY}, [LEADS], LEADS_MAPPED, source_more=SAID)
    world.run()
    loaded = world.target.rows("SELECT * FROM leads ORDER BY id")
    mended = MESSY.replace(b"2,Bob\n", b"2,Bob,Hull,\n").replace(b"6,,Bath", b"6,Flo,Bath")
    (tmp_path / "exports" / "leads.csv").write_bytes(mended)
    document = world.run()
    assert balance(document, "leads") == {
        "in": 11, "loaded": 2, "unchanged": 2, "merged": 0, "quarantined": 6, "excluded": 1,
    }  # fmt: skip
    assert set(loaded) < set(world.target.rows("SELECT * FROM leads ORDER BY id"))
    names = [n for (n,) in world.target.rows("SELECT name FROM leads ORDER BY name")]
    assert names == ["Bob", "Cy,\nwith a break", "Flo", "Gus"]


@pytest.mark.promise(19)
def test_p19_good_rows_survive_and_a_threshold_stops_before_anything_is_loaded(tmp_path: Path) -> None:
    lines = [f"{n},Name {n},Leeds,x" if n % 100 else f"{n},broken" for n in range(1, 1401)]
    data = ("no,name,city,note\n" + "\n".join(lines) + "\n").encode()
    world = files(tmp_path, {"leads.csv": data}, [LEADS], LEADS_MAPPED, policy="max_quarantine: 0.9%")
    is_one_clear_paragraph(
        world.says(code=4), "14 of 1400", "1.0%", "0.9%", "leads", "Nothing was loaded", "quarantine list"
    )
    assert world.target.one("SELECT count(*) FROM leads") == 0
    assert len(world.quarantine()) == 14  # there to be looked at although the run stopped
    planned = world.command("plan", str(world.mapping), "--json")
    assert (planned.code, planned.document["exit_code"]) == (4, 4)
    world.policy = "max_quarantine: 1%"
    assert world.command("plan", str(world.write())).code == 0
    assert balance(world.run(), "leads")["loaded"] == 1386
    assert world.target.one("SELECT count(*) FROM leads") == 1386


@pytest.mark.promise(17)
def test_p17_empty_and_null_are_two_things_unless_the_mapping_says_so(tmp_path: Path) -> None:
    data = b'no,name,city,note\n1,a,,x\n2,b,"",x\n3,c,NULL,x\n4,d,N/A,x\n'
    world = files(tmp_path, {"leads.csv": data}, [LEADS], LEADS_MAPPED, source_more=", nulls: [NULL]")
    world.run()
    assert world.target.rows("SELECT name, city FROM leads ORDER BY name") == [
        ("a", ""),
        ("b", ""),
        ("c", None),
        ("d", "N/A"),
    ]


@pytest.mark.promise(17)
@pytest.mark.promise(32)
def test_p17_p32_parts_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand rows of one and the same timestamp, cut into parts of 64 rows: all arrive, once, in the right cells."""
    rows_per_part(monkeypatch, 64)
    source = Db(f"sqlite:///{tmp_path}/source.db")
    target = Db(f"sqlite:///{tmp_path}/target.db")
    source.run("CREATE TABLE calls(id INTEGER PRIMARY KEY, name TEXT, at TEXT)")
    source.fill("calls", [(n, "" if n % 7 == 0 else f"call {n}", "2024-05-01 12:00:00") for n in range(1000)])
    target.run("CREATE TABLE calls(id INTEGER PRIMARY KEY, name TEXT NOT NULL, at TIMESTAMP)")
    world = World(
        tmp_path,
        source,
        target,
        entities="  calls: {from: calls, key: id, into: calls, fields: {id: id, name: name, at: at}}\n",
    )
    document = world.run()
    assert balance(document, "calls")["loaded"] == 1000
    folder = world.run_folder(document["run"]) / "transform" / "calls"
    assert len(list(folder.glob("rows-*.parquet"))) == 16
    assert target.rows("SELECT id, name, at FROM calls ORDER BY id") == source.rows(
        "SELECT id, name, at FROM calls ORDER BY id"
    )


@pytest.mark.promise(23)
def test_p23_bad_rows_do_not_pass_and_good_ones_do_not_go(tmp_path: Path) -> None:
    """Every kind of check on its own rows: what is loaded and what stays behind partition the source exactly."""
    source = Db(f"sqlite:///{tmp_path}/source.db")
    target = Db(f"sqlite:///{tmp_path}/target.db")
    source.run("CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT, age TEXT, code TEXT)")
    good = [(n, f"N{n}", str(n % 90), f"C{n:03d}") for n in range(50)]
    bad = [
        (100, None, "5", "C900"),  # required
        (101, "X", "200", "C901"),  # range
        (102, "X", "5", "nope"),  # pattern
        (103, "X", "old", "C903"),  # type
        (104, None, "-1", "??"),  # three reasons at once
        (105, "X", "5", "C777"),
        (106, "X", "5", "C777"),  # unique, both
    ]
    source.fill("people", [*good, *bad])
    target.run("CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INTEGER, code TEXT)")
    world = World(
        tmp_path,
        source,
        target,
        entities="""
  people:
    from: people
    key: id
    into: people
    fields:
      id: id
      name: {from: name, check: [required]}
      age: {from: age, check: [{range: {min: 0, max: 120}}]}
      code: {from: code, check: [{pattern: '^C[0-9]{3}$'}, unique]}
""",
    )
    assert balance(world.run(), "people")["loaded"] == 50
    assert [i for (i,) in target.rows("SELECT id FROM people ORDER BY id")] == list(range(50))
    assert world.codes("people") == {
        '["100"]': ["required"],
        '["101"]': ["range"],
        '["102"]': ["pattern"],
        '["103"]': ["range", "type"],
        '["104"]': ["range", "pattern", "required"],
        '["105"]': ["unique"],
        '["106"]': ["unique"],
    }


@pytest.mark.fineprint(5)
@pytest.mark.promise(19)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_f5_rows_that_only_the_database_refuses_become_rejects_with_their_children(
    tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    world = small(tmp_path, request.getfixturevalue("pg_database") if engine == "postgresql" else "")
    world.target.run(
        "DROP TABLE contacts",
        "DROP TABLE accounts",
        ACCOUNTS.replace("name TEXT NOT NULL", "name TEXT NOT NULL CHECK (name <> 'Forbidden')"),
        "CREATE TABLE contacts(id TEXT PRIMARY KEY, account_id TEXT REFERENCES accounts(id), name TEXT NOT NULL, "
        "email TEXT, legacy_id TEXT)",
        "CREATE UNIQUE INDEX one_mail ON contacts(lower(email))",  # the mapping cannot know it
    )
    world.target.fill("contacts", [("c0", None, "Ours", "ADA@example.com", None)])
    world.source.fill("companies", [(3, "Forbidden", None)])
    world.source.fill("people", [(4, 3, "Child", "child@example.com")])
    document = world.run()
    assert world.codes("accounts") == {'["3"]': ["db_check"]}
    assert world.codes("contacts") == {'["1"]': ["db_unique"], '["4"]': ["parent_rejected"]}
    assert balance(document, "contacts") == {
        "in": 4, "loaded": 2, "unchanged": 0, "merged": 0, "quarantined": 2, "excluded": 0,
    }  # fmt: skip
    rejected = {r["key"]: r for r in world.quarantine() if r["entity"] == "contacts"}
    assert rejected['["1"]']["stage"] == "load"
    assert rejected['["1"]']["row"]["mail"] == "ada@example.com"  # the original, not the target's
    reject = "_migrate_reject" if engine == "sqlite" else "migrate_meta.reject"
    assert world.target.one(f"SELECT count(*) FROM {reject}") == 3
    dumped = str(world.target.rows(f"SELECT * FROM {reject}"))
    assert "ada@" not in dumped.lower()  # keys and codes, never the row or the database's detail


@pytest.mark.fineprint(5)
def test_f5_too_many_rejects_stop_at_a_part_boundary_and_can_be_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_per_part(monkeypatch, 50)
    source = Db(f"sqlite:///{tmp_path}/source.db")
    target = Db(f"sqlite:///{tmp_path}/target.db")
    source.run("CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT)")
    source.fill("people", [(n, "bad" if n >= 60 else f"N{n}") for n in range(200)])
    target.run("CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'bad'))")
    world = World(
        tmp_path,
        source,
        target,
        policy="max_quarantine: 10%",
        entities="  people: {from: people, key: id, into: people, fields: {id: id, name: name}}\n",
    )
    is_one_clear_paragraph(world.says(code=4), "people", "rollback")
    assert target.one("SELECT count(*) FROM people") == 50  # the first part stands, the second is rolled back
    assert world.command("status", "--json").document["state"] == "failed"
    undone = world.command("rollback", "latest", "--yes", "--json").document
    assert undone["proof"]["passed"]
    assert target.one("SELECT count(*) FROM people") == 0


@pytest.mark.fineprint(18)
@pytest.mark.promise(5)
def test_f18_the_balance_fails_where_a_persisted_file_was_tampered_with(tmp_path: Path) -> None:
    """Set equality of row identities, not counts: swapping one excluded row for another is seen too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    world = small(tmp_path)
    world.source.fill("people", [(4, 99, "No parent", None)])
    run = world.run()["run"]
    path = world.run_folder(run) / "transform" / "contacts" / "quarantine.parquet"
    rows = pq.read_table(path)
    assert rows["rid"].to_pylist() == [3]
    pq.write_table(rows.set_column(rows.column_names.index("rid"), "rid", pa.array([7], pa.int64())), path)
    done = world.command("verify", "latest", "--json")
    assert done.code in (3, 6), done.out
    said = str(done.document)
    assert "contacts" in said
    assert world.command("status", "--json").document["state"] != "running"


@pytest.mark.fineprint(19)
@pytest.mark.promise(32)
def test_f19_rows_without_a_key_and_out_of_order_are_all_extracted(
    tmp_path: Path, make_pg_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heap order is not key order, keys are NULL or equal: the rows extracted are as many as count(*), each once."""
    rows_per_part(monkeypatch, 100)
    source, target = Db(make_pg_database()), Db(make_pg_database())
    source.run(
        "CREATE TABLE calls(no integer, at timestamp, n integer)",
        "INSERT INTO calls SELECT CASE WHEN n % 10 > 0 THEN n END, '2024-05-01', n FROM generate_series(1, 2000) n",
        "UPDATE calls SET at = at WHERE n % 3 = 0",  # these rows move to the end of the heap
        "DELETE FROM calls WHERE n BETWEEN 301 AND 500",
        "INSERT INTO calls VALUES (1, '2024-05-01', 9999)",
    )
    target.run("CREATE TABLE calls(id text PRIMARY KEY, n integer UNIQUE)")
    world = World(
        tmp_path,
        source,
        target,
        more=f"scratch: {{source: '{source.url}', target: '{target.url}'}}",
        entities="  calls: {from: calls, key: no, into: calls, fields: {n: n}}\n",
    )
    found = balance(world.run(), "calls")
    assert found["in"] == source.one("SELECT count(*) FROM calls") == 1801
    assert found["quarantined"] == 180 + 2  # keys that are missing, and the one that is there twice
    assert target.one("SELECT count(DISTINCT n) FROM calls") == found["loaded"] == 1801 - 182
