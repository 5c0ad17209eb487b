"""Rows of one entity that are one and the same become one, before anybody settles their fates (decision 0038).

Reads `unmerged-NNNNN.parquet`, as `apply` left them, and writes in the entity's folder: `rows-NNNNN.parquet`, survivors
with what survived; `merging.parquet` (rid, key, into, into_key), the others; `lineage.parquet` (into, field, rid, key), the
row that gave a value which is not the survivor's own; `review.parquet` (a, b, probability, reasons, doubt), pairs for a person;
`placeholders.json`, keys that so many share; `weights.json`, what similarity was trained to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import failpoints
from migrate.context import Context
from migrate.duck import literal, parquet, workspace
from migrate.durable import write_bytes
from migrate.mapping.duplicates import Duplicates
from migrate.mapping.model import Entity
from migrate.mapping.usage import consented_fields
from migrate.model import Table
from migrate.parts import write_rows
from migrate.rules.matching.consents import Withheld, most_restrictive
from migrate.rules.matching.finding import Found, Given, find
from migrate.rules.matching.survivorship import survive
from migrate.stages.compared import compared_texts, read_compared
from migrate.transform.consent import WITHHELD
from migrate.transform.findings import EVENTS

UNMERGED = "unmerged"
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
_REVIEW: list[pa.Field[Any]] = [
    pa.field("a", pa.string()),
    pa.field("b", pa.string()),
    pa.field("probability", pa.float64()),
    pa.field("reasons", pa.string()),
    pa.field("doubt", pa.string()),
]


def rows_kind(entity: Entity) -> str:
    """The name of the files in which `apply` leaves the rows of an entity."""
    return "rows" if entity.duplicates is None else UNMERGED


def outputs(folder: Path, entity: Entity) -> list[Path]:
    """What `merge` wrote, for the checkpoint of the stage."""
    if entity.duplicates is None:
        return []
    names = ("merging", "lineage", "review", "merged", *(["events-merged"] if entity.consent else []))
    return [*sorted(folder.glob("rows-*.parquet")), *(folder / f"{n}.parquet" for n in names)]


def merge(
    ctx: Context,
    entity: Entity,
    table: Table,
    unmerged: Sequence[Path],
    reasons: Sequence[Path],
    crosswalk: Path | None,
) -> Path:
    """Make the rows of an entity that are one into one; the path of `merging.parquet`. Does the same again, whenever it
    is called again. `crosswalk`: as it stood in the target's backup.

    Raises UsageError for rules that would compare all with all, and where Splink is not installed."""
    rules = entity.duplicates
    assert rules is not None, "only an entity with duplicates is merged"
    folder = ctx.folder / "transform" / entity.name
    bad = _with_reasons(reasons)
    rids: list[np.ndarray] = []
    given = Given(entity.name, rules.columns, _texts(unmerged, rules, table, bad, rids))
    with workspace(ctx.room("temp"), memory=_MEMORY) as db:
        found = find(db, [given], rules, model=_weights(folder))
    every = np.concatenate(rids) if rids else np.zeros(0, dtype=np.int64)
    failpoints.hit("transform.duplicates.found")
    members = _members(unmerged, every[np.array(sorted(found.clusters), dtype=np.int64)])
    groups, loaded = _groups(ctx, entity, found, every, members, crosswalk)
    survived = survive(members, groups, list(entity.fields), rules)
    withheld: list[Withheld] = []
    if entity.consent is not None and groups:
        survived, withheld = most_restrictive(
            members, groups, entity.consent, consented_fields(entity), survived
        )
    golden = _with_hashes(survived.rows, members, groups)
    ids: list[Any] = members["__rid"].to_pylist()
    keys: list[Any] = members["__key"].to_pylist()
    if entity.consent is not None:
        # Of the survivor, which is the row that is written without it.
        into = {i: group[0] for group in groups for i in group}
        events = [(ids[into[i]], fld, WITHHELD, text) for i, fld, text in withheld]
        write_rows(_table(events, list(EVENTS)), folder / "events-merged.parquet", point="transform.events")
    merging = [(ids[i], keys[i], ids[g[0]], keys[g[0]]) for g in groups for i in g[1:]]
    lineage = [
        (ids[group[0]], fld, ids[place] if place >= 0 else None, keys[place] if place >= 0 else None)
        for fld, places in survived.lineage.items()
        for group, place in zip(groups, places, strict=True)
        if place != group[0]
    ]
    _rewrite(unmerged, golden, {row[0] for row in merging})
    write_rows(_table(lineage, _LINEAGE), folder / "lineage.parquet", point="transform.lineage")
    write_rows(
        _table(_reviewed(found, every, unmerged, loaded), _REVIEW),
        folder / "review.parquet",
        point="transform.review",
    )
    crowded = [{"columns": p.columns, "values": p.values, "rows": p.rows} for p in found.placeholders]
    write_bytes(folder / "placeholders.json", json.dumps(crowded).encode(), point="transform.placeholders")
    if found.model is not None:
        write_bytes(
            folder / "weights.json",
            json.dumps({"similar": rules.similar, "model": found.model}).encode(),
            point="transform.weights",
        )
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


def _texts(
    unmerged: Sequence[Path], rules: Duplicates, table: Table, bad: pa.Array[Any], rids: list[np.ndarray]
) -> Iterator[pa.Table]:
    """The compared columns as text, of rows that nothing has spoken against so far; `rids` gets their ids."""
    for path in unmerged:
        rows = read_compared(path, rules.columns)
        good = pc.and_(pc.is_valid(rows["__key"]), pc.invert(pc.is_in(rows["__rid"], bad)))
        rows = rows.filter(good)
        rids.append(rows["__rid"].to_numpy())
        yield compared_texts(rows, rules.columns, table)


def _weights(folder: Path) -> dict[str, Any] | None:
    path = folder / "weights.json"
    return dict(json.loads(path.read_text())["model"]) if path.exists() else None


def _members(unmerged: Sequence[Path], rids: np.ndarray) -> pa.Table:
    """Whole rows, of those that are in a group."""
    wanted = pa.array(rids, pa.int64())
    tables = []
    for path in unmerged:
        rows = pq.read_table(path)
        tables.append(rows.filter(pc.is_in(rows["__rid"], wanted)))
    return pa.concat_tables(tables).combine_chunks() if tables else pa.table({"__rid": [], "__key": []})


def _groups(
    ctx: Context,
    entity: Entity,
    found: Found,
    every: np.ndarray,
    members: pa.Table,
    crosswalk: Path | None,
) -> tuple[list[list[int]], list[tuple[str, str]]]:
    """Places in `members` of the rows of every group, the survivor first; and pairs of keys that are both loaded already,
    so that nothing is merged of them (F13)."""
    ids: list[Any] = members["__rid"].to_pylist()
    keys: list[Any] = members["__key"].to_pylist()
    place = {int(rid): n for n, rid in enumerate(ids)}
    known = _known(ctx, entity, keys, crosswalk)
    clusters: dict[int, list[int]] = {}
    for row, name in sorted(found.clusters.items()):
        clusters.setdefault(name, []).append(place[int(every[row])])
    groups: list[list[int]] = []
    loaded: list[tuple[str, str]] = []
    for cluster in clusters.values():
        old = [i for i in cluster if keys[i] in known]
        loaded += [(keys[old[0]], keys[other]) for other in old[1:]]
        group = [*old[:1], *(i for i in cluster if keys[i] not in known)]
        if len(group) > 1:
            groups.append(group)
    return groups, loaded


def _known(ctx: Context, entity: Entity, keys: Sequence[str], crosswalk: Path | None) -> set[str]:
    if crosswalk is None or not keys:
        return set()
    system = ctx.mapping.sources[entity.source].system
    with workspace(ctx.room("temp")) as db:
        db.register("asked", pa.table({"key": pa.array(keys, pa.string())}))
        rows = db.execute(
            f"SELECT DISTINCT source_key FROM {parquet([crosswalk])} SEMI JOIN asked ON key = source_key "
            f"WHERE entity = {literal(entity.name)} AND system = {literal(system)}"
        ).fetchall()
        db.unregister("asked")
    return {str(row[0]) for row in rows}


def _reviewed(
    found: Found, every: np.ndarray, unmerged: Sequence[Path], loaded: Sequence[tuple[str, str]]
) -> list[tuple[Any, ...]]:
    pairs = [p for p in found.pairs if p.decided == "review"]
    rids = [(int(every[p.a]), int(every[p.b])) for p in pairs]
    keys = _keys_of(unmerged, {rid for pair in rids for rid in pair})
    listed = [
        (keys[a], keys[b], p.probability, "; ".join(p.reasons), p.doubt)
        for p, (a, b) in zip(pairs, rids, strict=True)
    ]
    return [*listed, *((a, b, None, "", "both are loaded already") for a, b in loaded)]


def _keys_of(unmerged: Sequence[Path], rids: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    wanted = pa.array(sorted(rids), pa.int64())
    for path in unmerged if rids else ():
        rows = pq.read_table(path, columns=["__rid", "__key"])
        rows = rows.filter(pc.is_in(rows["__rid"], wanted))
        ids: list[Any] = rows["__rid"].to_pylist()
        keys: list[Any] = rows["__key"].to_pylist()
        found |= dict(zip(ids, keys, strict=True))
    return found


# ------------------------------------------------------------------ what is written


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
        if golden.num_rows:
            rows = rows.filter(pc.invert(pc.is_in(rows["__rid"], gone)))
            inside = golden.filter(pc.is_in(golden["__rid"], rows["__rid"].combine_chunks()))
            rest = rows.filter(pc.invert(pc.is_in(rows["__rid"], inside["__rid"].combine_chunks())))
            rows = pa.concat_tables([rest, inside.select(rest.column_names).cast(rest.schema)]).sort_by(
                "__rid"
            )
        write_rows(rows, target, point="transform.rows")
