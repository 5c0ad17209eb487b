"""What one target field is made of: origin, steps, maps, lists, references, checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field as Key
from pydantic import (
    InstanceOf,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_serializer,
)

from migrate.mapping.strict import Strict

Outcome = Literal["quarantine", "empty_and_flag", "stop"]


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
