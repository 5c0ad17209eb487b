"""Foreign keys of the target: which source column says what they point at."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.rules.suggestion.facts import Facts
from migrate.rules.suggestion.keys import LINE, key_of
from migrate.rules.suggestion.model import Choice
from migrate.rules.suggestion.names import alike, words
from migrate.rules.suggestion.pairs import Pair

_AT_LEAST = 0.55
_INSIDE = 0.9  # of a column's values that must be keys of the other table


def reference(
    pair: Pair,
    column: str,
    names: Mapping[str, str],
    into: Mapping[str, Pair],
    one: Facts,
    other: Facts,
    key: tuple[str, ...] | str,
) -> Choice | None:
    """The field for a column with a foreign key, where its table is filled too and a source column tells the row."""
    fk = next((f for f in other.tables[pair.target].foreign_keys if f.columns == (column,)), None)
    if fk is None or fk.ref_table not in into:
        return None
    parent = into[fk.ref_table].source
    found = [
        (score, name, by)
        for name in one.columns[pair.source]
        if (name,) != key or _declared(pair.source, name, parent, one)
        for score, by in [_points(pair.source, name, column, parent, fk.ref_table, one)]
    ]
    score, name, by = max(found, key=lambda f: f[0], default=(0.0, "", ""))
    if score < _AT_LEAST:
        return None
    entity = names[fk.ref_table]
    ref: object = {"to": entity, "by": by, "missing": "empty_and_flag"} if by else entity
    doubts = ["is it this column?"] if score < 0.75 else []
    if by:
        doubts.append(f"rows are found by {by}")
    return Choice(column, {"from": name, "ref": ref}, score, tuple(doubts))


def _points(table: str, name: str, column: str, parent: str, ref_table: str, one: Facts) -> tuple[float, str]:
    """How likely a source column names rows of `parent`, and by which of its columns if not by its key."""
    declared = _declared(table, name, parent, one)
    named = max(alike(name, column, around=(table,)), 0.9 * alike(name, parent), 0.9 * alike(name, ref_table))
    if declared:
        return min(1.0, 0.7 + 0.3 * named), ""
    if named < 0.3 or one.columns[table][name].empty:
        return 0.0, ""
    values = one.texts(table, name) - {""}
    if not values:
        return 0.0, ""
    for by in _ways(parent, one):
        known = one.texts(parent, by)
        inside = sum(v in known for v in values) / len(values)
        if inside >= _INSIDE:
            key = key_of(one.tables[parent], one.columns[parent]) == (by,)
            return 0.45 * inside + 0.5 * named, "" if key else by
    return 0.0, ""


def _declared(table: str, name: str, parent: str, one: Facts) -> bool:
    return any(f.columns == (name,) and f.ref_table == parent for f in one.tables[table].foreign_keys)


def _ways(parent: str, one: Facts) -> list[str]:
    """Columns that tell the rows of a table apart, its key first."""
    unique = [name for name, seen in one.columns[parent].items() if seen.unique]
    known = key_of(one.tables[parent], one.columns[parent])
    key = list(known) if known != LINE and len(known) == 1 else []
    return list(dict.fromkeys([*key, *(n for n in unique if "id" in words(n)), *unique]))[:6]
