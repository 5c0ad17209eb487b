"""When two rows are one and the same thing, and what then becomes of their values, as the mapping says it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Key

from migrate.mapping.strict import Strict

# How a column is compared under `similar`.
Kind = Literal["name", "text", "address", "date", "phone", "postcode", "email", "number", "exact"]
Choosing = Literal[
    "most_recent",
    "first_filled",
    "longest",
    "concat",
    "union",
    "trust",
    "with",
    "target_wins",
    "source_wins",
    "most_restrictive",
]
Found = Literal["update", "link", "skip", "quarantine"]

DEFAULT = "default"  # under `survive`: every field that is not named


class Decide(Strict):
    """Pairs at least as probable as `merge_above` are merged; those down to `review_above` are for a person to decide.

    `largest`: no cluster has more rows; what would make it larger goes to review, and a key that more rows share stands
    for nobody. `never_differ`: columns in which rows of one cluster are equal where both are filled."""

    merge_above: float = 0.95
    review_above: float = 0.80
    largest: int = 20
    never_differ: tuple[str, ...] = ()


class Survive(Strict):
    """How one value is chosen out of those of a merged group. `by`: the column whose latest value wins (most_recent), or
    that says whom the row comes from (trust), or the field whose row gives this value too (with); `order`: whom to trust
    most, first.

    `target_wins`, `source_wins`: also of a row that the target has, as `existing` has them (fill_empty, overwrite); among
    rows of the source the first that is filled."""

    rule: Choosing
    by: str | None = None
    order: tuple[str, ...] = ()


class Against(Strict):
    """Rows that are in the target already: `table`, and the column of it for every field that has another name there, as
    COLUMN or COLUMN[*].KEY. `then`: what becomes of a row that is there; None: what `write` says."""

    table: str
    columns: dict[str, str] = Key(default_factory=dict)
    then: Found | None = None


class Duplicates(Strict):
    """`same`: groups of columns; rows equal in all columns of any group are one. `similar`: column → how it is compared.
    `survive`: field, or "default" → how its value is chosen. `against`: rows of the target that are compared as well."""

    same: tuple[tuple[str, ...], ...] = ()
    similar: dict[str, Kind] = Key(default_factory=dict)
    decide: Decide = Decide()
    survive: dict[str, Survive] = Key(default_factory=dict)
    against: Against | None = None

    def surviving(self, field: str) -> Survive | None:
        """The rule of a field; None where nothing is said."""
        return self.survive.get(field, self.survive.get(DEFAULT))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the rules look at, each once, in their order."""
        return tuple(
            dict.fromkeys(
                [*(c for group in self.same for c in group), *self.similar, *self.decide.never_differ]
            )
        )
