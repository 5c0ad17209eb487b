"""One entity: the table it goes to, its key, fields, tables' checks, examples, and what is left behind."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import Field as Key

from migrate.mapping.decision_model import Consent, Retention
from migrate.mapping.duplicates import Duplicates
from migrate.mapping.known_as import KnownAs
from migrate.mapping.model.field import Field
from migrate.mapping.road_model import Explode, Join, Pivot
from migrate.mapping.strict import Strict


class Cell(Strict):
    """A value of a source column in an example; `quoted` as the file has it."""

    text: str | None
    quoted: bool = False


class Example(Strict):
    """A test of the mapping: a source row, with rows of its joins, and what must become of it. Only what is named is
    compared.

    `expect`: target column → text, None (empty), list, object of JSON, or {"ref": [entity, key…]}, {"find": [table,
    column, value]}. `quarantine`: exactly these codes. `events`: target column → codes."""

    name: str = ""
    given: dict[str, Cell] = Key(default_factory=dict)
    joined: dict[str, tuple[dict[str, Cell], ...]] = Key(default_factory=dict)
    expect: dict[str, Any] = Key(default_factory=dict)
    quarantine: tuple[str, ...] = ()
    excluded: str | None = None
    events: dict[str, tuple[str, ...]] = Key(default_factory=dict)
    number: int = 0  # its place in the file's list


class TableCheck(Strict):
    """A sum or a count over the rows of entity `of` that is the same before and after, in every group of `by`.

    `column`: whose values are summed up, or counted where they are filled; None: rows are counted. `within`: how far
    both may be apart, as a share of what was there before."""

    kind: Literal["sum", "count"]
    of: str
    column: str | None = None
    by: tuple[str, ...] = ()
    within: float = 0.0
    number: int = 0  # its place in the file's list

    @property
    def columns(self) -> tuple[str, ...]:
        """Target columns that it looks at, each once."""
        return tuple(dict.fromkeys([*([self.column] if self.column else []), *self.by]))

    @property
    def allowed(self) -> str:
        """`within` as people write it: 0.1%."""
        text = format((Decimal(str(self.within)) * 100).normalize(), "f")
        return f"{text}%"

    @property
    def words(self) -> str:
        """`sum deals.amount by stage`, `count deals`."""
        what = f"{self.of}.{self.column}" if self.column else self.of
        return f"{self.kind} {what}" + (f" by {', '.join(self.by)}" if self.by else "")


Existing = Literal["overwrite", "keep", "fill_empty"]


# What `consent` makes of it: the target's value stays where the mapping has none; where it says no, or yes to an opt-out;
# or with the consent that it belongs to.
Stays = Literal["unless_filled", "opt_in", "opt_out", "with_consent"]


_SURVIVES: dict[str, Existing] = {"target_wins": "fill_empty", "source_wins": "overwrite"}


class Was(Strict):
    """An earlier name of an entity's rows; None = as it is now."""

    system: str | None = None
    entity: str | None = None


class Entity(Strict):
    """One road from a source table to a target table. The road's columns are those of the source table, and what `pivot`,
    `with` (as "join.column") and `explode` make of them. With `query`, its rows are the source rows and `table` is "".

    `match`: target column → source column or expression that gives the value (short form `[legacy_id]`: the
    field of that name, value None here). `write` is filled in by rule: add, or add_or_update where match is given.
    `let`: working values in the order of the file, which rules, fields, `match` and `key` see like columns.
    `on_parent_excluded`: what happens with a row that refers to one left out by rule; None: as its `missing` says.
    `create`: whether the target table, and columns of it, are created where they are missing.
    `existing`: field, or "default" for those not named → what happens to it in rows that are in the target already.
    `was`: names under which earlier runs knew these rows, the newest first.
    `on_conflict`: what happens with a row that changed at the source and was edited in the target since its load."""

    name: str
    source: str = "source"  # name of the source
    table: str  # source table
    where: str | None = None
    key: tuple[str, ...]  # source columns; ("line",) with key_is_line, ("content",) with key_is_content
    key_is_line: bool = False  # files without a key: the row's line
    key_is_content: bool = False  # tables without a key: the row's values, and a number among equal rows
    into: str
    query: str | None = None
    pivot: Pivot | None = None
    with_: dict[str, Join] = Key(default_factory=dict, alias="with")
    explode: Explode | None = None
    one_per: tuple[str, ...] = ()
    match: dict[str, str | None] = Key(default_factory=dict)
    write: Literal["link", "add", "add_or_link", "update", "add_or_update"] = "add"
    create: Literal["if_missing"] | None = None
    existing: dict[str, Existing] = Key(default_factory=dict)
    was: tuple[Was, ...] = ()
    target_sets: dict[str, str] = Key(default_factory=dict)  # column → any | at_least | not_null
    let: dict[str, Field] = Key(default_factory=dict)
    fields: dict[str, Field] = Key(default_factory=dict)
    on_parent_excluded: Literal["quarantine", "exclude", "empty"] | None = None
    duplicates: Duplicates | None = None
    known_as: KnownAs | None = None
    consent: Consent | None = None
    retention: Retention | None = None
    min_quality: dict[str, float] = Key(
        default_factory=dict
    )  # dimension → the least score of the rows that go on
    on_gone: OnGone = Key(default_factory=lambda: OnGone())
    on_conflict: Literal["quarantine", "keep", "overwrite"] = "quarantine"
    max_gone: float | None = None
    max_quarantine: float | None = None
    examples: tuple[Example, ...] = Key(default=(), exclude=True)
    why: str | None = Key(default=None, exclude=True)

    @property
    def inserts(self) -> bool:
        """May it bring rows that the target does not have?"""
        return self.write in ("add", "add_or_link", "add_or_update")

    @property
    def updates(self) -> bool:
        """May it write to rows that the target has?"""
        return self.write in ("update", "add_or_update")

    def on_existing(self, field: str) -> Existing | Stays:
        """What happens to a field of rows that are in the target already."""
        consent = self._by_consent(field)
        if consent is not None and consent != "unless_filled" and field not in self.existing:
            return consent  # whatever `default` says: a no that the source brings is heard
        stated = self.existing.get(field, self._survives(field) or self.existing.get("default", "overwrite"))
        return consent or stated if stated == "overwrite" else stated

    def _survives(self, field: str) -> Existing | None:
        """Of a row that the target has, what `duplicates` says of the field itself or, where `existing` says nothing of
        all fields, of all of them."""
        if self.duplicates is None:
            return None
        own = self.duplicates.survive.get(field)
        rule = own or (None if "default" in self.existing else self.duplicates.surviving(field))
        return _SURVIVES.get(rule.rule) if rule is not None else None

    @property
    def found_in_target(self) -> str | None:
        """What becomes of a row that `duplicates` finds in the target: update, link, skip, quarantine; None: it does not look."""
        against = self.duplicates.against if self.duplicates is not None else None
        if against is None:
            return None
        by_write = {"add_or_update": "update", "update": "update", "add_or_link": "link"}
        return against.then or by_write.get(self.write, "quarantine")

    def _by_consent(self, field: str) -> Stays | None:
        if self.consent is None:
            return None
        for channel in self.consent.channels.values():
            if field == channel.opt_out:
                return "opt_out"
            if field == channel.opt_in:
                return "opt_in"
        if field in self.consent.carried:
            return "with_consent"
        return "unless_filled" if field in self.consent.guarded else None


class OnGone(Strict):
    """What happens with a loaded row whose source row is gone. With `flag`: the field `flag` gets `value`."""

    then: Literal["keep", "flag", "delete"] = "keep"
    flag: str | None = None
    value: str | None = None


class LeftBehind(Strict):
    pattern: str  # "table", "table.column", with * and ?
    why: str | None = None
    decided: str | None = None
