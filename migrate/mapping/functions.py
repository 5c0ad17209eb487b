"""The `do` functions of the mapping language: names, parameters, meaning, examples.

This table is the contract. `migrate.transform` implements it, the loader checks arguments against
it, documentation and tests are made from it. Rules for all of them:

- pure, one value in, one value out; NULL gives NULL, except where a function looks at other columns
  to fill it (`join`, `first_of`);
- a value that the function cannot read FAILS: the row is quarantined (code `type`), nothing is guessed;
- functions that read numbers, dates, booleans, names, addresses and codes ignore white space around the
  value (that of `trim`) and give NULL for empty text; those of numbers, dates and booleans pass on a value
  that already has their type;
- "white space" is that of Unicode with U+200B, U+2060 and U+FEFF;
- every argument may come from a column, `{phone: {region: {from: country}}}`: a row whose value cannot be
  the argument FAILS, an empty one means the default (of a text: only NULL is empty).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from migrate.mapping.arguments import parse_arguments
from migrate.mapping.function_spec import FAILS, Arguments, Fails, FunctionSpec, Parameter
from migrate.mapping.function_specs.codes import CODES
from migrate.mapping.function_specs.numbers import NUMBERS
from migrate.mapping.function_specs.people import PEOPLE
from migrate.mapping.function_specs.pieces import PIECES
from migrate.mapping.function_specs.places import PLACES
from migrate.mapping.function_specs.texts import TEXTS
from migrate.mapping.function_specs.times import TIMES
from migrate.mapping.model import Step

__all__ = [
    "FAILS",
    "FUNCTIONS",
    "Arguments",
    "Fails",
    "FunctionSpec",
    "Parameter",
    "arguments_of",
]

FUNCTIONS: Mapping[str, FunctionSpec] = MappingProxyType(
    {spec.name: spec for spec in (*TEXTS, *PIECES, *NUMBERS, *TIMES, *PEOPLE, *PLACES, *CODES)}
)


def arguments_of(step: Step) -> dict[str, object]:
    """The parsed, typed arguments of a step, every parameter present (defaults filled in); an argument that comes
    from a column is its FromColumn.

    Python types by parameter kind: see `Parameter`. Raises ValueError (KeyError for an unknown function) for
    arguments that the loader would not have let pass."""
    arguments, problems = parse_arguments(FUNCTIONS[step.name], step.arguments)
    if problems:
        raise ValueError(f"{step.name}: {problems[0].message}")
    return arguments
