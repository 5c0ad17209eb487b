"""Telephone numbers against the patterns of numbering plans, a column at a time.

Only what cannot be read in two ways: with + and the code of a country, or as the country itself writes them. It says for
which texts it has an answer, and that answer is the library's own (`is_valid_number`, `number_type`): a test holds them
against each other.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from migrate.transform.values import Mask, as_series, mask_of

_INVALID, _OTHER, _FIXED, _MOBILE, _EITHER = 0, 1, 2, 3, 4
_PLAIN = r"\A[+(]?[0-9][0-9 .()/-]*\z"
_SIGNS = r"[ .()/-]+"
# In the order in which the library asks: the first that fits is what the number is.
_OTHERS = ("premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail")


def kinds(texts: pl.Series, region: str | None) -> tuple[npt.NDArray[np.int8], Mask]:
    """What each number is, and for which of the texts (none of them NULL) that is certain."""
    found = np.zeros(len(texts), dtype=np.int8)
    known = np.zeros(len(texts), dtype=np.bool_)
    plain = mask_of(texts.str.contains(_PLAIN)) & mask_of(texts.str.len_bytes() <= 40)
    with_plus = plain & mask_of(texts.str.starts_with("+"))
    digits = texts.str.replace_all(_SIGNS, "").str.strip_prefix("+")
    if with_plus.any():
        _international(digits, with_plus, found, known)
    if region is not None and (plain & ~with_plus).any():
        _national(digits, plain & ~with_plus, region, found, known)
    return found, known


def _international(digits: pl.Series, mask: Mask, found: npt.NDArray[np.int8], known: Mask) -> None:
    codes = _codes()
    mine = digits.filter(as_series(mask))
    code = pl.select(pl.coalesce(*(_one_of(mine, codes, n) for n in (1, 2, 3)))).to_series()
    places = np.flatnonzero(mask)
    for one in code.drop_nulls().unique().to_list():
        here = mask_of(code == one)
        national = mine.filter(as_series(here)).str.slice(len(one))
        sure = ~_may_be_cut(national, int(one))
        _decide(national, int(one), places[here], sure, found, known)


def _one_of(digits: pl.Series, codes: frozenset[str], length: int) -> pl.Series:
    head = digits.str.slice(0, length)
    words = pl.Series(sorted(c for c in codes if len(c) == length), dtype=pl.String)
    return head.zip_with(head.is_in(words.implode()), pl.Series([None], dtype=pl.String))


def _may_be_cut(national: pl.Series, code: int) -> Mask:
    """A number whose beginning the library may take for the prefix of calls inside the country."""
    prefix = _plan(_regions(code)[0], code).national_prefix_for_parsing
    return (
        mask_of(national.str.contains(rf"\A(?:{prefix})"))
        if prefix
        else np.zeros(len(national), dtype=np.bool_)
    )


def _national(digits: pl.Series, mask: Mask, region: str, found: npt.NDArray[np.int8], known: Mask) -> None:
    import phonenumbers

    code = phonenumbers.country_code_for_region(region)
    if not code or _regions(code)[0] != region:
        return
    plan = _plan(region, code)
    prefix = plan.national_prefix_for_parsing
    if plan.national_prefix_transform_rule:
        return
    mine = digits.filter(as_series(mask))
    sure = ~mask_of(mine.str.starts_with(str(code)))
    if plan.international_prefix:
        sure &= ~mask_of(mine.str.contains(rf"\A(?:{plan.international_prefix})"))
    national = mine
    if prefix:
        # Where the number fits with and without it, the library takes it off; where it fits only with it, it stays.
        cut = mine.str.replace(rf"\A(?:{prefix})", "")
        whole, rest = (mask_of(s.str.contains(_whole(plan.general_desc))) for s in (mine, cut))
        national = cut.zip_with(as_series(~(whole & ~rest)), mine)
    _decide(national, code, np.flatnonzero(mask), sure, found, known)


def _decide(
    national: pl.Series,
    code: int,
    places: npt.NDArray[np.int64],
    sure: Mask,
    found: npt.NDArray[np.int8],
    known: Mask,
) -> None:
    """The kind of every number of one country's code, region by region, as the library goes through them."""
    length = national.str.len_bytes().to_numpy()
    sure = sure & (length >= 4) & (length <= 17)
    answer = np.zeros(len(national), dtype=np.int8)
    open_ = np.ones(len(national), dtype=np.bool_)
    for region in _regions(code):
        if not open_.any():
            break
        plan = _plan(region, code)
        kind = _kinds_of_plan(national, plan)
        leading = plan.leading_digits
        here = open_ & (mask_of(national.str.contains(rf"\A(?:{leading})")) if leading else kind != _INVALID)
        answer[here] = kind[here]
        open_ &= ~here
    # A number with zeros in front means another one to the library, unless its country has such numbers.
    sure = sure & ~mask_of(national.str.starts_with("0"))
    found[places[sure]] = answer[sure]
    known[places[sure]] = True


def _kinds_of_plan(national: pl.Series, plan: Any) -> npt.NDArray[np.int8]:
    kind = np.zeros(len(national), dtype=np.int8)
    general = mask_of(national.str.contains(_whole(plan.general_desc)))
    fixed, mobile = (_fits(national, general, d) for d in (plan.fixed_line, plan.mobile))
    same = bool(
        plan.mobile
        and plan.fixed_line
        and plan.mobile.national_number_pattern == plan.fixed_line.national_number_pattern
    )
    kind[mobile] = _MOBILE
    kind[fixed] = _FIXED
    kind[fixed & mobile] = _EITHER
    if same:
        kind[fixed] = _EITHER
    for name in _OTHERS:
        kind[_fits(national, general, getattr(plan, name))] = _OTHER
    return kind


def _fits(national: pl.Series, general: Mask, desc: Any) -> Mask:
    if desc is None or not desc.national_number_pattern:
        return np.zeros(len(national), dtype=np.bool_)
    fits = general & mask_of(national.str.contains(_whole(desc)))
    if desc.possible_length:
        fits &= mask_of(national.str.len_bytes().is_in(list(desc.possible_length)))
    return fits


def _whole(desc: Any) -> str:
    return rf"\A(?:{desc.national_number_pattern})\z"


@functools.cache
def _codes() -> frozenset[str]:
    import phonenumbers

    return frozenset(str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


def _regions(code: int) -> tuple[str, ...]:
    import phonenumbers

    return tuple(phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code])


def _plan(region: str, code: int) -> Any:
    import phonenumbers

    if region == "001":
        return phonenumbers.PhoneMetadata.metadata_for_nongeo_region(code, None)
    return phonenumbers.PhoneMetadata.metadata_for_region(region, None)
