"""`known_as` of an entity: rows that are somebody who is known already in another table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from migrate.mapping.known_as import KnownAs, KnownBy
from migrate.mapping.reference_shapes import TARGET_COLUMN, name_check
from migrate.mapping.shapes import (
    ByKind,
    Choice,
    Key,
    KeysAndNames,
    Many,
    MapOf,
    Reading,
    Record,
    Schema,
    Shape,
    Then,
    Words,
)
from migrate.mapping.tree import Node, Pairs, Path_

_ITEMS = re.compile(r"(?P<column>.+?)\[\*\](?:\.(?P<item>[^.\[\]*]+))?")


def column_and_item(text: str) -> tuple[str, str | None]:
    """`emails[*].email` → ("emails", "email"); `tags[*]` → ("tags", ""); a bare column has no item (None)."""
    found = _ITEMS.fullmatch(text)
    return (text, None) if found is None else (found["column"], found["item"] or "")


def _known_by(field: str, text: str | None, *, domain: bool = False) -> KnownBy:
    column, item = (None, None) if text is None else column_and_item(text)
    return KnownBy(field=field, column=column, domain=domain, item=item)


_FIELD = Words("the name of a field", name_check("field"))
_DOMAIN = Record(
    "a company's domain",
    {
        "domain_of": Key(_FIELD, "The field with an e-mail address, whose domain is compared. Domains of free mail are no company's.", required=True),
        "in": Key(TARGET_COLUMN, "The column there that holds a domain, a web address or an e-mail address; by default domain, website, web, homepage or url."),
    },
    finish=lambda values, node, reading, path: (_known_by(values["domain_of"], values.get("in"), domain=True),),
)  # fmt: skip
_OTHER_NAMES = MapOf(TARGET_COLUMN, "a map of fields to columns of the other table", name_check("field"))


@dataclass
class _Mapped(Shape):
    """{domain_of: FIELD, in: COLUMN}, or {FIELD: COLUMN}."""

    words: str = "{domain_of: FIELD}, or {FIELD: COLUMN}"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Pairs) and node.get("domain_of") is not None:
            return _DOMAIN.read(node, reading, path)
        found = _OTHER_NAMES.read(node, reading, path)
        return tuple(_known_by(f, c) for f, c in found.items()) if isinstance(found, dict) else found

    def inner(self) -> tuple[Shape, ...]:
        return (_DOMAIN, _OTHER_NAMES)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"anyOf": [_DOMAIN.schema(definitions), _OTHER_NAMES.schema(definitions)]}


_RULES = Many(
    ByKind(
        Then(_FIELD, lambda value, node, reading, path: (_known_by(value, None),)),
        pairs=_Mapped(),
        words="a field, {FIELD: COLUMN}, or {domain_of: FIELD}",
    ),
    "a list of fields, {FIELD: COLUMN} and {domain_of: FIELD}",
    flat=True,
)
_OWN = {
    "then": Key(
        Choice.of(KnownAs, "then"),
        "What becomes of the row: link (who refers to it refers to the one that is known), skip, quarantine.",
        required=True,
    ),
    "free_mail": Key(
        Many(Words("a domain", raw=True), "a domain, or a list of domains", single=True),
        "Further domains that are no company's.",
    ),
}
KNOWN_AS = KeysAndNames(
    keys=Record("known_as", _OWN, finish=lambda values, node, reading, path: values),
    names=MapOf(_RULES, "a map of entities or target tables", name_check("table")),
    model=KnownAs,
    to="tables",
    nothing="`known_as` names no table",
    words="tables and by what rows are known there, for example {contacts: [email], then: link}",
)
