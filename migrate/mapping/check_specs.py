"""The rules of `check` that have parameters of their own: names, parameters, codes, meaning, examples.

Like the table of `do` functions it is the contract: `migrate.transform.quality` implements it, the loader checks
arguments against it, documentation and tests are made from it. NULL breaks none of these rules. An example gives the
codes that a value is found with, those of its verdict included.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from migrate.mapping.arguments import parse_arguments
from migrate.mapping.email_lists import EMAIL_LISTS
from migrate.mapping.function_spec import Arguments, FunctionSpec, Parameter
from migrate.mapping.model import Check

_OUTCOMES = ("keep", "warn", "quarantine", "empty_and_flag", "default", "stop")


def _rule(
    name: str,
    summary: str,
    *parameters: Parameter,
    examples: tuple[tuple[object, Arguments, tuple[str, ...]], ...],
) -> FunctionSpec:
    return FunctionSpec(name, summary, parameters, "any", "any", examples)


def _verdict(name: str, summary: str, default: str | None) -> Parameter:
    return Parameter(name, "choice", summary, default=default, choices=_OUTCOMES, fixed=True)


EMAIL = _rule(
    "email",
    "An e-mail address that mail can be sent to. Its verdict is undeliverable (no address, a placeholder, a reserved domain, "
    "mail came back), risky (the domain looks misspelt, throw-away or shared address), deliverable (a trusted domain, a large "
    "provider, or a domain that says so itself under `mx`) or unknown.",
    _verdict("undeliverable", "what happens with such addresses; by default what `on_fail` says", None),
    _verdict("risky", "what happens with these; warn counts them", "warn"),
    _verdict("unknown", "what happens with these", "keep"),
    *EMAIL_LISTS,
    examples=(
        ("ada@gmail.com", None, ()),
        ("ada@acme.co.uk", None, ("email_unknown",)),
        ("ada@acme.example", {"trusted": "example"}, ()),
        ("ada@acme.example", None, ("email_reserved",)),
        ("ada@", None, ("email_syntax",)),
        ("ada..l@gmail.com", None, ("email_syntax",)),
        ("none@none.com", None, ("email_placeholder",)),
        ("ada@gmial.com", None, ("email_typo",)),
        ("ada@acme.con", None, ("email_typo",)),
        ("ada@mailinator.com", None, ("email_disposable",)),
        ("info@gmail.com", None, ("email_role",)),
        ("info@gmail.com", {"ignore": "role"}, ()),
    ),
)
PHONE = _rule(
    "phone",
    "A telephone number that the numbering plan of its country has. Numbers with + need no region.",
    Parameter("region", "country", "the country of numbers without +"),
    Parameter(
        "type", "choice", "what it must be", default="any", choices=("any", "mobile", "fixed"), fixed=True
    ),
    examples=(
        ("+44 20 7946 0018", None, ()),
        ("020 7946 0018", "GB", ()),
        ("020 7946 0018", None, ("phone_invalid",)),
        ("12", "GB", ("phone_invalid",)),
        ("1234567890", "US", ("phone_implausible",)),
        ("+44 11 1111 1111", None, ("phone_implausible",)),
        ("+44 7911 123456", {"type": "mobile"}, ()),
        ("+44 20 7946 0018", {"type": "mobile"}, ("phone_type",)),
        ("+44 20 7946 0018 ext. 12", None, ()),
    ),
)
NOT_TEST_DATA = _rule(
    "not_test_data",
    "No text that somebody typed to try something out, nor one that stands for an empty value: asdf, test, xxx, n/a, test@test.com, "
    "Mickey Mouse.",
    Parameter("also", "texts", "further texts, whatever their case", default=(), fixed=True),
    examples=(
        ("Ada Lovelace", None, ()),
        ("asdf", None, ("test_data",)),
        ("Mickey Mouse", None, ("test_data",)),
        ("TEST Account", None, ("test_data",)),
        ("Testa", None, ()),
        ("xxx", None, ("test_data",)),
        ("n/a", None, ("test_data",)),
        ("test@test.com", None, ("test_data",)),
        ("Contoso", {"also": "contoso"}, ("test_data",)),
    ),
)
PERSON = _rule(
    "person",
    "The name of a person, as a person would write it. What `do: name`, `title` and `strip_emoji` can mend is found too, where it has "
    "not been mended.",
    Parameter(
        "ignore",
        "texts",
        "what is not looked for: caps, emoji, title, comma, company, digits, email",
        default=(),
        fixed=True,
    ),
    examples=(
        ("Ada Lovelace", None, ()),
        ("LOVELACE", None, ("name_caps",)),
        ("Ada 🌻", None, ("name_emoji",)),
        ("Dr. Ada Lovelace", None, ("name_title",)),
        ("Lovelace, Ada", None, ("name_comma",)),
        ("Acme Ltd", None, ("name_company",)),
        ("Ada 2", None, ("name_digits",)),
        ("ada@x.com", None, ("name_email",)),
        ("LOVELACE", {"ignore": "caps"}, ()),
        ("O'Brien", None, ()),
        ("JP", None, ()),
    ),
)
_LIMIT = "today, a date, or a column, whose texts are read as the field's own are"
NOT_BEFORE = _rule(
    "not_before",
    "A date that is not before another one. Where the other one is empty or no date, nothing is broken.",
    Parameter("limit", "moment", _LIMIT, required=True),
    examples=(("2026-02-01", "2026-01-31", ()), ("2026-01-30", "2026-01-31", ("not_before",))),
)
NOT_AFTER = _rule(
    "not_after",
    "A date that is not after another one: `not_after: today` finds people who are born in the future.",
    Parameter("limit", "moment", _LIMIT, required=True),
    examples=(
        ("2026-01-31", "2026-01-31", ()),
        ("2026-02-01", "2026-01-31", ("not_after",)),
        ("9999-12-31", "today", ("not_after",)),
    ),
)
FRESH = _rule(
    "fresh",
    "A date that is not longer ago than so many days, weeks, months or years before the run.",
    Parameter("within", "duration", "the span of time", required=True, fixed=True),
    examples=(("9999-12-31", "12 months", ()), ("1999-12-31", "12 months", ("fresh",))),
)
EXPR = _rule(
    "expr",
    "An SQL condition over the columns and let values of the row. It is broken where it is false; where it is NULL it is not.",
    Parameter("sql", "expression", "the condition", required=True, fixed=True),
    Parameter("code", "text", "the code that the row is found with", default="expr", fixed=True),
    examples=(
        ("x", "1 = 1", ()),
        ("x", "1 = 2", ("expr",)),
        ("x", {"sql": "1 = 2", "code": "closed_before_created"}, ("closed_before_created",)),
    ),
)
STALE = _rule(
    "stale",
    "The date on which an open deal is to close: it is past, or nobody has touched the deal for long. The report says how many "
    "there are, and the sum of their amounts.",
    Parameter("open", "expression", "an SQL condition: the deal is open", required=True, fixed=True),
    Parameter("touched", "moment", "the column that says when somebody touched it last"),
    Parameter("untouched", "duration", "how long ago that may be", fixed=True),
    Parameter("amount", "text", "the field that holds its amount in the target", fixed=True),
    examples=(
        ("1999-12-31", "1 = 1", ("stale",)),
        ("1999-12-31", "1 = 2", ()),
        ("9999-12-31", "1 = 1", ()),
    ),
)
CHECK_SPECS: Mapping[str, FunctionSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (EMAIL, PHONE, NOT_TEST_DATA, PERSON, NOT_BEFORE, NOT_AFTER, FRESH, EXPR, STALE)
    }
)


def condition_of(check: Check) -> str | None:
    """The SQL of a rule that has some: `expr` and `stale`."""
    name = {"expr": "sql", "stale": "open"}.get(check.name)
    if name is None:
        return None
    given = check.argument
    return str(given.get(name)) if isinstance(given, dict) else str(given)


def arguments_of_check(name: str, given: Arguments) -> dict[str, object]:
    """The typed arguments of a rule, every parameter present. Raises ValueError for what the loader does not let pass."""
    arguments, problems = parse_arguments(CHECK_SPECS[name], given)
    if problems:
        raise ValueError(f"{name}: {problems[0].message}")
    return arguments
