"""What an e-mail address is judged by: parameters that the rule and the function share."""

from __future__ import annotations

from migrate.mapping.function_spec import Parameter

EMAIL_LISTS = (
    Parameter(
        "trusted",
        "texts",
        "domains that are known to take mail, with what is below them: nothing but the syntax is asked of them",
        default=(),
        fixed=True,
    ),
    Parameter(
        "disposable",
        "list_file",
        "a file with further domains of throw-away addresses, one a line",
        default=frozenset(),
        fixed=True,
    ),
    Parameter(
        "bounced",
        "list_file",
        "a file with addresses and domains that mail came back from, or that must not be written to, one a line",
        default=frozenset(),
        fixed=True,
    ),
    Parameter(
        "mx",
        "boolean",
        "asks the domain's name servers whether it takes mail, once per domain; only while a run transforms its rows",
        default=False,
        fixed=True,
    ),
    Parameter(
        "ignore",
        "texts",
        "what is not looked for: typo, disposable, role, placeholder",
        default=(),
        fixed=True,
    ),
)
