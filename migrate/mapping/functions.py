"""The `do` functions of the mapping language: names, parameters, meaning, examples.

This table is the contract. `migrate.transform` implements it, the loader checks arguments against
it, documentation and tests are made from it. Rules for all of them:

- pure, one value in, one value out; NULL gives NULL;
- a value that the function cannot read FAILS: the row is quarantined (code `type`), nothing is guessed;
- functions that read numbers, dates and booleans ignore white space around the value (that of `trim`)
  and give NULL for empty text; they pass on a value that already has their type;
- "white space" is that of Unicode with U+200B, U+2060 and U+FEFF.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType

from migrate.mapping.arguments import parse_arguments
from migrate.mapping.function_spec import FAILS, Arguments, Fails, FunctionSpec, Parameter
from migrate.mapping.model import Step

__all__ = [
    "FAILS",
    "FUNCTIONS",
    "LATER_FUNCTIONS",
    "Arguments",
    "Fails",
    "FunctionSpec",
    "Parameter",
    "arguments_of",
]

_POINT = Parameter("point", "choice", "the decimal sign of the text", default=".", choices=(".", ","))
_YEARS_FROM = Parameter(
    "years_from", "integer", "first year of the hundred years that two-digit years mean", default=1969
)
_DATE_PARAMETERS = (
    Parameter(
        "formats",
        "date_formats",
        "formats to try; two that read a value differently make it fail",
        default=(),
    ),
    Parameter(
        "day_first",
        "boolean",
        "instead of formats: yes = D/M/YYYY D.M.YYYY D-M-YYYY, no = M/D/YYYY M.D.YYYY M-D-YYYY; and YYYY-MM-DD",
    ),
    Parameter(
        "excel_serial",
        "choice",
        "a plain number is a day of Excel's calendar that starts in 1900 (with its 29 February 1900) or in 1904",
        choices=("1900", "1904"),
    ),
    Parameter(
        "epoch",
        "choice",
        "a plain number counts from 1970-01-01 UTC",
        choices=("seconds", "milliseconds", "microseconds"),
    ),
    _YEARS_FROM,
)


def _text(
    name: str, summary: str, *parameters: Parameter, examples: tuple[tuple[object, Arguments, object], ...]
) -> FunctionSpec:
    return FunctionSpec(name, summary, parameters, "text", "text", examples)


_SPECS = (
    # --- text
    _text(
        "trim",
        "Removes white space (or the given characters) at both ends.",
        Parameter("chars", "text", "the characters to remove instead of white space"),
        examples=(
            ("  Ada ", None, "Ada"),
            ("\u00a0Ada\u200b\n", None, "Ada"),
            ("--Ada-", "-", "Ada"),
            ("   ", None, ""),
            (None, None, None),
        ),
    ),
    _text(
        "squeeze",
        "Makes one blank of every run of white space; trims nothing.",
        examples=(("Acme \t  Ltd", None, "Acme Ltd"), (" a\n\nb", None, " a b"), ("a\u00a0b", None, "a b")),
    ),
    _text(
        "lower", "Small letters.", examples=(("ADA@Example.COM", None, "ada@example.com"), ("ÄÖ", None, "äö"))
    ),
    _text(
        "upper", "Capital letters.", examples=(("sw1a 1aa", None, "SW1A 1AA"), ("straße", None, "STRASSE"))
    ),
    _text(
        "title",
        "First letter of every word large, the others small; an apostrophe starts no word, a hyphen does.",
        examples=(
            ("ADA LOVELACE", None, "Ada Lovelace"),
            ("jean-luc o'neil", None, "Jean-Luc O'neil"),
            ("élan vital", None, "Élan Vital"),
        ),
    ),
    _text(
        "slice",
        "A part of the text, counted in characters.",
        Parameter("length", "integer", "how many characters at most; left out: all that follow"),
        Parameter("from", "integer", "the first character: 1 is the first, -1 the last", default=1),
        examples=(
            ("abcdef", "2", "ab"),
            ("abcdef", {"from": "3", "length": "2"}, "cd"),
            ("abcdef", {"from": "-2"}, "ef"),
            ("ab", {"from": "5"}, ""),
            ("äöü", "2", "äö"),
        ),
    ),
    _text(
        "replace",
        "Every occurrence of one text becomes another; exact, no pattern.",
        Parameter("from", "text", "what is looked for; not empty", required=True),
        Parameter("to", "text", 'what takes its place; "" removes', required=True),
        examples=(
            ("a.b.c", {"from": ".", "to": "-"}, "a-b-c"),
            ("Ltd.", {"from": "Ltd.", "to": ""}, ""),
            ("$1", {"from": "$1", "to": "\\1"}, "\\1"),
        ),
    ),
    _text(
        "pattern",
        "Takes out the first match of a pattern, or, with `replace`, replaces every match.",
        Parameter("find", "pattern", "the pattern; it may match anywhere in the text", required=True),
        Parameter("group", "integer", "which bracket to take out; 0 is the whole match", default=0),
        Parameter(
            "replace", "text", "what takes the place of a match; \\1 to \\9 are its brackets, \\\\ is one \\"
        ),
        Parameter(
            "otherwise",
            "choice",
            "taking out, nothing found: fail, empty (NULL), or keep the value (replacing always keeps it)",
            default="fail",
            choices=("fail", "empty", "keep"),
        ),
        examples=(
            ("Order 1234/5", "[0-9]+", "1234"),
            ("Lovelace, Ada", {"find": "^(.*), (.*)$", "replace": "\\2 \\1"}, "Ada Lovelace"),
            ("a1b2", {"find": "[0-9]", "replace": "$1"}, "a$1b$1"),
            ("A-17", {"find": "([A-Z])-([0-9]+)", "group": "2"}, "17"),
            ("none", "[0-9]+", FAILS),
            ("none", {"find": "[0-9]+", "otherwise": "empty"}, None),
            ("none", {"find": "[0-9]+", "otherwise": "keep"}, "none"),
            ("none", {"find": "[0-9]+", "replace": "x"}, "none"),
        ),
    ),
    _text(
        "pad",
        "Fills up to a width; a text that is as long or longer stays.",
        Parameter("width", "integer", "the width in characters, at least 1", required=True),
        Parameter("with", "text", "the one character to fill with", default="0"),
        Parameter("side", "choice", "where to fill", default="left", choices=("left", "right")),
        examples=(
            ("17", "5", "00017"),
            ("123456", "5", "123456"),
            ("ab", {"width": "4", "with": ".", "side": "right"}, "ab.."),
            ("", "3", "000"),
        ),
    ),
    _text(
        "strip_emoji",
        "Removes emoji with their joiners, skin tones and variation selectors; © ® ™, digits and # stay.",
        examples=(
            ("Ada 👩🏽‍💻!", None, "Ada !"),
            ("🇬🇧 UK", None, " UK"),
            ("Acme™ #1", None, "Acme™ #1"),
            ("1\ufe0f\u20e3", None, "1"),
        ),
    ),
    _text(
        "ascii",
        "Letters without accents: ä is a, ß is ss, Æ is AE, Ø is O, Ł is L, typographic quotes and dashes are plain.",
        Parameter(
            "otherwise",
            "choice",
            "a character without such a form: fail, drop it, or keep it",
            default="fail",
            choices=("fail", "drop", "keep"),
        ),
        examples=(
            ("Łódź, Straße", None, "Lodz, Strasse"),
            ("“Zoë” – Ærø", None, '"Zoe" - AEro'),
            ("株 Co", None, FAILS),
            ("株 Co", "drop", " Co"),
            ("é株", "keep", "e株"),
        ),
    ),
    _text(
        "unescape_html",
        "Turns HTML entities into characters, once.",
        examples=(
            ("Marks &amp; Spencer", None, "Marks & Spencer"),
            ("&#39;a&#x27;", None, "'a'"),
            ("&amp;lt;", None, "&lt;"),
            ("AT&T", None, "AT&T"),
        ),
    ),
    _text(
        "digits",
        "Keeps the digits only, as 0 to 9.",
        examples=(
            ("+44 (0)20 7946", None, "440207946"),
            ("٣٤", None, "34"),
            ("none", None, ""),
            ("007", None, "007"),
        ),
    ),
    # --- numbers
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
    # --- dates
    FunctionSpec(
        "date",
        "Reads a date. Without parameters only YYYY-MM-DD. A format with a time reads it and drops it only where it is "
        "midnight; another time fails. A timestamp is passed on as its date on the same condition.",
        _DATE_PARAMETERS,
        "any",
        "date",
        (
            ("2024-02-29", None, date(2024, 2, 29)),
            ("2/3/2024", ("M/D/YYYY",), date(2024, 2, 3)),
            ("03.02.2024", "DD.MM.YYYY", date(2024, 2, 3)),
            ("3 Feb 24", "D MMM YY", date(2024, 2, 3)),
            ("02-03-2024 00:00:00", "MM-DD-YYYY HH:mm:ss", date(2024, 2, 3)),
            ("02-03-2024 10:30:00", "MM-DD-YYYY HH:mm:ss", FAILS),
            ("2/3/2024", ("M/D/YYYY", "D/M/YYYY"), FAILS),
            ("13/3/2024", ("M/D/YYYY", "D/M/YYYY"), date(2024, 3, 13)),
            ("3/3/2024", ("M/D/YYYY", "D/M/YYYY"), date(2024, 3, 3)),
            ("3/2/2024", {"day_first": "yes"}, date(2024, 2, 3)),
            ("3/2/2024", {"day_first": "no"}, date(2024, 3, 2)),
            ("45325", {"excel_serial": "1900"}, date(2024, 2, 3)),
            ("43863", {"excel_serial": "1904"}, date(2024, 2, 3)),
            ("60", {"excel_serial": "1900"}, FAILS),
            ("1706918400", {"epoch": "seconds"}, date(2024, 2, 3)),
            ("30/2/2024", "D/M/YYYY", FAILS),
            ("3/2/24", "D/M/YYYY", FAILS),
            ("1/1/68", {"formats": "D/M/YY"}, date(2068, 1, 1)),
            ("1/1/69", {"formats": "D/M/YY"}, date(1969, 1, 1)),
            ("1/1/68", {"formats": "D/M/YY", "years_from": "1930"}, date(1968, 1, 1)),
            ("", None, None),
        ),
    ),
    FunctionSpec(
        "timestamp",
        "Reads a date with a time. Without parameters ISO 8601 (T or a blank; seconds, fraction and distance from UTC may be "
        "missing, also the time). With `epoch`, `timezone` or a format with Z the result is a moment (timestamptz), where a "
        "value that names no zone is in `timezone`, else in the source's; otherwise it is a plain timestamp. A local time "
        "that the zone skips or has twice fails.",
        (*_DATE_PARAMETERS, Parameter("timezone", "timezone", "the zone of values that name none")),
        "any",
        "timestamp",
        (
            ("2024-02-03T10:30:00", None, datetime(2024, 2, 3, 10, 30)),
            ("2024-02-03 10:30", None, datetime(2024, 2, 3, 10, 30)),
            ("2024-02-03", None, datetime(2024, 2, 3)),
            ("02-03-2024 10:30:15", "MM-DD-YYYY HH:mm:ss", datetime(2024, 2, 3, 10, 30, 15)),
            ("2/3/2024 1:05 PM", "M/D/YYYY h:mm A", datetime(2024, 2, 3, 13, 5)),
            ("2024-02-03 10:30:00.25", "YYYY-MM-DD HH:mm:ss.SSS", datetime(2024, 2, 3, 10, 30, 0, 250000)),
            ("2024-02-03 10:30+02:00", "YYYY-MM-DD HH:mmZ", datetime(2024, 2, 3, 8, 30, tzinfo=UTC)),
            ("2024-07-03 10:30:00", {"timezone": "Europe/London"}, datetime(2024, 7, 3, 9, 30, tzinfo=UTC)),
            ("2024-03-31 01:30:00", {"timezone": "Europe/London"}, FAILS),
            ("1706956200", {"epoch": "seconds"}, datetime(2024, 2, 3, 10, 30, tzinfo=UTC)),
            ("1706956200123", {"epoch": "milliseconds"}, datetime(2024, 2, 3, 10, 30, 0, 123000, tzinfo=UTC)),
            ("45325.4375", {"excel_serial": "1900"}, datetime(2024, 2, 3, 10, 30)),
            ("soon", None, FAILS),
            ("", None, None),
        ),
    ),
    # --- booleans
    FunctionSpec(
        "boolean",
        "Reads yes and no by lists of words; case does not matter. A list that is given takes the place of its default.",
        (
            Parameter("true", "texts", "words for yes", default=("true", "t", "yes", "y", "1", "on")),
            Parameter("false", "texts", "words for no", default=("false", "f", "no", "n", "0", "off")),
            Parameter(
                "otherwise",
                "choice",
                "any other word: fail, empty (NULL), true or false",
                default="fail",
                choices=("fail", "empty", "true", "false"),
            ),
        ),
        "any",
        "boolean",
        (
            ("Yes", None, True),
            ("0", None, False),
            (1, None, True),
            (True, None, True),
            ("maybe", None, FAILS),
            ("Ja", ("Ja",), True),
            ("Nein", {"true": ("Ja",), "false": ("Nein",)}, False),
            ("x", {"true": ("x",), "otherwise": "false"}, True),
            ("?", {"otherwise": "empty"}, None),
            ("", {"otherwise": "false"}, None),
        ),
    ),
)

FUNCTIONS: Mapping[str, FunctionSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})

# In the language, not built yet: never called a typo.
LATER_FUNCTIONS = frozenset(
    [
        "html_to_markdown",
        "name",
        "email",
        "punycode",
        "plus_tag",
        "phone",
        "country",
        "state",
        "salesforce_id",
        "split",
        "join",
        "first_of",
        "const",
        "hash",
        "mask",
        "uuid5",
        "json",
    ]
)


def arguments_of(step: Step) -> dict[str, object]:
    """The parsed, typed arguments of a step, every parameter present (defaults filled in).

    Python types by parameter kind: see `Parameter`. Raises ValueError (KeyError for an unknown function) for
    arguments that the loader would not have let pass."""
    arguments, problems = parse_arguments(FUNCTIONS[step.name], step.arguments)
    if problems:
        raise ValueError(f"{step.name}: {problems[0].message}")
    return arguments
