"""`check: phone`: numbers that a numbering plan has, by libphonenumber.

Once per distinct value. Numbers of the common forms are held against the patterns of the plans a column at a time
(`phone_plans`); the others go through the library, one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from migrate.mapping.countries import country_of
from migrate.transform.distinct import Refused, by_distinct
from migrate.transform.functions.phones import read_number
from migrate.transform.quality import phone_plans
from migrate.transform.quality.found import About, Broken, Distinct, spread
from migrate.transform.values import Values, as_series, mask_of, texts_of

# What a number is, as `phone_plans.kinds` says it.
INVALID, OTHER, FIXED, MOBILE, EITHER = 0, 1, 2, 3, 4
_SAME = r"\A\D*(?:" + "|".join(f"{d}(?:\\D*{d}){{6,}}" for d in range(10)) + r")\D*\z"
# The number behind a country's code, one digit over and over, or counting up or down.
_COUNTING = (
    "1234567890",
    "0123456789",
    "12345678",
    "123456789",
    "9876543210",
    "987654321",
    "01234567890",
    "01234567",
)


def phone(arguments: Mapping[str, Any], values: Values, about: About) -> list[Broken]:
    texts = texts_of(values)
    region = arguments["region"]
    regions = about.of_column(region)
    if regions is not None:
        return _by_region(arguments, texts, texts_of(regions))
    distinct = Distinct.of(texts)
    return spread(
        distinct, _judged(distinct.values, region if isinstance(region, str) else None, arguments["type"])
    )


def _by_region(arguments: Mapping[str, Any], texts: pl.Series, regions: pl.Series) -> list[Broken]:
    """A column says which country it is; where it names none, numbers with + are read all the same."""
    named, _ = by_distinct(regions, _region, pl.String)
    found: list[Broken] = []
    for region in [None, *sorted(named.drop_nulls().unique().to_list())]:
        mine = mask_of(named.is_null() if region is None else named == region)
        if not mine.any():
            continue
        distinct = Distinct.of(texts.filter(as_series(mine)))
        for one in spread(distinct, _judged(distinct.values, region, arguments["type"])):
            mask = np.zeros(len(texts), dtype=np.bool_)
            mask[mine] = one.mask
            found.append(Broken(mask, one.code, one.detail))
    return found


def _region(text: str) -> str:
    country = country_of(text)
    if country is None:
        raise Refused
    return country.alpha2


def _judged(texts: pl.Series, region: str | None, wanted: str) -> list[Broken]:
    """Distinct texts, none of them NULL."""
    kinds = kinds_of(texts, region)
    digits = texts.str.replace_all(r"\D+", "")
    same = mask_of(texts.str.contains(_SAME)) | _same_behind_code(texts, digits)
    counting = mask_of(digits.is_in(list(_COUNTING)))
    implausible = same | counting
    wrong = (kinds == INVALID) & ~implausible
    other = np.zeros(len(texts), dtype=np.bool_)
    if wanted == "mobile":
        other = (kinds == FIXED) | (kinds == OTHER)
    elif wanted == "fixed":
        other = (kinds == MOBILE) | (kinds == OTHER)
    detail = "no number of that country" if region else "no number that has a + and a country"
    return [
        Broken(implausible, "phone_implausible", "one digit over and over, or counting"),
        Broken(wrong, "phone_invalid", detail),
        Broken(other & ~implausible, "phone_type", f"not a {wanted} number"),
    ]


def _same_behind_code(texts: pl.Series, digits: pl.Series) -> npt.NDArray[np.bool_]:
    """+44 11 1111 1111: one digit over and over, behind the code of a country."""
    behind = r"\A\d{1,3}(?:" + "|".join(f"{d}{{8,}}" for d in range(10)) + r")\z"
    return mask_of(texts.str.contains(r"\A\s*(?:\+|00)")) & mask_of(digits.str.contains(behind))


def kinds_of(texts: pl.Series, region: str | None) -> npt.NDArray[np.int8]:
    """INVALID, OTHER, FIXED, MOBILE or EITHER for distinct texts, none of them NULL."""
    kinds, known = phone_plans.kinds(texts, region)
    left = ~known
    if left.any():
        made, refused = by_distinct(texts.filter(as_series(left)), lambda text: _kind(text, region), pl.Int8)
        kinds[left] = made.fill_null(INVALID).to_numpy()
        kinds[np.flatnonzero(left)[refused]] = INVALID
    return kinds


def _kind(text: str, region: str | None) -> int:
    import phonenumbers

    number = read_number(text, region)
    kind = phonenumbers.number_type(number) if phonenumbers.is_valid_number(number) else None
    types = phonenumbers.PhoneNumberType
    if kind is None or kind == types.UNKNOWN:
        return INVALID
    return {types.FIXED_LINE: FIXED, types.MOBILE: MOBILE, types.FIXED_LINE_OR_MOBILE: EITHER}.get(
        kind, OTHER
    )
