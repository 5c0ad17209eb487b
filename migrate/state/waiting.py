"""Pairs of rows that wait for a person: what a run found between its two thresholds, and what was said of them since.

`transform/ENTITY/review.parquet` of a run's folder, a row per pair: `pair`, its id, the same in every run; `a`, `b` (source
keys), `a_rid`, `b_rid` (places of the rows), `a_id`, `b_id`, `content` (keyed hashes, as the ledger keeps them),
`probability` (null where only people or earlier runs speak for it), `reasons`, `doubt`, and `earlier`: accept or reject,
where somebody said that of other values.

`in_target_review.parquet` beside it: the same of pairs with a row of the target: `b` is its key, `b_rid` is null, and `b_values`
has its compared values (JSON).
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.ledger.decisions import Decision, decisions_on
from migrate.ledger.ledger import Ledger
from migrate.mapping.model import Entity, Mapping
from migrate.model import Table
from migrate.planning import Identity, earlier_identities, identity_of
from migrate.rules.matching.finding import Found
from migrate.state.compared import compared_texts, read_compared
from migrate.state.deciding import content_id, key_of, pair_id, row_id

UNMERGED = "unmerged"
REVIEW: list[pa.Field[Any]] = [
    pa.field("pair", pa.string()),
    pa.field("a", pa.string()),
    pa.field("b", pa.string()),
    pa.field("a_rid", pa.int64()),
    pa.field("b_rid", pa.int64()),
    pa.field("a_id", pa.string()),
    pa.field("b_id", pa.string()),
    pa.field("content", pa.string()),
    pa.field("probability", pa.float64()),
    pa.field("reasons", pa.string()),
    pa.field("doubt", pa.string()),
    pa.field("earlier", pa.string()),
]


TARGET_REVIEW = [*REVIEW, pa.field("b_values", pa.string())]
SEVERAL = "rows of the target fit"  # ends the doubt about a row that is set aside because of it
_OWN, IN_TARGET = "review.parquet", "in_target_review.parquet"


def lasting_identity(mapping: Mapping, name: str) -> Identity:
    """System and entity by the earliest names that the mapping knows: decisions outlive a rename."""
    return [identity_of(mapping, name), *earlier_identities(mapping, name)][-1]


def texts_of(
    files: Sequence[Path], rids: set[int], columns: Sequence[str], table: Table
) -> dict[int, dict[str, str | None]]:
    """Row → column → its text, as it is compared: also where it does not move for want of consent."""
    wanted = pa.array(sorted(rids), pa.int64())
    found: dict[int, dict[str, str | None]] = {}
    for path in files if rids else ():
        rows = read_compared(path, columns)
        rows = rows.filter(pc.is_in(rows["__rid"], wanted))
        texts = compared_texts(rows, columns, table)
        for rid, row in zip(rows["__rid"].to_numpy().tolist(), texts.to_pylist(), strict=True):
            found[rid] = row
    return found


def review_rows(
    ctx: Context,
    entity: Entity,
    table: Table,
    found: Found,
    keys: pa.Array[Any],
    rids: np.ndarray,
    unmerged: Sequence[Path],
    stale: Dict[tuple[int, int], Decision],
) -> list[tuple[Any, ...]]:
    """Rows of `review.parquet`: pairs that are neither merged nor kept apart by what somebody said of these values."""
    assert entity.duplicates is not None, "asked for only where there are rules"
    pairs = [
        p for p in found.pairs if p.decided == "review" or (p.decided == "apart" and (p.a, p.b) in stale)
    ]
    if not pairs:
        return []
    key = key_of(ctx.ledger, make=True)
    assert key is not None, "it was made if it was not there"
    identity = lasting_identity(ctx.mapping, entity.name)
    columns = entity.duplicates.columns
    texts = texts_of(unmerged, {int(rids[r]) for p in pairs for r in (p.a, p.b)}, columns, table)
    rows = []
    for p in pairs:
        a, b = str(keys[p.a].as_py()), str(keys[p.b].as_py())
        ids = row_id(key, identity, a), row_id(key, identity, b)
        at = int(rids[p.a]), int(rids[p.b])
        content = content_id(key, columns, [(ids[0], texts[at[0]]), (ids[1], texts[at[1]])])
        earlier = stale[p.a, p.b].decision if (p.a, p.b) in stale else ""
        told = (p.probability, "; ".join(p.reasons), p.doubt, earlier)
        rows.append((pair_id(*ids), a, b, *at, *ids, content, *told))
    return rows


def waiting(ledger: Ledger, run: str, mapping: Mapping, name: str) -> list[dict[str, Any]]:
    """The queue of one entity of a run: rows of both files with `said`, what was decided since (accept, reject, ""), and
    `in_target`, whether b is a row of the target."""
    rows: list[dict[str, Any]] = []
    for file in (_OWN, IN_TARGET):
        path = ledger.root / run / "transform" / name / file
        if path.exists() and "pair" in pq.read_schema(path).names:
            rows += [{**row, "in_target": file == IN_TARGET} for row in pq.read_table(path).to_pylist()]
    decided = decisions_on(ledger, *lasting_identity(mapping, name)) if rows else {}
    for row in rows:
        said = decided.get(row["pair"])
        row["said"] = said.decision if said is not None and said.content == row["content"] else ""
    return rows


def waiting_counts(ledger: Ledger, run: str, mapping: Mapping) -> dict[str, int]:
    """Entity → pairs of the run that wait for a person; of entities that have any."""
    found: dict[str, int] = {}
    for name, entity in mapping.entities.items():
        if entity.duplicates is not None:
            n = sum(not row["said"] for row in waiting(ledger, run, mapping, name))
            found |= {name: n} if n else {}
    return found
