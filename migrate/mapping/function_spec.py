"""What a `do` function declares about itself: the types of the table in migrate.mapping.functions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

ParameterKind = Literal[
    "text", "integer", "decimal", "boolean", "choice", "texts", "pattern", "date_formats", "timezone"
]
ValueKind = Literal["any", "text", "decimal", "integer", "date", "timestamp", "boolean"]
Arguments = str | tuple[str, ...] | dict[str, str | tuple[str, ...]] | None  # as Step.arguments


class Fails(Enum):
    """The output of an example where the function must refuse the value."""

    FAILS = "fails"


FAILS = Fails.FAILS


@dataclass(frozen=True)
class Parameter:
    """One parameter. Python types of the parsed argument, by kind: text str, integer int, decimal Decimal,
    boolean bool, choice str (one of `choices`), texts tuple[str, ...], pattern str (a regular expression,
    see migrate.mapping.patterns), date_formats tuple[str, ...] (see migrate.mapping.dates), timezone str (IANA)."""

    name: str
    kind: ParameterKind
    summary: str
    required: bool = False
    default: object = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class FunctionSpec:
    """`parameters[0]` is the one that the short form `{round: 0}` gives. `accepts` and `returns` are kinds of value:
    text functions get the canonical text of a value that is not text. `rest`: names that are no parameter are
    free, their values are of kind `rest.kind`, and together they are the argument `rest.name` (a dict).
    `examples`: (input, arguments as in Step.arguments, output or FAILS)."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    accepts: ValueKind
    returns: ValueKind
    examples: tuple[tuple[object, Arguments, object], ...]
    rest: Parameter | None = None

    def parameter(self, name: str) -> Parameter | None:
        return next((p for p in self.parameters if p.name == name), None)
