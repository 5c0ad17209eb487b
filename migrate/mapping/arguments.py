"""Arguments of a `do` function: from what the file says to typed values, with every problem in plain words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from migrate.mapping import dates, patterns
from migrate.mapping.function_spec import Arguments, FunctionSpec, Parameter

YES = frozenset({"true", "yes"})
NO = frozenset({"false", "no"})


@dataclass(frozen=True)
class ArgumentProblem:
    """`path` leads to the value inside the arguments: () is the whole, ("formats", 1) the second format;
    `at_key` says that the name, not its value, is wrong."""

    message: str
    path: tuple[str | int, ...] = ()
    hint: str = ""
    at_key: bool = False


def parse_arguments(spec: FunctionSpec, given: Arguments) -> tuple[dict[str, object], list[ArgumentProblem]]:
    """Typed arguments with defaults, and what is wrong with the given ones."""
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
        problems.extend(_together(spec, arguments))
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
) -> tuple[dict[str, str | tuple[str, ...]], bool]:
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


def _typed(parameter: Parameter, value: str | tuple[str, ...]) -> object:
    if parameter.kind in ("texts", "date_formats"):
        values = (value,) if isinstance(value, str) else value
        if not values:
            raise _WrongValue(f"`{parameter.name}` is an empty list")
        if parameter.kind == "date_formats":
            for index, text in enumerate(values):
                _date_format(text, () if isinstance(value, str) else (index,))
        return values
    if not isinstance(value, str):
        raise _WrongValue(f"`{parameter.name}` is one value, not a list")
    return _READERS[parameter.kind](parameter, value)


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


_READERS: Mapping[str, Callable[[Parameter, str], object]] = {
    "text": lambda _, value: value,
    "integer": _integer,
    "decimal": _decimal,
    "boolean": _boolean,
    "choice": _choice,
    "pattern": _pattern,
    "timezone": _timezone,
}


def _together(spec: FunctionSpec, arguments: Mapping[str, object]) -> list[ArgumentProblem]:
    """What no single parameter shows."""
    found: list[ArgumentProblem] = []

    def wrong(message: str, *path: str) -> None:
        found.append(ArgumentProblem(f"`{spec.name}`: {message}", path))

    if spec.name == "slice":
        length, start = arguments["length"], arguments["from"]
        if isinstance(length, int) and length < 0:
            wrong("`length` is 0 or more")
        if start == 0:
            wrong("`from` counts from 1, or from -1 at the end; 0 is neither", "from")
    elif spec.name == "replace" and arguments["from"] == "":
        wrong("`from` is empty", "from")
    elif spec.name == "pattern":
        found.extend(_pattern_groups(spec, arguments))
    elif spec.name == "pad":
        if isinstance(arguments["width"], int) and not 1 <= arguments["width"] <= 10_000:
            wrong("`width` is 1 to 10000")
        if len(str(arguments["with"])) != 1:
            wrong("`with` is exactly one character", "with")
    elif spec.name == "round" and isinstance(arguments["places"], int) and abs(arguments["places"]) > 38:
        wrong("`places` is -38 to 38")
    elif spec.name in ("date", "timestamp"):
        if arguments["formats"] and arguments["day_first"] is not None:
            wrong("`formats` and `day_first` exclude each other", "day_first")
        if arguments["excel_serial"] and arguments["epoch"]:
            wrong("`excel_serial` and `epoch` both read plain numbers: give one", "epoch")
    elif spec.name == "boolean":
        words = [{str(w).strip().lower() for w in _texts(arguments[side])} for side in ("true", "false")]
        both = sorted(words[0] & words[1])
        if both:
            wrong(f'"{both[0]}" stands for yes and for no (the list that is not given has its default)')
    return found


def _texts(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


def _pattern_groups(spec: FunctionSpec, arguments: Mapping[str, object]) -> list[ArgumentProblem]:
    groups = patterns.groups_of(str(arguments["find"]))
    group, replace = arguments["group"], arguments["replace"]
    found: list[ArgumentProblem] = []
    has = f"the pattern has {groups} bracket{'' if groups == 1 else 's'}"
    if isinstance(group, int) and not 0 <= group <= groups:
        found.append(ArgumentProblem(f"`{spec.name}`: there is no bracket {group}; {has}", ("group",)))
    if isinstance(replace, str):
        if group:
            found.append(
                ArgumentProblem(f"`{spec.name}`: `group` takes out, `replace` replaces: give one", ("group",))
            )
        for escape in re.findall(r"\\(.?)", replace):
            if escape != "\\" and not (escape.isdigit() and int(escape) <= groups and escape != "0"):
                message = f"`\\{escape}` in `replace` is no bracket of the pattern; {has}"
                found.append(
                    ArgumentProblem(f"`{spec.name}`: {message}", ("replace",), "one \\ is written \\\\")
                )
                break
    return found
