"""Rows that are the same by exact keys (`same`), and values that stand for nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from migrate.duck import literal
from migrate.rules.matching.clean import NOTHING


@dataclass(frozen=True)
class Placeholder:
    """A value, or values, that more rows share than can be one: named, and not taken for a key."""

    columns: tuple[str, ...]
    values: tuple[str, ...]
    rows: int


def same(
    db: duckdb.DuckDBPyConnection,
    groups: Sequence[Sequence[str]],
    places: Mapping[str, str],
    *,
    largest: int,
    two_sides: bool,
) -> list[Placeholder]:
    """Table `equal(a, b, rule)`: rows of table `clean` that are equal by a group of columns, each with the first of its
    kind; between two sides, each with each of the other side. `places`: column → place in `clean`. NULL equals nothing,
    and neither does a word for nothing, or what more than `largest` rows share: those are returned."""
    db.execute("CREATE OR REPLACE TEMP TABLE equal(a BIGINT, b BIGINT, rule VARCHAR)")
    found: list[Placeholder] = []
    nothing = ", ".join(literal(w) for w in NOTHING)
    for group in groups:
        keys = [f'"{places[c]}"' for c in group]
        filled = " AND ".join(f"{k} IS NOT NULL" for k in keys)
        hollow = " OR ".join(f"{k} IN ({nothing})" for k in keys)
        listed = ", ".join(keys)
        db.execute(
            f"CREATE OR REPLACE TEMP TABLE shared AS SELECT {listed}, min(rid) AS first, count(*) AS n, "
            f"count(*) > {largest} OR {hollow} AS nobody FROM clean WHERE {filled} GROUP BY {listed} HAVING count(*) > 1"
        )
        crowded = db.execute(
            f"SELECT {listed}, n FROM shared WHERE nobody ORDER BY n DESC, {listed} LIMIT 100"
        ).fetchall()
        found += [Placeholder(tuple(group), tuple(map(str, row[:-1])), int(row[-1])) for row in crowded]
        on = " AND ".join(f"c.{k} = s.{k}" for k in keys)
        rows = f"SELECT c.rid, c.side, s.first FROM shared s JOIN clean c ON {on} WHERE NOT s.nobody"
        pairs = (
            f"SELECT x.rid, y.rid FROM ({rows}) x JOIN ({rows}) y ON x.first = y.first AND x.side < y.side"
            if two_sides
            else f"SELECT first, rid FROM ({rows}) WHERE rid <> first"
        )
        db.execute(f"INSERT INTO equal SELECT *, {literal(' + '.join(group))} FROM ({pairs})")
    db.execute("DROP TABLE IF EXISTS shared")
    return found


def blank_crowded(
    db: duckdb.DuckDBPyConnection, columns: Mapping[str, str], *, largest: int
) -> list[Placeholder]:
    """Empties values of personal columns (e-mail, phone) that more than `largest` rows share: they tell nobody apart.
    `columns`: column → place in `clean`."""
    found: list[Placeholder] = []
    for column, place in columns.items():
        rows = db.execute(
            f'SELECT "{place}", count(*) AS n FROM clean WHERE "{place}" IS NOT NULL GROUP BY 1 HAVING n > {largest} '
            f"ORDER BY n DESC, 1"
        ).fetchall()
        found += [Placeholder((column,), (str(value),), int(n)) for value, n in rows[:100]]
        if rows:
            values = ", ".join(literal(str(value)) for value, _ in rows)
            db.execute(f'UPDATE clean SET "{place}" = NULL WHERE "{place}" IN ({values})')
    return found
