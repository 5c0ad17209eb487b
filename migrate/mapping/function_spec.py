"""What a `do` function declares about itself: the types of the table in migrate.mapping.functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from migrate.mapping.model import Argument, Arguments, FromColumn

ParameterKind = Literal[
    "text",
    "integer",
    "decimal",
    "boolean",
    "choice",
    "texts",
    "pattern",
    "date_formats",
    "timezone",
    "columns",
    "country",
    "namespace",
    "json_path",
    "list_file",
    "duration",
    "moment",
    "expression",
]
ValueKind = Literal["any", "text", "decimal", "integer", "date", "timestamp", "boolean"]
# What an empty value is: a text like any other; nothing, so that the result is NULL; or something that the function
# itself looks at, NULL too.
Empty = Literal["text", "null", "seen"]


class Fails(Enum):
    """The output of an example where the function must refuse the value."""

    FAILS = "fails"


FAILS = Fails.FAILS


@dataclass(frozen=True)
class Row:
    """The input of an example whose arguments come from other columns of the row."""

    value: object
    columns: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Parameter:
    """One parameter. Python types of the parsed argument, by kind: text str, integer int, decimal Decimal,
    boolean bool, choice str (one of `choices`), texts tuple[str, ...], pattern str (a regular expression,
    see migrate.mapping.patterns), date_formats tuple[str, ...] (see migrate.mapping.dates), timezone str (IANA),
    columns tuple[FromColumn, ...], country str (its ISO 3166 alpha-2 code), namespace UUID,
    json_path tuple[str | int, ...] (see migrate.mapping.json_paths), list_file str (a file name; the loader reads it),
    duration Duration (see migrate.mapping.durations), moment str (today, or a date as ISO 8601 has it), expression str
    (SQL). Every kind may be a FromColumn instead, which `migrate.transform.parameters` gives its values; but for `fixed` ones."""

    name: str
    kind: ParameterKind
    summary: str
    required: bool = False
    default: object = None
    choices: tuple[str, ...] = ()
    env: bool = False  # a text that may be a reference to the environment
    fixed: bool = False  # it cannot come from a column


@dataclass(frozen=True)
class ArgumentProblem:
    """`path` leads to the value inside the arguments: () is the whole, ("formats", 1) the second format;
    `at_key` says that the name, not its value, is wrong."""

    message: str
    path: tuple[str | int, ...] = ()
    hint: str = ""
    at_key: bool = False


@dataclass(frozen=True)
class FunctionSpec:
    """`parameters[0]` is the one that the short form `{round: 0}` gives. `accepts` and `returns` are kinds of value:
    text functions get the canonical text of a value that is not text. `rest`: names that are no parameter are
    free, their values are of kind `rest.kind`, and together they are the argument `rest.name` (a dict).
    `examples`: (input, arguments as in Step.arguments, output or FAILS); the input may be a `Row`."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    accepts: ValueKind
    returns: ValueKind
    examples: tuple[tuple[object, Arguments, object], ...]
    rest: Parameter | None = None
    empty: Empty = "null"

    def parameter(self, name: str) -> Parameter | None:
        return next((p for p in self.parameters if p.name == name), None)


def text_function(
    name: str,
    summary: str,
    *parameters: Parameter,
    examples: tuple[tuple[object, Arguments, object], ...],
    empty: Empty = "text",
) -> FunctionSpec:
    """From text to text."""
    return FunctionSpec(name, summary, parameters, "text", "text", examples, empty=empty)


__all__ = [
    "FAILS",
    "Argument",
    "ArgumentProblem",
    "Arguments",
    "Empty",
    "Fails",
    "FromColumn",
    "FunctionSpec",
    "Parameter",
    "ParameterKind",
    "Row",
    "ValueKind",
    "text_function",
]
