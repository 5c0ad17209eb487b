"""Settle against a slow model in plain Python: every row ends in exactly one place, for the same reasons."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from migrate.mapping.model import Default, Find, Ref
from migrate.transform.settle import Road, Settled, settle

PLAN = 7
USERS = "users"
NAMES = ("a", "b", "c")


@dataclass(frozen=True)
class Row:
    """One row as `apply` leaves it; `refs` are (entity, value) per reference field: the value is a key, or, where the
    reference says `by`, a name; the entity is the one meant, or "" where any of several may be."""

    key: str | None = None
    hash: bytes = b"h"
    unique: str | None = None
    match: str | None = None
    find: str | None = None
    name: str | None = None
    refs: tuple[tuple[str, str] | None, ...] = ()
    bad: bool = False
    excluded: bool = False


@dataclass(frozen=True)
class Thing:
    """An entity: its road in a few words, its rows, the target table as it was backed up (None: empty)."""

    name: str
    rows: tuple[Row, ...] = ()
    refs: tuple[Ref, ...] = ()
    find: Find | None = None
    unique: str | None = None
    match: bool = False
    write: str = "add"
    required: frozenset[str] = frozenset()
    yields: tuple[tuple[str, str], ...] = ()  # field, keep | fill_empty
    on_parent_excluded: str | None = None
    target: tuple[tuple[str, str | None, bytes], ...] | None = None  # key, match value, hash


@dataclass(frozen=True)
class World:
    things: tuple[Thing, ...]
    users: tuple[tuple[str, str], ...] = ()  # key, e-mail
    # entity, key, target key, origin, plan, source hash, target hash
    crosswalk: tuple[tuple[str, str, str, str, int, bytes, bytes | None], ...] = ()


@dataclass
class Fates:
    reasons: dict[tuple[str, int], set[tuple[str, str]]] = field(default_factory=dict)
    ops: dict[tuple[str, int], tuple[str, str | None]] = field(default_factory=dict)
    patches: dict[tuple[str, int, str], str | None] = field(default_factory=dict)
    events: set[tuple[str, int, str, str]] = field(default_factory=set)
    stops: set[str] = field(default_factory=set)
    left_out: set[tuple[str, int]] = field(default_factory=set)
    links: dict[tuple[str, int, str], tuple[str, str | None]] = field(default_factory=dict)


def is_compared(ref: Ref) -> bool:
    """The row alone cannot tell which row is meant."""
    return bool(ref.by) or len(ref.to) > 1


def json_key(text: str | None) -> str | None:
    return None if text is None else f'["{text}"]'


# ------------------------------------------------------------------ the real one


def settled(world: World) -> tuple[Fates, Settled]:
    with tempfile.TemporaryDirectory() as name:
        return _settled(world, Path(name))


def _settled(world: World, folder: Path) -> tuple[Fates, Settled]:
    crosswalk = None
    if world.crosswalk:
        crosswalk = folder / "crosswalk.parquet"
        columns = ("entity", "source_key", "target_key", "origin", "plan", "source_hash", "target_hash")
        rows = [
            {
                "system": "s",
                "run": "before",
                **dict(zip(columns, (e, json_key(k), json_key(t), o, p, sh, th), strict=True)),
            }
            for e, k, t, o, p, sh, th in world.crosswalk
        ]
        text, blob = pa.string(), pa.binary()
        types: list[tuple[str, pa.DataType]] = [
            ("system", text), ("entity", text), ("source_key", text), ("target_key", text),
            ("origin", text), ("plan", pa.int64()), ("source_hash", blob), ("target_hash", blob), ("run", text),
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(types)), crosswalk)
    targets = {}
    for thing in world.things:
        if thing.target is not None:
            targets[f"t_{thing.name}"] = _target(folder, thing)
    if world.users:
        targets[USERS] = folder / "users.parquet"
        content = {"tkey": [json_key(k) for k, _ in world.users], "c.email": [e for _, e in world.users]}
        pq.write_table(pa.table(content), targets[USERS])
    roads = [_road(folder, thing) for thing in world.things]
    done = settle(
        roads,
        systems={t.name: "s" for t in world.things},
        crosswalk=crosswalk,
        targets=targets,
        out=folder / "out",
        temp=folder / "temp",
    )
    return _fates(world, folder / "out", done), done


def _target(folder: Path, thing: Thing) -> Path:
    path = folder / f"{thing.name}.target.parquet"
    rows = thing.target or ()
    content = {
        "tkey": pa.array([json_key(k) for k, _, _ in rows], pa.string()),
        "c.code": pa.array([c for _, c, _ in rows], pa.string()),
        f"h.{thing.name}": pa.array([h for _, _, h in rows], pa.binary()),
    }
    for fld, _ in thing.yields:  # what stands in such a field is, for the test, what stands in the code
        content[f"c.{fld}"] = content["c.code"]
    pq.write_table(pa.table(content), path)
    return path


def _road(folder: Path, thing: Thing) -> Road:
    kept = [(rid, row) for rid, row in enumerate(thing.rows) if not row.excluded]
    content: dict[str, Any] = {
        "__rid": pa.array([rid for rid, _ in kept], pa.int64()),
        "__key": pa.array([json_key(r.key) for _, r in kept], pa.string()),
        "__hash": pa.array([r.hash for _, r in kept], pa.binary()),
        "u": pa.array([r.unique for _, r in kept], pa.string()),
        "__m.code": pa.array([r.match for _, r in kept], pa.string()),
        "__find.f": pa.array([r.find for _, r in kept], pa.string()),
        "__by.0": pa.array([json_key(r.name) for _, r in kept], pa.string()),
    }
    for i, ref in enumerate(thing.refs):
        found = [r.refs[i] for _, r in kept]
        content[f"__ref.r{i}"] = pa.array([f and json_key(f[1]) for f in found], pa.string())
        content[f"__find.r{i}"] = pa.array([f and f[1] for f in found], pa.string())
        if ref.kind or len(ref.to) == 1:
            content[f"__ref_to.r{i}"] = pa.array([f and f[0] for f in found], pa.string())
    paths = {kind: folder / f"{thing.name}.{kind}.parquet" for kind in ("rows", "reasons", "excluded")}
    pq.write_table(pa.table(content), paths["rows"])
    bad = [rid for rid, row in kept if row.bad]
    reasons: dict[str, Any] = {"rid": pa.array(bad, pa.int64())}
    for column, value in (("field", "x"), ("code", "type"), ("detail", "d")):
        reasons[column] = pa.array([value] * len(bad), pa.string())
    pq.write_table(pa.table(reasons), paths["reasons"])
    gone = [(rid, json_key(row.key)) for rid, row in enumerate(thing.rows) if row.excluded]
    left = {
        "rid": pa.array([r for r, _ in gone], pa.int64()),
        "key": pa.array([k for _, k in gone], pa.string()),
        "__by.0": pa.array([json_key(thing.rows[r].name) for r, _ in gone], pa.string()),
    }
    pq.write_table(pa.table(left), paths["excluded"])
    return Road(
        entity=thing.name,
        system="s",
        write=thing.write,
        into=f"t_{thing.name}",
        plan=PLAN,
        rows=(paths["rows"],),
        reasons=(paths["reasons"],),
        excluded=(paths["excluded"],),
        refs={f"r{i}": ref for i, ref in enumerate(thing.refs)},
        compared={
            f"r{i}": dict.fromkeys(ref.entities, "__by.0" if ref.by else "__key")
            for i, ref in enumerate(thing.refs)
            if is_compared(ref)
        },
        on_parent_excluded=thing.on_parent_excluded,
        finds={"f": thing.find} if thing.find else {},
        unique={"u": thing.unique} if thing.unique else {},
        match=("code",) if thing.match else (),
        required=thing.required,
        yields=dict(thing.yields),
    )


def _fates(world: World, out: Path, done: Settled) -> Fates:
    fates = Fates(stops={s.split(" in ")[0] for s in done.stops})
    for thing in world.things:
        name = thing.name
        for row in pq.read_table(out / name / "quarantine.parquet").to_pylist():
            assert None not in row["details"]
            fates.reasons[name, row["rid"]] = set(zip(row["fields"], row["codes"], strict=True))
        for row in pq.read_table(out / name / "settled.parquet").to_pylist():
            assert (name, row["rid"]) not in fates.ops
            fates.ops[name, row["rid"]] = row["op"], row["tkey"]
        for row in pq.read_table(out / name / "patches.parquet").to_pylist():
            assert (name, row["rid"], row["field"]) not in fates.patches
            assert row["item"] == 0
            fates.patches[name, row["rid"], row["field"]] = row["value"]
        for row in pq.read_table(out / name / "events.parquet").to_pylist():
            fates.events.add((name, row["rid"], row["field"], row["code"]))
        for row in pq.read_table(out / name / "left_out.parquet").to_pylist():
            assert row["reason"] == "parent_excluded"
            fates.left_out.add((name, row["rid"]))
        for row in pq.read_table(out / name / "links.parquet").to_pylist():
            assert row["item"] == 0
            fates.links[name, row["rid"], row["field"]] = row["parent"], row["parent_key"]
    return fates


# ------------------------------------------------------------------ the model


MISSING = {"link": "link_missing", "update": "update_missing"}


class Model:
    """Row by row, in dicts; slow, and plain enough to be read."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.fates = Fates()
        self.things = {t.name: t for t in world.things}
        self.xw = {(e, k): (t, o, p, sh, th) for e, k, t, o, p, sh, th in world.crosswalk}
        self.moot: set[tuple[str, int, str]] = set()  # not written, so not asked about
        # References that mean one row, by its key, and those that do not: why.
        self.edges: dict[tuple[str, int, int], tuple[str, str]] = {}
        self.nobody: dict[tuple[str, int, int], str] = {}

    def settle(self) -> Fates:
        self.exclude()
        self.resolve()
        for thing in self.world.things:
            for rid, row in self.rows(thing):
                if row.bad:
                    self.against(thing.name, rid, "x", "type")
            self.keys(thing)
            self.uniques(thing)
        for thing in self.world.things:
            self.operations(thing)
            self.unwritten(thing)
            self.lookups(thing)
        for thing in self.world.things:
            self.one_row_per_match(thing)
        self.references()
        for place in self.fates.reasons:
            self.fates.ops.pop(place, None)
        for name, rid, fld in list(self.fates.patches):
            if (name, rid) in self.fates.reasons:
                del self.fates.patches[name, rid, fld]
        return self.fates

    def rows(self, thing: Thing) -> list[tuple[int, Row]]:
        return [
            (rid, row)
            for rid, row in enumerate(thing.rows)
            if not row.excluded and (thing.name, rid) not in self.fates.left_out
        ]

    def pointing(self) -> list[tuple[Thing, int, int, Ref, tuple[str, str]]]:
        """Every reference of every row."""
        return [
            (thing, rid, i, thing.refs[i], to)
            for thing in self.world.things
            for rid, row in self.rows(thing)
            for i, to in enumerate(row.refs)
            if to is not None
        ]

    def meant(self, ref: Ref, to: tuple[str, str]) -> tuple[str, list[tuple[str, str | None]]]:
        """(here | before | out | none, the rows that fit): the best of these that any row has."""
        parents = (to[0],) if ref.kind or len(ref.to) == 1 else ref.to
        things = [self.things[p] for p in parents if p in self.things]

        def fits(row: Row) -> bool:
            return (row.name if ref.by else row.key) == to[1]

        here = [(t.name, row.key) for t in things for _, row in self.rows(t) if fits(row)]
        before = [(p, to[1]) for p in parents if not ref.by and self.is_known(p, to[1])]
        kept = {(t.name, rid) for t in things for rid, _ in self.rows(t)}
        out = [
            (t.name, row.key)
            for t in things
            for rid, row in enumerate(t.rows)
            if (t.name, rid) not in kept and fits(row)
        ]
        ways: list[tuple[str, list[tuple[str, str | None]]]] = [
            ("here", here),
            ("before", [*before]),
            ("out", out),
        ]
        return next((found for found in ways if found[1]), ("none", []))

    def is_known(self, parent: str, key: str | None) -> bool:
        entry = self.xw.get((parent, key or ""))
        return entry is not None and self.still_there(self.things.get(parent, Thing(parent)), entry[0])

    def exclude(self) -> None:
        grew = True
        while grew:
            grew = False
            for thing, rid, _, ref, to in self.pointing():
                standing, found = self.meant(ref, to)
                known = len(found) == 1 and self.is_known(*found[0])
                if thing.on_parent_excluded == "exclude" and standing == "out" and not known:
                    self.fates.left_out.add((thing.name, rid))
                    grew = True

    def resolve(self) -> None:
        for thing, rid, i, ref, to in self.pointing():
            place = thing.name, rid, i
            if not is_compared(ref):
                self.edges[place] = to
                continue
            standing, found = self.meant(ref, to)
            if len(found) == 1 and (key := found[0][1]) is not None:
                self.edges[place] = found[0][0], key
            elif standing == "none":
                self.nobody[place] = "ref_missing"
            elif standing == "out":
                self.nobody[place] = "parent_excluded"
            else:
                self.nobody[place] = "ref_ambiguous" if len(found) > 1 else "parent_quarantined"

    def hash(self, thing: Thing, rid: int, row: Row) -> bytes:
        """Of the row, and of what its references mean that it cannot settle alone."""
        meant = [
            "\x1f".join([f"r{i}", "0" * 9, parent, str(json_key(key))])
            for (name, at, i), (parent, key) in sorted(self.edges.items())
            if (name, at) == (thing.name, rid) and is_compared(thing.refs[i])
        ]
        text = row.hash.hex().upper() + "\x1e".join(meant)
        return hashlib.md5(text.encode()).digest() if meant else row.hash

    def good(self, thing: Thing) -> list[tuple[int, Row]]:
        return [(rid, row) for rid, row in self.rows(thing) if (thing.name, rid) not in self.fates.reasons]

    def against(self, name: str, rid: int, fld: str, code: str) -> None:
        self.fates.reasons.setdefault((name, rid), set()).add((fld, code))

    def outcome(self, thing: Thing, rid: int, fld: str, outcome: Any, code: str) -> None:
        default = outcome.default if isinstance(outcome, Default) else None
        empties = outcome == "empty_and_flag" or (isinstance(outcome, Default) and default is None)
        if empties and fld in thing.required:
            outcome = "quarantine"
        if isinstance(outcome, Default):
            self.fates.patches[thing.name, rid, fld] = default
            self.fates.events.add((thing.name, rid, fld, f"{code}_defaulted"))
        elif outcome == "empty_and_flag":
            self.fates.patches[thing.name, rid, fld] = None
            self.fates.events.add((thing.name, rid, fld, f"{code}_emptied"))
        elif outcome == "warn":
            self.fates.events.add((thing.name, rid, fld, code))
        else:
            self.against(thing.name, rid, fld, code)
            if outcome == "stop":
                self.fates.stops.add(f"{thing.name}.{fld}: {code}")

    def keys(self, thing: Thing) -> None:
        counts = Counter(row.key for _, row in self.rows(thing))
        for rid, row in self.rows(thing):
            if row.key is None:
                self.against(thing.name, rid, "", "key_missing")
            elif counts[row.key] > 1:
                self.against(thing.name, rid, "", "key_not_unique")

    def uniques(self, thing: Thing) -> None:
        if thing.unique is None:
            return
        good = self.good(thing)
        counts = Counter(row.unique for _, row in good)
        for rid, row in good:
            if row.unique is not None and counts[row.unique] > 1:
                self.outcome(thing, rid, "u", thing.unique, "unique")

    def operations(self, thing: Thing) -> None:
        target = None if thing.target is None else {t: (code, h) for t, code, h in thing.target}
        matched: dict[int, str] = {}
        for rid, row in self.good(thing):
            if target is None:
                if thing.write in MISSING:
                    self.against(thing.name, rid, "", MISSING[thing.write])
                else:
                    self.fates.ops[thing.name, rid] = "insert", None
            elif (thing.name, row.key) in self.xw:
                assert row.key is not None
                self.known(thing, rid, row, target)
            elif not thing.match:
                self.fates.ops[thing.name, rid] = "insert", None
            else:
                found = [t for t, (code, _) in target.items() if code is not None and code == row.match]
                if len(found) > 1:
                    self.against(thing.name, rid, "", "match_ambiguous")
                elif not found and thing.write in MISSING:
                    self.against(thing.name, rid, "", MISSING[thing.write])
                elif not found:
                    self.fates.ops[thing.name, rid] = "insert", None
                elif thing.write == "add":
                    self.against(thing.name, rid, "", "match_conflict")
                else:
                    op = "link" if thing.write in ("link", "add_or_link") else "update"
                    self.fates.ops[thing.name, rid] = op, json_key(found[0])
                    matched[rid] = found[0]
        if thing.write != "link" and thing.match:
            self.one_row_one_writer(thing, matched)

    def one_row_one_writer(self, thing: Thing, matched: dict[int, str]) -> None:
        mine = {rid: o for (name, rid), o in self.fates.ops.items() if name == thing.name}
        for rid, key in matched.items():
            same = [op for op, tkey in mine.values() if tkey == json_key(key)]
            if len(same) > 1 and "update" in same:
                self.against(thing.name, rid, "", "match_conflict")

    def one_row_per_match(self, thing: Thing) -> None:
        """New rows whose match value another row of the source has too."""
        if not thing.match or thing.write not in ("add", "add_or_link", "add_or_update"):
            return
        mine = {rid: op for (name, rid), (op, _) in self.fates.ops.items() if name == thing.name}
        values = Counter(thing.rows[rid].match for rid in mine)
        new = [rid for rid, _ in self.good(thing) if mine.get(rid) == "insert"]
        for rid in new:
            value = thing.rows[rid].match
            if value is not None and values[value] > 1:
                self.against(thing.name, rid, "", "match_conflict")

    def linked(self, thing: Thing, row: Row) -> bool:
        known = self.xw.get((thing.name, row.key or ""))
        return thing.write == "add_or_link" and known is not None and known[1] == "link"

    def unwritten(self, thing: Thing) -> None:
        """References and lookups of linked rows, and those that a row which is there has its own values for."""
        stands = {t: code for t, code, _ in thing.target or ()}
        for (name, rid), (op, tkey) in self.fates.ops.items():
            if name != thing.name or tkey is None:
                continue
            row = thing.rows[rid]
            if thing.write == "add_or_link" and (op == "link" or self.linked(thing, row)):
                fields = [f"r{i}" for i in range(len(thing.refs))] + ["f"]
            else:
                there = stands[tkey[2:-2]]
                fields = [f for f, rule in thing.yields if rule == "keep" or there is not None]
            self.moot |= {(name, rid, f) for f in fields}

    def known(self, thing: Thing, rid: int, row: Row, target: Mapping[str, tuple[str | None, bytes]]) -> None:
        tkey, _, plan, source_hash, target_hash = self.xw[thing.name, row.key or ""]
        if tkey not in target:
            self.against(thing.name, rid, "", "target_gone")
        elif (
            thing.write == "link"
            or self.linked(thing, row)
            or (source_hash == self.hash(thing, rid, row) and plan == PLAN)
        ):
            self.fates.ops[thing.name, rid] = "unchanged", json_key(tkey)
        elif target_hash is not None and target_hash != target[tkey][1]:
            self.against(thing.name, rid, "", "edited_in_target")
        elif thing.write in ("update", "add_or_update"):
            self.fates.ops[thing.name, rid] = "update", json_key(tkey)
        else:
            self.against(thing.name, rid, "", "changed_since_load")

    def found(self, find: Find, value: str | None) -> list[str]:
        wanted = find.where.get("email") if find.where else None
        return [
            k
            for k, e in self.world.users
            if (wanted is None or e == wanted) and (find.by is None or e == value)
        ]

    def lookups(self, thing: Thing) -> None:
        if thing.find is None:
            return
        good = [(rid, row) for rid, row in self.good(thing) if (thing.name, rid, "f") not in self.moot]
        for rid, row in self.rows(thing):
            if (thing.name, rid, "f") in self.moot:
                continue
            if row.find is not None and len(keys := self.found(thing.find, row.find)) == 1:
                self.fates.patches[thing.name, rid, "f"] = keys[0]
        for rid, row in good:
            if row.find is not None:
                count = len(self.found(thing.find, row.find))
                if count == 0:
                    self.outcome(thing, rid, "f", self.instead(thing.find.missing, row.find), "find_missing")
                elif count > 1:
                    self.outcome(
                        thing, rid, "f", self.instead(thing.find.ambiguous, row.find), "find_ambiguous"
                    )

    def instead(self, outcome: Any, value: str) -> Any:
        if not isinstance(outcome, Find):
            return outcome
        found = self.found(outcome, value)
        if len(found) == 1:
            return Default(default=found[0])
        return self.instead(outcome.missing if not found else outcome.ambiguous, value)

    def references(self) -> None:
        heard: set[tuple[str, int, int]] = set()
        first = True
        while True:
            broken = [b for b in self.broken(first) if b[:3] not in heard]
            first = False
            if not broken:
                break
            for name, rid, i, code in broken:
                heard.add((name, rid, i))
                thing = self.things[name]
                to = thing.rows[rid].refs[i]
                assert to is not None
                outcome = thing.refs[i].ambiguous if code == "ref_ambiguous" else thing.refs[i].missing
                if code == "parent_excluded" and thing.on_parent_excluded is not None:
                    outcome = "empty_and_flag" if thing.on_parent_excluded == "empty" else "quarantine"
                self.outcome(thing, rid, f"r{i}", self.instead(outcome, to[1]), code)
        for (name, rid, i), (parent, key) in self.edges.items():
            kept = (name, rid) not in self.fates.reasons and not self.is_moot((name, rid, i))
            if is_compared(self.things[name].refs[i]) and kept:
                self.fates.links[name, rid, f"r{i}"] = parent, json_key(key)

    def broken(self, first: bool) -> list[tuple[str, int, int, str]]:
        found = [(*place, code) for place, code in self.nobody.items() if not self.is_moot(place)]
        for place, to in self.edges.items():
            code = None if self.is_moot(place) else self.code(*to, first)
            if code is not None:
                found.append((*place, code))
        return found

    def is_moot(self, place: tuple[str, int, int]) -> bool:
        return (place[0], place[1], f"r{place[2]}") in self.moot

    def code(self, parent: str, key: str, first: bool) -> str | None:
        """Why a reference finds nobody; None where it does."""
        if self.is_known(parent, key):
            return None
        thing = self.things.get(parent, Thing(parent))
        there = [rid for rid, row in self.rows(thing) if row.key == key]
        if any((parent, rid) not in self.fates.reasons for rid in there):
            return None
        if not first:
            return "parent_quarantined"
        if len(there) > 1:
            return "ref_ambiguous"
        if there:
            return "parent_quarantined"
        gone = any(row.key == key for row in thing.rows)
        return "parent_excluded" if gone else "ref_missing"

    def still_there(self, thing: Thing, tkey: str) -> bool:
        return any(t == tkey for t, _, _ in thing.target or ())


# ------------------------------------------------------------------ small worlds

keys = st.sampled_from(["1", "2", "3", "4"])
emails = st.sampled_from(["x", "y", "z", "1", "2"])
plain = st.sampled_from(["quarantine", "empty_and_flag", "stop", Default(default="d"), Default(default=None)])
wheres = st.builds(lambda e: {"email": e}, emails)
last = st.builds(Find, table=st.just(USERS), by=st.just("email"), missing=plain, ambiguous=plain)
lookups = st.builds(
    Find,
    table=st.just(USERS),
    by=st.sampled_from([None, "email"]),
    where=wheres,
    missing=plain | last,
    ambiguous=plain | last,
)
outcomes = st.one_of(plain, lookups)


@st.composite
def references(draw: st.DrawFn) -> Ref:
    kinds = draw(st.sampled_from([None, None, {"A": "a", "B": "b"}]))
    to = () if kinds else draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True))
    return Ref(
        to=tuple(to),
        by=draw(st.sampled_from([(), (), ("name",)])),
        kind="kind" if kinds else None,
        kinds=kinds or {},
        missing=draw(outcomes),
        ambiguous=draw(outcomes),
    )


@st.composite
def thing_of(draw: st.DrawFn, name: str) -> Thing:
    refs = tuple(draw(st.lists(references(), max_size=2)))
    rows: list[Row] = []
    for _ in range(draw(st.integers(0, 6))):
        pointing: list[tuple[str, str] | None] = []
        for ref in refs:
            to = (*ref.to, "")[len(ref.to) > 1] if ref.to else draw(st.sampled_from(["a", "b", ""]))
            pointing.append(draw(st.one_of(st.none(), st.tuples(st.just(to), keys))))
        rows.append(
            Row(
                key=draw(st.one_of(keys, st.sampled_from([f"{name}{len(rows)}", None]))),
                hash=draw(st.sampled_from([b"h", b"i"])),
                unique=draw(st.sampled_from([None, "p", "q"])),
                match=draw(st.sampled_from([None, "m", "n", "o"])),
                find=draw(st.sampled_from([None, "x", "y", "z"])),
                name=draw(st.one_of(st.none(), keys)),
                refs=tuple(pointing),
                bad=draw(st.sampled_from([False, False, False, False, True])),
                excluded=draw(st.sampled_from([False, False, False, False, True])),
            )
        )
    match = draw(st.booleans())
    target = None
    if draw(st.booleans()):
        codes = draw(st.lists(st.sampled_from([None, "m", "n"]), max_size=3))
        hashes = st.sampled_from([b"t", b"u"])
        target = tuple((f"t{i}", code, draw(hashes)) for i, code in enumerate(codes))
    fields = [f"r{i}" for i in range(len(refs))] + ["u", "f"]
    write = (
        draw(st.sampled_from(["add", "add_or_link", "update", "add_or_update", "link"])) if match else "add"
    )
    yields = []
    if write in ("update", "add_or_update"):
        rules = st.sampled_from([None, "keep", "fill_empty"])
        yields = [(f, rule) for f in fields if f != "u" and (rule := draw(rules))]
    return Thing(
        name=name,
        rows=tuple(rows),
        refs=refs,
        find=draw(
            st.one_of(
                st.none(),
                st.builds(
                    Find, table=st.just(USERS), by=st.just("email"), missing=outcomes, ambiguous=outcomes
                ),
            )
        ),
        unique=draw(st.sampled_from([None, "quarantine", "empty_and_flag", "warn", "stop"])),
        match=match,
        write=write,
        yields=tuple(yields),
        required=frozenset(draw(st.lists(st.sampled_from(fields), max_size=2))),
        on_parent_excluded=draw(st.sampled_from([None, None, "quarantine", "exclude", "empty"])),
        target=target,
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    things = tuple(draw(thing_of(name)) for name in NAMES[: draw(st.integers(1, 3))])
    names = {t.name for t in things}
    things = tuple(t for t in things if all(set(r.entities) <= names for r in t.refs))
    users = draw(st.lists(emails, max_size=4))
    crosswalk = []
    for thing in things:
        if thing.target is None:
            continue  # a table that is empty was emptied: that case has a test of its own
        for key in sorted(draw(st.sets(keys, max_size=2))):
            crosswalk.append(
                (
                    thing.name,
                    key,
                    draw(st.sampled_from(["t0", "t1", "t9"])),
                    draw(st.sampled_from(["insert", "link"])),
                    draw(st.sampled_from([PLAN, PLAN, 8])),
                    draw(st.sampled_from([b"h", b"i"])),
                    draw(st.sampled_from([None, b"t", b"u"])),
                )
            )
    return World(things, tuple((f"u{i}", e) for i, e in enumerate(users)), tuple(crosswalk))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(worlds())
def test_every_row_ends_where_the_model_says(world: World) -> None:
    fates, done = settled(world)
    expected = Model(world).settle()
    assert fates.reasons == expected.reasons
    assert fates.ops == expected.ops
    assert fates.patches == expected.patches
    assert fates.events == expected.events
    assert fates.stops == expected.stops
    assert fates.left_out == expected.left_out
    assert fates.links == expected.links
    for thing in world.things:
        gone = {rid for name, rid in fates.left_out if name == thing.name}
        rows = {rid for rid, row in enumerate(thing.rows) if not row.excluded} - gone
        quarantined = {rid for name, rid in fates.reasons if name == thing.name}
        kept = {rid for name, rid in fates.ops if name == thing.name}
        assert quarantined | kept == rows
        assert not quarantined & kept
        assert done.quarantined[thing.name] == len(quarantined)
        assert sum(done.operations[thing.name].values()) == len(kept)


# ------------------------------------------------------------------ one at a time


def codes(fates: Fates, name: str) -> dict[int, set[str]]:
    return {rid: {c for _, c in found} for (n, rid), found in fates.reasons.items() if n == name}


def test_a_long_chain_falls_as_a_whole() -> None:
    rows = [Row(key="0", bad=True)] + [Row(key=str(i), refs=(("a", str(i - 1)),)) for i in range(1, 40)]
    fates, _ = settled(World((Thing("a", (replace_refs(rows[0], 1), *rows[1:]), refs=(Ref(to="a"),)),)))
    assert codes(fates, "a") == {0: {"type"}} | {i: {"parent_quarantined"} for i in range(1, 40)}


def replace_refs(row: Row, count: int) -> Row:
    return replace(row, refs=(None,) * count)


def test_a_cycle_that_nothing_speaks_against_stays() -> None:
    rows = tuple(Row(key=str(i), refs=(("a", str((i + 1) % 3)),)) for i in range(3))
    fates, _ = settled(World((Thing("a", rows, refs=(Ref(to="a"),)),)))
    assert fates.reasons == {}
    assert {op for op, _ in fates.ops.values()} == {"insert"}


def test_emptying_ends_a_cascade() -> None:
    rows = (
        Row(key="1", bad=True, refs=(None,)),
        Row(key="2", refs=(("a", "1"),)),
        Row(key="3", refs=(("a", "2"),)),
    )
    fates, _ = settled(World((Thing("a", rows, refs=(Ref(to="a", missing="empty_and_flag"),)),)))
    assert codes(fates, "a") == {0: {"type"}}
    assert fates.patches == {("a", 1, "r0"): None}
    assert fates.events == {("a", 1, "r0", "parent_quarantined_emptied")}


@pytest.mark.promise(1)
def test_p1_a_field_that_may_not_be_empty_is_never_emptied() -> None:
    rows = (Row(key="1", refs=(("a", "99"),)),)
    thing = Thing("a", rows, refs=(Ref(to="a", missing="empty_and_flag"),), required=frozenset({"r0"}))
    fates, _ = settled(World((thing,)))
    assert codes(fates, "a") == {0: {"ref_missing"}}


@pytest.mark.promise(1)
def test_p1_a_reference_to_a_row_that_is_gone_from_the_target_does_not_resolve() -> None:
    """The crosswalk knows the parent, but somebody deleted its row: what points there would dangle."""
    parents = Thing("a", (), target=(("t1", None, b"t"),))
    children = Thing(
        "b", (Row(key="1", refs=(("a", "7"),)), Row(key="2", refs=(("a", "8"),))), (Ref(to="a"),)
    )
    known = (("a", "7", "t1", "insert", PLAN, b"h", None), ("a", "8", "t9", "insert", PLAN, b"h", None))
    fates, _ = settled(World((parents, children), crosswalk=known))
    assert codes(fates, "b") == {1: {"ref_missing"}}


def test_a_value_that_a_rule_emptied_is_no_lookup_and_no_reference_any_more() -> None:
    """`unique` on a lookup and on a reference: emptied means empty, whatever the lookup would have found."""
    rows = (Row(key="1", find="x", refs=(("a", "9"),)), Row(key="2", find="x", refs=(("a", "9"),)))
    thing = Thing("a", rows, (Ref(to="a"),), find=Find(table=USERS, by="email"), target=(("t1", None, b"t"),))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        road = _road(folder, thing)
        users = folder / "users.parquet"
        pq.write_table(pa.table({"tkey": ['["u1"]'], "c.email": ["x"]}), users)
        rule = {"f": "empty_and_flag", "r0": "empty_and_flag"}
        done = settle(
            [Road(**{**vars(road), "unique": rule})],
            systems={"a": "s"},
            crosswalk=None,
            targets={USERS: users},
            out=folder / "out",
            temp=folder / "temp",
        )
        fates = _fates(World((thing,)), folder / "out", done)
    assert fates.reasons == {}
    assert fates.patches == {("a", rid, fld): None for rid in (0, 1) for fld in ("f", "r0")}


@pytest.mark.promise(3)
def test_p3_candidates_are_named_by_place_not_by_value(tmp_path: Path) -> None:
    rows = (Row(key="secret"), Row(key="secret"), Row(key="3"))
    child = Thing("b", (Row(key="1", refs=(("a", "secret"),)),), (Ref(to="a"),))
    _settled(World((Thing("a", rows), child)), tmp_path)
    found = pq.read_table(tmp_path / "out" / "b" / "quarantine.parquet").to_pylist()
    assert [r["codes"] for r in found] == [["ref_ambiguous"]]
    assert found[0]["details"] == ["a candidates: part 0 row 0, part 0 row 1"]
