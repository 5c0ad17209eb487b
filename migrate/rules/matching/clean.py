"""What is compared of a value: SQL that takes away how it happens to be written. Empty becomes NULL, which equals nothing."""

from __future__ import annotations

from migrate.duck import literal
from migrate.mapping.duplicates import Kind

# Letters and digits of any script are kept, apostrophes and full stops go (O'Neil, s.a.), all else becomes one space.
_WORDS = "trim(regexp_replace(regexp_replace(lower(strip_accents({0})), '[''’`´.]', '', 'g'), '[^\\p{{L}}\\p{{N}}]+', ' ', 'g'))"
_SOLID = "regexp_replace(lower(strip_accents({0})), '[^\\p{{L}}\\p{{N}}]+', '', 'g')"
_DIGITS = "regexp_replace({0}, '[^0-9]', '', 'g')"
_NATIONAL = 9  # digits of a phone number that are the same with and without the country's code
_DATES = (
    "%Y-%m-%d",
    "%Y%m%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%d %B %Y",
    "%d %b %Y",
)

# How streets are abbreviated: both forms become the short one.
_STREETS = {
    "street": "st",
    "road": "rd",
    "avenue": "ave",
    "av": "ave",
    "boulevard": "blvd",
    "blv": "blvd",
    "drive": "dr",
    "lane": "ln",
    "place": "pl",
    "court": "ct",
    "crescent": "cres",
    "circuit": "cct",
    "square": "sq",
    "terrace": "tce",
    "highway": "hwy",
    "parkway": "pkwy",
    "apartment": "apt",
    "suite": "ste",
    "strasse": "str",
    "straße": "str",
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
}
# What people write where they have nothing to say.
NOTHING = (
    "n/a", "na", "none", "null", "nil", "unknown", "unbekannt", "tbd", "tba", "test", "xxx", "asdf", "-", "--", ".", "?",
    "none@none.com", "no@no.com", "noemail@noemail.com", "no@email.com", "na@na.com", "test@test.com", "a@a.com",
    "none@example.com", "noreply@example.com", "test@example.com", "x@x.com", "asdf@asdf.com", "unknown@unknown.com",
)  # fmt: skip


def cleaned(column: str, kind: Kind) -> str:
    """An SQL expression: the value of the text `column` as it is compared, NULL where there is nothing to compare."""
    return f"nullif({_form(column, kind)}, '')"


def _form(column: str, kind: Kind) -> str:
    match kind:
        case "phone":
            digits = _DIGITS.format(column)
            # Shorter ones are extensions; of equal digits, or 123456789, nobody is called.
            return (
                f"CASE WHEN length({digits}) < 6 OR regexp_matches({digits}, '^(0*|1*|2*|3*|4*|5*|6*|7*|8*|9*)$') "
                f"OR {digits} IN ('123456789', '1234567890', '0123456789') THEN '' "
                f"ELSE right({digits}, {_NATIONAL}) END"
            )
        case "postcode" | "exact":
            return _SOLID.format(column)
        case "number":
            return f"coalesce(CAST(TRY_CAST(replace(trim({column}), ',', '') AS DOUBLE) AS VARCHAR), {_SOLID.format(column)})"
        case "email":
            return f"lower(trim({column}))"
        case "date":
            formats = ", ".join(literal(f) for f in _DATES)
            return (
                f"coalesce(strftime(coalesce(try_strptime(trim({column}), [{formats}]), "
                f"try_strptime(left(trim({column}), 10), [{formats}])), '%Y%m%d'), {_DIGITS.format(column)})"
            )
        case "address":
            words = _WORDS.format(column)
            pairs = ", ".join(f"{literal(k)}: {literal(v)}" for k, v in _STREETS.items())
            return (
                f"array_to_string(list_transform(string_split({words}, ' '), "
                f"lambda w: coalesce((MAP {{{pairs}}})[w], w)), ' ')"
            )
        case _:
            return _WORDS.format(column)


def not_nothing(expression: str, raw: str) -> str:
    """The expression, NULL where the value as it stands is a word for nothing."""
    return f"CASE WHEN lower(trim({raw})) IN ({', '.join(literal(w) for w in NOTHING)}) THEN NULL ELSE {expression} END"
