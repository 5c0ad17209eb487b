"""Quarantine files: every row that stays behind, with all its reasons and its original bytes (P7, P10).

They hold personal data: 0600 in the run's folder, never in ledger, logs or reports.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.canon import canonical_text
from migrate.context import Context
from migrate.model import PART_LINES, Kind, Type, added_columns
from migrate.parts import RID_SHIFT, write_rows
from migrate.state.roads import all_sources, entity_rows
from migrate.transform.keys import hashes_of
from migrate.transform.own_columns import ROAD_COLUMNS, WITH
from migrate.transform.roads import EntityRows
from migrate.transform.source_rows import SourceRows
from migrate.vault.capture import table_folder

SPLIT = ".split"  # ends the names of files of tables, not of entities


def write_quarantine(ctx: Context, name: str, road: EntityRows) -> None:
    """`quarantine/ENTITY.parquet`: every quarantined row with all its reasons and the original row (P7, P10)."""
    found = pq.read_table(ctx.folder / "transform" / name / "quarantine.parquet")
    write_rows(with_originals(found, road), ctx.place("quarantine", f"{name}.parquet"), point="quarantine")


def write_split_quarantine(ctx: Context, table: str, rows: EntityRows) -> None:
    """`quarantine/TABLE.split.parquet`: rows of a split table that fit no road, in the same form."""
    found = pq.read_table(ctx.folder / "splits" / table_folder(table) / "quarantine.parquet")
    path = ctx.place("quarantine", f"{table_folder(table)}{SPLIT}.parquet")
    write_rows(with_originals(found, rows), path, point="quarantine")


def with_originals(found: pa.Table, road: EntityRows) -> pa.Table:
    """Add `row` (JSON of the source row), `raw` (bytes of a broken record), `file` (of a table of several), the `line`
    in it and the `hash` of the row as it stands to rows that have a `rid`."""
    rids = found["rid"].to_numpy()
    texts: list[str | None] = [None] * len(rids)
    raws: list[bytes | None] = [None] * len(rids)
    lines: list[int | None] = [None] * len(rids)
    files: list[str | None] = [None] * len(rids)
    hashes: list[bytes | None] = [None] * len(rids)
    added = added_columns(road.table.types)
    mixed = {name for name, type_ in road.table.types.items() if type_.kind is Kind.MIXED}
    for ref in road.parts:
        places = np.flatnonzero(rids >> RID_SHIFT == ref.index)
        if not len(places):
            continue
        rows = road.read(ref).take(pa.array(rids[places] & 0xFFFFFFFF))
        stand = hashes_of(SourceRows(rows, road.types, {})).to_pylist()
        rows = _sayable(rows, road.table.types)
        for place, row, hash_ in zip(places, rows.to_pylist(), stand, strict=True):
            hashes[place] = hash_
            ours = {name: row.pop(name) for name in added}
            row = {n: v for n, v in row.items() if n not in ROAD_COLUMNS and not n.startswith(WITH)}
            raws[place], lines[place], files[place] = (ours.get(n) for n in ("_raw", "_line", "_file"))
            if files[place] is not None:
                lines[place] = ours["_line"] % PART_LINES
            for column in mixed & row.keys():
                row[column] = _of_mixed(row[column])
            texts[place] = json.dumps(row, ensure_ascii=False, default=_json)
    return (
        found.append_column("row", pa.array(texts, pa.string()))
        .append_column("raw", pa.array(raws, pa.binary()))
        .append_column("line", pa.array(lines, pa.int64()))
        .append_column("file", pa.array(files, pa.string()))
        .append_column("hash", pa.array(hashes, pa.binary()))
    )


_DAY = 86_400_000_000  # µs
_FIRST, _AFTER = -719_162, 2_932_897  # days of 0001-01-01 and of 10000-01-01
_PYTHON_TIMES = {
    Kind.DATE: (_FIRST, _AFTER),
    Kind.TIME: (0, _DAY),
    Kind.TIMESTAMP: (_FIRST * _DAY, _AFTER * _DAY),
    Kind.TIMESTAMPTZ: (_FIRST * _DAY, _AFTER * _DAY),
}


def _sayable(rows: pa.Table, types: Mapping[str, Type]) -> pa.Table:
    """Columns of dates and times with a value that Python has none for (infinity, BC, 24:00) as canonical text."""
    for name, type_ in types.items():
        item = type_.item if type_.kind is Kind.ARRAY and type_.item is not None else type_
        if item.kind not in _PYTHON_TIMES or name not in rows.column_names:
            continue
        column = rows[name].combine_chunks()
        values = pc.list_flatten(column) if item is not type_ else column
        ends = pc.min_max(values.view(pa.int32() if item.kind is Kind.DATE else pa.int64())).as_py()
        first, after = _PYTHON_TIMES[item.kind]
        if ends["min"] is not None and (ends["min"] < first or ends["max"] >= after):
            said = canonical_text(column, type_)
            rows = rows.set_column(rows.column_names.index(name), name, said)
    return rows


def _of_mixed(value: Mapping[str, Any] | None) -> object:
    """The value itself of a cell whose column holds values of several types."""
    if value is None:
        return None
    match value["tag"]:
        case 1:
            return value["int"]
        case 2:
            return value["real"]
        case 3:
            return value["bytes"].decode("utf-8", "backslashreplace")
        case 4:
            return {"base64": base64.b64encode(value["bytes"]).decode()}
        case _:
            return None


def _json(value: object) -> object:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return str(value)


def write_rejects(ctx: Context, rejects: pa.Table) -> None:
    """`quarantine/ENTITY.rejects.parquet`: rows that only the database refused, and those that would have become part
    of them, in the same form."""
    sources = all_sources(ctx)
    for name in ctx.entities:
        mine = rejects.filter(pc.equal(rejects["entity"], name))
        mine = pa.concat_tables([mine, _along(ctx, name, mine)]).sort_by("rid")
        details = [f"constraint {o}" if o else "" for o in mine["object"].to_pylist()]
        count = mine.num_rows
        table = pa.table(
            {
                "rid": mine["rid"],
                "key": mine["source_key"],
                "fields": pa.array([[""]] * count, pa.list_(pa.string())),
                "codes": pa.array([[c] for c in mine["code"].to_pylist()], pa.list_(pa.string())),
                "details": pa.array([[d] for d in details], pa.list_(pa.string())),
            }
        )
        path = ctx.place("quarantine", f"{name}.rejects.parquet")
        write_rows(with_originals(table, entity_rows(ctx, name, sources)), path, point="quarantine")


def _along(ctx: Context, name: str, rejects: pa.Table) -> pa.Table:
    """Rows that were to become part of rejected ones: what becomes of these becomes of them (F13)."""
    path = ctx.folder / "transform" / name / "merged.parquet"
    if not path.exists() or not rejects.num_rows:
        return rejects.schema.empty_table()
    merged = pq.read_table(path)
    place = pc.index_in(merged["into"].combine_chunks(), rejects["rid"].combine_chunks())
    gone = pc.is_valid(place)
    merged, place = merged.filter(gone), place.filter(gone)
    rows = rejects.take(place)
    for column, values in (("rid", merged["rid"]), ("source_key", merged["key"])):
        at = rows.column_names.index(column)
        rows = rows.set_column(at, rows.schema.field(at), values.cast(rows.schema.field(at).type))
    at = rows.column_names.index("code")
    return rows.set_column(at, rows.schema.field(at), pa.repeat("merged_rejected", rows.num_rows))
