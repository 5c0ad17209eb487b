"""How two values are compared under `similar`: per kind a ladder of levels, from equal to different, for Splink.

Kinds stand for how such values go wrong: names are misspelt, cut, or written in each other's column; dates have a digit
wrong or day and month swapped; addresses lose words; codes have a digit wrong or two swapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from migrate.mapping.duplicates import Kind

# Kinds of which a frequent value says less than a rare one (Smith, London): Splink's term frequencies.
WITH_FREQUENCIES: frozenset[Kind] = frozenset(
    ["name", "text", "address", "postcode", "exact", "date", "number"]
)


OF_WORDS: frozenset[Kind] = frozenset(["name", "text", "address"])


@dataclass(frozen=True)
class Compared:
    """A column under comparison: `column` is its name in the file, `place` that of its cleaned form in the workspace."""

    column: str
    place: str
    kind: Kind

    @property
    def words(self) -> str:
        """The place of its words, each once; only of kinds that are made of words."""
        return f"{self.place}_words"


@dataclass(frozen=True)
class Level:
    """One step of a ladder: `words` say why a pair is one, for people."""

    words: str
    sql: str
    m: float  # how often a pair of duplicates ends here, before the data has been looked at


def levels(one: Compared, among: Sequence[Compared]) -> list[Level]:
    """The ladder of a column, without the steps for empty and for different values."""
    left, right = f'"{one.place}_l"', f'"{one.place}_r"'
    equal = Level("equal", f"{left} = {right}", 0.85)
    jaro = f"jaro_winkler_similarity({left}, {right})"

    def edits(at_most: int) -> str:
        """Only where the texts are alike at all: counting edits costs ten times as much."""
        return (
            f"(CASE WHEN {jaro} >= 0.7 THEN damerau_levenshtein({left}, {right}) <= {at_most} ELSE FALSE END)"
        )

    match one.kind:
        case "name":
            return [
                equal,
                *_elsewhere(one, among),
                Level("nearly equal", f"{jaro} >= 0.92 OR {_same_words(one)}", 0.06),
                Level(
                    "alike, or one begins like the other",
                    f"{jaro} >= 0.82 OR {_begins(left, right)} OR {words_shared(one)} >= 0.6",
                    0.03,
                ),
            ]
        case "text" | "address":
            return [
                equal,
                *_elsewhere(one, among),
                Level("nearly equal", f"{jaro} >= 0.94 OR {_same_words(one)}", 0.06),
                Level("alike", f"{jaro} >= 0.85 OR {words_shared(one)} >= 0.5", 0.04),
            ]
        case "date":
            swapped = f"(length({left}) = 8 AND {left} = left({right}, 4) || right({right}, 2) || substr({right}, 5, 2))"
            return [
                equal,
                Level("one digit wrong, or day and month swapped", f"{edits(1)} OR {swapped}", 0.08),
                Level("two digits wrong", f"{edits(2)}", 0.02),
            ]
        case "phone" | "postcode" | "exact":
            long = f"length({left}) >= 4 AND length({right}) >= 4"
            return [
                equal,
                Level("one character wrong", f"{long} AND {edits(1)}", 0.07),
                Level(
                    "two characters wrong",
                    f"length({left}) >= 6 AND length({right}) >= 6 AND {edits(2)}",
                    0.02,
                ),
            ]
        case "email":
            return [
                equal,
                Level(
                    "the same before the @", f"split_part({left}, '@', 1) = split_part({right}, '@', 1)", 0.05
                ),
                Level("nearly equal", f"{jaro} >= 0.92", 0.05),
            ]
        case "number":
            return [
                equal,
                Level(
                    "within 5 %",
                    f"abs(TRY_CAST({left} AS DOUBLE) - TRY_CAST({right} AS DOUBLE)) <= 0.05 * greatest("
                    f"abs(TRY_CAST({left} AS DOUBLE)), abs(TRY_CAST({right} AS DOUBLE)))",
                    0.08,
                ),
            ]


def _elsewhere(one: Compared, among: Sequence[Compared]) -> list[Level]:
    """Given and family name, or two lines of an address, in each other's column."""
    others = [o for o in among if o.kind == one.kind and o.column != one.column]
    if not others:
        return []
    tries = [f'"{one.place}_l" = "{o.place}_r" OR "{o.place}_l" = "{one.place}_r"' for o in others]
    return [Level("equal to another column of its kind", " OR ".join(tries), 0.04)]


def _begins(left: str, right: str) -> str:
    short = f"least(length({left}), length({right}))"
    return f"({short} >= 3 AND left({left}, {short}) = left({right}, {short}))"


def words_shared(one: Compared) -> str:
    """The share of words that both have, of those that the shorter one has; a short word alone says nothing."""
    left, right = f'"{one.words}_l"', f'"{one.words}_r"'
    short = f"least(len({left}), len({right}))"
    enough = f'({short} >= 2 OR least(length("{one.place}_l"), length("{one.place}_r")) >= 4)'
    return (
        f"(CASE WHEN greatest(len({left}), len({right})) >= 2 AND {enough} "
        f"THEN len(list_intersect({left}, {right})) / {short} ELSE 0 END)"
    )


def _same_words(one: Compared) -> str:
    left, right = f'"{one.words}_l"', f'"{one.words}_r"'
    several = f"len({left}) = len({right}) AND len({left}) > 1"
    alike = f'length("{one.place}_l") BETWEEN length("{one.place}_r") - 1 AND length("{one.place}_r") + 1'
    return f"(CASE WHEN {several} AND {alike} THEN len(list_intersect({left}, {right})) = len({left}) ELSE FALSE END)"


def comparison(one: Compared, among: Sequence[Compared]) -> dict[str, Any]:
    """The ladder in Splink's own form."""
    steps = levels(one, among)
    rest = max(0.01, 1 - sum(s.m for s in steps))
    total = rest + sum(s.m for s in steps)
    frequencies = one.kind in WITH_FREQUENCIES
    return {
        "output_column_name": one.place,
        "comparison_levels": [
            {
                "sql_condition": f'"{one.place}_l" IS NULL OR "{one.place}_r" IS NULL',
                "label_for_charts": "empty",
                "is_null_level": True,
            },
            *(
                {
                    "sql_condition": step.sql,
                    "label_for_charts": step.words,
                    "m_probability": step.m / total,
                    **({"tf_adjustment_column": one.place} if frequencies and number == 0 else {}),
                }
                for number, step in enumerate(steps)
            ),
            {"sql_condition": "ELSE", "label_for_charts": "different", "m_probability": rest / total},
        ],
    }
