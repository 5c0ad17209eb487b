"""What becomes of pairs of a row and a row of the target: what was found of them, and what people said (decision 0060)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from migrate.context import Context
from migrate.duck import identifier, literal
from migrate.ledger.decisions import Decision
from migrate.mapping.model import Entity
from migrate.model import Table
from migrate.rules.matching.clusters import NEVER
from migrate.rules.matching.finding import SIDE, Found, Pair
from migrate.state.deciding import content_id, decided_for, key_of, pair_id, row_id
from migrate.state.waiting import SEVERAL, lasting_identity, texts_of
from migrate.transform.settle import Road
from migrate.transform.settle.outcomes import CANDIDATES

MINE: list[pa.Field[Any]] = [pa.field("__rid", pa.int64()), pa.field("__key", pa.string())]
_ROWS_READ = 20_000  # at a time
Place = tuple[int, str]  # a row by its place among ours, and the key of a row of the target
Texts = Mapping[str, str | None]


@dataclass
class _Said:
    """What people said: of these values, or (`stale`) when the values were others."""

    accepted: set[Place] = field(default_factory=set)
    rejected: set[Place] = field(default_factory=set)
    stale: dict[Place, Decision] = field(default_factory=dict)


@dataclass(frozen=True)
class _Own:
    """One of our rows: its id, and its source key."""

    rid: int
    key: str


class Pairs:
    """`mine`: the file of our rows (`MINE`), in the order in which they were compared; `theirs`: that of the target's
    rows, with `tkey` and a column per compared one, a row of it per item of a list. Of both only rows that are in a pair
    come into memory."""

    def __init__(
        self,
        ctx: Context,
        entity: Entity,
        road: Road,
        table: Table,
        db: duckdb.DuckDBPyConnection,
        mine: Path,
        theirs: Path,
    ) -> None:
        assert entity.duplicates is not None, "only an entity with duplicates is asked"
        self.ctx, self.road, self.table, self.db = ctx, road, table, db
        self.columns = entity.duplicates.columns
        self.identity = lasting_identity(ctx.mapping, entity.name)
        self.others = ("", entity.into)  # no system has an empty name
        self.mine, self.theirs = mine, theirs
        self.file = f"read_parquet({literal(str(theirs))}, file_row_number = true)"

    def told(self, found: Found) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Rows of `in_target.parquet`, and of `in_target_review.parquet`."""
        pairs = self._by_place(found)
        said = self._said()
        there: dict[int, dict[str, float | None]] = {}
        for (a, tkey), pair in pairs.items():
            if pair.decided == "merge" and (a, tkey) not in said.rejected:
                there.setdefault(a, {})[tkey] = pair.probability
        chosen: dict[int, dict[str, float | None]] = {}
        for a, tkey in said.accepted:
            known = pairs.get((a, tkey))
            if known is None or known.doubt != NEVER:
                chosen.setdefault(a, {})[tkey] = known.probability if known else None
        asked: dict[Place, str] = {}
        for place, pair in pairs.items():
            a, tkey = place
            of = there.get(a, {})
            if a in chosen or (place in said.rejected and place not in said.stale):
                continue
            if tkey not in of:
                asked[place] = pair.doubt
            elif len(of) > 1:
                asked[place] = f"{len(of)} {SEVERAL}"
        found_there = there | chosen
        ours = self._ours({*found_there, *(a for a, _ in asked)})
        rows = [
            (ours[a].rid, len(of), min(of), ", ".join(sorted(of)[:CANDIDATES]), _most(of.values()))
            for a, of in sorted(found_there.items())
        ]
        return rows, self._review(pairs, asked, said, ours)

    def _by_place(self, found: Found) -> dict[Place, Pair]:
        """The best pair of each two rows: one to be merged before all others, then the most probable."""
        keys = self._rows_of({p.b - SIDE for p in found.pairs})
        best: dict[Place, Pair] = {}
        for pair in sorted(found.pairs, key=lambda p: (p.decided != "merge", -(p.probability or 0.0))):
            best.setdefault((pair.a, keys[pair.b - SIDE]), pair)
        return best

    def _rows_of(self, numbers: set[int]) -> dict[int, str]:
        self.db.register("asked", pa.table({"n": pa.array(sorted(numbers), pa.int64())}))
        found = self.db.execute(
            f"SELECT n, tkey FROM {self.file} t JOIN asked ON n = t.file_row_number"
        ).fetchall()
        self.db.unregister("asked")
        return {int(n): str(tkey) for n, tkey in found}

    def _ours(self, numbers: set[int]) -> dict[int, _Own]:
        """By their places."""
        self.db.register("asked", pa.table({"n": pa.array(sorted(numbers), pa.int64())}))
        found = self.db.execute(
            f"SELECT n, __rid, __key FROM read_parquet({literal(str(self.mine))}, file_row_number = true) t "
            "JOIN asked ON n = t.file_row_number"
        ).fetchall()
        self.db.unregister("asked")
        return {int(n): _Own(int(rid), str(key)) for n, rid, key in found}

    def _said(self) -> _Said:
        said = _Said()
        decided = decided_for(self.ctx, self.identity)
        key = key_of(self.ctx.ledger)
        if key is None or not decided:
            return said
        wanted = {row for one in decided.values() for row in (one.a, one.b)}
        places, tkeys = enumerate(_column(self.mine, "__key")), _column(self.theirs, "tkey")
        ours = {name: a for a, k in places if (name := row_id(key, self.identity, k)) in wanted}
        theirs = {name: t for t in tkeys if (name := row_id(key, self.others, t)) in wanted}
        held = {
            (ours[one.a], theirs[one.b]): one for one in decided.values() if one.a in ours and one.b in theirs
        }
        own = self._ours({a for a, _ in held})
        texts = self._texts(held, own)
        for place, one in held.items():
            same = set(one.columns) == set(self.columns)
            fresh = same and self._content(key, texts, place, own) == one.content
            if not fresh:
                said.stale[place] = one
            if one.decision == "reject":
                said.rejected.add(place)
            elif fresh:
                said.accepted.add(place)
        return said

    def _review(
        self, pairs: Mapping[Place, Pair], asked: Mapping[Place, str], said: _Said, ours: Mapping[int, _Own]
    ) -> list[tuple[Any, ...]]:
        if not asked:
            return []
        key = key_of(self.ctx.ledger, make=True)
        assert key is not None, "it was made if it was not there"
        texts = self._texts(asked, ours)
        rows = []
        for place, doubt in asked.items():
            a, tkey = place
            ids = row_id(key, self.identity, ours[a].key), row_id(key, self.others, tkey)
            earlier = said.stale[place].decision if place in said.stale else ""
            pair = pairs[place]
            rows.append(
                (
                    pair_id(*ids),
                    ours[a].key,
                    tkey,
                    ours[a].rid,
                    None,
                    *ids,
                    self._content(key, texts, place, ours),
                    pair.probability,
                    "; ".join(pair.reasons),
                    doubt,
                    earlier,
                    json.dumps(texts.theirs[tkey], ensure_ascii=False),
                )
            )
        return rows

    def _content(self, key: bytes, texts: _Texts, place: Place, ours: Mapping[int, _Own]) -> str:
        a, tkey = place
        ids = row_id(key, self.identity, ours[a].key), row_id(key, self.others, tkey)
        both: list[tuple[str, Texts]] = [(ids[0], texts.ours[ours[a].rid]), (ids[1], texts.theirs[tkey])]
        return content_id(key, self.columns, both)

    def _texts(self, places: Iterable[Place], own: Mapping[int, _Own]) -> _Texts:
        """The compared values of the rows of these pairs; of a list in the target all of its items."""
        wanted = list(places)
        ours = texts_of(self.road.rows, {own[a].rid for a, _ in wanted}, self.columns, self.table)
        self.db.register("asked", pa.table({"tkey": pa.array(sorted({t for _, t in wanted}), pa.string())}))
        listed = ", ".join(f"list({identifier(c)} ORDER BY file_row_number)" for c in self.columns)
        rows = self.db.execute(
            f"SELECT tkey, {listed} FROM {self.file} SEMI JOIN asked USING (tkey) GROUP BY tkey"
        ).fetchall()
        self.db.unregister("asked")
        theirs = {
            str(row[0]): {c: _one(values) for c, values in zip(self.columns, row[1:], strict=True)}
            for row in rows
        }
        return _Texts(ours, theirs)


@dataclass(frozen=True)
class _Texts:
    """By row id, and by the target's key."""

    ours: Mapping[int, Texts]
    theirs: Mapping[str, Texts]


def _column(file: Path, name: str) -> Iterator[str]:
    """Its texts, row by row; of keys none is missing."""
    with pq.ParquetFile(file) as rows:
        for batch in rows.iter_batches(_ROWS_READ, columns=[name]):
            yield from map(str, batch.column(0).to_pylist())


def _one(values: list[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else json.dumps(values, ensure_ascii=False)


def _most(probabilities: Iterable[float | None]) -> float | None:
    known = [p for p in probabilities if p is not None]
    return max(known) if known else None
