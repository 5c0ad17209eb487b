"""Sums and counts before and after, group by group: what a check over a table compares.

Before: every row that came on the entity's road and was not left out by a rule, also those in quarantine; an amount as
it stands in the source where it stands there as a plain number, else as the mapping's functions read it. After: the
rows of the target that these rows became. Rows that somebody edited in the target since are on neither side, and
neither are rows that became part of another one (`merged`): what they add is told.

Out of core in DuckDB, over relations whose texts are canonical. Came: rid, key, `c.COLUMN` (the value for the target), and
where there are such witnesses `w.COLUMN` (its origin) and `a.COLUMN` (its origin, which is an amount as it stands). Lost: rid (in quarantine, or refused by the database). There: key,
edited, `c.COLUMN`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from migrate.duck import count, identifier
from migrate.mapping.model import TableCheck
from migrate.model import Verdict

ORIGINS_SHOWN = 10  # of one group
GROUPS_SHOWN = 100
_NUMBER = "DECIMAL(38, 12)"  # sums are exact: 26 digits before the point

Labels = tuple[str | None, ...]


@dataclass(frozen=True)
class Amount:
    amount: Decimal = Decimal(0)
    rows: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.amount + other.amount, self.rows + other.rows)


@dataclass(frozen=True)
class Group:
    """One combination of values of `by`. `quarantined` is the part of `before` that is in quarantine; `origins`: what
    the source says where the target says `labels`, the most frequent first."""

    labels: Labels
    before: Amount = Amount()
    after: Amount = Amount()
    quarantined: Amount = Amount()
    origins: tuple[tuple[Labels, Amount], ...] = ()

    @property
    def difference(self) -> Decimal:
        return self.after.amount - self.before.amount

    def within(self, share: float) -> bool:
        return abs(self.difference) <= Decimal(str(share)) * abs(self.before.amount)


@dataclass(frozen=True)
class Totals:
    """`edited`: rows of the target left out because somebody changed them there. `unread`: values of the source that
    are no numbers, so that they are in no sum; `unclear`: values of the target that are none; `merged`: rows that became part
    of others, which stand for them."""

    groups: tuple[Group, ...]
    edited: int = 0
    unread: int = 0
    unclear: int = 0
    merged: Amount = Amount()

    @property
    def whole(self) -> Group:
        """All groups together."""
        return Group(
            (),
            sum((g.before for g in self.groups), Amount()),
            sum((g.after for g in self.groups), Amount()),
            sum((g.quarantined for g in self.groups), Amount()),
        )


def totals(
    db: duckdb.DuckDBPyConnection,
    check: TableCheck,
    came: str,
    lost: str,
    there: str,
    witnessed: Sequence[str],
    merged: str = "",
) -> Totals:
    """Both sides of `check`; `came`, `lost` and `there` are relations in SQL with the columns that the module says.
    `witnessed`: names of the witnesses that there are. `merged`: rows that are part of
    others and those that stand for them, as they were before, in the form of those that came; "" where there is none. Raises duckdb.OutOfRangeException where a sum has more digits than can be added up exactly."""
    by = [f"g{n}" for n in range(len(check.by))]
    origins = [f"o{n}" for n in range(len(check.by))]
    groups = "".join(f", {identifier(f'c.{c}')} AS {g}" for c, g in zip(check.by, by, strict=True))
    said = "".join(
        f", {identifier(f'w.{c}') if f'w.{c}' in witnessed else 'NULL::VARCHAR'} AS {o}"
        for c, o in zip(check.by, origins, strict=True)
    )
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE there AS
        SELECT edited, key, {_amount(check, ())} AS amount, {_given(check, ())} AS given{groups} FROM {there};
        CREATE OR REPLACE TEMP TABLE came AS
        SELECT b.*, b.rid IN (SELECT rid FROM {lost}) AS quarantined
        FROM (SELECT rid, key, {_amount(check, witnessed)} AS amount, {_given(check, witnessed)} AS given{groups}{said}
              FROM {came}) b
        ANTI JOIN (SELECT key FROM there WHERE edited) e ON e.key = b.key;
        """
    )
    sides: dict[Labels, dict[str, Amount]] = {}
    for side, rows in (
        ("before", "came"),
        ("quarantined", "came WHERE quarantined"),
        ("after", "there WHERE NOT edited"),
    ):
        for labels, amount in _grouped(db, by, rows):
            sides.setdefault(labels, {})[side] = amount
    made_of: dict[Labels, list[tuple[Labels, Amount]]] = {}
    for labels, amount in _grouped(db, [*by, *origins], "came") if by else ():
        made_of.setdefault(labels[: len(by)], []).append((labels[len(by) :], amount))
    return Totals(
        tuple(
            Group(labels, **sides[labels], origins=_shown(made_of.get(labels, [])))
            for labels in sorted(sides, key=_order)
        ),
        edited=count(db, "SELECT count(*) FROM there WHERE edited"),
        unread=count(db, "SELECT count(*) FROM came WHERE given AND amount IS NULL"),
        merged=_merged(db, check, came, merged, witnessed) if merged else Amount(),
        unclear=count(db, "SELECT count(*) FROM there WHERE given AND amount IS NULL"),
    )


def _merged(
    db: duckdb.DuckDBPyConnection, check: TableCheck, came: str, merged: str, witnessed: Sequence[str]
) -> Amount:
    """What all of them add, less what the rows that stand for them add as they came out."""
    amount = _amount(check, witnessed)
    found = db.execute(
        f"""
        SELECT coalesce(sum(n * amount), 0), sum(n) FROM (
            SELECT 1 AS n, {amount} AS amount FROM {merged}
            UNION ALL SELECT -1, {amount} FROM {came} WHERE rid IN (SELECT rid FROM {merged}))
        """
    ).fetchone()
    assert found is not None, "a sum gives one row"
    return Amount(found[0], int(found[1] or 0))


def _amount(check: TableCheck, witnessed: Sequence[str]) -> str:
    """What a row adds: 1 for itself or for a filled value, else its number. The origin decides where it is known: a
    plain number counts as it stands there, an empty one is nothing whatever it was filled with."""
    if check.column is None:
        return f"1::{_NUMBER}"
    value = identifier(f"c.{check.column}")
    witness = _witness(check, witnessed)
    if check.kind == "count":
        return f"CASE WHEN {_given(check, witnessed)} THEN 1 ELSE 0 END::{_NUMBER}"
    read = f"TRY_CAST({value} AS {_NUMBER})"
    if not witness:
        return read
    return f"CASE WHEN {witness} IS NOT NULL THEN coalesce(TRY_CAST({witness} AS {_NUMBER}), {read}) END"


def _given(check: TableCheck, witnessed: Sequence[str]) -> str:
    """Whether there is a value that should add something."""
    if check.column is None:
        return "TRUE"
    said = _witness(check, witnessed) or identifier(f"c.{check.column}")
    return f"trim(coalesce({said}, '')) <> ''"


def _witness(check: TableCheck, witnessed: Sequence[str]) -> str:
    """The origin of what is added up, or "" where it is not known."""
    name = f"{'a' if check.kind == 'sum' else 'w'}.{check.column}"
    return identifier(name) if name in witnessed else ""


def _grouped(db: duckdb.DuckDBPyConnection, names: Sequence[str], rows: str) -> list[tuple[Labels, Amount]]:
    """The most frequent first; no row at all is no group."""
    columns = "".join(f"{name}, " for name in names)
    group = f"GROUP BY {', '.join(names)}" if names else "HAVING count(*) > 0"
    found: list[tuple[Any, ...]] = db.execute(
        f"SELECT {columns}coalesce(sum(amount), 0), count(*) AS n FROM {rows} {group} ORDER BY ALL"
    ).fetchall()
    made = [(tuple(row[:-2]), Amount(row[-2], row[-1])) for row in found]
    return sorted(made, key=lambda item: -item[1].rows)


def _shown(origins: list[tuple[Labels, Amount]]) -> tuple[tuple[Labels, Amount], ...]:
    """Nothing where there is no witness of any."""
    known = [item for item in origins if any(label is not None for label in item[0])]
    return tuple(origins[:ORIGINS_SHOWN]) if known else ()


def _order(labels: Labels) -> list[tuple[bool, str]]:
    return [(label is None, label or "") for label in labels]


# ------------------------------------------------------------------ the verdict


def judged(check: TableCheck, found: Totals) -> Verdict:
    """Whether both sides of every group are the same, as far as `within` says. Its evidence is what reports show: see
    `_document`; the words of the verdict name no value of a row."""
    apart = [g for g in found.groups if not g.within(check.within)]
    whole = found.whole
    said = []
    if found.edited:
        said.append(f"{_counted(found.edited, 'row')} edited there since left out")
    if found.unread:
        said.append(f"{_counted(found.unread, 'value')} of the source no number")
    if found.merged.rows:
        said.append(
            f"{plain(found.merged.amount)} in {_counted(found.merged.rows, 'row')} that became part of others left out"
        )
    reasons = [f"{_counted(found.unclear, 'value')} of the target no number"] if found.unclear else []
    if apart:
        where = f"apart in {len(apart)} of {_counted(len(found.groups), 'group')}" if check.by else "apart"
        where += f" by more than {check.allowed}" if check.within else ""
        reasons.append(f"{where}, {plain(abs(whole.difference))} in all")
    if apart and whole.quarantined.rows:
        reasons.append(
            f"{plain(whole.quarantined.amount)} in {_counted(whole.quarantined.rows, 'row')} in quarantine"
        )
    return Verdict(
        check=check.words,
        passed=not reasons,
        expected=f"{plain(whole.before.amount)}{_in_groups(check, found)}",
        found=", ".join([plain(whole.after.amount), *said]),
        reason="; ".join(reasons),
        evidence=_document(check, found),
    )


def _in_groups(check: TableCheck, found: Totals) -> str:
    return f" in {_counted(len(found.groups), 'group')}" if check.by else ""


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _document(check: TableCheck, found: Totals) -> dict[str, object]:
    """{check, within, passed, edited, unread, merged: {amount, rows}, groups, more}; a group: {of, before, after, difference, quarantined (texts
    of exact numbers), rows: {before, after, quarantined}, from: [{of, amount, rows}], passed}. Groups that are apart
    come first, then the largest; `more` are left out."""
    ordered = sorted(
        found.groups, key=lambda g: (g.within(check.within), -abs(g.before.amount), _order(g.labels))
    )
    return {
        "check": check.words,
        "within": check.within,
        "passed": not found.unclear and all(g.within(check.within) for g in found.groups),
        "edited": found.edited,
        "unread": found.unread,
        "merged": {"amount": plain(found.merged.amount), "rows": found.merged.rows},
        "whole": _group(check, found.whole),
        "groups": [_group(check, g) for g in ordered[:GROUPS_SHOWN]] if check.by else [],
        "more": max(0, len(ordered) - GROUPS_SHOWN) if check.by else 0,
    }


def _group(check: TableCheck, group: Group) -> dict[str, object]:
    return {
        "of": dict(zip(check.by, group.labels, strict=False)),
        "before": plain(group.before.amount),
        "after": plain(group.after.amount),
        "difference": plain(group.difference),
        "quarantined": plain(group.quarantined.amount),
        "rows": {
            "before": group.before.rows,
            "after": group.after.rows,
            "quarantined": group.quarantined.rows,
        },
        "from": [
            {"of": dict(zip(check.by, labels, strict=True)), "amount": plain(a.amount), "rows": a.rows}
            for labels, a in group.origins
        ],
        "passed": group.within(check.within),
    }


def plain(number: Decimal) -> str:
    """12.5, 1200: no exponent and no zeros behind."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
