"""Phone numbers, by the numbering plans of libphonenumber."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from migrate.transform.distinct import Refused, by_distinct
from migrate.transform.values import TEXT, Outcome, Values, texts_of

Arguments = Mapping[str, Any]

# Before the number, and between it and its extension, these words may stand; any other letter would be left out or,
# after some numbers, dialled.
_TEL = re.compile(r"\A\s*(?:tel|phone|fax|mobile|mob|cell)\s*[:.]\s*", re.IGNORECASE)
_EXTENSION = re.compile(
    r"(?:;\s*ext\s*=|\bext(?:ension|n)?\b\.?:?|(?<=[\d)\s])xt?n?\.?:?)\s*(?=[0-9]+\s*#?\s*\Z)", re.IGNORECASE
)
_FORMATS = {"e164": "E164", "international": "INTERNATIONAL", "national": "NATIONAL"}


def phone(values: Values, arguments: Arguments) -> Outcome:
    written = _writer(arguments["format"], arguments["extension"])
    region: str | None = arguments["region"]
    series, failed = by_distinct(texts_of(values), lambda text: written(read_number(text, region)), pl.String)
    detail = "not a number that is possible" if region else "not a number that is possible and starts with +"
    return Outcome(Values(series, TEXT), failed, detail)


def read_number(text: str, region: str | None) -> Any:
    """The number, where the whole text is one. Raises Refused."""
    import phonenumbers

    if len(text) > 100:
        raise Refused
    bare = _EXTENSION.sub(" ext ", _TEL.sub("", text))
    if any(c.isalpha() for c in bare.replace(" ext ", " ", 1)):
        raise Refused
    try:
        number = phonenumbers.parse(bare, region)
    except phonenumbers.NumberParseException:
        raise Refused from None
    possible = (
        phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    )
    # The lengths of a plan leave out a few numbers that it has.
    if not possible and not phonenumbers.is_valid_number(number):
        raise Refused
    end = phonenumbers.national_significant_number(number)[-4:] + (number.extension or "")
    digits = "".join(str(unicodedata.digit(c)) for c in bare if c.isdigit())
    if not digits.endswith(end):
        raise Refused  # something after the number was passed over
    return number


def _writer(form: str, extension: str) -> Callable[[Any], str | None]:
    def written(number: Any) -> str | None:
        import phonenumbers

        own: str = number.extension or ""
        if extension == "only":
            return own or None
        number.extension = None
        style = getattr(phonenumbers.PhoneNumberFormat, _FORMATS[form])
        text: str = phonenumbers.format_number(number, style)
        return f"{text} ext. {own}" if own and extension == "keep" else text

    return written
