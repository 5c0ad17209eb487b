"""What a restore that was broken off left in a place, proven before it is kept.

Rows go in part by part, each part in a transaction of its own. What a table holds is therefore a number of its first
parts, or it is not ours any more: the digest of its rows, read from the database, is that of one of these beginnings, or
the table is taken for changed and restored from its first row. The mark says how far the restore had come; it is not
believed, but a table that holds less than it says was changed by somebody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from migrate import canon
from migrate.connectors.protocol import Place, Scratch, Snapshot
from migrate.errors import Corrupt, GateClosed
from migrate.model import Schema, Table, Verdict
from migrate.vault.reader import Backup


@dataclass(frozen=True)
class Standing:
    """Of every table that stays as it is: how many of its parts are in it. `changed`: what somebody changed meanwhile."""

    parts: Mapping[str, int] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    there: Schema | None = None  # as the place declares what stays

    def missing(self, schema: Schema) -> Schema:
        """What is to be made."""
        return replace(schema, tables=tuple(t for t in schema.tables if t.name not in self.parts))

    def left(self, schema: Schema) -> Schema:
        """Without the keys, indexes and checks that are there already, by their names: that they are the right ones is
        seen when the schemas are compared."""
        if self.there is None:
            return schema
        found = {t.name: t for t in self.there.tables}
        return replace(
            schema,
            tables=tuple(_without(t, found[t.name]) if t.name in found else t for t in schema.tables),
        )


NOTHING = Standing()


def _without(table: Table, there: Table) -> Table:
    def names(found: Collection[object]) -> set[str]:
        return {str(getattr(one, "name", "")) for one in found}

    uniques, indexes, checks, keys = (
        names(found) for found in (there.uniques, there.indexes, there.checks, there.foreign_keys)
    )
    return replace(
        table,
        uniques=tuple(u for u in table.uniques if u.name not in uniques),
        indexes=tuple(i for i in table.indexes if i.name not in indexes),
        checks=tuple(c for c in table.checks if c.name not in checks),
        foreign_keys=tuple(k for k in table.foreign_keys if k.name not in keys),
    )


def standing(backup: Backup, place: Place, schema: Schema, done: Mapping[str, int]) -> Standing:
    """What of `schema` stays in `place`. `done`: parts per table that the mark knows of."""
    there = place.schema(schema.table_names)
    parts, changed = {}, []
    with place.snapshot(there.table_names) as snapshot:
        for table in schema.tables:
            if table.name not in there.table_names:
                if table.name in done:
                    changed.append(table.name)
                continue
            stored = snapshot.schema.table(table.name)
            try:
                rows = declared(place, snapshot.read(table.name, table.column_names), stored, table)
                found = canon.digest(rows, table.types)
                count = _beginning(backup, table, found)
            except (GateClosed, Corrupt, KeyError):
                count = None  # not even its columns are what was made
            if count is None or count < done.get(table.name, 0):
                changed.append(table.name)
            if count is not None:
                parts[table.name] = count
    stays = replace(there, tables=tuple(t for t in there.tables if t.name in parts))
    return Standing(parts, tuple(changed), stays)


def others_rows(backup: Backup, place: Place) -> tuple[str, ...]:
    """Tables of `backup` in `place` that hold something else than it does: nobody clears them unasked."""
    names = [name for name in place.there() if name in backup.schema.table_names]
    tables = place.schema(names).table_names
    views = [name for name in names if name not in tables]
    with place.snapshot(tables) as snapshot:
        return (*views, *not_beginnings(backup, place, snapshot))


def not_beginnings(backup: Backup, place: Scratch, snapshot: Snapshot) -> tuple[str, ...]:
    found = []
    for stored in snapshot.schema.tables:
        if stored.name not in backup.schema.table_names:
            continue
        table = backup.schema.table(stored.name)
        same = set(stored.column_names) == set(table.column_names)
        try:
            if same:
                rows = declared(place, snapshot.read(table.name, table.column_names), stored, table)
                same = _beginning(backup, table, canon.digest(rows, table.types)) is not None
        except (GateClosed, Corrupt, KeyError):
            same = False  # not even its columns are what was made
        if not same:
            found.append(table.name)
    return tuple(found)


def declared(
    place: Scratch, batches: Iterator[pa.RecordBatch], stored: Table, table: Table
) -> Iterator[pa.RecordBatch]:
    """Rows of the place under the types of the manifest."""
    same = all(stored.column(n).type == t for n, t in table.types.items() if n in stored.column_names)
    for batch in batches:
        if same:
            yield batch
        else:
            yield from place.as_declared(pa.Table.from_batches([batch]), stored, table).to_batches()


def _beginning(backup: Backup, table: Table, found: canon.Digest) -> int | None:
    """How many first parts have this digest together; None if no number of them has. What was erased by request since
    the restore began makes it none: then the table is restored again, without those rows."""
    total = canon.Digest.EMPTY
    refs = backup.parts_by_table[table.name]
    for count, ref in enumerate(refs):
        rows = ref.rows - backup.effects.rows_in(ref)
        if found == total and rows:
            return count
        if total.rows + rows > found.rows:
            return None
        total += _digest(backup, table, count)
    return len(refs) if found == total else None


def _digest(backup: Backup, table: Table, index: int) -> canon.Digest:
    ref = backup.parts_by_table[table.name][index]
    stored = canon.Digest.parse(ref.digest)
    if stored.algorithm == canon.ALGORITHM and not backup.effects.touches(ref):
        return stored
    return canon.digest([backup.part(ref)], table.types)


def told(backup: Backup, found: Standing) -> Verdict:
    """For the report of a restore that went on."""
    whole = [n for n, count in found.parts.items() if count and count == len(backup.parts_by_table[n])]
    begun = [n for n, count in found.parts.items() if count and n not in whole]
    kept = f"{len(whole)} tables kept whole" + (
        f", {len(begun)} from its last whole part on" if begun else ""
    )
    again = f"; changed since, and restored again from the first row: {', '.join(found.changed)}"
    return Verdict(
        "L4 gone on",
        passed=True,
        expected="what is kept is proven by its digest",
        found=kept + (again if found.changed else ""),
        evidence={"parts": dict(found.parts), "changed": list(found.changed)},
    )
