"""The `do` functions by name: one implementation for every entry of `migrate.mapping.functions.FUNCTIONS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from migrate.mapping.functions import FUNCTIONS
from migrate.transform.functions import (
    addresses,
    codes,
    consents,
    dates,
    markdown,
    names,
    numbers,
    phones,
    pieces,
    places,
    text,
    verdicts,
)
from migrate.transform.functions.dates import Surroundings
from migrate.transform.values import TEXT, WHITE, Outcome, Values, emptied, mask_of, texts_of

Implementation = Callable[[Values, Mapping[str, Any], Surroundings], Outcome]


def _plain(function: Callable[[Values, Mapping[str, Any]], Outcome]) -> Implementation:
    """Most functions need nothing but the value."""

    def run(values: Values, arguments: Mapping[str, Any], around: Surroundings) -> Outcome:
        return function(values, arguments)

    return run


IMPLEMENTATIONS: Mapping[str, Implementation] = MappingProxyType(
    {
        **{
            f.__name__: _plain(f)
            for f in (
                text.trim,
                text.squeeze,
                text.lower,
                text.upper,
                text.title,
                text.slice,
                text.replace,
                text.pattern,
                text.pad,
                text.strip_emoji,
                text.ascii,
                text.unescape_html,
                markdown.html_to_markdown,
                text.digits,
                text.boolean,
                pieces.split,
                pieces.join,
                pieces.first_of,
                pieces.const,
                names.name,
                addresses.email,
                consents.consent,
                verdicts.email_verdict,
                addresses.plus_tag,
                addresses.domain,
                addresses.punycode,
                phones.phone,
                places.country,
                places.state,
                codes.salesforce_id,
                codes.hash,
                codes.mask,
                codes.uuid5,
                codes.json,
                numbers.decimal,
                numbers.currency,
                numbers.percent,
                numbers.units,
                numbers.round,
                numbers.integer,
            )
        },
        "date": dates.date,
        "timestamp": dates.timestamp,
    }
)


def run(name: str, values: Values, arguments: Mapping[str, Any], around: Surroundings) -> Outcome:
    """One step over a column. Raises KeyError for a name that is not built."""
    spec = FUNCTIONS[name]
    if spec.accepts == "text" and spec.empty == "null":
        values = _stripped(values)
    return IMPLEMENTATIONS[name](values, arguments, around)


def _stripped(values: Values) -> Values:
    """The texts without white space around them, NULL where nothing is left."""
    texts = texts_of(values).str.strip_chars(WHITE)
    return Values(emptied(texts, mask_of(texts == "")), TEXT)
