"""Checkpoints: a part is done if its inputs are the same and every file that it left is there as it was.

Functions over the caller's connection; `Ledger` has the transactions. `base` is the run's folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import sqlalchemy as sa

from migrate import durable
from migrate.errors import Corrupt
from migrate.ledger.records import JSON, Checkpoint, Output
from migrate.ledger.rows import now, plain, where
from migrate.ledger.tables import checkpoint


def recorded(db: sa.Connection, **keys: str) -> list[Checkpoint]:
    """As recorded, not checked against the files; ordered by part."""
    query = where(sa.select(checkpoint), checkpoint, **keys).order_by(checkpoint.c.part)
    return [
        Checkpoint(r["stage"], r["part"], r["inputs"], tuple(Output(**o) for o in r["outputs"]), r["facts"])
        for r in db.execute(query).mappings()
    ]


def put(
    db: sa.Connection,
    run: str,
    stage: str,
    part: str,
    inputs: str,
    outputs: Sequence[Output],
    facts: Mapping[str, JSON] | None,
) -> None:
    """Replaces an older one."""
    forget(db, run=run, stage=stage, part=part)
    db.execute(
        checkpoint.insert().values(
            run=run,
            stage=stage,
            part=part,
            inputs=inputs,
            outputs=[asdict(o) for o in outputs],
            facts=plain(facts),
            at=now(),
        )
    )


def forget(db: sa.Connection, **keys: str) -> None:
    db.execute(where(checkpoint.delete(), checkpoint, **keys))


def holds(found: Checkpoint, inputs: str, base: Path) -> bool:
    return found.inputs == inputs and all(_is_whole(base, output) for output in found.outputs)


def prove_there(outputs: Sequence[Output], base: Path) -> None:
    """Raises Corrupt where a file is not on disk with its size."""
    for output in outputs:
        if _found(base, output) is None:
            raise Corrupt(
                "a checkpoint would speak of a file that is not there.", where=str(base / output.path)
            )


def _is_whole(base: Path, output: Output) -> bool:
    path = _found(base, output)
    return path is not None and durable.sha256_file(path) == output.sha256


def _found(base: Path, output: Output) -> Path | None:
    """The file, if it stays inside `base`, is no symbolic link and has its size."""
    path = base / output.path
    if Path(output.path).is_absolute() or ".." in Path(output.path).parts or path.is_symlink():
        return None
    return path if path.is_file() and path.stat().st_size == output.bytes else None
