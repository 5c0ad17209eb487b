"""Rows of one entity that are in the target already, by `duplicates … against` (decision 0040).

Both sides are compared by the same rules as rows among themselves, in DuckDB. Reads the survivors, `rows-NNNNN.parquet`, and
the proven backup of the target; rows that the crosswalk knows are left to it. Writes in the entity's folder:
`in_target.parquet` (rid, n, tkey, candidates, probability), rows that are there, how often, and one of them;
`in_target_review.parquet`, pairs for a person (see `migrate.state.waiting`); `in_target_weights.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from migrate import failpoints
from migrate.context import Context
from migrate.duck import identifier, literal, parquet, workspace
from migrate.durable import write_bytes
from migrate.mapping.duplicates import Duplicates
from migrate.mapping.language.known_as import column_and_item
from migrate.mapping.model import Entity
from migrate.model import Table
from migrate.parts import write_rows
from migrate.rules.matching.finding import Given, find
from migrate.stages.transform.in_target_told import MINE, Pairs
from migrate.state.compared import compared_texts, read_compared
from migrate.state.waiting import IN_TARGET, TARGET_REVIEW
from migrate.transform.settle import InTarget, Road

_MEMORY = "1GB"
_THERE: list[pa.Field[Any]] = [
    pa.field("rid", pa.int64()),
    pa.field("n", pa.int64()),
    pa.field("tkey", pa.string()),
    pa.field("candidates", pa.string()),
    pa.field("probability", pa.float64()),
]
_NAMES = ("in_target", "in_target_review")


def outputs(folder: Path, entity: Entity) -> list[Path]:
    """What `match_target` wrote, for the checkpoint of the stage."""
    return [] if entity.found_in_target is None else [folder / f"{name}.parquet" for name in _NAMES]


def match_target(
    ctx: Context, entity: Entity, road: Road, table: Table, target: Path | None, crosswalk: Path | None
) -> InTarget:
    """Find the rows of an entity in the target. `target`: the file of its table, None where it is yet to be created.

    Raises UsageError for rules that would compare all with all, and where Splink is not installed."""
    rules, then = entity.duplicates, entity.found_in_target
    assert rules is not None, "only an entity with duplicates is asked"
    assert then is not None, "only where the target is looked into"
    folder = ctx.folder / "transform" / entity.name
    there: list[tuple[Any, ...]] = []
    review: list[tuple[Any, ...]] = []
    if target is not None and road.rows:
        theirs = ctx.room("temp") / f"theirs-{entity.name}.parquet"
        mine = ctx.room("temp") / f"mine-{entity.name}.parquet"
        try:
            with workspace(ctx.room("temp"), memory=_MEMORY) as db:
                _known(db, ctx, entity, road, crosswalk)
                _theirs(db, rules, target, theirs)
                ours = Given(entity.name, rules.columns, _ours(db, road, rules, table, mine))
                others = Given(f"{entity.into} of the target", rules.columns, _batches(theirs, rules))
                found = find(db, [ours, others], rules, model=_weights(folder))
                pairs = Pairs(ctx, entity, road, table, db, mine, theirs)
                there, review = pairs.told(found)
                if found.model is not None:
                    text = json.dumps({"similar": rules.similar, "model": found.model})
                    write_bytes(
                        folder / "in_target_weights.json", text.encode(), point="transform.in_target_weights"
                    )
        finally:
            theirs.unlink(missing_ok=True)
            mine.unlink(missing_ok=True)
    failpoints.hit("transform.in_target.found")
    path = folder / "in_target.parquet"
    write_rows(_table(review, TARGET_REVIEW), folder / IN_TARGET, point="transform.in_target")
    write_rows(_table(there, _THERE), path, point="transform.in_target")
    return InTarget(path, then)


def _table(rows: Sequence[tuple[Any, ...]], fields: list[pa.Field[Any]]) -> pa.Table:
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[] for _ in fields]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, fields, strict=True)]
    return pa.table(arrays, schema=pa.schema(fields))


def _weights(folder: Path) -> dict[str, Any] | None:
    path = folder / "in_target_weights.json"
    return dict(json.loads(path.read_text())["model"]) if path.exists() else None


def _known(
    db: duckdb.DuckDBPyConnection, ctx: Context, entity: Entity, road: Road, crosswalk: Path | None
) -> None:
    """`settled_before(rid)`: rows that the crosswalk knows, and rows that something speaks against."""
    db.execute("CREATE TABLE settled_before(rid BIGINT)")
    if road.reasons:
        db.execute(f"INSERT INTO settled_before SELECT rid FROM {parquet(road.reasons)}")
    if crosswalk is not None:
        system = ctx.mapping.sources[entity.source].system
        db.execute(
            f"INSERT INTO settled_before SELECT r.__rid FROM {parquet(road.rows)} r SEMI JOIN {parquet([crosswalk])} x "
            f"ON x.source_key = r.__key AND x.entity = {literal(entity.name)} AND x.system = {literal(system)}"
        )


def _ours(
    db: duckdb.DuckDBPyConnection, road: Road, rules: Duplicates, table: Table, mine: Path
) -> Iterator[pa.Table]:
    """The compared columns as text, of rows that are new so far; the file `mine` gets their `__rid` and `__key`, and is whole
    once the last batch has been asked for."""
    before = np.sort(db.execute("SELECT DISTINCT rid FROM settled_before").fetchnumpy()["rid"])
    with pq.ParquetWriter(mine, pa.schema(MINE), compression="zstd", use_dictionary=False) as writer:
        for path in road.rows:
            rows = read_compared(path, rules.columns)
            new = ~np.isin(rows["__rid"].to_numpy(), before) & rows["__key"].is_valid().to_numpy()
            rows = rows.filter(pa.array(new))
            writer.write_table(rows.select(["__rid", "__key"]).cast(pa.schema(MINE)))
            yield compared_texts(rows, rules.columns, table)


def _theirs(db: duckdb.DuckDBPyConnection, rules: Duplicates, target: Path, path: Path) -> None:
    """Rows of the target in a file of their own, in a fixed order: `tkey`, and a column per compared one. A row with
    a list has a line for every item; several lists lie side by side."""
    selected = []
    for column in rules.columns:
        text, item = identifier(f"c.{_place(rules, column)[0]}"), _place(rules, column)[1]
        if item is not None:
            inner = literal("$[*]" + (f'."{item}"' if item else ""))
            # One line also where the list is empty.
            text = f"unnest(coalesce(nullif(json_extract_string(TRY_CAST({text} AS JSON), {inner}), []), [NULL]))"
        selected.append(f"{text} AS {identifier(column)}")
    db.execute(
        f"COPY (SELECT * FROM (SELECT tkey, {', '.join(selected)} FROM {parquet([target])}) ORDER BY ALL) "
        f"TO {literal(str(path))} (FORMAT parquet, PRESERVE_ORDER true)"
    )


def _place(rules: Duplicates, column: str) -> tuple[str, str | None]:
    assert rules.against is not None
    return column_and_item(rules.against.columns.get(column, column))


def _batches(path: Path, rules: Duplicates) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=list(rules.columns)):
            yield pa.Table.from_batches([batch]).select(list(rules.columns))
