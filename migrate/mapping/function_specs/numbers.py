"""Functions that read numbers."""

from __future__ import annotations

from decimal import Decimal

from migrate.mapping.function_spec import FAILS, FunctionSpec, Parameter

_POINT = Parameter("point", "choice", "the decimal sign of the text", default=".", choices=(".", ","))

NUMBERS = (
    FunctionSpec(
        "decimal",
        "Reads a number exactly. Digit groups may be thousands (1,234,567) or Indian (3,40,000), made with the other "
        "sign, a blank, a no-break blank or an apostrophe; a group in the wrong place fails. A minus may follow.",
        (_POINT,),
        "any",
        "decimal",
        (
            ("1,234.50", None, Decimal("1234.50")),
            ("3,40,000", None, Decimal("340000")),
            ("1.234,5", ",", Decimal("1234.5")),
            ("1 234,5", ",", Decimal("1234.5")),
            ("1'234.5", None, Decimal("1234.5")),
            ("12-", None, Decimal("-12")),
            ("+7", None, Decimal("7")),
            (".5", None, Decimal("0.5")),
            ("1,5", None, FAILS),
            ("1.2.3", None, FAILS),
            ("1e5", None, FAILS),
            ("NaN", None, FAILS),
            ("", None, None),
        ),
    ),
    FunctionSpec(
        "currency",
        "Reads an amount with a currency sign or a three-letter code before or after it; brackets are a minus. Gives the "
        "amount only.",
        (
            _POINT,
            Parameter(
                "only",
                "texts",
                "signs and codes that may stand there; others fail. Left out: any",
                default=(),
            ),
        ),
        "any",
        "decimal",
        (
            ("£1,200.50", None, Decimal("1200.50")),
            ("1.200,50 EUR", ",", Decimal("1200.50")),
            ("(£5)", None, Decimal("-5")),
            ("-£5", None, Decimal("-5")),
            ("US$ 12", None, Decimal("12")),
            ("₹3,40,000", None, Decimal("340000")),
            ("12", None, Decimal("12")),
            ("$5", {"only": ("£", "GBP")}, FAILS),
            ("£5", {"only": ("£", "GBP")}, Decimal("5")),
            ("about £5", None, FAILS),
            ("", None, None),
        ),
    ),
    FunctionSpec(
        "percent",
        "Reads a percentage, with or without its sign.",
        (
            Parameter(
                "as",
                "choice",
                "number: 12.5% is 12.5; share: 12.5% is 0.125",
                default="number",
                choices=("number", "share"),
            ),
            _POINT,
        ),
        "any",
        "decimal",
        (
            ("12.5%", None, Decimal("12.5")),
            ("12.5 %", "share", Decimal("0.125")),
            ("12,5 %", {"point": ","}, Decimal("12.5")),
            ("40", "share", Decimal("0.40")),
            ("40%%", None, FAILS),
            ("", None, None),
        ),
    ),
    FunctionSpec(
        "units",
        'Reads a number with its unit and multiplies: {units: {kg: 1, g: 0.001}}. The unit "" stands for a number without '
        "one; a unit that is not named fails. Units are compared exactly.",
        (_POINT,),
        "any",
        "decimal",
        (
            ("250 g", {"kg": "1", "g": "0.001"}, Decimal("0.250")),
            ("1.5k", {"k": "1000", "M": "1000000", "": "1"}, Decimal("1500")),
            ("7", {"k": "1000", "": "1"}, Decimal("7")),
            ("7", {"k": "1000"}, FAILS),
            ("7 lb", {"kg": "1"}, FAILS),
            ("1,5 kg", {"kg": "1", "point": ","}, Decimal("1.5")),
            ("", {"kg": "1"}, None),
        ),
        rest=Parameter(
            "factors", "decimal", "unit and what its number is multiplied with; at least one", required=True
        ),
    ),
    FunctionSpec(
        "round",
        "Rounds a number; a text must be a plain number. Negative places round to tens and hundreds.",
        (
            Parameter("places", "integer", "digits after the point", default=0),
            Parameter(
                "half",
                "choice",
                "where a half goes: away from zero, or to the even digit",
                default="up",
                choices=("up", "even"),
            ),
        ),
        "any",
        "decimal",
        (
            ("2.5", None, Decimal("3")),
            ("-2.5", None, Decimal("-3")),
            ("2.5", {"half": "even"}, Decimal("2")),
            ("1.005", "2", Decimal("1.01")),
            ("1234", "-2", Decimal("1200")),
            (Decimal("7.49"), "0", Decimal("7")),
            ("seven", None, FAILS),
        ),
    ),
    FunctionSpec(
        "integer",
        "Reads a whole number, with digit groups as `decimal`; 12.0 is whole, 12.5 fails.",
        (_POINT,),
        "any",
        "integer",
        (
            ("1,234", None, 1234),
            ("12.0", None, 12),
            ("12.5", None, FAILS),
            ("007", None, 7),
            (Decimal("-3"), None, -3),
            ("1.234", ",", 1234),
            ("", None, None),
        ),
    ),
)
