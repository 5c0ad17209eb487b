"""What decides about whole rows and cells besides their values: consent and retention, as the mapping states them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Key

from migrate.mapping.strict import Strict


class Channel(Strict):
    """One way to reach somebody. `fields`: the fields and let values that do not move without consent. `no_if`: columns that
    say no (opt-outs); `yes_if`: columns of which one must say yes (opt-ins). `opt_out`, `opt_in`: fields that hold the
    consent in the target: what they hold there is never weakened. `basis`: the legal basis, for people."""

    fields: tuple[str, ...]
    no_if: tuple[str, ...] = ()
    yes_if: tuple[str, ...] = ()
    opt_out: str | None = None
    opt_in: str | None = None
    basis: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.no_if, *self.yes_if)


class Consent(Strict):
    """`merge`: what rows that become one agree on. `provenance` and `dated`: fields that go with the consent, where it comes from
    and when it was said: where the target's own consent stays, they stay too. `yes`, `no`: further words."""

    channels: dict[str, Channel] = Key(default_factory=dict)
    merge: Literal["most_restrictive"] = "most_restrictive"
    provenance: str | None = None
    dated: str | None = None
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()

    @property
    def carried(self) -> tuple[str, ...]:
        """The fields that go with the consent."""
        return tuple(field for field in (self.provenance, self.dated) if field is not None)

    @property
    def guarded(self) -> dict[str, tuple[str, ...]]:
        """Field or let value → the channels whose consent it needs."""
        found: dict[str, tuple[str, ...]] = {}
        for name, channel in self.channels.items():
            for field in channel.fields:
                found[field] = (*found.get(field, ()), name)
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns and let values that any channel looks at."""
        return tuple(dict.fromkeys(c for channel in self.channels.values() for c in channel.columns))


class Retention(Strict):
    """Rows whose `by` (several columns: the latest of them) is longer ago than `keep` (as durations are written) are left
    out, and with `archive` kept in the vault. `if_empty`: what happens where there is no date."""

    by: tuple[str, ...]
    keep: str
    then: Literal["keep", "archive", "drop"]
    if_empty: Literal["keep", "archive", "drop", "quarantine"] = "keep"
