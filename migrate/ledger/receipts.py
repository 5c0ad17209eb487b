"""Our own tables in the target: fence, runs, part receipts, crosswalk, undo journal, rejects, names.

They are created before the first part, never inside one. A source key is the JSON array of its
canonical texts; a target key likewise. Hashes are canon-1 row hashes, 16 bytes.

The crosswalk carries what F12 asks for from day one: `source_hash`, `plan` (first 8 bytes of the
entity's plan digest) and `target_hash` (the mapped target columns after the last pass), and
`row_hash` (the whole target row after the last pass), by which undo notices edits made since. `mapped`
says which columns the `target_hash` of a plan is over; `renamed` under which names the crosswalk knew
rows before a mapping said `was`; `placed` into which tables the rows of an entity went; `created` which tables and columns
of the target a run made; `merged` which source rows became part of the row of another one (decision 0042);
`fenced` under which fence a run wrote first, which tells whose writes are later (decision 0070).
"""

from __future__ import annotations

from collections.abc import Callable

from migrate.model import Column, Kind, Table, Type

# 2: mapped, renamed; 3: placed, and rows that are flagged or deleted because they are gone; 4: created; 5: merged; 6: fenced
LAYOUT = 6

_TEXT = Type(Kind.TEXT)
_INT = Type(Kind.INT, bits=64)
_HASH = Type(Kind.BYTES)


def _column(name: str, type_: Type, nullable: bool = False) -> Column:
    return Column(name, type_, nullable=nullable)


_TABLES: dict[str, tuple[tuple[Column, ...], tuple[str, ...]]] = {
    "layout": ((_column("version", _INT),), ("version",)),
    "run": (
        (
            _column("run", _TEXT),
            _column("mapping", _TEXT),
            _column("digest", _TEXT),
            _column("state", _TEXT),
            _column("started", _TEXT),
        ),
        ("run",),
    ),
    "receipt": (
        (
            _column("run", _TEXT),
            _column("part", _TEXT),
            _column("digest", _TEXT),
            _column("row_count", _INT),
            _column("rejected", _INT),
            _column("written_at", _TEXT),
        ),
        ("run", "part"),
    ),
    "crosswalk": (
        (
            _column("system", _TEXT),
            _column("entity", _TEXT),
            _column("source_key", _TEXT),
            _column("target_key", _TEXT),
            _column("origin", _TEXT),  # insert | update | link | flag: as gone at the source
            _column("run", _TEXT),
            _column("plan", _INT),
            _column("source_hash", _HASH),
            _column("target_hash", _HASH, nullable=True),
            _column("row_hash", _HASH, nullable=True),
        ),
        # the one that tells rows apart comes first: entries of one load have the others in common
        ("source_key", "entity", "system"),
    ),
    "merged": (
        (
            _column("system", _TEXT),
            _column("entity", _TEXT),
            _column("source_key", _TEXT),
            _column("into_key", _TEXT),  # the source key by which the crosswalk knows the row
            _column("run", _TEXT),
        ),
        ("system", "entity", "source_key"),
    ),
    "journal": (
        (
            _column("run", _TEXT),
            _column("part", _TEXT),
            # rows: before-images of updated rows | crosswalk: its own entries before
            # gone: rows that were deleted because they are gone at the source | forgotten: their crosswalk entries
            # merged: entries of the table of that name before
            _column("kind", _TEXT),
            _column("entity", _TEXT),
            _column("target_table", _TEXT),
            _column("row_count", _INT),
            _column("image", Type(Kind.BYTES)),  # Parquet: exact, and readable without this program
        ),
        ("run", "part", "kind"),
    ),
    "mapped": (
        (
            _column("plan", _INT),
            _column("columns", _TEXT),  # JSON list
        ),
        ("plan",),
    ),
    "renamed": (
        (
            _column("run", _TEXT),
            _column("old_system", _TEXT),
            _column("old_entity", _TEXT),
            _column("system", _TEXT),
            _column("entity", _TEXT),
            _column("row_count", _INT),
            _column("renamed_at", _TEXT),
        ),
        ("run", "old_system", "old_entity"),
    ),
    "placed": (
        (
            _column("system", _TEXT),
            _column("entity", _TEXT),
            _column("target_table", _TEXT),
        ),
        ("system", "entity", "target_table"),
    ),
    "created": (
        (
            _column("run", _TEXT),
            _column("position", _INT),
            _column("kind", _TEXT),  # table | column | index | reference
            _column("target_table", _TEXT),
            _column("name", _TEXT),
            _column("state", _TEXT),  # making | made | dropped | kept
            _column("noted_at", _TEXT),
        ),
        ("run", "position"),
    ),
    "fenced": (
        (
            _column("run", _TEXT),
            _column("fence", _INT),
        ),
        ("run",),
    ),
    "reject": (
        (
            _column("run", _TEXT),
            _column("part", _TEXT),
            _column("rid", _INT),
            _column("entity", _TEXT),
            _column("source_key", _TEXT, nullable=True),
            _column("code", _TEXT),
            _column("object", _TEXT, nullable=True),  # name of the constraint, never values
        ),
        ("run", "entity", "rid"),
    ),
}


def meta_table(name: str, full_name: Callable[[str], str]) -> Table:
    """One of our tables as this target spells its name."""
    columns, key = _TABLES[name]
    return Table(full_name(name), columns, primary_key=key)


def meta_tables(full_name: Callable[[str], str]) -> tuple[Table, ...]:
    return tuple(meta_table(name, full_name) for name in _TABLES)
