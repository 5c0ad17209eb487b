"""Which rows of the target earlier runs added, also where a later run wrote to them since: told by the target's own
records. The crosswalk says what the last writer did; the journal, run by run, what stood there before."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.connectors.protocol import Target
from migrate.state.records import meta_rows


@dataclass(frozen=True)
class Written:
    """A crosswalk entry: what its last writer did (`origin`), in which run, to which row of the target."""

    origin: str
    run: str
    target_key: str


def added_by_us(target: Target, entries: Mapping[str, Written]) -> set[str]:
    """Of the `entries` of one entity, by source key, those whose row a run of ours inserted.

    Back from writer to writer: each run that changed an entry kept what it replaced. An entry that its writer found
    nothing before is one of a row that was there already."""
    found = {key for key, entry in entries.items() if entry.origin == "insert"}
    open_ = {key: entry for key, entry in entries.items() if entry.origin not in ("insert", "link")}
    if not open_:
        return found
    before = _before(target, set(open_))
    for key, entry in open_.items():
        now: Written | None = entry
        for _ in range(len(before) + 1):
            if now is None or now.origin in ("insert", "link"):
                break
            now = before.get((key, now.run, entry.target_key))
        if now is not None and now.origin == "insert":
            found.add(key)
    return found


def _before(target: Target, keys: set[str]) -> dict[tuple[str, str, str], Written]:
    """(source key, run, target key) → the entry that the run replaced."""
    found = {}
    wanted = pa.array(sorted(keys), pa.string())
    for run, entries in _images(target):
        for row in entries.filter(pc.is_in(entries["source_key"], wanted)).to_pylist():
            found[row["source_key"], run, row["target_key"]] = Written(
                row["origin"], row["run"], row["target_key"]
            )
    return found


def _images(target: Target) -> Iterator[tuple[str, Any]]:
    for rows in meta_rows(target, "journal", ["run", "kind", "image"]):
        for row in rows.filter(pc.equal(rows["kind"], "crosswalk")).to_pylist():
            yield (
                row["run"],
                pq.read_table(
                    io.BytesIO(row["image"]), columns=["source_key", "target_key", "origin", "run"]
                ),
            )
