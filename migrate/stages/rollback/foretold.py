"""How the target stands once later runs are undone that are undone first: for a preview, in which it does not show yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from migrate import canon
from migrate.context import Context
from migrate.planning import state_columns
from migrate.stages.rollback.images import images
from migrate.state.records import meta_rows

if TYPE_CHECKING:
    from migrate.stages.rollback.victims import Undo

ENTRY = ("system", "entity", "source_key", "target_key", "origin", "run", "row_hash")
POINTING = ("ref_key", "table", "row_key")

Row = tuple[str, str]  # table, key as JSON


@dataclass
class Foretold:
    """Filled run by run, the newest first, by what the preview of each says.

    `runs` are those of which nothing is left that would keep earlier runs from being undone; `gone` are rows that are deleted;
    `entries` crosswalk entries that get their earlier content, by system, entity and source key; `given_back` the
    hashes of rows that get their earlier values, as they stand then; `pointing` to what these refer then."""

    runs: set[str] = field(default_factory=set)
    gone: set[Row] = field(default_factory=set)
    entries: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    given_back: dict[Row, bytes | None] = field(default_factory=dict)
    pointing: dict[Row, list[tuple[Row, Row]]] = field(default_factory=dict)

    def note(self, ctx: Context, undos: Sequence[Undo], *, whole: bool) -> None:
        """`ctx`: the run that `undos` undo; `whole`: of all its entities."""
        if whole:
            self.runs.add(ctx.run)
        by_name = {u.entity: u for u in undos}
        for undo in undos:
            for entries in undo.deletes():
                self.gone.update((undo.table.name, str(k)) for k in entries["target_key"].to_pylist())
        for row, before in images(ctx, "crosswalk"):
            if (mine := by_name.get(row["entity"])) is not None:
                restored = set(mine.restores)
                for entry in before.select(list(ENTRY)).to_pylist():
                    if entry["target_key"] in restored:
                        entry |= {"system": mine.identity[0], "entity": mine.identity[1]}
                        self.entries[*mine.identity, entry["source_key"]] = entry
        for row, before in images(ctx, "rows"):
            if (mine := by_name.get(row["entity"])) is not None:
                self._note_rows(ctx, mine, before, undos)

    def _note_rows(self, ctx: Context, undo: Undo, before: pa.Table, undos: Sequence[Undo]) -> None:
        table = undo.table
        keys = canon.source_keys(before, table.primary_key, table.types)
        chosen = pc.is_in(keys, pa.array(undo.restores, pa.string()))
        before, keys = before.filter(chosen), keys.filter(chosen)
        hashes = canon.as_binary(canon.row_hashes(before, table.types, state_columns(ctx.mapping, table)))
        rows = [(table.name, str(k)) for k in keys.to_pylist()]
        self.given_back |= zip(rows, hashes.cast(pa.binary()).to_pylist(), strict=True)
        for row in rows:
            self.pointing[row] = []
        for parent in {u.table.name: u.table for u in undos}.values():
            for fk in table.foreign_keys:
                # by other columns than the key nobody knows here which row is meant: it shows once the replay is undone
                if fk.ref_table != parent.name or set(fk.ref_columns) != set(parent.primary_key):
                    continue
                by = dict(zip(fk.ref_columns, fk.columns, strict=True))
                refs = canon.source_keys(before, [by[c] for c in parent.primary_key], table.types)
                for row, ref in zip(rows, refs.to_pylist(), strict=True):
                    if ref is not None:
                        self.pointing[row].append(((parent.name, str(ref)), row))

    def crosswalk(self, ctx: Context) -> Iterator[pa.Table]:
        """All entries as they are then: `ENTRY`."""
        replaced = pa.array(sorted({key for _, _, key in self.entries}), pa.string())
        schema = None
        for rows in meta_rows(ctx.target, "crosswalk", list(ENTRY)):
            rows = rows.select(list(ENTRY))
            schema = rows.schema
            if self.entries and pc.any(pc.is_in(rows["source_key"], replaced)).as_py():
                names = zip(*(rows[c].to_pylist() for c in ENTRY[:3]), strict=True)
                rows = rows.filter(pa.array([name not in self.entries for name in names]))
            yield rows
        if self.entries:
            yield pa.Table.from_pylist(list(self.entries.values()), schema)

    def refer(self, rows: pa.Table, parent: str, keys: pa.ChunkedArray[Any]) -> pa.Table:
        """References (`POINTING`) to rows of `parent` with these keys, as they are then, where `rows` are those of now."""
        if not self.gone and not self.given_back:
            return rows
        stay = [
            (r["table"], r["row_key"]) not in self.gone and (r["table"], r["row_key"]) not in self.given_back
            for r in rows.to_pylist()
        ]
        there = set(keys.to_pylist())
        more = [
            {"ref_key": key, "table": table, "row_key": row_key}
            for pointing in self.pointing.values()
            for (to, key), (table, row_key) in pointing
            if to == parent and key in there
        ]
        return pa.concat_tables(
            [rows.filter(pa.array(stay, pa.bool_())), pa.Table.from_pylist(more, rows.schema)]
        )

    def changed(self, table: str, entries: pa.Table) -> tuple[list[str], pa.Table]:
        """Of `entries` (target_key, row_hash) the keys of rows that will have been given back and will not stand as they
        say; and those entries whose rows stand as they are now."""
        if not self.given_back:
            return [], entries
        keys = [str(k) for k in entries["target_key"].to_pylist()]
        then = zip(keys, entries["row_hash"].to_pylist(), strict=True)
        known = [(table, key) in self.given_back for key in keys]
        wrong = [k for k, hash_ in then if self.given_back.get((table, k), hash_) != hash_]
        return wrong, entries.filter(pa.array([not k for k in known], pa.bool_()))
