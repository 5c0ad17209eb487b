"""Codes of countries (ISO 3166-1) and of their states, provinces and territories (ISO 3166-2)."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import polars as pl

from migrate.mapping.countries import country_of, folded
from migrate.transform.distinct import Refused, by_distinct
from migrate.transform.values import TEXT, Outcome, Values, texts_of

Arguments = Mapping[str, Any]

# What neither ISO 3166-2 nor a part of its names says.
_EVERYDAY = {
    "US-DC": ("DC", "Washington DC"),
    "US-VI": ("Virgin Islands", "US Virgin Islands"),
    "CA-NL": ("Newfoundland", "Labrador"),
    "CA-PE": ("PEI",),
    "CA-YT": ("Yukon Territory",),
}


def country(values: Values, arguments: Arguments) -> Outcome:
    to = arguments["to"]

    def code(text: str) -> str:
        found = country_of(text)
        if found is None or not (made := str(getattr(found, to))):
            raise Refused
        return made

    return _outcome(values, code, "no country of ISO 3166 is called so, or several are")


def state(values: Values, arguments: Arguments) -> Outcome:
    stated, to = arguments["country"], arguments["to"]

    def code(text: str) -> str:
        full = re.fullmatch(r"([A-Za-z]{2})-([0-9A-Za-z]{1,3})", text)
        name = text.upper() if full else text
        # A code with its country needs no other, and must not contradict it.
        of = full[1].upper() if full and (stated is None or full[1].upper() == stated) else stated
        found = _states(of).get(name if full else folded(name), ()) if of else ()
        if len(found) != 1:
            raise Refused
        (iso, label) = next(iter(found))
        return {"iso": iso, "name": label, "code": iso.partition("-")[2]}[to]

    unknown = "no state of that country is called so, or several are"
    return _outcome(values, code, unknown if stated else "not a code such as US-CA, and no country is given")


@functools.cache
def _states(country: str) -> dict[str, set[tuple[str, str]]]:
    """By whole code, and by folded code, name and parts of a name: the states that are meant."""
    import pycountry

    known: dict[str, set[tuple[str, str]]] = defaultdict(set)
    everywhere: Any = pycountry.subdivisions
    for one in everywhere.get(country_code=country) or ():
        this = (one.code, one.name)
        known[one.code].add(this)
        names = [one.name, *re.split(r"[\[\](),/;]", one.name), *_EVERYDAY.get(one.code, ())]
        for key in {folded(name) for name in names} - {""}:
            known[key].add(this)
    for code in [key for key in known if "-" in key]:
        known[folded(code.partition("-")[2])] = set(known[code])  # a code is never several
    return dict(known)


def _outcome(values: Values, function: Any, detail: str) -> Outcome:
    series, failed = by_distinct(texts_of(values), function, pl.String)
    return Outcome(Values(series, TEXT), failed, detail)
