"""Expressions as the server prints them, in the one form that printing them again gives.

`kind IN ('a', 'b')` over a varchar column is kept as a cast of a whole array, `(ARRAY['a'::character varying, …])::text[]`.
Read back and created again, the parser casts each item instead: `ARRAY[('a'::character varying)::text, …]`. The two mean
the same, and only the second survives a restore as it is, so that is the one that the catalogue says.
"""

from __future__ import annotations

import re

_LITERAL = r"(?:E?'(?:[^']|'')*'|NULL)::(?:character varying|character|bpchar|text)(?:\(\d+\))?"
_CAST_ARRAY = re.compile(rf"\(ARRAY\[({_LITERAL}(?:, {_LITERAL})*)\]\)::(text|character varying|bpchar)\[\]")
_ITEM = re.compile(_LITERAL)


def settled(definition: str) -> str:
    """The definition of a constraint, index or expression with casts of literal arrays moved into them.

    Works outside of string literals only as far as a literal cannot hold the whole pattern unquoted: inside one,
    every quote is doubled, so `ARRAY['…'` never stands in it as such."""
    return _CAST_ARRAY.sub(
        lambda found: "ARRAY[" + _ITEM.sub(lambda item: f"({item[0]})::{found[2]}", found[1]) + "]",
        definition,
    )
