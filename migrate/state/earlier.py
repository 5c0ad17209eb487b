"""Work of earlier runs that is taken over: the same content, the same program, the same files.

A stage that works part by part says what a part's outcome depends on (`content`, a digest: the SHA-256 of the rows it
reads, and whatever of the mapping decides). Where an earlier run of the mapping worked on the same content, its files
are linked into this run instead of being made again, once their bytes were found to be those that it recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

from migrate import __version__
from migrate.context import Context
from migrate.durable import link_or_copy, sha256_file
from migrate.ledger.records import JSON, Checkpoint, Output
from migrate.planning import digest_of

CONTENT = "content"  # the fact of a checkpoint that later runs look for
_LOOKED_AT = 3  # earlier runs of the mapping, the newest first


def content_of(*parts: object) -> str:
    """Digest of what an outcome depends on, together with the version of the program that makes it."""
    return digest_of([__version__, *parts])


@dataclass(frozen=True)
class Earlier:
    """Checkpoints of one stage in earlier runs: (part, content) → run, checkpoint."""

    stage: str
    found: dict[tuple[str, str], tuple[str, Checkpoint]]


def earlier_work(ctx: Context, stage: str) -> Earlier:
    runs = [r.run for r in ctx.ledger.runs() if r.mapping == ctx.mapping.name and r.run != ctx.run]
    found: dict[tuple[str, str], tuple[str, Checkpoint]] = {}
    for run in runs[:_LOOKED_AT]:
        for done in ctx.ledger.checkpoints(run, stage):
            content = done.facts.get(CONTENT)
            if isinstance(content, str):
                found.setdefault((done.part, content), (run, done))
    return Earlier(stage, found)


def take_over(ctx: Context, earlier: Earlier, part: str, content: str) -> dict[str, JSON] | None:
    """The facts of an earlier run's work on the same content, its files now this run's too; None: there is none whole.

    The caller records them as its own checkpoint, over `outputs` of the same names."""
    run, done = earlier.found.get((part, content), ("", None))
    if done is None or not all(_whole(ctx, run, output) for output in done.outputs):
        return None
    for output in done.outputs:
        mine = ctx.place(*output.path.split("/"))
        mine.unlink(missing_ok=True)
        link_or_copy(ctx.ledger.root / run / output.path, mine, f"{earlier.stage}.taken_over")
    return dict(done.facts)


def _whole(ctx: Context, run: str, output: Output) -> bool:
    path = ctx.ledger.root / run / output.path
    return (
        path.is_file()
        and not path.is_symlink()
        and path.stat().st_size == output.bytes
        and sha256_file(path) == output.sha256
    )
