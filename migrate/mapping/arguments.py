"""Arguments of a `do` function: from what the file says to typed values, with every problem in plain words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from uuid import NAMESPACE_DNS, NAMESPACE_OID, NAMESPACE_URL, NAMESPACE_X500, UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from migrate.mapping import countries, dates, json_paths, patterns
from migrate.mapping.argument_rules import together
from migrate.mapping.durations import EXAMPLE, parse_duration
from migrate.mapping.function_spec import (
    Argument,
    ArgumentProblem,
    Arguments,
    FromColumn,
    FunctionSpec,
    Parameter,
)

YES = frozenset({"true", "yes"})
NO = frozenset({"false", "no"})


def parse_arguments(spec: FunctionSpec, given: Arguments) -> tuple[dict[str, object], list[ArgumentProblem]]:
    """Typed arguments with defaults, and what is wrong with the given ones. What comes from a column stays a
    FromColumn."""
    problems: list[ArgumentProblem] = []
    arguments: dict[str, object] = {p.name: p.default for p in spec.parameters}
    named, short = _named(spec, given, problems)
    rest: dict[str, object] = {}
    for name, value in named.items():
        parameter = spec.parameter(name) or spec.rest
        path = () if short else (name,)
        if parameter is None:
            problems.append(_unknown(spec, name))
            continue
        try:
            parsed = _typed(parameter, value)
        except _WrongValue as wrong:
            problems.append(ArgumentProblem(f"`{spec.name}`: {wrong}", (*path, *wrong.path), wrong.hint))
            continue
        if parameter is spec.rest:
            rest[name] = parsed
        else:
            arguments[name] = parsed
    missing = [p.name for p in spec.parameters if p.required and p.name not in named]
    if spec.rest is not None:
        arguments[spec.rest.name] = rest
        if spec.rest.required and not any(spec.parameter(name) is None for name in named):
            missing.append(spec.rest.name)
    if missing and not problems:
        problems.append(ArgumentProblem(f"`{spec.name}` needs {_names(missing)}", hint=_usage(spec)))
    if not problems:
        problems.extend(together(spec, arguments))
    return arguments, problems


def timezone_problem(name: str) -> str | None:
    """Why a timezone name cannot be used, or None."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f'"{name}" is not a timezone; names are like Europe/London or UTC'
    return None


class _WrongValue(Exception):
    def __init__(self, message: str, path: tuple[str | int, ...] = (), hint: str = "") -> None:
        super().__init__(message)
        self.path, self.hint = path, hint


def _named(
    spec: FunctionSpec, given: Arguments, problems: list[ArgumentProblem]
) -> tuple[dict[str, Argument], bool]:
    """Arguments by name; True where the short form gave the first one."""
    if given is None:
        return {}, False
    if isinstance(given, dict):
        return given, False
    if not spec.parameters:
        problems.append(ArgumentProblem(f"`{spec.name}` takes no arguments", hint=f"write {spec.name}"))
        return {}, True
    if spec.rest is not None:
        problems.append(ArgumentProblem(f"`{spec.name}` needs names with values", hint=_usage(spec)))
        return {}, True
    return {spec.parameters[0].name: given}, True


def _unknown(spec: FunctionSpec, name: str) -> ArgumentProblem:
    names = [p.name for p in spec.parameters]
    if not names:
        return ArgumentProblem(
            f"`{spec.name}` takes no arguments", (name,), f"write {spec.name}", at_key=True
        )
    near = difflib.get_close_matches(name, names, 1, 0.6)
    hint = f"did you mean `{near[0]}`?" if near else f"it has {_names(names)}"
    return ArgumentProblem(f"`{spec.name}` has no argument `{name}`", (name,), hint, at_key=True)


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _usage(spec: FunctionSpec) -> str:
    """One correct use, taken from the examples."""
    for _, arguments, _ in spec.examples:
        if isinstance(arguments, dict):
            inside = ", ".join(
                f'{k or chr(34) * 2}: "{v}"' for k, v in arguments.items() if isinstance(v, str)
            )
            return f"for example {{{spec.name}: {{{inside}}}}}"
        if isinstance(arguments, str):
            return f'for example {{{spec.name}: "{arguments}"}}'
    return ""


def _typed(parameter: Parameter, value: Argument) -> object:
    if parameter.kind == "columns":
        return _columns(parameter, value)
    if isinstance(value, FromColumn):
        if parameter.fixed:
            raise _WrongValue(f"`{parameter.name}` cannot come from a column")
        return value
    if parameter.kind in ("texts", "date_formats"):
        values = (value,) if isinstance(value, str) else value
        if not values:
            raise _WrongValue(f"`{parameter.name}` is an empty list")
        for index, text in enumerate(values):
            path = () if isinstance(value, str) else (index,)
            if isinstance(text, FromColumn):
                raise _WrongValue(f"`{parameter.name}` comes from one column, or is a list of texts", path)
            if parameter.kind == "date_formats":
                _date_format(text, path)
        return values
    if not isinstance(value, str):
        raise _WrongValue(f"`{parameter.name}` is one value, not a list")
    return _READERS[parameter.kind](parameter, value)


def _columns(parameter: Parameter, value: Argument) -> tuple[FromColumn, ...]:
    items = value if isinstance(value, tuple) else (value,)
    if not items:
        raise _WrongValue(f"`{parameter.name}` is an empty list")
    columns: list[FromColumn] = []
    for index, item in enumerate(items):
        if not isinstance(item, FromColumn):
            path = (index,) if isinstance(value, tuple) else ()
            raise _WrongValue(
                f'`{parameter.name}` are columns, not the text "{item}"', path, f"write {{from: {item}}}"
            )
        columns.append(item)
    return tuple(columns)


def _date_format(text: str, path: tuple[str | int, ...]) -> None:
    try:
        dates.pieces(text)
    except ValueError as error:
        raise _WrongValue(str(error), path) from None


def _integer(parameter: Parameter, value: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", value):
        raise _WrongValue(f'`{parameter.name}` is a whole number, not "{value}"')
    return int(value)


def _decimal(parameter: Parameter, value: str) -> Decimal:
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise _WrongValue(f'`{parameter.name}` are numbers such as 0.001, not "{value}"')
    return number


def _boolean(parameter: Parameter, value: str) -> bool:
    if value.lower() not in YES | NO:
        raise _WrongValue(f'`{parameter.name}` is yes or no, not "{value}"')
    return value.lower() in YES


def _choice(parameter: Parameter, value: str) -> str:
    if value not in parameter.choices:
        near = difflib.get_close_matches(value, parameter.choices, 1, 0.6)
        choices = ", ".join(f'"{c}"' for c in parameter.choices)
        raise _WrongValue(
            f'`{parameter.name}` is one of {choices}, not "{value}"',
            hint=f"did you mean {near[0]}?" if near else "",
        )
    return value


def _pattern(_: Parameter, value: str) -> str:
    problem = patterns.pattern_problem(value)
    if problem is not None:
        raise _WrongValue(problem)
    return value


def _timezone(_: Parameter, value: str) -> str:
    problem = timezone_problem(value)
    if problem is not None:
        raise _WrongValue(problem)
    return value


def _namespace(parameter: Parameter, value: str) -> UUID:
    known = {"dns": NAMESPACE_DNS, "url": NAMESPACE_URL, "oid": NAMESPACE_OID, "x500": NAMESPACE_X500}
    if value in known:
        return known[value]
    try:
        return UUID(value)
    except ValueError:
        raise _WrongValue(f'`{parameter.name}` is {", ".join(known)} or a UUID, not "{value}"') from None


def _country(parameter: Parameter, value: str) -> str:
    found = countries.country_of(value)
    if found is None:
        raise _WrongValue(
            f'`{parameter.name}` is a country, and "{value}" is none', hint="write its code, such as GB"
        )
    return found.alpha2


def _duration(parameter: Parameter, value: str) -> object:
    found = parse_duration(value)
    if found is None:
        raise _WrongValue(f'`{parameter.name}` is a span of time such as {EXAMPLE}, not "{value}"')
    return found


def _moment(parameter: Parameter, value: str) -> str:
    if value == "today":
        return value
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise _WrongValue(
            f'`{parameter.name}` is today, a date such as 2026-01-31, or {{from: COLUMN}}, not "{value}"'
        ) from None


def _file(parameter: Parameter, value: str) -> str:
    if not value or "\0" in value:
        raise _WrongValue(f"`{parameter.name}` is the name of a file")
    return value


def _json_path(_: Parameter, value: str) -> json_paths.Path:
    try:
        return json_paths.parse_path(value)
    except ValueError as error:
        raise _WrongValue(str(error)) from None


_READERS: Mapping[str, Callable[[Parameter, str], object]] = {
    "text": lambda _, value: value,
    "integer": _integer,
    "decimal": _decimal,
    "boolean": _boolean,
    "choice": _choice,
    "pattern": _pattern,
    "timezone": _timezone,
    "country": _country,
    "namespace": _namespace,
    "json_path": _json_path,
    "list_file": _file,
    "duration": _duration,
    "moment": _moment,
    "expression": lambda _, value: value,
}
