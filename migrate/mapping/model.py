"""The mapping file as typed, frozen values. Strict: an unknown key is an error.

`migrate.mapping.load.load_mapping` is the only way in: it keeps every scalar text until a key here
asks for a type, normalises the short forms, and turns every error into file:line:column.
Lists and dicts are never shared with the caller; nothing here connects to anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field as Key
from pydantic import (
    InstanceOf,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_serializer,
)

from migrate.mapping.decision_model import Consent, Retention
from migrate.mapping.duplicates import Duplicates
from migrate.mapping.known_as import KnownAs
from migrate.mapping.road_model import Explode, Join, Pivot, Split
from migrate.mapping.strict import Strict

Outcome = Literal["quarantine", "empty_and_flag", "stop"]


class SourceColumn(Strict):
    nulls: tuple[str, ...] | None = None
    timezone: str | None = None
    dates: tuple[str, ...] | None = None


class SourceTable(Strict):
    """How one table (for files: one file) is read. None = as the source says."""

    file: str | None = None  # files: also a folder, or a pattern such as people-*.csv
    sheet: str | None = None  # of an Excel file
    member: str | None = None  # of a zip
    skip_first: int = 0  # lines before the header
    skip_last: int = 0  # rows at the end: totals, footers
    dates: tuple[str, ...] | None = None
    nulls: tuple[str, ...] | None = None
    encoding: str | None = None
    timezone: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    columns: dict[str, SourceColumn] = Key(default_factory=dict)


class Source(Strict):
    """`name` is the key under `sources:`, or "source" for the short form."""

    name: str = "source"
    system: str
    url: str
    timezone: str | None = None
    nulls: tuple[str, ...] = ()
    encoding: str | None = None
    dates: tuple[str, ...] = ()
    tables: dict[str, SourceTable] = Key(default_factory=dict)


class Target(Strict):
    url: str


class Scratch(Strict):
    """URLs where restore tests run; None = the default place (see PROOFS §4). Short form: one url for both."""

    source: str | None = None
    target: str | None = None


class Keep(Strict):
    last: int | None = None
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None
    yearly: int | None = None


class Encrypt(Strict):
    """`recipients`: public keys of age, or files of them. `identity`: where the key lies that opens backups for their
    proof: a file, keyring:SERVICE/NAME, or (out of the environment only) the key itself."""

    recipients: tuple[str, ...]
    identity: str | None = Key(default=None, repr=False)


class Sign(Strict):
    """`key`: where the private key lies, as an identity; `trusted`: public keys whose signatures count besides its own."""

    key: str | None = Key(default=None, repr=False)
    trusted: tuple[str, ...] = ()


class Backup(Strict):
    to: str = "backups/"
    encrypt: Encrypt | None = None
    sign: Sign | None = None
    require_signature: bool = False
    erasure_secret: str | None = Key(default=None, repr=False)  # where it lies, as an identity
    tables: tuple[str, ...] = ("touched",)  # "touched" and/or table names to add
    keep: Keep | None = None


class Policy(Strict):
    max_quarantine: float = 0.02  # share of `in`; text "2%" or "0.02"
    max_gone: float = 0.05  # share of an entity's loaded rows that a run may flag or delete as gone
    low_use: float = 0.05  # columns that are filled in a smaller share of the rows are named in the report
    proof_days: int = 7  # how long the proof of a table's backup holds for the same bytes; 0: not at all
    unmapped: Literal["error", "warn", "ignore"] = "warn"
    lossy: Literal["error", "quarantine", "allow"] = "error"
    target_drift: Literal["refresh", "stop"] = "refresh"
    backup: Backup = Backup()


class Default(Strict):
    default: str | None


class Find(Strict):
    """A look into the proven backup of target table `table`: `by` = the column compared with the field's value,
    `where` = target column → literal. Result: the column `give`, by default the target's primary key. (YAML:
    `find: {in: users, by: email}` or `{in: users, email: "x@y"}`; `in` is `table`, every key that is not a keyword is
    a literal condition.)"""

    table: str
    by: str | None = None
    where: dict[str, str] = Key(default_factory=dict)
    give: str | None = None
    missing: Outcome | Default | Find = "quarantine"
    ambiguous: Outcome | Default | Find = "quarantine"

    @property
    def chain(self) -> tuple[Find, ...]:
        """This look, and those that are taken where it finds no row, or several."""
        behind = [one for one in (self.missing, self.ambiguous) if isinstance(one, Find)]
        return (self, *(find for one in behind for find in one.chain))


class Ref(Strict):
    """A reference through the crosswalk. Either `to` names the entity (several: the one of them that has the row), or
    `kind` names the source column whose values are the keys of `kinds` (polymorphic). The field's value is compared
    with the entity's source columns `by`; without them with its key. YAML: `ref: accounts`,
    `ref: {to: accounts, by: company_name}`, `ref: {to: [contacts, leads]}`,
    `ref: {kind: parent_type, to: {Account: accounts}}`."""

    to: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    kind: str | None = None
    kinds: dict[str, str] = Key(default_factory=dict)
    missing: Outcome | Default | Find = "quarantine"
    ambiguous: Outcome | Default | Find = "quarantine"

    @field_validator("to", mode="before")
    @classmethod
    def _one(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_serializer("to")
    def _said(self, value: tuple[str, ...]) -> str | list[str] | None:
        """As the file has it: what is one entity stays the same mapping for rows that are loaded."""
        return (value[0] if value else None) if len(value) < 2 else list(value)

    @property
    def entities(self) -> tuple[str, ...]:
        """All entities that it may point at."""
        return self.to or tuple(dict.fromkeys(self.kinds.values()))


class FromColumn(Strict):
    """An argument of a `do` function that is another one for every row: the value of a column, `{from: country}`."""

    from_: str = Key(alias="from")


# What a file says under the name of a function. Only instances are columns: {"from": "2"} is an argument of that name.
Argument = str | InstanceOf[FromColumn] | tuple[str | InstanceOf[FromColumn], ...]
Arguments = Argument | dict[str, Argument] | None


class ListFile(Strict):
    """A file of which every line is an entry. `digest`: SHA-256 of its bytes, which a dump has in place of them."""

    file: str
    digest: str
    entries: InstanceOf[frozenset[str]] = Key(default=frozenset(), exclude=True, repr=False)


class Step(Strict):
    """One `do` function with its parameters, e.g. `trim`, `{round: 0}`, `{pad: {width: 5, with: "0"}}`.

    `arguments` is exactly what the file says under the name (None for the bare name); its shape has been checked
    against `migrate.mapping.functions.FUNCTIONS`. `lists`: the files that arguments name, by argument."""

    name: str
    arguments: Arguments = None
    lists: dict[str, ListFile] = Key(default_factory=dict)

    @property
    def columns(self) -> dict[tuple[str | int, ...], str]:
        """The columns that arguments come from, by the path of the argument: ("region",), ("with", 1), () for the
        short form."""
        return dict(_columns(self.arguments, ()))


def _columns(given: Arguments, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(given, FromColumn):
        yield path, given.from_
    elif isinstance(given, tuple):
        for number, item in enumerate(given):
            yield from _columns(item, (*path, number))
    elif isinstance(given, dict):
        for name, argument in given.items():
            yield from _columns(argument, (*path, name))


class Check(Strict):
    """One rule: required | unique | in | pattern | range | min_length | max_length, or one of
    `migrate.mapping.check_specs`. `argument` as the file says; `lists`: the files that arguments name, by argument;
    `on_fail` is the rule's own, else the field's."""

    name: str
    argument: Arguments = None
    lists: dict[str, ListFile] = Key(default_factory=dict)
    on_fail: Literal["quarantine", "empty_and_flag", "default", "stop", "warn"] = "quarantine"

    @property
    def columns(self) -> dict[tuple[str | int, ...], str]:
        """The columns that arguments come from, by the path of the argument."""
        return dict(_columns(self.argument, ()))


class MapTable(Strict):
    """A table of a source that a value map is read from: texts of column `from_` → texts of column `to`."""

    source: str = "source"
    table: str
    from_: str = Key(alias="from")
    to: str


class ValueMap(Strict):
    """Text → text; a value of None empties. Inline maps hold data only.

    `file`: the CSV file that the values were read from, as the mapping names it, and `digest` the SHA-256 of its
    bytes; a dump has the digest in place of the values. `table`: the values come with the source's rows."""

    name: str = ""
    values: dict[str, str | None] = Key(default_factory=dict)
    ignore: Literal["case"] | None = None
    file: str = ""
    digest: str = ""
    table: MapTable | None = None

    @model_serializer(mode="wrap")
    def _dumped(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A million values of a file would be written out for every field that looks them up."""
        if not self.file:
            return dict(handler(self))
        return dict(handler(self.model_copy(update={"file": "", "values": {}}))) | {"file": self.file}


class Item(Strict):
    """One item of a list: exactly one of a bare value and an object of values."""

    field: Field | None = None
    keys: dict[str, Field] = Key(default_factory=dict)

    @property
    def values(self) -> dict[str, Field]:
        """The values by name; that of a bare value is ""."""
        return self.keys or ({"": self.field} if self.field is not None else {})


class ListOf(Strict):
    """Several values in one target column. Items are written out; or made by `each` from the rows of the join `of`,
    or from the pieces of column `split` between `on`. `one_per`: ("item",), or names of an object's values;
    `order`: columns of the join, "-column" descending."""

    items: tuple[Item, ...] = ()
    of: str | None = None
    split: str | None = None
    on: str | None = None
    each: Item | None = None
    one_per: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    @property
    def ordering(self) -> tuple[tuple[str, bool], ...]:
        """(column, descending) of every item of `order`."""
        falls = [item.startswith("-") and len(item) > 1 for item in self.order]
        return tuple((o[1:] if f else o, f) for o, f in zip(self.order, falls, strict=True))

    @property
    def all_items(self) -> tuple[Item, ...]:
        return self.items or ((self.each,) if self.each is not None else ())


class Bands(Strict):
    """Upper bounds, included, in ascending order → text (None empties); `above`: what is larger than all of them."""

    limits: tuple[tuple[str, str | None], ...]
    above: str | None = None
    has_above: bool = False


class Origin(Strict):
    """Where a value comes from: exactly one of the three."""

    from_: str | None = Key(default=None, alias="from")
    value: str | None = None
    expr: str | None = None


class Case(Origin):
    when: str


class Field(Strict):
    """Order: origin → read_as → do → map/bands → ref/find → default → check → target type; `when` says for which rows.

    Exactly one origin: from_, from_columns (several, which together name the row that `ref` means), value, expr, first_of
    (columns), text (with {names} of columns) or choose, with what `otherwise` becomes of a row that no case fits.
    `do_if_text`: `do` comes from `defaults` and is for texts only."""

    from_: str | None = Key(default=None, alias="from")
    from_columns: tuple[str, ...] = ()
    value: str | None = None
    expr: str | None = None
    first_of: tuple[str, ...] = ()
    text: str | None = None
    choose: tuple[Case, ...] = ()
    otherwise: Literal["quarantine", "empty", "stop"] | Origin = "quarantine"
    when: str | None = None
    read_as: (
        Literal["text", "integer", "decimal", "float", "boolean", "date", "timestamp", "timestamptz", "time"]
        | None
    ) = None
    do: tuple[Step, ...] = ()
    do_if_text: bool = False
    map: ValueMap | None = None  # named maps are already looked up
    bands: Bands | None = None
    unmapped: Literal["quarantine", "keep", "stop"] | Default = "quarantine"
    ref: Ref | None = None
    find: Find | None = None
    list: ListOf | None = None
    default: str | None = None
    check: tuple[Check, ...] = ()
    lossy: Literal["error", "quarantine", "allow"] | None = None  # None: policy's
    why: str | None = Key(default=None, exclude=True)  # words for people make no row another one

    @property
    def lookups(self) -> tuple[Find, ...]:
        """All looks into the target that its values may need."""
        asked = (self.find,) if self.ref is None else (self.ref.missing, self.ref.ambiguous)
        return tuple(find for one in asked if isinstance(one, Find) for find in one.chain)

    @property
    def has_origin(self) -> bool:
        """Whether the field itself says where its values come from; a value of `each` need not."""
        given = (self.from_, self.value, self.expr, self.text)
        return any(one is not None for one in given) or bool(
            self.from_columns or self.first_of or self.choose
        )


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


class Mapping(Strict):
    """The whole file. `digest` is the SHA-256 of its canonical content (without secrets), `path` where it came from."""

    name: str
    description: str = ""
    sources: dict[str, Source]
    target: Target
    scratch: Scratch = Scratch()
    policy: Policy = Policy()
    maps: dict[str, ValueMap] = Key(default_factory=dict)
    entities: dict[str, Entity]
    split: dict[str, Split] = Key(default_factory=dict)  # by table
    left_behind: tuple[LeftBehind, ...] = ()
    checks: tuple[TableCheck, ...] = ()
    glossary: dict[str, str] = Key(default_factory=dict)
    reasons: dict[str, str] = Key(default_factory=dict)  # `why` of everything else, by its place: "policy"
    path: str = ""
    base: str = ""  # folder that relative paths resolve against
    digest: str = ""
    files: dict[str, str] = Key(default_factory=dict)  # files that it names → SHA-256 of their bytes
    positions: dict[str, str] = Key(
        default_factory=dict
    )  # "entities.accounts.fields.name" → file:line:column
    resolved: dict[str, str] = Key(
        default_factory=dict, repr=False
    )  # text from the environment → as the file says it: for everything that is shown
