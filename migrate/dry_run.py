"""What a run would do, counted and not guessed: plan, extract, profile and transform, with nothing loaded."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from migrate.arrow import layout
from migrate.connectors.protocol import Target
from migrate.connectors.registry import drop_scratch
from migrate.context import Context, Progress
from migrate.durable import make_private_folder
from migrate.errors import GateClosed, MigrateError, TooManyQuarantined
from migrate.ledger.ledger import Ledger
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping
from migrate.model import Table
from migrate.opening import home_of, opened
from migrate.planning import scratch_url
from migrate.report.dictionary import brief, data_dictionary
from migrate.report.document import quarantine_counts
from migrate.run import run_stage
from migrate.stages import STAGE_NAMES, STAGES
from migrate.stages.backup import capture_target
from migrate.stages.load.assign import assign
from migrate.stages.report import quarantined
from migrate.stages.transform import transform
from migrate.state.accounts import accounts, with_names
from migrate.state.counts import entity_counts, settled_counts
from migrate.state.created import declared_target
from migrate.state.deciding import lend
from migrate.state.expected import digests_of
from migrate.state.fixes import pin_fixes
from migrate.state.outlook import outlook
from migrate.state.proven import extracted_rows
from migrate.state.unused import unused_problems
from migrate.state.weights import lend_weights
from migrate.vault.capture import captured_rows

_ALIVE = "alive"  # locked while the plan is being made
LOST = "rows"  # code of a table whose rows are not all accounted for


def dry_run(
    path: Path | str, *, home: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """What a run would do, counted from an extracted copy: the JSON shape of `migrate plan`.

    Nothing is loaded and nothing goes to a vault. The copy lies below the state folder, where there is
    room and nobody else looks, and is gone afterwards. `exit_code` is the one with which a run would stop, for what is
    known so far (decision 0078); 0: nothing speaks against it."""
    mapping = load_mapping(path)
    with workplace(mapping, home) as place:
        return _dry(mapping, place, home_of(mapping, home), progress)


def planned_ddl(
    path: Path | str, *, home: Path | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """What a run would create in the target, as SQL for review; only catalogues are read."""
    mapping = load_mapping(path)
    with (
        workplace(mapping, home) as place,
        opened(mapping, home=place, progress=progress, hold=False) as opening,
    ):
        ctx, _ = opening
        run_stage(ctx, STAGES[0])
        return {"mapping": mapping.name, "digest": ctx.plan.digest, "ddl": list(ctx.plan.ddl)}


@contextmanager
def workplace(mapping: Mapping, home: Path | None) -> Iterator[Path]:
    """A private folder below the state folder for what a plan needs meanwhile; gone afterwards, and whatever a
    killed plan of this mapping left goes first: its rows and its scratch databases."""
    root = make_private_folder(home_of(mapping, home) / "plans")
    _sweep(root, mapping)
    with tempfile.TemporaryDirectory(prefix="plan-", dir=root) as name:
        folder = Path(name)
        alive = os.open(folder / _ALIVE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(alive, fcntl.LOCK_EX)
            lend(root.parent, folder)
            lend_weights(root.parent, folder, mapping)
            yield folder
        finally:
            os.close(alive)


def _sweep(root: Path, mapping: Mapping) -> None:
    for alive in root.glob(f"plan-*/{_ALIVE}"):
        handle = os.open(alive, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if all(_scratches_gone(ledger, mapping) for ledger in alive.parent.glob("**/ledger.db")):
                shutil.rmtree(alive.parent)
        except BlockingIOError:
            continue  # a plan that is being made
        finally:
            os.close(handle)


def _scratches_gone(path: Path, mapping: Mapping) -> bool:
    """Scratch databases that this ledger names are dropped; False where they are another mapping's to drop, or stay."""
    with Ledger.open(path) as ledger:
        for left in ledger.scratches():
            if ledger.run(left.run).mapping != mapping.name:
                return False
            role, _, source = left.location.partition(":")
            engine, url = scratch_url(mapping, role, source)
            if not drop_scratch(
                engine, url, folder=path.parent / "runs" / left.run / "scratch", name=left.name
            ):
                return False  # still in use
            ledger.remove_scratch(left.name)
    return True


def pin_from(ctx: Context, home: Path) -> None:
    """The corrections that hold for the mapping, from the state folder of its runs."""
    if (home / "ledger.db").is_file():
        with Ledger.open(home / "ledger.db") as ledger:
            pin_fixes(ctx, ledger)


def _dry(mapping: Mapping, place: Path, home: Path, progress: Progress | None) -> dict[str, Any]:
    problems: list[dict[str, str]] = []
    codes: list[int] = []  # of what would stop a run, in its order
    with opened(mapping, home=place, progress=progress, hold=False) as (ctx, _):
        pin_from(ctx, home)
        for stage in STAGES[: STAGE_NAMES.index("backup")]:
            try:
                run_stage(ctx, stage)
            except GateClosed as error:
                problems.append(_problem(ctx, "gate", error))
                codes.append(error.exit_code)
        try:
            _transform(ctx)
        except (GateClosed, TooManyQuarantined) as error:
            problems.append(_problem(ctx, "quarantine" if error.exit_code == 4 else "gate", error))
            codes.append(error.exit_code)
        if settled_counts(ctx):
            _assigned(ctx)
        document = counted(ctx, problems)
        if any(problem["code"] == LOST for problem in document["problems"]):
            codes.append(GateClosed.exit_code)  # verification would not pass
        return {**document, "exit_code": codes[0] if codes else 0}


def counted(ctx: Context, problems: list[dict[str, str]]) -> dict[str, Any]:
    """The plan's document, from what the stages so far left in the run's folder."""
    tables, told = accounts(ctx, {source: extracted_rows(ctx, source) for source in ctx.plan.source_tables})
    wrong = [
        v for v in told if not v.passed and settled_counts(ctx)
    ]  # else a gate closed before the roads were made
    lost = [{"code": LOST, "where": v.check, "message": v.reason, "hint": ""} for v in wrong]
    return {
        "mapping": ctx.mapping.name,
        "digest": ctx.plan.digest,
        "digests": digests_of(ctx.plan),
        "order": list(ctx.plan.order),
        "ddl": list(ctx.plan.ddl),
        "deferred": {n: list(e.deferred) for n, e in ctx.plan.entities.items() if e.deferred},
        "entities": _merged(entity_counts(ctx), outlook(ctx)),
        "tables": with_names(ctx, tables),
        "joins": ctx.ledger.run_facts(ctx.run).get("joins") or {},
        "quarantine": quarantine_counts(quarantined(ctx)),
        "problems": [*ctx.plan.problems, *unused_problems(ctx), *problems, *lost],
        "left_behind": [item.model_dump() for item in ctx.mapping.left_behind],
        "dictionary": brief(data_dictionary(ctx.mapping, declared_target(ctx))),
        "glossary": dict(ctx.mapping.glossary),
    }


def _merged(counts: dict[str, dict[str, int]], more: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {**count, **more.get(name, {})} for name, count in counts.items()}


def _problem(ctx: Context, code: str, error: MigrateError) -> dict[str, str]:
    hint = error.hint if code != "quarantine" else "Correct the mapping or the source, or set max_quarantine."
    if ctx.run in hint:  # of a run that is gone with all that it names, once the plan is made
        _, _, way_out = hint.partition("; ")
        hint = (
            f"{way_out[:1].upper()}{way_out[1:]} `migrate run {ctx.mapping.path} --to transform` stops there too, loads "
            "nothing, and keeps what it found."
        ).strip()
    return {"code": code, "where": error.where, "message": error.message, "hint": hint}


def _assigned(ctx: Context) -> None:
    """What would be written, row by row decided as load does it: an update that changes nothing is none (P2)."""
    assign(
        replace(ctx, target=cast(Target, _Unreserved(ctx.target))),
        declared_target(ctx),
        ctx.plan.digest,
    )


class _Unreserved:
    """The target, but for keys: a dry run takes none from its sequences."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def reserve_keys(self, table: Table, column: str, count: int) -> pa.Array[Any]:
        """Numbers that stand for the keys a run would get."""
        type_ = layout(table.column(column).type)
        return pa.array(range(-count, 0), pa.int64()).cast(type_, safe=False)


def _transform(ctx: Context) -> None:
    """Fates of all rows, from the extracted copy and a copy of the touched target tables; no vault in between."""
    capture_target(ctx)
    sources = {name: captured_rows(ctx.folder / "extract" / name) for name in ctx.plan.source_tables}
    transform(ctx, sources, captured_rows(ctx.folder / "target"), ctx.plan.digest)
