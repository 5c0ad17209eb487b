"""What reads a mapping's tree: where its problems go, and how they speak of places and names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from migrate.mapping.tree import Empty, Items, Node, Pairs, Path_, Position, Problems, Text

Schema = dict[str, Any]


class Bad:
    """The value of a place that holds a mistake; the mistake is reported."""


BAD = Bad()


@dataclass
class Reading:
    """One reading of one file: where things stand and what is wrong so far. Paths are names and list indices."""

    problems: Problems
    environment: Mapping[str, str]
    base: Path
    elsewhere: Mapping[str, list[str]] = field(
        default_factory=dict
    )  # name of a key → titles of the records that have it
    keys: dict[Path_, Position] = field(default_factory=dict)
    values: dict[Path_, Position] = field(default_factory=dict)
    reasons: dict[Path_, str] = field(default_factory=dict)  # `why` of what has no key of that name
    resolved: dict[str, str] = field(default_factory=dict)  # text from the environment → as the file says it
    kept: Path | None = None  # a folder of copies of the files that the mapping names
    files: dict[str, str] = field(default_factory=dict)  # the files that it names → SHA-256 of their bytes
    ahead: dict[str, Any] = field(default_factory=dict)  # sections that others need, read before their turn

    def wrong(self, code: str, at: Position, message: str, hint: str = "") -> Bad:
        self.problems.add(code, at, message, hint)
        return BAD

    def at(self, *path: str | int) -> Position:
        """Where the value at `path` stands, or the nearest thing around it."""
        return self._nearest(self.values, path)

    def key_at(self, *path: str | int) -> Position:
        """Where the name that ends `path` stands."""
        return self.keys.get(path) or self._nearest(self.values, path)

    def _nearest(self, places: Mapping[Path_, Position], path: Path_) -> Position:
        while path:
            if path in places:
                return places[path]
            path = path[:-1]
        return (1, 1)


def nearest(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """The most similar of the names, or ""; case does not count."""
    by_lower = {n.lower(): n for n in names}
    found = difflib.get_close_matches(name.lower(), list(by_lower), 1, cutoff)
    return by_lower[found[0]] if found else ""


def did_you_mean(name: str, names: Iterable[str], otherwise: str = "") -> str:
    near = nearest(name, names)
    return f"did you mean `{near}`?" if near else otherwise


def later(name: str, where: str = "") -> str:
    return f"`{name}`{where} belongs to the mapping language but is not built yet in this version"


def place(path: Path_) -> str:
    """The words for a place: the name of the key, or the item of a list."""
    if path and isinstance(path[-1], int):
        return f"item {path[-1] + 1} of {place(path[:-1])}"
    return f"`{path[-1]}`" if path else "the file"


def kind_of(node: Node) -> str:
    return {Text: "a text", Items: "a list", Pairs: "a map", Empty: "nothing"}[type(node)]


def one_line(text: str, limit: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def build(model: type[BaseModel], values: Mapping[str, Any], node: Node, reading: Reading) -> Any:
    """The typed value. Shapes have read everything already; what the model still refuses is told in our words."""
    try:
        return model(**values)
    except ValidationError as error:
        for one in error.errors():
            name = ".".join(str(part) for part in one["loc"]) or model.__name__
            reading.wrong("wrong_value", node.at, f"`{name}` cannot be this")
        return BAD
