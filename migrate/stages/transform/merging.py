"""Rows of one entity that are one and the same become one, before anybody settles their fates (decisions 0038, 0041, 0042).

Reads `unmerged-NNNNN.parquet`, as `apply` left them, and writes in the entity's folder: `rows-NNNNN.parquet`, survivors
with what survived; `merging.parquet` (rid, key, into, into_key), the others; `lineage.parquet` (into, field, rid, key), the
row that gave a value which is not the survivor's own; `review.parquet`, pairs for a person (see `migrate.state.waiting`);
`placeholders.json`, keys that so many share; `weights.json`, what similarity was trained to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import failpoints
from migrate.context import Context
from migrate.duck import workspace
from migrate.durable import write_bytes
from migrate.mapping.duplicates import Duplicates
from migrate.mapping.model import Entity
from migrate.mapping.usage import consented_fields
from migrate.model import Table
from migrate.parts import write_rows
from migrate.rules.matching.consents import Withheld, most_restrictive
from migrate.rules.matching.finding import Found, Given, find
from migrate.rules.matching.survivorship import survive
from migrate.stages.transform.merging_before import Rows, collect_known, names_of, told_before
from migrate.state.compared import compared_texts, read_compared
from migrate.state.waiting import REVIEW, UNMERGED, review_rows
from migrate.state.weights import keep_weights, known_weights, weights_file
from migrate.transform.consent import WITHHELD
from migrate.transform.findings import EVENTS

_MEMORY = "1GB"
_MERGING: list[pa.Field[Any]] = [
    pa.field("rid", pa.int64()),
    pa.field("key", pa.string()),
    pa.field("into", pa.int64()),
    pa.field("into_key", pa.string()),
]
_LINEAGE: list[pa.Field[Any]] = [
    pa.field("into", pa.int64()),
    pa.field("field", pa.string()),
    pa.field("rid", pa.int64()),
    pa.field("key", pa.string()),
]


def rows_kind(entity: Entity) -> str:
    """The name of the files in which `apply` leaves the rows of an entity."""
    return "rows" if entity.duplicates is None else UNMERGED


def outputs(folder: Path, entity: Entity) -> list[Path]:
    """What `merge` wrote, for the checkpoint of the stage."""
    if entity.duplicates is None:
        return []
    names = ("merging", "lineage", "review", "merged", *(["events-merged"] if entity.consent else []))
    trained = weights_file(folder)
    return [
        *sorted(folder.glob("rows-*.parquet")),
        *(folder / f"{n}.parquet" for n in names),
        *([trained] if trained.exists() else []),
    ]


def merge(
    ctx: Context,
    entity: Entity,
    table: Table,
    unmerged: Sequence[Path],
    reasons: Sequence[Path],
    crosswalk: Path | None,
    merged: Path | None,
) -> Path:
    """Make the rows of an entity that are one into one; the path of `merging.parquet`. Does the same again, whenever it
    is called again. `crosswalk`, `merged`: what earlier runs loaded and merged, as it stood in the target's backup.

    Raises UsageError for rules that would compare all with all, and where Splink is not installed; Corrupt where people
    decided about pairs and the key of their decisions is gone."""
    rules = entity.duplicates
    assert rules is not None, "only an entity with duplicates is merged"
    folder = ctx.folder / "transform" / entity.name
    rows = _rows(unmerged, _with_reasons(reasons))
    given = Given(entity.name, rules.columns, _texts(unmerged, rules, table, rows))
    with workspace(ctx.room("temp"), memory=_MEMORY) as db:
        known = collect_known(ctx, db, entity, rows, crosswalk, merged)
        told = told_before(ctx, entity, table, rows, unmerged, known=known)
        trained = known_weights(ctx, entity, len(rows.rids))
        model = None if trained is None else trained.model
        found = find(db, [given], rules, model=model, before=told.before)
        names = names_of(db, found.clusters) if known else {}
    failpoints.hit("transform.duplicates.found")
    members = _members(unmerged, rows.rids[np.array(sorted({*found.clusters, *names}), dtype=np.int64)])
    groups = _groups(found, rows, members, names)
    merging = [row for group in groups for row in group.merging(members)]
    whole = [group for group in groups if group.into is None]
    places_of = [g.places for g in whole]
    survived = survive(members, places_of, list(entity.fields), rules)
    withheld: list[Withheld] = []
    if entity.consent is not None and whole:
        survived, withheld = most_restrictive(
            members, places_of, entity.consent, consented_fields(entity), survived
        )
    golden = _with_hashes(_under_their_names(survived.rows, whole), members, places_of)
    ids: list[Any] = members["__rid"].to_pylist()
    keys: list[Any] = members["__key"].to_pylist()
    if entity.consent is not None:
        # Of the survivor, which is the row that is written without it.
        into = {i: places[0] for places in places_of for i in places}
        events = [(ids[into[i]], fld, WITHHELD, text) for i, fld, text in withheld]
        write_rows(_table(events, list(EVENTS)), folder / "events-merged.parquet", point="transform.events")
    lineage = [
        (ids[group.places[0]], fld, ids[place] if place >= 0 else None, keys[place] if place >= 0 else None)
        for fld, places in survived.lineage.items()
        for group, place in zip(whole, places, strict=True)
        if place != group.places[0]
    ]
    _rewrite(unmerged, golden, {rid for rid, _, into, _ in merging if rid != into})
    write_rows(_table(lineage, _LINEAGE), folder / "lineage.parquet", point="transform.lineage")
    reviewed = review_rows(ctx, entity, table, found, rows.keys, rows.rids, unmerged, told.stale)
    write_rows(_table(reviewed, REVIEW), folder / "review.parquet", point="transform.review")
    crowded = [{"columns": p.columns, "values": p.values, "rows": p.rows} for p in found.placeholders]
    write_bytes(folder / "placeholders.json", json.dumps(crowded).encode(), point="transform.placeholders")
    if found.model is not None:
        keep_weights(folder, rules, found.model, len(rows.rids) if trained is None else trained.rows)
    path = folder / "merging.parquet"
    write_rows(_table(merging, _MERGING), path, point="transform.merging")
    return path


def _table(rows: Sequence[tuple[Any, ...]], fields: list[pa.Field[Any]]) -> pa.Table:
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[] for _ in fields]
    return pa.table(
        [pa.array(c, f.type) for c, f in zip(columns, fields, strict=True)], schema=pa.schema(fields)
    )


# ------------------------------------------------------------------ which rows


def _with_reasons(reasons: Sequence[Path]) -> pa.Array[Any]:
    found = [pq.read_table(path, columns=["rid"])["rid"].combine_chunks() for path in reasons]
    return pa.concat_arrays(found) if found else pa.array([], pa.int64())


def _rows(unmerged: Sequence[Path], bad: pa.Array[Any]) -> Rows:
    good, aside = [], []
    for path in unmerged:
        rows = pq.read_table(path, columns=["__rid", "__key"])
        fine = pc.and_(pc.is_valid(rows["__key"]), pc.invert(pc.is_in(rows["__rid"], bad)))
        good.append(rows.filter(fine))
        aside.append(rows.filter(pc.invert(fine)))
    if not good:
        return Rows(
            np.zeros(0, dtype=np.int64), pa.array([], pa.string()), pa.table({"__rid": [], "__key": []})
        )
    found = pa.concat_tables(good)
    return Rows(found["__rid"].to_numpy(), found["__key"].combine_chunks(), pa.concat_tables(aside))


def _texts(unmerged: Sequence[Path], rules: Duplicates, table: Table, good: Rows) -> Iterator[pa.Table]:
    """The compared columns as text, of rows that nothing has spoken against so far, in their order."""
    wanted = pa.array(good.rids, pa.int64())
    for path in unmerged:
        rows = read_compared(path, rules.columns)
        yield compared_texts(rows.filter(pc.is_in(rows["__rid"], wanted)), rules.columns, table)


def _members(unmerged: Sequence[Path], rids: np.ndarray) -> pa.Table:
    """Whole rows, of those that are in a group."""
    wanted = pa.array(rids, pa.int64())
    tables = []
    for path in unmerged:
        rows = pq.read_table(path)
        tables.append(rows.filter(pc.is_in(rows["__rid"], wanted)))
    return pa.concat_tables(tables).combine_chunks() if tables else pa.table({"__rid": [], "__key": []})


@dataclass(frozen=True)
class _Group:
    """Rows that are one, by their places in `members`, the survivor first. `key`: the source key by which the target
    knows the row, or will. `into`: where that is a row that is set aside itself, its id: all of them are part of it."""

    places: list[int]
    key: str
    into: int | None = None

    def merging(self, members: pa.Table) -> list[tuple[int, str, int, str]]:
        """Its rows of `merging.parquet`. A survivor that stands for a row which is gone is there too, as part of itself."""
        ids, keys = members["__rid"], members["__key"]
        first = self.places[0]
        into = ids[first].as_py() if self.into is None else self.into
        parts = self.places[1:] if self.into is None else self.places
        if self.into is None and keys[first].as_py() != self.key:
            parts = self.places
        return [(ids[i].as_py(), keys[i].as_py(), into, self.key) for i in parts]


def _groups(found: Found, rows: Rows, members: pa.Table, names: dict[int, str]) -> list[_Group]:
    """`names`: row → the key by which the target knows it already, where it does."""
    ids: list[Any] = members["__rid"].to_pylist()
    keys: list[Any] = members["__key"].to_pylist()
    place = {int(rid): n for n, rid in enumerate(ids)}
    clusters: dict[int, list[int]] = {}
    for row in sorted({*found.clusters, *names}):
        clusters.setdefault(found.clusters.get(row, row), []).append(row)
    aside = rows.set_aside()
    groups: list[_Group] = []
    for cluster in clusters.values():
        name = next((names[row] for row in cluster if row in names), None)
        places = [place[int(rows.rids[row])] for row in cluster]
        # The row that the crosswalk knows comes first; where that is gone, the first of the others stands for it.
        places.sort(key=lambda i: (keys[i] != name, i))
        key = name or keys[places[0]]
        into = aside.get(key) if keys[places[0]] != key else None
        if len(places) > 1 or keys[places[0]] != key:
            groups.append(_Group(places, key, into))
    return groups


# ------------------------------------------------------------------ what is written


def _under_their_names(golden: pa.Table, groups: Sequence[_Group]) -> pa.Table:
    """The survivors under the keys by which the target knows their rows."""
    if not groups:
        return golden
    at = golden.column_names.index("__key")
    return golden.set_column(at, "__key", pa.array([g.key for g in groups], golden["__key"].type))


def _with_hashes(golden: pa.Table, members: pa.Table, groups: Sequence[Sequence[int]]) -> pa.Table:
    """The source hash of a survivor is over all members, so that a change in any of them is a change of it."""
    if not groups:
        return golden
    hashes: list[Any] = members["__hash"].to_pylist()
    keys: list[Any] = members["__key"].to_pylist()
    made = []
    for group in groups:
        text = b"".join(hashes[i] for i in sorted(group, key=lambda i: str(keys[i])))
        made.append(hashlib.sha256(text).digest()[: len(hashes[group[0]])])
    place = golden.column_names.index("__hash")
    return golden.set_column(place, "__hash", pa.array(made, golden["__hash"].type))


def _rewrite(unmerged: Sequence[Path], golden: pa.Table, merged: set[int]) -> None:
    gone = pa.array(sorted(merged), pa.int64())
    for path in unmerged:
        rows = pq.read_table(path)
        target = path.with_name(path.name.replace(UNMERGED, "rows", 1))
        rows = rows.filter(pc.invert(pc.is_in(rows["__rid"], gone)))
        if golden.num_rows:
            inside = golden.filter(pc.is_in(golden["__rid"], rows["__rid"].combine_chunks()))
            rest = rows.filter(pc.invert(pc.is_in(rows["__rid"], inside["__rid"].combine_chunks())))
            rows = pa.concat_tables([rest, inside.select(rest.column_names).cast(rest.schema)]).sort_by(
                "__rid"
            )
        write_rows(rows, target, point="transform.rows")
