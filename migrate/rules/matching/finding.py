"""Find duplicates in the rows of one table, or between two: exact keys, similarity, clusters.

Everything happens in one DuckDB that bounds its memory; only pairs that may be duplicates reach Python.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from migrate.duck import count, identifier
from migrate.errors import MappingError, Problem, UsageError
from migrate.mapping.duplicates import Duplicates, Kind
from migrate.mapping.shapes import did_you_mean
from migrate.rules.matching.blocking import AllWithAll, choose
from migrate.rules.matching.clean import cleaned, not_nothing
from migrate.rules.matching.clusters import Clusters, Edge, Ground, cluster
from migrate.rules.matching.comparisons import Compared, levels
from migrate.rules.matching.exact import Placeholder, blank_crowded, same
from migrate.rules.matching.similar import Model, score
from migrate.rules.matching.weights import compared_of

KNOWN = "known"  # a table (rid, name) that may be given: rows that are rows of the target already
SIDE = 1 << 40  # a row's number is its place in its table, of the second table plus this
EQUAL = 1.0
UNTOLD = -1.0  # of a pair that only people or earlier runs speak for


@dataclass(frozen=True)
class Given:
    """One table's rows as text: `batches` with a column per name."""

    name: str
    columns: tuple[str, ...]
    batches: Iterable[pa.Table]


@dataclass(frozen=True)
class Pair:
    """Two rows by number, why, and what is decided: merge, review and for what reason, or apart because a person said
    so. `probability`: None where nothing but an earlier run or a person speaks for the pair."""

    a: int
    b: int
    probability: float | None
    reasons: tuple[str, ...]
    decided: str
    doubt: str


@dataclass(frozen=True)
class Before:
    """What was decided about pairs (a < b) before. `loaded`: whether table `known` says which rows of the target rows are
    already; `accepted`, `rejected`: by a person, who still means these values."""

    loaded: bool = False
    accepted: frozenset[tuple[int, int]] = frozenset()
    rejected: frozenset[tuple[int, int]] = frozenset()


NOTHING_BEFORE = Before()


@dataclass(frozen=True)
class Found:
    """`compared`: pairs looked at by similarity, of `possible`; `clusters`: row → cluster."""

    rows: tuple[int, ...]
    pairs: tuple[Pair, ...]
    clusters: Mapping[int, int]
    placeholders: tuple[Placeholder, ...]
    compared: int
    possible: int
    model: Model | None


def columns_wanted(
    rules: Duplicates, tables: Sequence[tuple[str, Sequence[str]]]
) -> dict[str, dict[str, str]]:
    """Per table: the rules' name of a column → the table's own, which may have blanks around it.

    Raises MappingError with every column that a table does not have."""
    problems: list[Problem] = []
    found: dict[str, dict[str, str]] = {}
    for table, names in tables:
        own = {name.strip(): name for name in names} | {name: name for name in names}
        for column in rules.columns:
            if column not in own:
                problems.append(
                    Problem(
                        "unknown_name",
                        table,
                        f"there is no column `{column}`",
                        did_you_mean(column, list(own)),
                    )
                )
        found[table] = {c: own[c] for c in rules.columns if c in own}
    if problems:
        raise MappingError(problems, hint="Nothing was compared.")
    return found


def find(
    db: duckdb.DuckDBPyConnection,
    tables: Sequence[Given],
    rules: Duplicates,
    *,
    model: Model | None = None,
    before: Before = NOTHING_BEFORE,
) -> Found:
    """Duplicates within one table, or between two. `model`: the weights of an earlier search, which decide the same.
    `before`: what was decided of pairs of the one table.

    Raises UsageError for rules that would compare all with all, and where Splink is not installed."""
    two_sides = len(tables) == 2
    places = _clean(db, tables, rules)
    exact = {c: place for (c, kind), place in places.items() if kind is None}
    alike = compared_of(rules)
    crowded = same(db, rules.same, exact, largest=rules.decide.largest, two_sides=two_sides)
    personal = {one.column: one.place for one in alike if one.kind in ("email", "phone")}
    crowded += blank_crowded(db, personal, largest=rules.decide.largest * (2 if two_sides else 1))
    compared, possible = 0, 0
    if alike and count(db, "SELECT count(*) FROM clean") > 1:
        try:
            blocking = choose(db, alike, two_sides=two_sides)
        except AllWithAll as error:
            raise UsageError(
                f"`similar` would compare all rows with all: {error.pairs:,} pairs, for no column, nor any two or three of them, narrows them down",
                where=", ".join(t.name for t in tables),
                kept="Nothing was compared.",
                hint="Name a column that tells rows apart: a date of birth, a postcode, a phone, an e-mail.",
            ) from error
        compared, possible = blocking.pairs, blocking.possible
        model = score(
            db, alike, blocking, two_sides=two_sides, review_above=rules.decide.review_above, model=model
        )
    else:
        db.execute(
            "CREATE OR REPLACE TEMP TABLE alike(a BIGINT, b BIGINT, p DOUBLE, levels INTEGER[], nearness DOUBLE, strange BOOLEAN)"
        )
        model = None
    edges, reasons = _edges(db, alike, rules, two_sides)
    edges = _with_earlier(db, edges, before)
    rows_of_edges = pa.table({"rid": pa.array(sorted({r for e in edges for r in (e.a, e.b)}), pa.int64())})
    db.register("involved", rows_of_edges)
    clusters = cluster(
        edges,
        merge_above=rules.decide.merge_above,
        largest=rules.decide.largest,
        apart=_apart(db, rules, exact),
        loaded=_loaded(db) if before.loaded else {},
        rejected=before.rejected,
    )
    db.unregister("involved")
    rows = [count(db, f"SELECT count(*) FROM clean WHERE side = {side}") for side in range(len(tables))]
    return Found(
        tuple(rows), _pairs(edges, reasons, clusters), clusters.of, tuple(crowded), compared, possible, model
    )


def _clean(
    db: duckdb.DuckDBPyConnection, tables: Sequence[Given], rules: Duplicates
) -> dict[tuple[str, Kind | None], str]:
    """Table `clean`: rid, side, and a place per column and kind; kind None: for exact keys."""
    exact = dict.fromkeys([*(c for group in rules.same for c in group), *rules.decide.never_differ])
    places: dict[tuple[str, Kind | None], str]
    # What `similar` was trained to names its places: they are the same whatever the exact keys are.
    places = {(c, None): f"k{number}" for number, c in enumerate(exact)}
    places |= {(one.column, one.kind): one.place for one in compared_of(rules)}
    own = columns_wanted(rules, [(t.name, t.columns) for t in tables])
    columns = ", ".join(f'"{place}" VARCHAR' for place in places.values())
    db.execute(f"CREATE OR REPLACE TABLE clean(rid BIGINT, side TINYINT, {columns})")
    for side, table in enumerate(tables):
        start = side * SIDE
        for batch in table.batches:
            selected = []
            for (column, kind), place in places.items():
                raw = f"trim(CAST({identifier(own[table.name][column])} AS VARCHAR))"
                # An exact key is compared as written, but for case and blanks.
                form = (
                    f"nullif(lower(regexp_replace({raw}, '\\s+', ' ', 'g')), '')"
                    if kind is None
                    else not_nothing(cleaned(raw, kind), raw)
                )
                selected.append(f'{form} AS "{place}"')
            numbered = batch.append_column(
                "__rid", pa.array(range(start, start + batch.num_rows), pa.int64())
            )
            db.register("incoming", numbered)
            db.execute(f"INSERT INTO clean SELECT __rid, {side}, {', '.join(selected)} FROM incoming")
            db.unregister("incoming")
            start += batch.num_rows
    return places


def _edges(
    db: duckdb.DuckDBPyConnection, alike: Sequence[Compared], rules: Duplicates, two_sides: bool
) -> tuple[list[Edge], dict[tuple[int, int], tuple[str, ...]]]:
    edges: list[Edge] = []
    reasons: dict[tuple[int, int], tuple[str, ...]] = {}
    for a, b, rule in db.execute(
        "SELECT a, b, string_agg(DISTINCT rule, ', ' ORDER BY rule) FROM equal GROUP BY a, b"
    ).fetchall():
        edges.append(Edge(a, b, EQUAL, "exact"))
        reasons[a, b] = (f"same {rule}",)
    words = [[step.words for step in levels(one, alike)] for one in alike]
    rows = db.execute(
        "SELECT a, b, p, levels, strange, "
        "row_number() OVER (PARTITION BY a ORDER BY p DESC, nearness DESC, b) "
        "+ row_number() OVER (PARTITION BY b ORDER BY p DESC, nearness DESC, a) "
        "FROM alike ANTI JOIN equal USING (a, b)"
    )
    while chunk := rows.fetchmany(50_000):
        for a, b, p, found, strange, place in chunk:
            reasons[a, b] = _words(alike, words, found)
            doubt = "a name differs, and nothing that one person alone has is equal" if strange else ""
            if two_sides and place > 2 and p >= rules.decide.merge_above:
                doubt = doubt or "another row fits better"
            edges.append(Edge(a, b, min(float(p), 1.0), doubt=doubt))
    return edges, reasons


def _words(
    alike: Sequence[Compared], words: Sequence[Sequence[str]], found: Sequence[int]
) -> tuple[str, ...]:
    told = []
    for one, steps, level in zip(alike, words, found, strict=True):
        if level >= 0:
            told.append(f"{one.column} {steps[len(steps) - level] if level else 'different'}")
    return tuple(told)


def _with_earlier(db: duckdb.DuckDBPyConnection, edges: Sequence[Edge], before: Before) -> list[Edge]:
    """Pairs that earlier runs or people made one come in the place of what was found of them now."""
    one: dict[tuple[int, int], Ground] = dict.fromkeys(sorted(before.accepted), "person")
    if before.loaded:
        rows = db.execute(
            f"SELECT k.first, x.rid FROM {KNOWN} x JOIN (SELECT name, min(rid) AS first FROM {KNOWN} "
            "GROUP BY name HAVING count(*) > 1) k USING (name) WHERE x.rid <> k.first ORDER BY ALL"
        ).fetchall()
        one |= dict.fromkeys([(int(a), int(b)) for a, b in rows], "loaded")
    if not one:
        return list(edges)
    found = {(e.a, e.b): e.probability for e in edges}
    told = [Edge(a, b, found.get((a, b), UNTOLD), ground) for (a, b), ground in one.items()]
    return [*told, *(e for e in edges if (e.a, e.b) not in one)]


def _loaded(db: duckdb.DuckDBPyConnection) -> dict[int, str]:
    return dict(db.execute(f"SELECT rid, name FROM {KNOWN} SEMI JOIN involved USING (rid)").fetchall())


def _apart(
    db: duckdb.DuckDBPyConnection, rules: Duplicates, exact: Mapping[str, str]
) -> dict[int, tuple[str | None, ...]]:
    if not rules.decide.never_differ:
        return {}
    listed = ", ".join(f'"{exact[c]}"' for c in rules.decide.never_differ)
    rows: Any = db.execute(f"SELECT rid, {listed} FROM clean SEMI JOIN involved USING (rid)").fetchall()
    return {row[0]: tuple(row[1:]) for row in rows}


def _pairs(
    edges: Sequence[Edge], reasons: Mapping[tuple[int, int], tuple[str, ...]], clusters: Clusters
) -> tuple[Pair, ...]:
    pairs = []
    for edge in edges:
        decided, doubt = clusters.decided[edge.a, edge.b]
        probability = None if edge.probability == UNTOLD else edge.probability
        pairs.append(Pair(edge.a, edge.b, probability, reasons.get((edge.a, edge.b), ()), decided, doubt))
    return tuple(sorted(pairs, key=lambda p: (-(p.probability or 0.0), p.a, p.b)))
