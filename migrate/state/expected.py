"""`run --plan`: what a plan stated, kept with the run and held against it (P2). What differs is drift, exit 7."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from migrate.context import Context
from migrate.durable import write_bytes
from migrate.errors import Drift, UsageError
from migrate.mapping.model import Mapping
from migrate.plan_model import Plan
from migrate.state.counts import entity_counts

FILE = "expected.json"
_COUNTS = (
    "rows", "inserts", "updates", "links", "unchanged", "quarantined", "excluded",
    "kept", "overwritten", "gone", "gone_flagged", "gone_deleted",
)  # fmt: skip
_MORE = 5  # differences named in one message


def read_plan(path: Path | str, mapping: Mapping) -> dict[str, Any]:
    """The plan in a file that `migrate plan --out` wrote. Raises UsageError where it is no plan of this mapping."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"the plan cannot be read: {(error.strerror or 'no file').lower()}",
            where=str(path),
            kept="Nothing was read or changed.",
            hint=f"Make it with `migrate plan {mapping.path} --out plan.json`.",
        ) from None
    except ValueError:
        document = None
    if not isinstance(document, dict) or not {"mapping", "digests", "entities"} <= document.keys():
        raise UsageError(
            "this file is not a plan",
            where=str(path),
            kept="Nothing was read or changed.",
            hint=f"Make it with `migrate plan {mapping.path} --out plan.json`.",
        )
    if document["mapping"] != mapping.name:
        raise UsageError(
            f"this is the plan of {document['mapping']}, not of {mapping.name}",
            where=str(path),
            kept="Nothing was read or changed.",
        )
    return document


def keep_plan(ctx: Context, document: dict[str, Any]) -> None:
    """Beside the run, so that the run is held to it also when it is resumed."""
    write_bytes(ctx.place(FILE), json.dumps(document, indent=1).encode(), point="run.expected")


def digests_of(plan: Plan) -> dict[str, Any]:
    """What a plan was made from: to tell later which of it changed."""
    return {"mapping": plan.mapping_digest, "sources": plan.source_schemas, "target": plan.target_schema}


def check_made_from(ctx: Context) -> None:
    """Mapping and schemas are those of the plan that this run is held to; raises Drift."""
    document = _kept(ctx)
    if document is None:
        return
    then, now = document["digests"], digests_of(ctx.plan)
    changed = ["the mapping"] if then.get("mapping") != now["mapping"] else []
    sources = then.get("sources") or {}
    changed += [f"the tables of source {s}" for s, d in now["sources"].items() if sources.get(s) != d]
    changed += ["the target's tables"] if then.get("target") != now["target"] else []
    if changed:
        raise _drift(
            ctx, f"{' and '.join(changed)} changed since the plan was made", "Nothing was read or changed."
        )


def check_counts(ctx: Context) -> None:
    """What would be written now is what the plan stated, entity by entity; asked before the first write."""
    document = _kept(ctx)
    if document is None:
        return
    now = entity_counts(ctx)
    differences = []
    for name, then in document["entities"].items():
        differences += [
            f"{name}: {what} {then.get(what, 0)} planned, {now.get(name, {}).get(what, 0)} now"
            for what in _COUNTS
            if name in now and then.get(what, 0) != now[name][what]
        ]
    if differences:
        more = f" and {len(differences) - _MORE} more" if len(differences) > _MORE else ""
        raise _drift(
            ctx,
            f"the data are not as they were planned: {'; '.join(differences[:_MORE])}{more}",
            "Nothing was loaded; the backups are kept.",
        )


def _kept(ctx: Context) -> dict[str, Any] | None:
    path = ctx.folder / FILE
    if not path.exists():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _drift(ctx: Context, message: str, kept: str) -> Drift:
    return Drift(
        message,
        where=ctx.mapping.path,
        kept=kept,
        hint="Make a new plan and look at it; or run without --plan, with --fresh.",
    )
