"""All types of one engine through a whole migration into one target engine, and what became of every value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fidelity.case import Case, Said
from tests.fidelity.places import Files, Place, Server
from tests.runs import Db, World

TABLE = "things"
ZONE = "Europe/London"


@dataclass(frozen=True)
class Lane:
    """One column of the source on its way into one column of the target."""

    case: Case
    into: str
    column: str
    ids: tuple[int, ...]  # of the rows that hold the case's values, in their order


@dataclass
class Became:
    """What became of a lane: refused when the plan was made, or value by value; and its copy from the vault."""

    lane: Lane
    refused: str = ""
    values: list[str] = field(default_factory=list)  # exact | by rule | set aside (code) | changed: …
    copied: bool | None = None  # vault and scratch: equal by the engine's own word


def lanes_of(cases: Sequence[Case], engine: str, without: frozenset[str]) -> list[Lane]:
    found: list[Lane] = []
    row = 0
    for case in cases:
        for into in case.into.get(engine, ()) if case.needs not in without or not case.needs else ():
            ids = tuple(range(row + 1, row + 1 + len(case.values)))
            found.append(Lane(case, into, f"c{len(found)}", ids))
            row += len(ids)
    return found


def tried(
    folder: Path, source: Place, target: Server, restored: Server, cases: Sequence[Case]
) -> list[Became]:
    """`restored`: an empty database of the source's engine, into which the source's backup goes."""
    for place in (source, target):
        place.prepare()
    lanes = lanes_of(cases, target.engine, source.without() | target.without())
    _fill(source, lanes)
    columns = ", ".join(f'"{lane.column}" {lane.into}' for lane in lanes)
    target.run(f'CREATE TABLE "{TABLE}" (id INTEGER PRIMARY KEY, {columns})')
    world = World(
        folder,
        Db(source.url),
        Db(target.url),
        policy="max_quarantine: 100%, lossy: quarantine, unmapped: ignore",
        source_more=f", timezone: {ZONE}"
        + (", encoding: utf-8" if isinstance(source, Files) else "")
        + (', nulls: [""]' if isinstance(source, Files) and source.kind == "csv" else ""),
        more=_scratch(source, target),
    )
    found = {lane.column: Became(lane) for lane in lanes}
    document = _planned(world, found)
    _values(world, source, target, found)
    if isinstance(source, Files):
        proven = [v for v in document["verdicts"] if v["check"] == "L5 files"]
        assert proven
        for became in found.values():
            became.copied = all(v["passed"] for v in proven)
    else:
        _copies(world, source, restored, found)
    return list(found.values())


def _fill(source: Place, lanes: Sequence[Lane]) -> None:
    if isinstance(source, Files):
        source.write({lane.column: (lane.ids, lane.case) for lane in lanes})
        return
    columns = ", ".join(f'"{lane.column}" {lane.case.type}' for lane in lanes)
    rows = [
        f'INSERT INTO "{TABLE}" (id, "{lane.column}") VALUES ({id_}, {value})'
        for lane in lanes
        for id_, value in zip(lane.ids, lane.case.values, strict=True)
    ]
    source.run(f'CREATE TABLE "{TABLE}" (id INTEGER PRIMARY KEY, {columns})', *rows)


def _scratch(source: Place, target: Place) -> str:
    """Restore tests are made on the target's server where it is of the engine, else beside the source."""
    servers = {p.engine: p.url for p in (source, target) if p.engine in ("postgresql", "mysql")}
    sides = [
        (s, servers[p.engine]) for s, p in (("source", source), ("target", target)) if p.engine in servers
    ]
    return f"scratch: {{{', '.join(f'{s}: {json.dumps(url)}' for s, url in sides)}}}" if sides else ""


def _entities(lanes: Sequence[Lane]) -> str:
    fields = "".join(f"      {lane.column}: {lane.column}\n" for lane in lanes)
    return (
        f"  things:\n    from: {TABLE}\n    key: id\n    into: {TABLE}\n    fields:\n      id: id\n{fields}"
    )


def _planned(world: World, found: Mapping[str, Became]) -> dict[str, Any]:
    """The run's document, once the columns that `migrate plan` refuses are left out: those that the stage `plan` names
    from the schemas alone, then those whose values decide how the column travels."""
    for _ in range(3):
        world.entities = _entities([b.lane for b in found.values() if not b.refused])
        world.write()
        done = world.command("run", str(world.mapping), "--json")
        if done.code == 0:
            document: dict[str, Any] = done.document
            assert document["state"] == "verified"
            return document
        assert done.code == 2, done.out + done.err
        assert "problems" in done.error, done.error
        lines = world.mapping.read_text().splitlines()
        for problem in done.error["problems"]:
            column = lines[int(problem["where"].split(":")[-2]) - 1].strip().split(":")[0]
            found[column].refused = problem["message"]
    raise AssertionError("the plan refuses more and more")


def _values(world: World, source: Place, target: Place, found: Mapping[str, Became]) -> None:
    aside = {int(json.loads(r["key"])[0]) if r["key"] else r["line"]: r["codes"] for r in world.quarantine()}
    for column, became in found.items():
        if became.refused:
            continue
        case = became.lane.case
        was, now = source.said(TABLE, column), target.said(TABLE, column)
        assert all(value is None for id_, value in now.items() if was.get(id_) is None), (
            column
        )  # NULL stays NULL
        exact = source.engine == target.engine and case.type == became.lane.into
        before, after = dict[int, Any](), dict[int, Any]()
        if exact:
            assert not isinstance(source, Files)
            assert not isinstance(target, Files)
            before, after = source.kept(TABLE, column), target.kept(TABLE, column)
        for id_ in became.lane.ids:
            if id_ in aside:
                assert id_ not in now
                became.values.append(f"set aside ({', '.join(aside[id_])})")
            elif exact and before[id_] == after[id_]:
                became.values.append("exact")
            elif exact and source.engine != "sqlite":
                became.values.append(f"changed: {was[id_]!r:.60} is {now[id_]!r:.60}")
            elif _same(case.said, case.said, was[id_], now[id_]):
                became.values.append("respelled" if exact else "exact")
            elif case.expected is not None and _same(case.expected, case.said, was[id_], now[id_]):
                became.values.append("by rule")
            else:
                became.values.append(f"changed: {was[id_]!r:.60} is {now[id_]!r:.60}")


def _same(before: Said, after: Said, was: str | None, now: str | None) -> bool:
    if was is None or now is None:
        return was is now
    try:
        return before(was) == after(now)
    except (ValueError, ArithmeticError, KeyError):
        return False


def _copies(world: World, source: Server, restored: Server, found: Mapping[str, Became]) -> None:
    """The backup of the source, out of the vault into an empty database, and what that says."""
    listed = world.command("backup", "list", "--json").document
    backup = next(b["id"] for b in listed if b["role"] == "source")
    done = world.command("backup", "restore", backup, "--into", restored.url, "--json")
    assert done.code == 0, done.out + done.err
    for column, became in found.items():
        became.copied = source.kept(TABLE, column) == restored.kept(TABLE, column)
