"""Profile: every source column over the Parquet parts, and what the mapping does not know of them.

May close the gate: an unseen value where the field says `unmapped: stop`, a filled column that
nothing uses where the policy says `unmapped: error`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from migrate import failpoints
from migrate.context import Context
from migrate.durable import write_bytes
from migrate.errors import GateClosed
from migrate.ledger.records import JSON
from migrate.mapping.left_behind import left_behind
from migrate.mapping.usage import ALL, reads_rows, used_columns
from migrate.model import Kind, Table
from migrate.rules.profiling import TableProfile, orphans, profile_table, value_counts
from migrate.stages.result import Result
from migrate.state.accounts import unread_notes
from migrate.state.earlier import CONTENT, Earlier, content_of, earlier_work, take_over
from migrate.state.lookups import table_lookups
from migrate.state.proven import extracted_parts, extracted_rows
from migrate.transform.lookup import Lookup
from migrate.transform.said import Said
from migrate.vault.capture import Capture, table_folder

NAME = "profile"
SHOWN = 20
# Kinds whose text in a profile is not the one that maps see: 7 for 7.00.
_WRITTEN_OTHERWISE = (Kind.DECIMAL, Kind.JSON, Kind.BYTES)


def run(ctx: Context) -> Result:
    if ctx.ledger.checkpoint(ctx.run, NAME, "done", ctx.plan.digest) is not None:
        return Result(resumed=True)
    rows = 0
    notes: list[str] = []
    earlier = earlier_work(ctx, NAME)
    for source, tables in ctx.plan.source_tables.items():
        taken, files = extracted_parts(ctx, source)
        for table in tables:
            part = f"{source}/{table_folder(table)}"
            done = ctx.ledger.checkpoint(ctx.run, NAME, part, ctx.plan.digest)
            facts = done.facts if done else _profiled(ctx, earlier, part, source, taken, files[table], table)
            found = facts.get("unused")
            unused = [str(c) for c in found] if isinstance(found, list) else []
            rows += sum(p.rows for p in taken.parts[table])
            ctx.progress.advance(sum(p.rows for p in taken.parts[table]))
            notes += [f"{table}.{c} is filled and nothing uses it" for c in unused]
    notes += unread_notes(ctx)
    ctx.ledger.put_run_facts(ctx.run, {"unused": [*notes]})
    _unmapped_gate(ctx, notes)
    lookups = _lookups(ctx)
    unknown = {
        f"{name}.{field}": found for name in ctx.entities for field, found in _unknown(ctx, name, lookups)
    }
    write_bytes(
        ctx.place("profile", "mapping.masked.json"),
        json.dumps(unknown, indent=1).encode(),
        point="profile.mapping",
    )
    _unseen_gate(ctx, unknown)
    ctx.ledger.put_checkpoint(ctx.run, NAME, "done", ctx.plan.digest, [], {"rows": rows})
    return Result(rows=rows, notes=tuple(notes))


def _profiled(
    ctx: Context, earlier: Earlier, part: str, source: str, taken: Capture, files: list[Path], name: str
) -> Mapping[str, JSON]:
    """The facts of one table's profile: an earlier run's, where that saw the same rows, else made now."""
    declared = taken.schema.table(name)
    key = _key(ctx, source, declared)
    content = content_of(ctx.plan.digest, repr(declared), key, [p.sha256 for p in taken.parts[name]])
    facts = take_over(ctx, earlier, part, content)
    if facts is None:
        profile = profile_table(files, declared, key=key, temp=ctx.room("temp"))
        _store(ctx, part, profile)
        facts = {"unused": list(_unused(ctx, source, name, profile)), CONTENT: content}
    outputs = [ctx.output(path) for path in _paths(ctx, part).values()]
    ctx.ledger.put_checkpoint(ctx.run, NAME, part, ctx.plan.digest, outputs, facts)
    failpoints.hit("profile.checkpointed")
    return facts


def _key(ctx: Context, source: str, table: Table) -> tuple[str, ...]:
    """The key by which an entity knows the rows of a table as they stand there, else the table's own."""
    keys = [
        () if e.key_is_line or e.key_is_content else e.key
        for e in ctx.mapping.entities.values()
        if (e.source, e.table) == (source, table.name) and reads_rows(ctx.mapping, e)
    ]
    return next((k for k in keys if set(k) <= set(table.column_names)), table.primary_key)


def _store(ctx: Context, part: str, profile: TableProfile) -> None:
    """With samples, for the admin's eyes only (0600), and masked, for reports."""
    for suffix, path in _paths(ctx, part).items():
        data = json.dumps(profile.as_json(samples=suffix == "samples"), indent=1, ensure_ascii=False)
        write_bytes(path, data.encode(), point="profile")


def _paths(ctx: Context, part: str) -> dict[str, Path]:
    return {
        suffix: ctx.place("profile", f"{part.replace('/', '.')}.{suffix}.json")
        for suffix in ("samples", "masked")
    }


def _unused(ctx: Context, source: str, table: str, profile: TableProfile) -> list[str]:
    """Filled columns that no entity uses and `left_behind` does not name."""
    # SQL names columns in any case; a table with two columns that differ in case only has both counted.
    used = {name.lower() for name in used_columns(ctx.mapping, source, table)}
    return [
        c.name
        for c in profile.columns
        if c.rows > c.nulls + c.empty
        and not used & {c.name.lower(), ALL}
        and not left_behind(ctx.mapping, c.name, f"{table}.{c.name}", table)
    ]


def _unmapped_gate(ctx: Context, notes: list[str]) -> None:
    if notes and ctx.mapping.policy.unmapped == "error":
        raise GateClosed(
            f"policy.unmapped says error: {'; '.join(notes[:SHOWN])}"
            + (f" and {len(notes) - SHOWN} more" if len(notes) > SHOWN else ""),
            where=ctx.mapping.path,
            kept="Nothing was loaded.",
            hint="Map them or name them in left_behind.",
        )
    if ctx.mapping.policy.unmapped == "warn":
        for note in notes[:SHOWN]:
            ctx.progress.note(note)


def _lookups(ctx: Context) -> dict[str, Lookup]:
    """The named maps that fields of the run look values up in."""
    fields = [field for entity in ctx.entities.values() for field in entity.fields.values()]
    named = {f.map.name: f.map for f in fields if f.map and f.map.name and f.map.table is None}
    ready = {name: Lookup.of_map(value_map) for name, value_map in named.items()}
    sources = {source: extracted_rows(ctx, source) for source in ctx.plan.source_tables}
    return ready | table_lookups(ctx, sources)


def _unknown(ctx: Context, name: str, lookups: Mapping[str, Lookup]) -> Iterator[tuple[str, dict[str, int]]]:
    """Per field: values that its map does not know, references that find no row. Counts, never values; only what
    can be told from the source as it is (what `read_as`, `do` and `when` make of it is seen in transform).
    `lookups`: named maps."""
    entity = ctx.mapping.entities[name]
    if not reads_rows(ctx.mapping, entity):
        return
    taken, files = extracted_parts(ctx, entity.source)
    kinds = {c.name: c.type.kind for c in taken.schema.table(entity.table).columns}
    said = Said.of(ctx.mapping, entity.source, entity.table)
    temp = ctx.room("temp")
    for field_name, field in entity.fields.items():
        kind = kinds.get(field.from_ or "")
        if field.from_ is None or kind is None or field.do or field.read_as or field.when:
            continue
        nulls = said.nulls(field.from_)
        if field.map and kind not in _WRITTEN_OTHERWISE:
            counts = value_counts(files[entity.table], field.from_, temp=temp, limit=1_000_000)
            lookup = lookups[field.map.name] if field.map.name else Lookup.of_map(field.map)
            texts = pl.Series("", [v for v, _ in counts if v is not None and v not in nulls], dtype=pl.String)
            rows = np.array([n for v, n in counts if v is not None and v not in nulls], dtype=np.int64)
            unseen = rows[~lookup.find(texts)[1]]
            yield field_name, {"unseen_values": len(unseen), "rows": int(unseen.sum())}
        elif field.ref and len(field.ref.to) == 1:
            parent = ctx.mapping.entities[field.ref.to[0]]
            theirs, parts = extracted_parts(ctx, parent.source)
            # A key that is made of other columns is known in transform only, as are rows that are made of others.
            known = reads_rows(ctx.mapping, parent)
            named = field.ref.by or (() if parent.key_is_line or parent.key_is_content else parent.key)
            if known and len(named) == 1 and {*named} <= {*theirs.schema.table(parent.table).column_names}:
                parents = parts[parent.table]
                lost, _ = orphans(files[entity.table], field.from_, parents, named[0], temp, nulls=nulls)
                yield field_name, {"orphans": lost}


def _unseen_gate(ctx: Context, unknown: Mapping[str, Mapping[str, int]]) -> None:
    """The mapping may say to stop for values that its maps do not know."""
    for place, found in unknown.items():
        name, _, field_name = place.partition(".")
        if ctx.mapping.entities[name].fields[field_name].unmapped == "stop" and found.get("unseen_values"):
            raise GateClosed(
                f"{found['unseen_values']} values are not in the map ({found['rows']} rows)",
                where=ctx.mapping.positions.get(f"entities.{name}.fields.{field_name}", place),
                kept="Nothing was loaded.",
                hint="`migrate profile` shows them; add them to the map or change `unmapped`.",
            )
