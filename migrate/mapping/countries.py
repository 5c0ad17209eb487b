"""Countries of ISO 3166-1, found by whatever people write: codes, numbers, short, common and official names.

pycountry has the list. Added here: everyday English names, parts of the United Kingdom, and Kosovo, which has no code in
ISO 3166 but XK and XKX in those of the EU and the World Bank.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Country:
    """`name`: the common one where ISO 3166 has one. `numeric` has three digits, or is "" (Kosovo)."""

    alpha2: str
    alpha3: str
    numeric: str
    name: str


# Signs that no name has; with digits, which codes have, none at all.
_STRANGE = re.compile(r"[^\w\s\u0300-\u036f.,'’‘ʻ()\[\]&–-]|_|\d(?s:.*)[^\w\s]|[^\w\s](?s:.*)\d")
_KOSOVO = Country("XK", "XKX", "", "Kosovo")

# What neither ISO 3166 nor a part of its names says, folded as `folded` does.
_EVERYDAY = {
    "GB": "UK, GB, Great Britain, Britain, England, Scotland, Wales, Northern Ireland",
    "US": "US, USA, US of A",
    "IE": "Republic of Ireland, Eire",
    "NL": "Holland",
    "RU": "Russia",
    "KR": "Republic of Korea",
    "KP": "DPRK",
    "CI": "Ivory Coast",
    "CZ": "Czech Republic",
    "CV": "Cape Verde",
    "CD": "Democratic Republic of the Congo, DR Congo, DRC, Congo-Kinshasa",
    "CG": "Republic of the Congo, Congo-Brazzaville",
    "FM": "Federated States of Micronesia",
    "LA": "Laos",
    "MK": "Macedonia",
    "MM": "Burma",
    "MO": "Macau",
    "PS": "Palestine",
    "SZ": "Swaziland",
    "TL": "East Timor",
    "TR": "Turkey",
    "AE": "UAE",
    "BN": "Brunei",
    "VA": "Vatican, Vatican City, Vatican City State, Holy See",
    "VG": "British Virgin Islands",
    "VI": "US Virgin Islands",
    "SX": "Sint Maarten",
    "FK": "Falkland Islands",
    "CC": "Cocos Islands",
    "TT": "Trinidad",
    "AG": "Antigua",
    "BA": "Bosnia",
}


def country_of(text: str) -> Country | None:
    """The country that a code, a number (36 is 036) or a name means; None where it means none, or might mean several."""
    key = text.strip()
    if re.fullmatch(r"[0-9]{1,3}", key):
        return _countries().get(key.zfill(3))
    if re.fullmatch(r"[A-Za-z]{2,3}", key) and (found := _countries().get(key.upper())):
        return found
    # Codes with points or gaps are none: N.A. and N/A are not Namibia.
    return None if any(c.isnumeric() for c in key) else _countries().get(folded(key))


def folded(text: str) -> str:
    """Letters and digits only, small, without accents; & is and, St. at the beginning is Saint, "the" there is nothing.
    A text with other signs than names have is folded to "", so that $1.00 is not the number 100."""
    if not any(c.isalnum() for c in text) or _STRANGE.search(text):
        return ""
    plain = unicodedata.normalize("NFKD", text.replace("&", " and ").casefold())
    words = "".join(
        c if c.isalnum() else "" if unicodedata.combining(c) or c in ".'’" else " " for c in plain
    ).split()
    if len(words) > 1 and words[0] == "the":
        words = words[1:]
    if len(words) > 1 and words[0] == "st":
        words[0] = "saint"
    return "".join(words)


@functools.cache
def _countries() -> dict[str, Country]:
    """By code in capitals, by number, and by folded name."""
    import pycountry

    known: dict[str, Country] = {}
    parts: list[tuple[str, Country]] = []
    for one in pycountry.countries:
        common = getattr(one, "common_name", one.name)
        country = Country(one.alpha_2, one.alpha_3, one.numeric, common)
        known |= dict.fromkeys((one.alpha_2, one.alpha_3, one.numeric), country)
        said = [one.name, common, getattr(one, "official_name", common)]
        said += [name.strip() for name in _EVERYDAY.get(one.alpha_2, "").split(",") if name]
        known |= dict.fromkeys((folded(name) for name in said), country)
        # "Moldova, Republic of" is Moldova; "Congo" and "Virgin Islands" are several.
        parts += [(folded(one.name.split(sign)[0]), country) for sign in (",", " (") if sign in one.name]
    several = Counter(key for key, _ in parts)
    known |= {key: country for key, country in parts if several[key] == 1 and key not in known}
    return known | dict.fromkeys(("XK", "XKX", "kosovo"), _KOSOVO)
