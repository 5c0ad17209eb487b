"""What stands against an undo is said before anything is touched."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from migrate.context import Context
from migrate.errors import MigrateError, UsageError
from migrate.state.proven import proven_backups
from migrate.state.records import fences, meta_rows, writers
from migrate.vault.reader import Backup


def refuse_later_runs(ctx: Context, along: Collection[str]) -> None:
    """Only a row's last writer is undone (F33); `along` are undone before."""
    runs = [r for rows in meta_rows(ctx.target, "run") for r in rows.to_pylist()]
    mine = next((r for r in runs if r["run"] == ctx.run), None)
    if mine is None:
        raise UsageError(
            f"there is nothing to undo: run {ctx.run} wrote nothing to this target",
            kept="Nothing was changed.",
            hint="`migrate runs` shows how many rows each run loaded.",
        )
    wrote, known = writers(ctx.target), fences(ctx.target)
    later = [
        r["run"]
        for r in runs
        if _is_later(r, mine, known)
        and r["state"] != "rolled_back"
        and r["run"] in wrote
        and r["run"] not in along
    ]
    if later:
        raise UsageError(
            f"later runs wrote to this target: {', '.join(sorted(later))}",
            kept="Nothing was changed.",
            hint="Roll those back first, the newest first.",
        )


def _is_later(run: Mapping[str, Any], than: Mapping[str, Any], known: Mapping[str, int]) -> bool:
    """By the fences of the target, whatever the clocks of the machines say that wrote there. Of runs of layouts that had
    none only the clock tells; they are earlier than any that has one, for their programs refuse a newer layout."""
    one, other = known.get(run["run"]), known.get(than["run"])
    if one is None and other is None:
        return bool(run["started"] > than["started"])
    return one is not None and (other is None or one > other)


def refuse_dependants(ctx: Context, only: Sequence[str]) -> None:
    if not only:
        return
    for name, plan in ctx.plan.entities.items():
        needed = {p for parents in plan.refs.values() for p in parents} & set(only)
        if needed and name not in only:
            raise UsageError(
                f"{name} refers to {', '.join(sorted(needed))}",
                kept="Nothing was changed.",
                hint=f"Add --only {name}.",
            )


def backup_before(ctx: Context) -> Backup:
    """What the undone target is proven against: opened before anything is undone, for afterwards is too late."""
    try:
        return proven_backups(ctx)["target"]
    except MigrateError as error:
        error.kept, error.hint = (
            "Nothing was changed.",
            "An undo is proven against this backup: bring it back first.",
        )
        raise
