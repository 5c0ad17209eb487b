"""The rules by name: one implementation for every entry of `migrate.mapping.check_specs.CHECK_SPECS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from migrate.mapping.check_specs import arguments_of_check
from migrate.mapping.model import Check
from migrate.transform.quality.dates import fresh, not_after, not_before, stale
from migrate.transform.quality.emails import email
from migrate.transform.quality.found import About, Broken
from migrate.transform.quality.numbers_of_phones import phone
from migrate.transform.quality.people import not_test_data, person
from migrate.transform.values import Values

Rule = Callable[[Mapping[str, Any], Values, About], list[Broken]]


def _expr(arguments: Mapping[str, Any], values: Values, about: About) -> list[Broken]:
    mask = about.conditions.get(arguments["sql"])
    return [] if mask is None else [Broken(mask, arguments["code"], "a condition of the mapping is not met")]


QUALITY: Mapping[str, Rule] = {
    "email": email,
    "phone": phone,
    "not_test_data": not_test_data,
    "person": person,
    "not_before": not_before,
    "not_after": not_after,
    "fresh": fresh,
    "expr": _expr,
    "stale": stale,
}


def broken_rows(check: Check, values: Values, about: About) -> list[Broken]:
    """Every way in which rows break the rule; a row may be in several of them, one that is NULL only in that of `expr`."""
    arguments = arguments_of_check(check.name, check.argument)
    arguments |= {name: file.entries for name, file in check.lists.items()}
    return [one for one in QUALITY[check.name](arguments, values, about) if one.mask.any()]
