"""The type-fidelity matrix: nothing is changed silently, whatever the engines, and docs/fidelity.md says what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fidelity import files, page, postgres
from tests.fidelity.pairs import PAIRS, cases, try_pair
from tests.fidelity.places import Postgres, Sqlite
from tests.runs import Db, World


@pytest.mark.promise(8)
@pytest.mark.promise(11)
@pytest.mark.promise(15)
@pytest.mark.fineprint(20)
@pytest.mark.fineprint(22)
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_p8_p11_p15_no_value_is_changed_silently_and_the_page_says_what_becomes_of_it(
    tmp_path: Path, request: pytest.FixtureRequest, source: str, target: str
) -> None:
    names = {"postgresql": "make_pg_database", "mysql": "make_my_database"}
    make = {e: lambda n=n: request.getfixturevalue(n)() for e, n in names.items()}
    found, without = try_pair(source, target, tmp_path, make)
    changed = [(b.lane.case.type, b.lane.into, v) for b in found for v in b.values if v.startswith("changed")]
    assert changed == []
    assert [b.lane.case.type for b in found if not b.copied] == []
    for became in found:
        assert not became.refused or became.lane.column in became.refused
        assert became.refused or len(became.values) == len(became.lane.case.values)
    wanted = list(page.committed(source, target, without, cases(source, target)))
    assert page.section(source, target, found).splitlines() == wanted, f"run: {page.COMMAND}"


def test_the_page_is_whole() -> None:
    """Every section is on it, in its place, and nothing else."""
    sections = {pair: "\n".join(page.committed(*pair, frozenset(), cases(*pair))) for pair in PAIRS}
    assert page.PAGE.read_text(encoding="utf-8") == page.whole(sections), f"run: {page.COMMAND}"


def refused(world: World, *words: str) -> None:
    error = world.run("--to", "plan", code=2)
    for word in words:
        assert word in error["message"] + error["where"], error
    assert error["hint"]


@pytest.mark.promise(15)
def test_p15_types_that_cannot_travel_are_refused_by_name_when_the_plan_is_made(
    tmp_path: Path, make_pg_database: Callable[[], str]
) -> None:
    """All of them at once, as a source and as a target."""
    place = Postgres(make_pg_database())
    place.prepare()
    columns = ", ".join(f"r{i} {t}" for i, t in enumerate(postgres.REFUSED))
    place.run(
        f"CREATE TABLE refused (id int PRIMARY KEY, {columns})", "CREATE TABLE fine (id int PRIMARY KEY)"
    )
    entity = "  e: {{from: {}, key: id, into: {}, fields: {{id: id}}}}\n"
    named = [f"refused.r{i} ({'public.' if 'pair' in t else ''}{t})" for i, t in enumerate(postgres.REFUSED)]
    other = Sqlite(tmp_path / "target.db")
    other.run("CREATE TABLE fine (id INTEGER PRIMARY KEY)")
    refused(World(tmp_path, Db(place.url), Db(other.url), entities=entity.format("refused", "fine")), *named)
    world = World(tmp_path, Db(other.url), Db(place.url), entities=entity.format("fine", "refused"))
    refused(world, *named)
    assert not list((tmp_path / "backups").glob("*"))  # the plan stopped it: nothing was read or stored


@pytest.mark.promise(15)
@pytest.mark.parametrize("name", [*files.REFUSED, "nanoseconds"])
def test_p15_parquet_types_that_cannot_travel_are_refused_by_name(tmp_path: Path, name: str) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    value = pa.array([1_616_898_600_000_000_001], pa.timestamp("ns"))
    nulls: Any = pa.nulls  # its stubs know one type at a time
    array = value if name == "nanoseconds" else nulls(1, files.REFUSED[name])
    pq.write_table(pa.table({"id": [1], "odd": array}), exports / "things.parquet", version="2.6")
    target = Sqlite(tmp_path / "target.db")
    target.run("CREATE TABLE things (id INTEGER PRIMARY KEY)")
    entity = "  things: {from: things, key: id, into: things, fields: {id: id}}\n"
    world = World(tmp_path, Db(f"files:{exports}"), Db(target.url), entities=entity)
    error = world.run(code=2)
    assert error["where"] == "things.odd"
    assert str(array.type).split("<")[0] in error["message"]
    assert target.said("things", "id") == {}
