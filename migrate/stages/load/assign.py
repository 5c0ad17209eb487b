"""Assign: after the gate and before the first row, every row gets its target key, its references are
stamped, and the hash that will be expected of it is fixed (F6).

Leaves `load/ENTITY/part-NNNNN.parquet`: `__rid __key __hash __op __tkey __known __before __expected
__final __owned`, the columns as they shall stand, `d.FIELD` for fields that the second pass fills and `b.FIELD` as
those stand before, `p.FIELD`, the entity that a reference to one of several points at, `l.FIELD`, the rows that the
items of a list point at, and `m.COLUMN`, the texts by which a row is matched. `__op` is
insert | update | link | refresh | unchanged; `__before` the whole target row as it was decided on;
`__expected` is over the compared columns after the first pass, `__final` after the second, `__owned` over those of
them that are the entity's also in rows which were there before: the crosswalk's `target_hash`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate import canon, failpoints
from migrate.arrow import layout
from migrate.context import Context
from migrate.duck import count as duck_count
from migrate.duck import identifier, literal, parquet, workspace
from migrate.mapping.model import Entity
from migrate.mapping.references import is_plain
from migrate.mapping.references import values as values_of
from migrate.model import Kind, Schema, Table, Type
from migrate.parts import RID_SHIFT, iter_part, stream_rows, write_rows
from migrate.plan_model import EntityPlan
from migrate.planning import compared_columns, owned_columns
from migrate.stages.load.existing import raises, yield_to_existing
from migrate.stages.load.listed import listed_columns
from migrate.state.proven import known_crosswalk, known_merged
from migrate.state.standing import read_old_values, target_file
from migrate.state.to_load import part_indexes, part_path
from migrate.transform.settle.merged import parts_that_hold

_TEXT = Type(Kind.TEXT)


def assign(ctx: Context, declared: Schema, inputs: str) -> None:
    """Keys of all entities in load order, then the rows to load. Checkpointed per entity, so that keys
    once assigned stay, whatever happens later."""
    referred_to = {
        p for plan in ctx.plan.entities.values() for parents in plan.refs.values() for p in parents
    }
    with workspace(ctx.room("temp")) as db:
        _known_keys(ctx, db)
        for name in ctx.entities:
            path = ctx.place("load", name, "keys.parquet")
            if ctx.ledger.checkpoint(ctx.run, "load", f"keys:{name}", inputs) is None:
                layout_ = pq.read_schema(ctx.folder / "transform" / name / "settled.parquet")
                stream_rows(_keys(ctx, db, name, declared), path, point="load.keys", schema=layout_)
                ctx.ledger.put_checkpoint(ctx.run, "load", f"keys:{name}", inputs, [ctx.output(path)])
                failpoints.hit("load.keys.assigned")
            if name in referred_to:
                db.execute(f"INSERT INTO allkeys SELECT {literal(name)}, key, tkey FROM {parquet([path])}")
                merged = ctx.folder / "transform" / name / "merged.parquet"
                if merged.exists():  # who refers to a row that became part of another one refers to that one
                    db.execute(
                        f"INSERT INTO allkeys SELECT {literal(name)}, m.key, k.tkey FROM {parquet([merged])} m "
                        f'JOIN {parquet([path])} k ON k.rid = m."into"'
                    )
        for name in ctx.entities:
            if ctx.ledger.checkpoint(ctx.run, "load", f"rows:{name}", inputs) is not None:
                continue
            paths = [_final_part(ctx, db, name, declared, i) for i in part_indexes(ctx, name)]
            ctx.ledger.put_checkpoint(ctx.run, "load", f"rows:{name}", inputs, [ctx.output(p) for p in paths])
            failpoints.hit("load.rows.assigned")


def _known_keys(ctx: Context, db: duckdb.DuckDBPyConnection) -> None:
    """`allkeys(entity, key, tkey)`: what references resolve to; rows of earlier runs come from the crosswalk."""
    db.execute("CREATE TABLE allkeys(entity VARCHAR, key VARCHAR, tkey VARCHAR)")
    db.execute("CREATE TABLE before(entity VARCHAR, key VARCHAR, tkey VARCHAR)")
    crosswalk = known_crosswalk(ctx)
    if crosswalk is None:
        return
    for name, entity in ctx.mapping.entities.items():
        system = ctx.mapping.sources[entity.source].system
        db.execute(
            f"INSERT INTO before SELECT entity, source_key, target_key FROM {parquet([crosswalk])} "
            f"WHERE entity = {literal(name)} AND system = {literal(system)}"
        )
        if (merged := known_merged(ctx)) is not None:
            held = parts_that_hold(merged, f"(SELECT * FROM {parquet([crosswalk])})")
            db.execute(
                f"""
                CREATE OR REPLACE TEMP TABLE held AS SELECT b.entity, h.source_key AS key, b.tkey FROM ({held}) h
                JOIN before b ON b.entity = h.entity AND b.key = h.into_key
                WHERE h.entity = {literal(name)} AND h.system = {literal(system)};
                DELETE FROM before b USING held h WHERE h.entity = b.entity AND h.key = b.key;
                INSERT INTO before SELECT * FROM held;
                """
            )


def _resolved(ctx: Context, name: str, fields: Sequence[str], rows: str) -> str:
    """SELECT rid and, per reference or lookup field, the text of its target value (`r.FIELD`); where a reference may
    point at several entities, also the one that it does point at (`p.FIELD`)."""
    entity, plan = ctx.mapping.entities[name], ctx.plan.entities[name]
    folder = ctx.folder / "transform" / name
    select, joins = ["x.__rid AS rid"], []
    for i, fld in enumerate(fields):
        spec = entity.fields[fld]
        joins.append(
            f"LEFT JOIN {parquet([folder / 'patches.parquet'])} p{i} ON p{i}.rid = x.__rid "
            f"AND p{i}.field = {literal(fld)} AND p{i}.item = 0"
        )
        found = parent = "NULL"
        if spec.ref:
            parent, key = f"x.{identifier(f'__ref_to.{fld}')}", f"x.{identifier(f'__ref.{fld}')}"
            if not is_plain(ctx.mapping, spec.ref):
                joins.append(
                    f"LEFT JOIN {parquet([folder / 'links.parquet'])} l{i} ON l{i}.rid = x.__rid "
                    f"AND l{i}.field = {literal(fld)} AND l{i}.item = 0"
                )
                parent, key = f"l{i}.parent", f"l{i}.parent_key"
            for table, kind in (("allkeys", "k"), ("before", "b")):
                joins.append(
                    f"LEFT JOIN {table} {kind}{i} ON {kind}{i}.entity = {parent} AND {kind}{i}.key = {key}"
                )
            found = f"coalesce(k{i}.tkey, b{i}.tkey)->>'$[0]'"
        default = "NULL" if spec.default is None else literal(spec.default)
        empty = f"x.{identifier(f'__ref.{fld}' if spec.ref else f'__find.{fld}')} IS NULL"
        select.append(
            f"CASE WHEN p{i}.rid IS NOT NULL THEN p{i}.value WHEN {empty} THEN {default} ELSE {found} END AS {identifier(f'r.{fld}')}"
        )
        if len(plan.refs.get(fld, ())) > 1:
            select.append(
                f"CASE WHEN p{i}.rid IS NULL AND NOT {empty} THEN {parent} END AS {identifier(f'p.{fld}')}"
            )
    return f"SELECT {', '.join(select)} FROM {rows} x {' '.join(joins)}"


def _resolvable(entity: Entity) -> list[str]:
    return [f for f, v in entity.fields.items() if v.ref or v.find]


# ------------------------------------------------------------------ keys


def _keys(ctx: Context, db: duckdb.DuckDBPyConnection, name: str, declared: Schema) -> Iterator[pa.Table]:
    """All settled rows of an entity with `tkey` filled in, ordered by rid."""
    plan = ctx.plan.entities[name]
    path = ctx.folder / "transform" / name / "settled.parquet"
    new = duck_count(db, f"SELECT count(*) FROM {parquet([path])} WHERE op = 'insert'")
    table = declared.table(plan.into) if new else None
    reserved: pa.Array[Any] | None = None
    if table is not None and plan.key_from == "reserved":
        reserved = ctx.target.reserve_keys(table, plan.key_columns[0], new)
        failpoints.hit("load.keys.reserved")
    taken = 0
    for batch in iter_part(path):
        settled = pa.Table.from_batches([batch])
        mask = pc.equal(settled["op"], "insert").combine_chunks()
        count = pc.sum(mask).as_py() or 0
        if not count or table is None:
            yield settled
            continue
        rows = settled.filter(mask)
        if plan.key_from == "uuid5":
            keys = _uuid_keys(ctx, name, rows["key"])
        elif reserved is not None:
            column = plan.key_columns[0]
            values = pa.table({column: reserved.slice(taken, count)})
            keys = canon.source_keys(values, [column], {column: table.column(column).type})
            taken += count
        else:
            keys = _keys_from_fields(ctx, db, name, plan, table, rows["rid"].to_numpy())
        filled = pc.replace_with_mask(settled["tkey"].combine_chunks(), mask, _flat(keys))
        yield settled.set_column(settled.column_names.index("tkey"), "tkey", filled)


def _uuid_keys(ctx: Context, name: str, source_keys: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """uuid5 in the namespace of the source system: the same source row gets the same key in every run."""
    system = ctx.mapping.sources[ctx.mapping.entities[name].source].system
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:migrate:{system}")
    keys = _flat(source_keys)
    names = pc.binary_join_element_wise(f'["{name}",', keys, "]", "")
    texts = canon.uuid5_array(namespace, names)
    found: pa.Array[Any] = pc.binary_join_element_wise('["', texts, '"]', "")
    return found


def _keys_from_fields(
    ctx: Context, db: duckdb.DuckDBPyConnection, name: str, plan: EntityPlan, table: Table, rids: np.ndarray
) -> pa.Array[Any]:
    """Keys that the mapping itself sets, in the order of `rids`."""
    entity = ctx.mapping.entities[name]
    wanted = [f for f in plan.key_columns if entity.fields[f].ref or entity.fields[f].find]
    found = []
    for index in sorted({int(i) for i in np.unique(rids >> RID_SHIFT)}):
        path = ctx.folder / "transform" / name / f"rows-{index:05d}.parquet"
        plain = [c for c in plan.key_columns if c not in wanted]
        rows = pq.read_table(path, columns=["__rid", *plain])
        rows = rows.filter(pa.array(np.isin(rows["__rid"].to_numpy(), rids, assume_unique=True)))
        texts = {c: canon.canonical_text(rows[c], table.column(c).type) for c in plain}
        if wanted:
            values = db.sql(f"{_resolved(ctx, name, wanted, parquet([path]))} ORDER BY rid").to_arrow_table()
            values = values.filter(pa.array(np.isin(values["rid"].to_numpy(), rids, assume_unique=True)))
            texts |= {c: values[f"r.{c}"] for c in wanted}
        texts = {c: texts[c] for c in plan.key_columns}
        found.append(
            canon.source_keys(pa.table(texts), plan.key_columns, dict.fromkeys(plan.key_columns, _TEXT))
        )
    return pa.concat_arrays([_flat(f) for f in found])


def _flat(array: pa.Array[Any] | pa.ChunkedArray[Any]) -> pa.Array[Any]:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


# ------------------------------------------------------------------ rows to load


def _final_part(ctx: Context, db: duckdb.DuckDBPyConnection, name: str, declared: Schema, index: int) -> Path:
    entity, plan = ctx.mapping.entities[name], ctx.plan.entities[name]
    table = declared.table(entity.into)
    path = ctx.folder / "transform" / name / f"rows-{index:05d}.parquet"
    decided = _decided(ctx, db, name, index)
    rows = _only(pq.read_table(path), "__rid", decided)
    fields = _resolvable(entity)
    values = decided.select(["rid"])
    if fields:
        resolved = db.sql(f"{_resolved(ctx, name, fields, parquet([path]))} ORDER BY rid").to_arrow_table()
        values = _only(resolved, "rid", decided)
    columns: dict[str, pa.Array[Any]] = {}
    for fld in entity.fields:
        type_ = table.column(fld).type
        source = canon.from_text(_flat(values[f"r.{fld}"]), type_) if fld in fields else _flat(rows[fld])
        columns[fld] = source.cast(layout(type_)) if source.type != layout(type_) else source
    _patch_plain(ctx, name, [f for f in entity.fields if f not in fields], rows, columns, table)
    lists = listed_columns(ctx, db, name, declared, index, rows["__rid"].to_numpy())
    columns |= {fld: one.values for fld, one in lists.items()}
    for key in plan.key_columns:
        if key not in columns:
            columns[key] = canon.from_text(_first(db, decided["tkey"]), table.column(key).type)
    old = read_old_values(ctx, name, table, _flat(decided["at"]))
    yield_to_existing(entity, table, columns, old, there=pc.is_in(_flat(decided["op"]), pa.array(_DECIDED)))
    final = pa.table(columns)
    compared, owned = compared_columns(entity), owned_columns(entity)
    final_hash = canon.as_binary(canon.row_hashes(final, table.types, compared))
    inside = [n for n, v in values_of(entity) if n not in fields and (v.ref or v.find)]
    patched = _patched(ctx, name, [*fields, *inside], decided)
    operation = _operation(decided, final_hash, patched, raises(entity, table, columns, old))
    first = [c for c in compared if c not in plan.deferred]
    out: dict[str, pa.Array[Any] | pa.ChunkedArray[Any]] = {
        "__rid": decided["rid"],
        "__key": decided["key"],
        "__hash": decided["hash"],
        "__op": operation,
        "__tkey": decided["tkey"],
        "__known": decided["known"],
        "__patched": patched,
        "__before": decided["row_hash"],
        "__expected": final_hash
        if first == compared
        else canon.as_binary(canon.row_hashes(final, table.types, first)),
        "__final": final_hash,
        "__owned": _owned(entity, final, table, final_hash, owned, decided),
    }
    for fld in fields:
        if f"p.{fld}" in values.column_names:
            out[f"p.{fld}"] = values[f"p.{fld}"]
    out |= {f"l.{fld}": one.pointers for fld, one in lists.items()}
    for fld, column in columns.items():
        out[f"d.{fld}" if fld in plan.deferred else fld] = column
    for fld in plan.deferred:
        out[f"b.{fld}"] = old[fld] if fld in old.column_names else pa.nulls(len(final), columns[fld].type)
    for matched in entity.match if entity.inserts else ():
        found = f"r.{matched}" in values.column_names and entity.match[matched] is None
        out[f"m.{matched}"] = values[f"r.{matched}"] if found else rows[f"__m.{matched}"]
    result = part_path(ctx, name, index)
    rows_out = pa.table(out)
    asked = pc.not_equal(rows_out["__op"], "unchanged")
    rows_out = rows_out if pc.all(asked, min_count=0).as_py() else rows_out.filter(asked)
    write_rows(rows_out, result, point="load.assigned")
    return result


def _only(rows: pa.Table, rid: str, decided: pa.Table) -> pa.Table:
    """Those `rows`, which are in the order of their ids, that are among the decided ones; all ids of these are there."""
    if rows.num_rows == decided.num_rows:
        return rows
    return rows.filter(pa.array(np.isin(rows[rid].to_numpy(), decided["rid"].to_numpy(), assume_unique=True)))


_DECIDED = ("update", "recheck")  # against a row of the target as it was backed up


def _owned(
    entity: Entity,
    final: pa.Table,
    table: Table,
    final_hash: pa.Array[Any],
    owned: list[str],
    decided: pa.Table,
) -> pa.Array[Any]:
    """The hash of the columns that are the entity's; null where none is, as in rows that are only linked."""
    if not owned:
        return pa.nulls(final.num_rows, pa.binary(16))
    hashes = final_hash
    if owned != compared_columns(entity):
        hashes = canon.as_binary(canon.row_hashes(final, table.types, owned))
    if entity.write != "add_or_link":
        return hashes
    linked = pc.equal(_flat(decided["op"]), "link")
    found: pa.Array[Any] = pc.if_else(linked, pa.scalar(None, hashes.type), hashes)
    return found


def _first(db: duckdb.DuckDBPyConnection, keys: pa.ChunkedArray[Any]) -> pa.Array[Any]:
    """The first component of keys that are JSON arrays."""
    db.register("given_keys", pa.table({"k": keys, "n": np.arange(len(keys))}))
    found = db.sql("SELECT k->>'$[0]' AS text FROM given_keys ORDER BY n").to_arrow_table()
    db.unregister("given_keys")
    return _flat(found["text"])


def _decided(ctx: Context, db: duckdb.DuckDBPyConnection, name: str, index: int) -> pa.Table:
    """Settled rows of one part that ask for anything, with key, and for rows found in the target its hashes."""
    keys = ctx.folder / "load" / name / "keys.parquet"
    target = target_file(ctx, ctx.mapping.entities[name].into)
    low, high = index << RID_SHIFT, (index + 1) << RID_SHIFT
    if target.exists():
        there = f"read_parquet({literal(str(target))}, file_row_number = true)"
        join = f"LEFT JOIN {there} t ON t.tkey = k.tkey AND k.op IN {_DECIDED}"
        hashes = f"t.row_hash AS row_hash, t.{identifier(f'w.{name}')} AS map_hash, t.file_row_number AS at"
    else:
        join, hashes = "", "NULL::BLOB AS row_hash, NULL::BLOB AS map_hash, NULL::BIGINT AS at"
    found: pa.Table = db.sql(
        f"SELECT k.*, {hashes} FROM {parquet([keys])} k {join} "
        f"WHERE k.rid >= {low} AND k.rid < {high} AND k.op <> 'unchanged' ORDER BY k.rid"
    ).to_arrow_table()
    return found


def _patched(ctx: Context, name: str, fields: Sequence[str], decided: pa.Table) -> pa.Array[Any]:
    """Rows whose reference or lookup was emptied or replaced by rule, because what it names is not there."""
    events = pq.read_table(ctx.folder / "transform" / name / "events.parquet", columns=["rid", "field"])
    chosen = events.filter(pc.is_in(events["field"], pa.array(list(fields), pa.string())))
    hit: pa.Array[Any] = pc.is_in(_flat(decided["rid"]), _flat(chosen["rid"]))
    return hit


def _operation(
    decided: pa.Table, final: pa.Array[Any], patched: pa.Array[Any], more: pa.Array[Any]
) -> pa.Array[Any]:
    """An update that would change nothing is none: refresh (known before) or link (found by match). A row looked at
    again because a reference of it had been replaced is unchanged while that is still so."""
    op = _flat(decided["op"])
    same = pc.fill_null(
        pc.equal(_flat(decided["map_hash"]).cast(pa.binary()), final.cast(pa.binary())), False
    )
    same = pc.and_(same, pc.invert(more))
    again = pc.equal(op, "recheck")
    idle = pc.and_(pc.or_(pc.equal(op, "update"), again), same)
    calm = pc.if_else(
        pc.and_(again, patched), "unchanged", pc.if_else(_flat(decided["known"]), "refresh", "link")
    )
    final_op: pa.Array[Any] = pc.if_else(idle, calm, pc.if_else(again, "update", op))
    return final_op


def _patch_plain(
    ctx: Context,
    name: str,
    fields: list[str],
    rows: pa.Table,
    columns: dict[str, pa.Array[Any]],
    table: Table,
) -> None:
    """Values that a rule over the whole table emptied or replaced (`unique` with on_fail)."""
    patches = pq.read_table(ctx.folder / "transform" / name / "patches.parquet")
    patched = {row["field"] for row in patches.select(["field"]).to_pylist()}
    for fld in patched & set(fields):
        mine = patches.filter(pc.equal(patches["field"], fld))
        place = pc.index_in(_flat(rows["__rid"]), _flat(mine["rid"]))
        replaced = canon.from_text(_flat(mine["value"]), table.column(fld).type).take(place)
        columns[fld] = pc.if_else(pc.is_valid(place), replaced, columns[fld])
