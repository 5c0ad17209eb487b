"""What is known of a run without the ledger: receipts of the target and manifests of the vault, and in words what is not.

Pure: rows of our tables in the target go in, a part of a report's document comes out. Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

UNKNOWN = (
    "whether the target was verified after the load, and by which checks",
    "how many rows came in, and how many were unchanged, merged, set aside or left out by rule",
    "which stages were carried out, when, and what stopped the run if something did",
    "the audit trail, the profile of the source, its quality and the sums that the mapping compares",
)
_PARTS = {"links": "links", "cascade": "fell with their parents"}


def receipts_by_entity(receipts: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Entity → parts, rows written, rows that the database refused, first and last writing; from receipts of one run.

    `ENTITY/NUMBER` is a part of its rows; `ENTITY/NUMBER/links` filled references of the same rows a second time, so its rows
    are not added up; what else is no part of an entity (names, rows that are gone) is left to `others`."""
    found: dict[str, dict[str, Any]] = {}
    for one in sorted(receipts, key=lambda r: (str(r["written_at"]), str(r["part"]))):
        entity, number, *rest = [*str(one["part"]).split("/"), ""]
        if entity == "gone" or not (number.isdigit() or number in _PARTS):
            continue
        told = found.setdefault(entity, {"parts": 0, "rows": 0, "refused": 0, "first": one["written_at"]})
        if number.isdigit() and rest == [""]:
            told["parts"] += 1
            told["rows"] += int(one["row_count"])
        told["refused"] += int(one["rejected"])
        told["last"] = one["written_at"]
    return found


def gone_rows(receipts: Iterable[Mapping[str, Any]]) -> int:
    """Rows that were flagged or deleted because their source row is gone."""
    return sum(int(r["row_count"]) for r in receipts if str(r["part"]).startswith("gone/"))


def sentence_of(rebuilt: Mapping[str, Any]) -> str:
    """The run in one sentence; never that it is verified, for that is not on record here."""
    entities = rebuilt.get("receipts") or {}
    if rebuilt.get("rolled_back"):
        return "Rebuilt without the ledger: the target says that this run was rolled back."
    if not entities:
        return "Rebuilt without the ledger: no row of this run is on record in the target."
    rows = sum(int(e["rows"]) for e in entities.values())
    what = f"{rows:,} {'row' if rows == 1 else 'rows'} of {len(entities)} {'entity' if len(entities) == 1 else 'entities'}"
    return (
        f"Rebuilt without the ledger: {what} {'is' if rows == 1 else 'are'} on record in the target as written by this run. "
        "Whether they were verified is not on record."
    )
