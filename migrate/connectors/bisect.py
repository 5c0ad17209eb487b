"""Find the rows of a batch that a database refuses, when it only says that a whole statement failed.

Ranges are tried left to right, so of two rows that collide the earlier one stays. A row that was
refused because the row it points at comes later in the batch is tried again once the others are in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from migrate.errors import TooManyQuarantined
from migrate.model import Rejected

FOREIGN_KEY = "db_foreign_key"


@dataclass(frozen=True)
class Refusal:
    """Why the database refused a statement: a stable code and the constraint's name, never values."""

    code: str  # db_unique | db_foreign_key | db_check | db_not_null | db_value | db_other
    constraint: str = ""


Attempt = Callable[[int, int], Refusal | None]


def too_many(stop_after: int, table: str = "") -> TooManyQuarantined:
    """The error for the refusal after the `stop_after`th."""
    return TooManyQuarantined(
        f"the database refused more than {stop_after} rows of one batch",
        where=table,
        kept="The transaction of this part is rolled back; nothing of it was written.",
        hint="Look at the refused constraint, or raise policy.max_quarantine.",
    )


def bisect(lo: int, hi: int, attempt: Attempt, *, stop_after: int, table: str = "") -> list[Rejected]:
    """Write rows lo ≤ ordinal < hi, all but those that the database refuses; returns these in order.

    `attempt(lo, hi)` writes the range under its own savepoint and returns None; or it has rolled
    back to that savepoint and returns the refusal. Other errors it raises. It is called with
    ranges that do not overlap what is already in. Needs about `bad · log2(rows / bad)` attempts.

    Raises TooManyQuarantined at the refusal after the `stop_after`th; the caller rolls back.
    """
    refused: dict[int, Refusal] = {}
    # (lo, hi, known to fail): if a range fails and its left half goes in, its right half must fail,
    # so the whole right half is not tried again.
    todo: list[tuple[int, int, bool]] = [(lo, hi, False)] if hi > lo else []
    while todo:
        first, last, known_bad = todo.pop()
        single = last - first == 1
        if not known_bad or single:
            refusal = attempt(first, last)
            if refusal is None:
                continue
            if single:
                refused[first] = refusal
                if len(refused) > stop_after:
                    _settle(refused, attempt)
                    if len(refused) > stop_after:
                        raise too_many(stop_after, table)
                continue
        middle = (first + last) // 2
        left_bad = attempt(first, middle) is not None
        if left_bad:
            todo.append((middle, last, False))
            if middle - first == 1:
                todo.append((first, middle, False))  # asked again for its own reason
            else:
                todo.append((first, middle, True))
        else:
            todo.append((middle, last, True))
    _settle(refused, attempt)
    return [Rejected(ordinal, r.code, r.constraint) for ordinal, r in sorted(refused.items())]


def _settle(refused: dict[int, Refusal], attempt: Attempt) -> None:
    """Try rows refused for a foreign key again, as long as that gets any of them in."""
    progress = True
    while progress:
        progress = False
        for ordinal in sorted(o for o, r in refused.items() if r.code == FOREIGN_KEY):
            refusal = attempt(ordinal, ordinal + 1)
            if refusal is None:
                del refused[ordinal]
                progress = True
            else:
                refused[ordinal] = refusal
