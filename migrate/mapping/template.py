"""`text: "Account {id} {company_name}"`: a text with the values of columns in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_PIECE = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|(?P<brace>[{}])|[^{}]+")


@dataclass(frozen=True)
class Name:
    """The place of a column's value."""

    column: str


@lru_cache(maxsize=1024)
def pieces(text: str) -> tuple[str | Name, ...]:
    """Texts and names in order; `{{` and `}}` stand for one brace.

    Raises ValueError, in plain words, for a brace without its partner and where no column is named."""
    found: list[str | Name] = []
    for match in _PIECE.finditer(text):
        if match["brace"]:
            raise ValueError(
                f"a {match['brace']} stands without its partner; a brace that is meant itself is written {match['brace'] * 2}"
            )
        if match["name"] is None:
            literal = match[0][0] if match[0] in ("{{", "}}") else match[0]
            if found and isinstance(found[-1], str):
                found[-1] += literal
            else:
                found.append(literal)
        elif not match["name"]:
            raise ValueError("{} names no column")
        else:
            found.append(Name(match["name"]))
    if not any(isinstance(piece, Name) for piece in found):
        raise ValueError("no {column} stands in the text; `value` gives the same text in every row")
    return tuple(found)
