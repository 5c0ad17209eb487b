"""`split`: each row goes to the first road that it fits, is left out by a reason, or is quarantined. None is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from migrate.mapping.road_model import Split
from migrate.transform.roads.splitting import QUARANTINE, SplitCounts, assign, chosen, read_counts, read_split

from tests.transform.roads import making
from tests.transform.roads.making import INT, TEXT, Given, mapping, table

ACTIONS = table("actions", {"id": INT, "type": TEXT, "n": TEXT}, ["id"])
ENTITIES = "".join(
    f"  {name}: {{from: actions, key: id, into: x, fields: {{a: id}}}}\n" for name in ("calls", "mails")
)
MORE = """split:
  actions:
    calls: "type = 'call'"
    leave_out: {old: "type = 'fax'", great: "CAST(n AS INTEGER) > 5"}
    mails: "type = 'mail'"
    otherwise: %s
"""


def parted(folder: Path, source: Given, otherwise: str) -> tuple[Split, dict[str, list[int]], dict[int, str]]:
    """Ids by road, and codes by id of those that go nowhere."""
    file = mapping(folder, ENTITIES, MORE % otherwise)
    split = file.split["actions"]
    assert not read_split(file, split, ACTIONS)[1]
    place = folder / "split"
    counts = assign(file, split, source, place)
    assert read_counts(place) == counts
    assert {p.name for p in place.iterdir()} == set(counts.outputs())
    roads: dict[str, list[int]] = {e: [] for e in split.entities}
    for ref in source.parts["actions"]:
        ids = source.read(ref)["id"].to_pylist()
        for name in roads:
            roads[name] += [ids[n] for n in chosen(place, split, name, ref)]
    lost = {int(r["key"][2:-2]): r["codes"][0] for r in pq.read_table(place / QUARANTINE).to_pylist()}
    assert counts.roads == {name: len(ids) for name, ids in roads.items()}
    assert counts.quarantined == len(lost)
    assert counts.rows == sum(counts.roads.values()) + sum(counts.left_out.values()) + counts.quarantined
    return split, roads, lost


def counted(folder: Path) -> SplitCounts:
    found = read_counts(folder / "split")
    assert found is not None
    return found


ROWS: list[Any] = [
    (1, "call", "x"), (2, "mail", None), (3, "fax", "x"), (4, "mail", "9"), (5, None, None), (6, "mail", "x"), (7, "other", "1"),
]  # fmt: skip


def test_the_first_condition_that_is_true_decides(tmp_path: Path) -> None:
    _, roads, lost = parted(tmp_path, making.given({ACTIONS: ROWS}, 2), "quarantine")
    # 6 could be a mail, but whether it is left out before that cannot be told
    assert roads == {"calls": [1], "mails": [2]}
    assert lost == {5: "no_road", 6: "type", 7: "no_road"}
    assert counted(tmp_path).left_out == {"old": 1, "great": 1}


@pytest.mark.parametrize(
    ("otherwise", "calls", "left"), [("calls", [1, 5, 7], {}), ("{leave_out: rest}", [1], {"rest": 2})]
)
def test_the_rest(tmp_path: Path, otherwise: str, calls: list[int], left: dict[str, int]) -> None:
    _, roads, lost = parted(tmp_path, making.given({ACTIONS: ROWS}), otherwise)
    assert roads["calls"] == calls
    assert lost == {6: "type"}
    assert counted(tmp_path).left_out == {"old": 1, "great": 1} | left


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.sampled_from(["call", "mail", "fax", None, "z"]), st.sampled_from(["1", "9", "x", None]))),
    cut=st.integers(1, 4),
)  # fmt: skip
def test_no_row_is_lost_and_none_is_there_twice(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], cut: int
) -> None:
    source = making.given({ACTIONS: [(n, *r) for n, r in enumerate(rows)]}, cut)
    _, roads, lost = parted(tmp_path_factory.mktemp("split"), source, "quarantine")
    for n, (kind, number) in enumerate(rows):
        ends = [name for name, ids in roads.items() if n in ids] + ([lost[n]] if n in lost else [])
        if kind == "call":
            wanted = ["calls"]
        elif kind == "fax" or number == "9":
            wanted = []
        elif number == "x":
            wanted = ["type"]
        else:
            wanted = ["mails"] if kind == "mail" else ["no_road"]
        assert ends == wanted


def test_an_entity_reads_what_is_sent_to_it(tmp_path: Path) -> None:
    source = making.given({ACTIONS: ROWS}, 2)
    file = mapping(tmp_path, ENTITIES, MORE % "calls")
    place = tmp_path / "split"
    assign(file, file.split["actions"], source, place)
    road = making.made(
        tmp_path,
        ENTITIES,
        source,
        "calls",
        more=MORE % "calls",
        chosen=lambda ref: chosen(place, file.split["actions"], "calls", ref),
    )
    assert road.spec.split
    assert not road.spec.plain
    assert [(r["id"], r["__base"]) for r in road.all()] == [(1, 0), (5, 2 << 32), (7, 3 << 32)]
