"""The shape of all shapes, and those of single values: words, choices, whole numbers, shares."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from migrate.mapping.environment import unresolved
from migrate.mapping.shapes.reading import (
    BAD,
    Bad,
    Reading,
    Schema,
    did_you_mean,
    kind_of,
    later,
    one_line,
    place,
)
from migrate.mapping.tree import Empty, Node, Path_, Text


class Shape:
    """`words` completes "expected …"."""

    words = "something"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        raise NotImplementedError

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        raise NotImplementedError

    def inner(self) -> tuple[Shape, ...]:
        """The shapes that it is made of."""
        return ()

    def refuse(self, node: Node, reading: Reading, path: Path_) -> Bad:
        """The problem of a node that is empty or of another kind."""
        if isinstance(node, Empty):
            hint = (
                f'everything after # is a comment; quote it: "{one_line(node.comment)}"'
                if node.comment
                else f"write {self.words}, or remove the key"
            )
            return reading.wrong("empty", node.at, f"{place(path)} is empty", hint)
        return reading.wrong(
            "wrong_type", node.at, f"{place(path)} is {kind_of(node)} here; expected {self.words}"
        )


@dataclass
class Words(Shape):
    """One text. `check` gives the message of what is wrong, or None; `null` lets an unquoted null give None
    (else it is a mistake, or with `null_is_text` a text); `env` replaces ${NAME}, without it a reference is a mistake unless `raw`."""

    words: str = "a text"
    check: Callable[[str], str | None] | None = None
    null: bool = False
    null_is_text: bool = False
    env: bool = False
    raw: bool = False
    may_be_empty: bool = False
    pattern: str = ""  # of the schema only

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Text):
            return self.refuse(node, reading, path)
        if self.null and node.is_null:
            return None
        if node.is_null and not self.null_is_text:
            return reading.wrong(
                "wrong_value",
                node.at,
                f"{place(path)} cannot be {node.value}",
                f'quote it if the text is meant: "{node.value}"',
            )
        text = node.value
        if self.env:
            text, problems = unresolved(text, reading.environment)
            for message, hint in problems:
                reading.wrong("environment", node.at, message, hint)
            if problems:
                return BAD
            if text != node.value:
                reading.resolved[text] = node.value
        elif not self.raw and re.search(r"\$\{[A-Za-z_]", text):
            return reading.wrong(
                "environment",
                node.at,
                f"{place(path)} cannot come from the environment",
                "write the text itself",
            )
        if not text and not self.may_be_empty:
            return reading.wrong(
                "empty", node.at, f"{place(path)} is an empty text", f"expected {self.words}"
            )
        if self.check and (wrong := self.check(text)):
            return reading.wrong("wrong_value", node.at, wrong)
        return text

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        types = ["string", "number", "boolean", *(["null"] if self.null else [])]
        schema: Schema = {"type": types}
        if not self.may_be_empty and not self.env:
            schema["minLength"] = 1
        if self.pattern:
            schema["pattern"] = self.pattern
        return schema


WHY = Words("the reason", raw=True)


WHY_DOC = "The reason; shown in plan and report."


@dataclass
class Choice(Shape):
    choices: tuple[str, ...]
    later: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.words = "one of " + ", ".join(self.choices) if len(self.choices) > 1 else self.choices[0]

    @classmethod
    def of(cls, model: type[BaseModel], name: str, *, later: Iterable[str] = ()) -> Choice:
        """The choices of a Literal in a model."""
        return cls(tuple(_literals(model.model_fields[name].annotation)), frozenset(later))

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Text):
            return self.refuse(node, reading, path)
        if node.value in self.choices:
            return node.value
        if node.value in self.later:
            return reading.wrong("later", node.at, later(f"{place(path).strip('`')}: {node.value}"))
        near = did_you_mean(node.value, self.choices)
        return reading.wrong(
            "wrong_value",
            node.at,
            f'{place(path)} cannot be "{one_line(node.value)}"; expected {self.words}',
            near,
        )

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        # Editors read an unquoted 1 as a number.
        return {"enum": [*self.choices, *(int(choice) for choice in self.choices if choice.isdigit())]}


def _literals(annotation: Any) -> list[str]:
    found: list[str] = []
    for arg in get_args(annotation):
        found.extend(_literals(arg) if get_args(arg) else [arg] if isinstance(arg, str) else [])
    return found


@dataclass
class Whole(Shape):
    low: int = 0
    words: str = "a whole number"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Text):
            return self.refuse(node, reading, path)
        if not re.fullmatch(r"[0-9]{1,9}", node.value) or int(node.value) < self.low:
            return reading.wrong(
                "wrong_value",
                node.at,
                f'{place(path)} cannot be "{one_line(node.value)}"; expected {self.words} of at least {self.low}',
            )
        return int(node.value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {
            "anyOf": [{"type": "integer", "minimum": self.low}, {"type": "string", "pattern": "^[0-9]{1,9}$"}]
        }


@dataclass
class Share(Shape):
    """2% or 0.02 → 0.02."""

    words: str = "a share from 0 to 100%, such as 2% or 0.02"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Text):
            return self.refuse(node, reading, path)
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(%?)", node.value)
        number = float(match[1]) / (100 if match[2] else 1) if match else -1.0
        if not 0 <= number <= 1:
            hint = f"did you mean {match[1]}%?" if match and not match[2] and number <= 100 else ""
            return reading.wrong(
                "wrong_value",
                node.at,
                f'{place(path)} cannot be "{one_line(node.value)}"; expected {self.words}',
                hint,
            )
        return number

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?\s*%?$"},
            ]
        }
