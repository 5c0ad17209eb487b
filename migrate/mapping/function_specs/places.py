"""Functions for phone numbers, countries and states."""

from __future__ import annotations

from migrate.mapping.function_spec import FAILS, FromColumn, Parameter, Row, text_function

PLACES = (
    text_function(
        "phone",
        "Reads a phone number and writes it in one way. A number that its country's plan does not have in this length "
        "fails, and so does a text that is more than a number, or two of them. A number with + needs no region.",
        Parameter(
            "region", "country", "the country whose number it is if it has no +; any code or name of it"
        ),
        Parameter(
            "format",
            "choice",
            "how it is written",
            default="e164",
            choices=("e164", "international", "national"),
        ),
        Parameter(
            "extension",
            "choice",
            "what happens to an extension: it is kept, dropped, or the only thing wanted",
            default="keep",
            choices=("keep", "drop", "only"),
        ),
        empty="null",
        examples=(
            ("020 7946 0958", "GB", "+442079460958"),
            ("+44 (0)20 7946-0958", None, "+442079460958"),
            ("020 7946 0958", {"region": "GB", "format": "international"}, "+44 20 7946 0958"),
            ("+442079460958", {"format": "national"}, "020 7946 0958"),
            ("020 7946 0958 x12", "GB", "+442079460958 ext. 12"),
            ("020 7946 0958 x12", {"region": "GB", "extension": "drop"}, "+442079460958"),
            ("020 7946 0958 x12", {"region": "GB", "extension": "only"}, "12"),
            ("020 7946 0958", {"region": "GB", "extension": "only"}, None),
            (Row("020 7946 0958", {"country": "UK"}), FromColumn(from_="country"), "+442079460958"),
            (
                Row("(202) 555-0143", {"country": "United States"}),
                FromColumn(from_="country"),
                "+12025550143",
            ),
            (Row("020 7946 0958", {"country": "Narnia"}), FromColumn(from_="country"), FAILS),
            ("020 7946 0958", None, FAILS),
            ("12345", "US", FAILS),
            ("020 7946 0958 or 020 7946 0959", "GB", FAILS),
            ("ask Ada", "GB", FAILS),
            ("", "GB", None),
        ),
    ),
    text_function(
        "country",
        "The code of a country (ISO 3166-1). Reads its codes, its number, and its names in English; case, accents and "
        "points do not matter. Kosovo is XK and XKX, as the EU writes it.",
        Parameter(
            "to",
            "choice",
            "what is written: GB, GBR, United Kingdom, or 826",
            default="alpha2",
            choices=("alpha2", "alpha3", "name", "numeric"),
        ),
        empty="null",
        examples=(
            ("United Kingdom", None, "GB"),
            ("uk", None, "GB"),
            ("U.S.A.", None, "US"),
            ("Côte d'Ivoire", "alpha3", "CIV"),
            ("Ivory Coast", None, "CI"),
            ("36", None, "AU"),
            ("NO", "name", "Norway"),
            ("Germany", "numeric", "276"),
            ("Korea", None, FAILS),
            ("Narnia", None, FAILS),
            (" ", None, None),
        ),
    ),
    text_function(
        "state",
        "The code of a state, province or territory (ISO 3166-2) by its code or name. A name that a country has twice fails.",
        Parameter(
            "country", "country", "whose state it is; any code or name of it. Without it only US-CA is clear"
        ),
        Parameter(
            "to",
            "choice",
            "what is written: CA, US-CA, or California",
            default="code",
            choices=("code", "iso", "name"),
        ),
        empty="null",
        examples=(
            ("California", "US", "CA"),
            ("ca", "US", "CA"),
            ("US-CA", None, "CA"),
            ("Québec", {"country": "Canada", "to": "iso"}, "CA-QC"),
            ("vic", {"country": "AU", "to": "name"}, "Victoria"),
            (Row("WA", {"land": "US"}), {"country": FromColumn(from_="land"), "to": "name"}, "Washington"),
            (
                Row("WA", {"land": "AUS"}),
                {"country": FromColumn(from_="land"), "to": "name"},
                "Western Australia",
            ),
            (Row("US-WA", {"land": None}), FromColumn(from_="land"), "WA"),
            ("US-CA", "CA", FAILS),
            ("California", None, FAILS),
            ("Bavaria", "US", FAILS),
            ("", "US", None),
        ),
    ),
)
