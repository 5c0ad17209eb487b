"""What the arguments of a `do` function must say together, or beyond their kind.

An argument that comes from a column is a FromColumn here and passes; it is looked at again with each of its values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from migrate.mapping import patterns
from migrate.mapping.function_spec import ArgumentProblem, FunctionSpec

Given = Mapping[str, object]
# (message, name of the argument or "", hint)
Wrong = tuple[str, str, str]


def together(spec: FunctionSpec, arguments: Given) -> list[ArgumentProblem]:
    """Problems that no single argument shows by its kind."""
    rule = _RULES.get(spec.name)
    return [
        ArgumentProblem(f"`{spec.name}`: {message}", (name,) if name else (), hint)
        for message, name, hint in (rule(arguments) if rule else ())
    ]


def _slice(given: Given) -> Iterator[Wrong]:
    length = given["length"]
    if isinstance(length, int) and length < 0:
        yield "`length` is 0 or more", "", ""
    if given["from"] == 0:
        yield "`from` counts from 1, or from -1 at the end; 0 is neither", "from", ""


def _replace(given: Given) -> Iterator[Wrong]:
    if given["from"] == "":
        yield "`from` is empty", "from", ""


def _pattern(given: Given) -> Iterator[Wrong]:
    find, group, replace = given["find"], given["group"], given["replace"]
    if isinstance(replace, str) and group:
        yield "`group` takes out, `replace` replaces: give one", "group", ""
    if not isinstance(find, str):
        return
    groups = patterns.groups_of(find)
    has = f"the pattern has {groups} bracket{'' if groups == 1 else 's'}"
    if isinstance(group, int) and not 0 <= group <= groups:
        yield f"there is no bracket {group}; {has}", "group", ""
    if isinstance(replace, str):
        for escape in re.findall(r"\\(.?)", replace):
            if escape != "\\" and not (escape.isdigit() and int(escape) <= groups and escape != "0"):
                message = f"`\\{escape}` in `replace` is no bracket of the pattern; {has}"
                yield message, "replace", "one \\ is written \\\\"
                break


def _one_sign(given: Given, name: str) -> Iterator[Wrong]:
    sign = given[name]
    if isinstance(sign, str) and len(sign) != 1:
        yield f"`{name}` is exactly one character", name, ""


def _pad(given: Given) -> Iterator[Wrong]:
    if isinstance(given["width"], int) and not 1 <= given["width"] <= 10_000:
        yield "`width` is 1 to 10000", "", ""
    yield from _one_sign(given, "with")


def _mask(given: Given) -> Iterator[Wrong]:
    for name in ("first", "last"):
        kept = given[name]
        if isinstance(kept, int) and kept < 0:
            yield f"`{name}` is 0 or more", name, ""
    yield from _one_sign(given, "with")


def _plus_tag(given: Given) -> Iterator[Wrong]:
    if given["sign"] == "":
        yield "`sign` is empty", "sign", ""


def _split(given: Given) -> Iterator[Wrong]:
    if given["on"] == "":
        yield "`on` is empty", "on", ""
    if given["part"] == 0:
        yield "`part` counts from 1, or from -1 at the end; 0 is neither", "part", ""


_WITHOUT_PHONES = frozenset({"AQ", "BV", "GS", "HM", "PN", "TF", "UM"})  # countries without a numbering plan


def _phone(given: Given) -> Iterator[Wrong]:
    if given["region"] in _WITHOUT_PHONES:
        yield f"{given['region']} has no phone numbers of its own", "region", ""


def _round(given: Given) -> Iterator[Wrong]:
    if isinstance(given["places"], int) and abs(given["places"]) > 38:
        yield "`places` is -38 to 38", "", ""


def _dates(given: Given) -> Iterator[Wrong]:
    if given["formats"] and given["day_first"] is not None:
        yield "`formats` and `day_first` exclude each other", "day_first", ""
    if given["excel_serial"] and given["epoch"]:
        yield "`excel_serial` and `epoch` both read plain numbers: give one", "epoch", ""


def _boolean(given: Given) -> Iterator[Wrong]:
    yes, no = ({str(word).strip().lower() for word in _texts(given[side])} for side in ("true", "false"))
    if both := sorted(yes & no):
        yield f'"{both[0]}" stands for yes and for no (the list that is not given has its default)', "", ""


def _texts(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else ()


_CODE = re.compile(r"[a-z][a-z0-9_]{1,39}")


def _expr(given: Given) -> Iterator[Wrong]:
    code = given["code"]
    if isinstance(code, str) and not _CODE.fullmatch(code):
        yield "`code` is a name of small letters, digits and _", "code", "for example closed_before_created"


def _ignored(*known: str) -> Callable[[Given], Iterator[Wrong]]:
    def rule(given: Given) -> Iterator[Wrong]:
        strange = [word for word in _texts(given["ignore"]) if word not in known]
        if strange:
            yield f'`ignore` knows {", ".join(known)}, not "{strange[0]}"', "ignore", ""

    return rule


def _stale(given: Given) -> Iterator[Wrong]:
    if (given["touched"] is None) != (given["untouched"] is None):
        yield "`touched` and `untouched` belong together", "touched" if given["touched"] else "untouched", ""
    if isinstance(given["touched"], str):
        yield "`touched` is a column", "touched", "write {from: COLUMN}"


def _ignored_in_email(given: Given) -> Iterator[Wrong]:
    if "ignore" in given:  # the rule, not the function of that name
        yield from _ignored("typo", "disposable", "role", "placeholder")(given)


_RULES: Mapping[str, Callable[[Given], Iterator[Wrong]]] = {
    "slice": _slice,
    "replace": _replace,
    "pattern": _pattern,
    "pad": _pad,
    "mask": _mask,
    "split": _split,
    "phone": _phone,
    "plus_tag": _plus_tag,
    "round": _round,
    "date": _dates,
    "timestamp": _dates,
    "boolean": _boolean,
    "expr": _expr,
    "stale": _stale,
    "email": _ignored_in_email,
    "email_verdict": _ignored_in_email,
    "person": _ignored("caps", "emoji", "title", "comma", "company", "digits", "email"),
}
