"""A suggestion as a mapping file: every choice a line, every doubt a comment beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from migrate.rules.suggestion.keys import LINE
from migrate.rules.suggestion.model import Choice, Suggested, Suggestion

_PLAIN = re.compile(r"[A-Za-z_][\w .@-]*[\w.]|[A-Za-z_]")
_TYPED = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"])
_WIDE = 34


@dataclass
class Written:
    """`places`: line (from 1) → (entity, column), "" for the entity itself."""

    lines: list[str] = field(default_factory=list)
    places: dict[int, tuple[str, str]] = field(default_factory=dict)

    def add(self, line: str = "", place: tuple[str, str] | None = None) -> None:
        self.lines.append(line.rstrip())
        if place is not None:
            self.places[len(self.lines)] = place

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def written(
    found: Suggestion,
    *,
    name: str,
    system: str,
    source: str,
    target: str,
    refused: Mapping[tuple[str, str], str],
) -> Written:
    """`source`, `target`: what the file says for the URLs. `refused`: entities and columns that the plan does not take
    as they are, and why: they are written as comments."""
    out = Written()
    out.add("# yaml-language-server: $schema=mapping.schema.json")
    out.add(
        "# A first mapping, made from names, types, keys and values. What is doubtful says so: look for `?`."
    )
    out.add("migrate: 1")
    out.add(f"name: {scalar(name)}")
    out.add(f"source: {{system: {scalar(system)}, url: {scalar(source)}}}")
    out.add(f"target: {{url: {scalar(target)}}}")
    out.add("policy: {unmapped: warn}")
    out.add()
    out.add("entities:")
    for entity in found.entities:
        _entity(out, entity, refused)
    for what, tables in (
        ("Tables of the source that go nowhere", found.left),
        ("Target tables that nothing fills", found.waiting),
    ):
        if tables:
            out.add(f"# {what}: {', '.join(tables)}")
    return out


def _entity(out: Written, entity: Suggested, refused: Mapping[tuple[str, str], str]) -> None:
    place = (entity.name, "")
    off = "# " if place in refused else ""
    doubts = [*entity.doubts, *(["is it this table?"] if entity.score < 0.6 else [])]
    if off:
        out.add(f"  # {entity.name} is left out: {refused[place]}")
    out.add(f"  {off}{scalar(entity.name)}:{_beside(doubts, len(entity.name))}", place)
    out.add(f"    {off}from: {scalar(entity.source)}", place)
    key = LINE if entity.key == LINE else entity.key[0] if len(entity.key) == 1 else list(entity.key)
    out.add(f"    {off}key: {value(key)}", place)
    out.add(f"    {off}into: {scalar(entity.into)}", place)
    kept = {c.column for c in entity.fields if (entity.name, c.column) not in refused}
    if isinstance(entity.match, Mapping):
        out.add(f"    {off}match: {value(entity.match)}", place)
    elif entity.match and set(entity.match) <= kept:
        out.add(f"    {off}match: {value(list(entity.match))}", place)
    if entity.write:
        out.add(f"    {off}write: {entity.write}", place)
    if entity.fields:
        out.add(f"    {off}fields:", place)
    for choice in entity.fields:
        _field(out, entity.name, choice, refused, off)
    for column in entity.open:
        out.add(f"      # {column}: ?")
    if entity.unused:
        out.add(f"      # not used: {', '.join(entity.unused)}")
    out.add()


def _field(
    out: Written, entity: str, choice: Choice, refused: Mapping[tuple[str, str], str], off: str
) -> None:
    place = (entity, choice.column)
    says: object = choice.says["from"] if [*choice.says] == ["from"] else choice.says
    line = f"{scalar(choice.column)}: {value(says)}"
    reason = refused.get(place)
    doubts = [*choice.doubts, *([reason] if reason else [])]
    out.add(f"      {off or ('# ' if reason else '')}{line}{_beside(doubts, len(line))}", place)


def _beside(doubts: Sequence[str], width: int) -> str:
    text = "; ".join(doubts)
    return f"{' ' * max(2, _WIDE - width)}# {_one_line(text)}" if text else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())


def value(what: object) -> str:
    """In flow style, on one line."""
    if isinstance(what, Mapping):
        return "{" + ", ".join(f"{scalar(str(k))}: {value(v)}" for k, v in what.items()) + "}"
    if isinstance(what, (list, tuple)):
        return "[" + ", ".join(value(v) for v in what) + "]"
    return scalar(str(what))


def scalar(text: str) -> str:
    """Plain where YAML and a reader take it for the text that it is; else quoted."""
    if _PLAIN.fullmatch(text) and text.lower() not in _TYPED:
        return text
    if text.isprintable() and "\\" not in text:
        return '"' + text.replace('"', '\\"') + '"'
    return (
        '"'
        + "".join(
            c
            if c.isprintable() and c not in '"\\'
            else f"\\u{ord(c):04x}"
            if ord(c) < 0x10000
            else f"\\U{ord(c):08x}"
            for c in text
        )
        + '"'
    )
