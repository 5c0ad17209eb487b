"""Pairs of rows that may be one and wait for a person: list them, accept, reject."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.api.places import ledger_of, run_id
from migrate.errors import UsageError
from migrate.ledger.decisions import Decision, put_decisions
from migrate.ledger.ledger import Ledger
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Entity
from migrate.mapping.model import Mapping as MappingFile
from migrate.opening import home_of, mapping_of
from migrate.rules.matching.clusters import LOADED
from migrate.state.waiting import SEVERAL, UNMERGED, lasting_identity, waiting

_ACCEPT, _REJECT = "accept", "reject"


@dataclass(frozen=True)
class _Queue:
    """`rows`: entity → its pairs, as `migrate.state.waiting` gives them."""

    ledger: Ledger
    run: str
    mapping: MappingFile
    rows: dict[str, list[dict[str, Any]]]


def duplicates_list(
    run: str, *, entity: str | None = None, values: bool = False, home: Path | None = None
) -> dict[str, Any]:
    """The pairs of a run that a person has to decide, the most probable first, with their values side by side.

    `run`: a run, or a mapping file: its newest run. Values are masked unless `values` says that they are to be shown.
    {run, mapping, waiting, decided, masked, pairs: [{pair, entity, a, b, probability, reasons, doubt, earlier, said,
    in_target, values: [{field, a, b, equal}]}]}; `said`: what was decided since (accept, reject, ""), for the next run;
    `in_target`: b is a row of the target, and its key.
    Raises UsageError."""
    with _queue(run, entity, home) as queue:
        pairs = [
            one
            for name, rows in queue.rows.items()
            for one in _told(queue, queue.mapping.entities[name], rows, shown=values)
        ]
    return {
        "run": queue.run,
        "mapping": queue.mapping.name,
        "waiting": sum(not p["said"] for p in pairs),
        "decided": sum(bool(p["said"]) for p in pairs),
        "masked": not values,
        "pairs": sorted(pairs, key=lambda p: (bool(p["said"]), -(p["probability"] or 0.0), p["pair"])),
    }


def duplicates_accept(
    run: str,
    pairs: Sequence[str] = (),
    *,
    all_above: float | None = None,
    entity: str | None = None,
    home: Path | None = None,
) -> dict[str, Any]:
    """The pairs are one: the next run of the mapping merges them, where nothing speaks against it that no person decides.

    `all_above`: all that wait and are at least as probable, but those that somebody kept apart before, and those whose
    rows are both in the target already. All are remembered, or none. {run, decision, pairs, already, left: [{pair, why}],
    inserted}; `inserted`: pairs with a row of the target whose other row the run has written as one of its own: only its
    rollback makes room for them. Raises UsageError for a pair that is not in the queue."""
    if bool(pairs) == (all_above is not None):
        raise UsageError("name pairs, or --all-above a probability", kept="Nothing was decided.")
    return _decide(_ACCEPT, run, pairs, all_above, entity, home)


def duplicates_reject(
    run: str, pairs: Sequence[str], *, entity: str | None = None, home: Path | None = None
) -> dict[str, Any]:
    """The pairs are two: no later run makes them one, nor lets a third row join them. Else as `duplicates_accept`."""
    if not pairs:
        raise UsageError("name the pairs that are two", kept="Nothing was decided.")
    return _decide(_REJECT, run, pairs, None, entity, home)


def _decide(
    what: str,
    run: str,
    pairs: Sequence[str],
    all_above: float | None,
    entity: str | None,
    home: Path | None,
) -> dict[str, Any]:
    with _queue(run, entity, home) as queue:
        there = {row["pair"]: (name, row) for name, rows in queue.rows.items() for row in rows}
        unknown = [p for p in pairs if p not in there]
        if unknown:
            raise UsageError(
                f"the queue has no pair {', '.join(unknown[:5])}",
                where=f"run {queue.run}",
                kept="Nothing was decided.",
                hint=f"`migrate duplicates list {run}` gives the pairs.",
            )
        chosen = list(dict.fromkeys(pairs)) if all_above is None else _above(there, all_above)
        left = [] if all_above is None else _not_by_number(there, all_above)
        new = [p for p in chosen if there[p][1]["said"] != what]
        made = [_decision(queue, *there[p], what) for p in new]
        put_decisions(queue.ledger, made, queue.mapping.digest)
        return {
            "run": queue.run,
            "decision": what,
            "pairs": new,
            "already": len(chosen) - len(new),
            "left": left,
            "inserted": [p for p in chosen if what == _ACCEPT and there[p][1]["inserted"]],
        }


def _above(there: Mapping[str, tuple[str, dict[str, Any]]], limit: float) -> list[str]:
    return [p for p, (_, row) in there.items() if _reaches(row, limit) and not _why_left(row)]


def _not_by_number(there: Mapping[str, tuple[str, dict[str, Any]]], limit: float) -> list[dict[str, str]]:
    return [
        {"pair": p, "why": _why_left(row)}
        for p, (_, row) in there.items()
        if _reaches(row, limit) and _why_left(row)
    ]


def _reaches(row: Mapping[str, Any], limit: float) -> bool:
    return not row["said"] and row["probability"] is not None and row["probability"] >= limit


def _why_left(row: Mapping[str, Any]) -> str:
    """Why a pair is not accepted by its probability alone."""
    if row["inserted"]:
        return "the row is in the target as one of its own: roll the run back first"
    if row["doubt"] == LOADED:
        return (
            "both are in the target already: name the pair, and one of the two rows becomes part of the other"
        )
    return "somebody kept the two apart before" if row["earlier"] == _REJECT else ""


def _decision(queue: _Queue, name: str, row: Mapping[str, Any], what: str) -> Decision:
    rules = queue.mapping.entities[name].duplicates
    assert rules is not None, "only entities with rules have a queue"
    system, first = lasting_identity(queue.mapping, name)
    return Decision(
        pair=row["pair"],
        system=system,
        entity=first,
        a=row["a_id"],
        b=row["b_id"],
        columns=rules.columns,
        content=row["content"],
        decision=what,
        run=queue.run,
    )


@contextmanager
def _queue(what: str, entity: str | None, home: Path | None) -> Iterator[_Queue]:
    """The queue of a run, or of the newest run of a mapping that has compared rows."""
    file = load_mapping(what) if Path(what).suffix.lower() in (".yaml", ".yml") else None
    with ledger_of(home if file is None else home_of(file, home)) as ledger:
        run = run_id(ledger, what) if file is None else _newest_of(ledger, file)
        facts = ledger.run_facts(run)
        mapping = mapping_of(ledger.root / run, str(facts["source"]), str(facts.get("base") or ""))
        names = [n for n, e in mapping.entities.items() if e.duplicates is not None]
        if entity is not None and entity not in names:
            raise UsageError(
                f"the mapping has no entity {entity!r} with `duplicates`",
                where=mapping.path,
                hint=f"Entities: {', '.join(names)}." if names else "",
            )
        wanted = [entity] if entity is not None else names
        rows = {n: waiting(ledger, run, mapping, n) for n in wanted}
        loaded = ledger.run(run).state != "rolled_back" and any(s.stage == "load" for s in ledger.stages(run))
        for row in (row for queued in rows.values() for row in queued):
            row["inserted"] = row["in_target"] and loaded and not row["doubt"].endswith(SEVERAL)
        yield _Queue(ledger, run, mapping, rows)


def _newest_of(ledger: Ledger, mapping: MappingFile) -> str:
    for run in ledger.runs():
        if run.mapping == mapping.name and list(
            (ledger.root / run.run / "transform").glob("*/review.parquet")
        ):
            return run.run
    raise UsageError(
        "no run of this mapping has compared rows yet", where=mapping.path, hint="`migrate run` it first."
    )


# ------------------------------------------------------------------ side by side


def _told(
    queue: _Queue, entity: Entity, rows: Sequence[dict[str, Any]], *, shown: bool
) -> Iterator[dict[str, Any]]:
    assert entity.duplicates is not None, "only entities with rules have a queue"
    plain = [f for f, v in entity.fields.items() if not v.ref and not v.find and v.list is None]
    fields = list(dict.fromkeys([*entity.duplicates.columns, *plain]))
    folder = queue.ledger.root / queue.run / "transform" / entity.name
    inside = [row for row in rows if not row["in_target"]]
    values = _values(
        folder, UNMERGED, {rid for row in inside for rid in (row["a_rid"], row["b_rid"])}, fields
    )
    merged = _values(folder, "rows", {row["a_rid"] for row in rows if row["in_target"]}, fields)
    for row in rows:
        a, b = values.get(row["a_rid"], {}), values.get(row["b_rid"], {})
        if row["in_target"]:
            a, b = merged.get(row["a_rid"], {}), json.loads(row["b_values"])
        sides = [
            {
                "field": f,
                "a": _side(a[f], shown),
                "b": _side(b[f], shown),
                "equal": a[f] is not None and a[f] == b[f],
            }
            for f in fields
            if f in a and f in b and (a[f] is not None or b[f] is not None)
        ]
        keys = ("pair", "a", "b", "probability", "doubt", "earlier", "said", "in_target")
        yield {
            "entity": entity.name,
            **{k: row[k] for k in keys},
            "reasons": row["reasons"].split("; ") if row["reasons"] else [],
            "values": sides,
        }


def _values(folder: Path, kind: str, rids: set[int], fields: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Row → field → value as it would be written; of rows whose files are gone nothing."""
    found: dict[int, dict[str, Any]] = {}
    for path in sorted(folder.glob(f"{kind}-*.parquet")) if rids else ():
        there = [f for f in fields if f in pq.read_schema(path).names]
        table = pq.read_table(path, columns=["__rid", *there])
        table = table.filter(pc.is_in(table["__rid"], pa.array(sorted(rids), pa.int64())))
        for row in table.to_pylist():
            found[int(row.pop("__rid"))] = {f: None if v is None else str(v) for f, v in row.items()}
    return found


def _side(value: str | None, shown: bool) -> str | None:
    """A value, or how it begins and how long it is."""
    if value is None or shown:
        return value
    return f"{value[:1]}… ({len(value)})"
