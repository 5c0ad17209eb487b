"""One type of one engine, with its nasty values, and how to tell that a value is still the same one."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

Said = Callable[[str], object]


@dataclass(frozen=True)
class Case:
    """`type` as the engine's DDL spells it, `values` as its SQL spells them (files: the cells' text).

    `into`: engine → types of target columns that it is loaded into. `said`: what a value's text means, so that texts
    of two engines can be compared; made here from Python alone, never with the program's own code.
    """

    type: str
    values: tuple[str, ...]
    said: Said
    into: dict[str, tuple[str, ...]]
    label: str = ""  # more to say than the type: `with NaN`
    needs: str = ""  # an extension, or what else not every build has
    rule: str = ""  # the declared conversion, where another value is made on purpose
    expected: Said | None = None  # with a rule: what the source's text means by it


def text(value: str) -> object:
    return value


def integer(value: str) -> object:
    return int(value)


def number(value: str) -> object:
    """A decimal by its value; the scale is the column's."""
    return {"NaN": "NaN", "Infinity": "inf", "-Infinity": "-inf"}.get(value) or Decimal(value).normalize()


def written(value: str) -> object:
    """A decimal with the digits that it is written with."""
    if "I" in value or "N" in value:
        return number(value)
    return format(abs(Decimal(value)) if not Decimal(value) else Decimal(value), "f")


def double(value: str) -> object:
    return repr(float(value))


def single(value: str) -> object:
    return struct.pack("f", float(value)).hex()


def loose(value: str) -> object:
    """A number by its value, anything else as it is."""
    try:
        return repr(float(value))
    except ValueError:
        return value


def truth(value: str) -> object:
    return {"true": True, "false": False, "1": True, "0": False}.get(value, value)


def moment(value: str) -> object:
    """Dates and times: the spelling of fraction, offset and years before 1 is the engine's own (ISO 8601: 0000 is 1 BC)."""
    if value.endswith(" BC"):
        year, rest = value.removesuffix(" BC").split("-", 1)
        value = f"{1 - int(year):0{4 if year == '0001' else 5}d}-{rest}"
    if value.endswith("Z"):
        value = value[:-1] + "+00"
    plain = re.sub(r"(\.\d*?)0+(?=$|[+-])", r"\1", value.replace("T", " "))
    return re.sub(r"\.(?=$|[+-])", "", plain).replace("+00:00", "+00")


def instant(value: str) -> object:
    return datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(UTC)


LOCAL = "a local time of the stated zone (here Europe/London); one that is there twice or never is set aside"


def in_london(value: str) -> object:
    """The instant of a local time of Europe/London."""
    return datetime.fromisoformat(value).replace(tzinfo=ZoneInfo("Europe/London")).astimezone(UTC)


def plainly(value: str) -> str:
    """The text that a number becomes: no sign of a zero, no exponent."""
    return {"-0": "0", "-0.0": "0", "inf": "Infinity"}.get(value, value)


UNSIGNED = "a number becomes its shortest text, and -0 is 0"


def loosely(value: str) -> object:
    return loose(plainly(value))


def single_plainly(value: str) -> object:
    return single(plainly(value))


def plain_bytes(value: str) -> object:
    return hexed(plainly(value))


def uuid(value: str) -> object:
    return value.lower().replace("-", "")


def content(value: str) -> object:
    """JSON by what it says, numbers with all their digits."""
    return repr(json.loads(value, parse_float=Decimal, parse_int=Decimal, object_pairs_hook=_pairs))


def _pairs(pairs: list[tuple[str, object]]) -> object:
    return sorted(dict(pairs).items())


def hexed(value: str) -> object:
    r"""`\x00ff` of PostgreSQL, the bytes themselves of SQLite."""
    return (
        value.removeprefix("\\x") if value.startswith("\\x") else value.encode(errors="surrogateescape").hex()
    )
