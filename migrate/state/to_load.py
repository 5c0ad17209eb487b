"""Where the rows lie that assign fixed and load writes: `load/ENTITY/part-NNNNN.parquet`."""

from __future__ import annotations

from pathlib import Path

from migrate.context import Context


def part_path(ctx: Context, entity: str, index: int) -> Path:
    return ctx.place("load", entity, f"part-{index:05d}.parquet")


def part_indexes(ctx: Context, entity: str) -> list[int]:
    """Parts of an entity are the parts of its source table."""
    folder = ctx.folder / "transform" / entity
    return sorted(int(p.stem.removeprefix("rows-")) for p in folder.glob("rows-*.parquet"))
