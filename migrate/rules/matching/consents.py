"""The consent of rows that are one: the most restrictive of all, with where and when it was said (F9).

What a channel is about goes together: where any of the rows refuses it, values, flags, date and source are those of the row that
refuses, and no value of another row moves in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from migrate.mapping.consent_words import NO, YES
from migrate.mapping.decision_model import Channel, Consent
from migrate.rules.matching.survivorship import WITH_FIELD, Survived

_REFUSED, _WITHHELD = "__refused.", "__withheld."
Withheld = tuple[int, str, str]  # place of a row, field, text that does not move
_Says = str | None  # yes | no | strange


class _Group:
    """One group of rows and what they say; `rows`: their values by column, places as in `group`."""

    def __init__(self, consent: Consent, columns: Mapping[str, list[Any]], group: Sequence[int]) -> None:
        self.consent, self.columns = consent, columns
        self.group = self._latest_first(group)
        self.refusals = {name: self._refusal(name, c) for name, c in consent.channels.items()}

    def _latest_first(self, group: Sequence[int]) -> list[int]:
        if self.consent.dated is None:
            return list(group)
        dates = self.columns[self.consent.dated]
        dated = sorted((i for i in group if dates[i] is not None), key=lambda i: dates[i], reverse=True)
        return [*dated, *(i for i in group if dates[i] is None)]

    def _refusal(self, name: str, channel: Channel) -> int | None:
        """The row that counts of those that refuse: one that says so in the target's own words before others, the latest."""
        refusing = [i for i in self.group if self.columns[f"{_REFUSED}{name}"][i]]
        outspoken = [i for i in refusing if i in self._restricting(channel)]
        return next(iter([*outspoken, *refusing]), None)

    def _restricting(self, channel: Channel) -> list[int]:
        """Rows whose flags restrict: a yes to the opt-out, a no to the opt-in, and what is neither."""
        out = [i for i in self.group if self._says(channel.opt_out, i) in ("yes", "strange")]
        return out + [i for i in self.group if self._says(channel.opt_in, i) in ("no", "strange")]

    def _says(self, field: str | None, row: int) -> _Says:
        value = self.columns[field][row] if field is not None else None
        if value is None or value == "":
            return None
        text = str(value).strip().lower()
        return "yes" if text in YES else "no" if text in NO else "strange"

    def flag(self, channel: Channel, name: str, field: str) -> int | None:
        """The row that gives a flag of the channel; None: as any other field."""
        refusal = self.refusals[name]
        restricting = [
            i
            for i in self.group
            if self._says(field, i) in ("strange", "yes" if field == channel.opt_out else "no")
        ]
        if refusal in restricting:
            return refusal
        if restricting:
            return restricting[0]
        if refusal is not None and (field == channel.opt_in or self._says(field, refusal) is not None):
            return refusal
        return None

    def source(self) -> int | None:
        """The row whose consent counts: the first refusal, else the first flag that restricts."""
        for name, channel in self.consent.channels.items():
            found = self.refusals[name]
            if found is None:
                found = next(iter(self._restricting(channel)), None)
            if found is not None:
                return found
        return None


def most_restrictive(
    rows: pa.Table,
    groups: Sequence[Sequence[int]],
    consent: Consent,
    bound: Mapping[str, Sequence[str]],
    survived: Survived,
) -> tuple[Survived, list[Withheld]]:
    """`survived` with the consent of its groups, and what does not move although a row without refusal has it.

    `bound`: field → the channels whose consent it needs. `rows` and `groups` as for `survive`, with `__refused.CHANNEL`."""
    flags = {f: (n, c) for n, c in consent.channels.items() for f in (c.opt_out, c.opt_in) if f is not None}
    asked = dict.fromkeys([*flags, *bound, *consent.carried, *(f"{_REFUSED}{n}" for n in consent.channels)])
    columns = {name: rows[name].to_pylist() for name in asked}
    places: dict[str, list[int | None]] = {
        name: list(survived.lineage[name]) for name in asked if name in survived.lineage
    }
    withheld: list[Withheld] = []
    kept: dict[str, dict[int, str]] = {name: {} for name in bound}
    for number, group in enumerate(groups):
        told = _Group(consent, columns, group)
        for name, channels in bound.items():
            refusals = {told.refusals[c] for c in channels} - {None}
            if not refusals:
                continue
            all_refuse = [
                i
                for i in refusals
                if i is not None
                and all(columns[f"{_REFUSED}{c}"][i] for c in channels if told.refusals[c] is not None)
            ]
            place = min(all_refuse, default=None)
            had = places[name][number]
            filled = next((i for i in group if columns[name][i] is not None), group[0])
            row = had if had is not None and had >= 0 else filled
            places[name][number] = place
            if columns[name][row] is not None and (place is None or columns[name][place] is None):
                withheld.append((row, name, str(columns[name][row])))
                kept[name][number] = str(columns[name][row])
        for name, (channel_name, channel) in flags.items():
            found = told.flag(channel, channel_name, name)
            if found is not None:
                places[name][number] = found
        source = told.source()
        if source is None:
            flag = next((f for f in flags if any(columns[f][i] is not None for i in group)), None)
            source = places[flag][number] if flag is not None else None
        if source is not None:
            for name in consent.carried:
                places[name][number] = source
    return _put(rows, groups, places, kept, survived), withheld


def _put(
    rows: pa.Table,
    groups: Sequence[Sequence[int]],
    places: Mapping[str, list[int | None]],
    kept: Mapping[str, Mapping[int, str]],
    survived: Survived,
) -> Survived:
    """The rows with the values of `places` (None: no value), and in `__withheld.F` what is `kept`, by group."""
    golden = survived.rows
    lineage = dict(survived.lineage)
    for name, chosen in places.items():
        if chosen == survived.lineage[name]:
            continue
        lineage[name] = [group[0] if p is None else p for p, group in zip(chosen, groups, strict=True)]
        # Who somebody is does not change with what they consent to: what rows are matched by stays.
        moved = (prefix for prefix in WITH_FIELD if prefix not in ("__m.", "__match."))
        for column in (name, *(f"{prefix}{name}" for prefix in moved)):
            if column in rows.column_names:
                # What several rows gave together stays as it was put together.
                taken = rows[column].take(pa.array([None if p == -1 else p for p in chosen], pa.int64()))
                own = golden[column].to_pylist()
                values = [o if p == -1 else v for o, v, p in zip(own, taken.to_pylist(), chosen, strict=True)]
                new = taken if -1 not in chosen else pa.array(values, rows[column].type)
                golden = golden.set_column(golden.column_names.index(column), column, new)
    for name, texts in kept.items():
        column = f"{_WITHHELD}{name}"
        if texts and column in golden.column_names:
            held = [texts.get(n, text) for n, text in enumerate(golden[column].to_pylist())]
            golden = golden.set_column(golden.column_names.index(column), column, pa.array(held, pa.string()))
    return Survived(golden, lineage)
