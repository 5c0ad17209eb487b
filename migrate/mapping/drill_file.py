"""The drill file: what a person wants to be asked of a restored backup, and how long a restore may take.

Read by the same shapes as the mapping: strict, every mistake with its file:line:column, and one JSON Schema.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping as Environment
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

from migrate.mapping.language.source import SCRATCH
from migrate.mapping.language.words import identifier
from migrate.mapping.model import Scratch
from migrate.mapping.schema import DRAFT
from migrate.mapping.shapes import BAD, Choice, Key, Many, Reading, Record, Then, Whole, Words, build
from migrate.mapping.strict import Strict
from migrate.mapping.time_spans import Span
from migrate.mapping.tree import Node, Pairs, Path_, Problems, read_tree

WHAT = "drill"
Bound = Literal["equals", "at_least", "at_most", "between"]
_BOUNDS: tuple[Bound, ...] = ("equals", "at_least", "at_most", "between")


class Query(Strict):
    """One SELECT of one row and one column, and what it must give. `values`: one, two for between; None is NULL."""

    name: str
    sql: str
    bound: Bound
    values: tuple[str | None, ...]
    of: str = ""  # source, target or the name of a system; "" where one backup is restored
    seconds: int = 60
    why: str = ""
    where: str = ""  # file:line:column


class Limits(Strict):
    """In seconds; None: no limit."""

    rpo: float | None = None
    rto: float | None = None


class DrillFile(Strict):
    path: str
    base: str  # the folder that relative paths count from
    name: str = ""
    description: str = ""
    scratch: Scratch = Scratch()
    limits: Limits = Limits()
    queries: tuple[Query, ...] = ()


def number_of(text: str) -> Decimal | None:
    """A finite number written in digits, or None."""
    try:
        found = (
            Decimal(text.strip()) if re.fullmatch(r"\s*[-+]?[0-9.]+(?:[eE][-+]?\d{1,3})?\s*", text) else None
        )
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None


def moment_of(text: str) -> datetime | None:
    """A date or timestamp in ISO 8601, or None."""
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def _comparable(text: str) -> str | None:
    if number_of(text) is None and moment_of(text) is None:
        return f'"{text[:40]}" is no number and no date such as 2026-01-31, so nothing can be at least or at most that'
    return None


class _Two(Many):
    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        value = super().read(node, reading, path)
        if isinstance(value, tuple) and len(value) != 2:
            return reading.wrong(
                "wrong_value", node.at, "`between` takes two values", "for example [100, 200]"
            )
        return value


def _query(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    given = [name for name in _BOUNDS if node.get(name) is not None]
    if not given:
        if any(QUERY.typo_of(name.value, reading) in _BOUNDS for name, _ in node.pairs):
            return BAD  # told already, with the right name
        return reading.wrong(
            "missing_key", node.at, "a query says what it must give", f"one of {', '.join(_BOUNDS)}"
        )
    if len(given) > 1:
        return reading.wrong(
            "conflict", reading.key_at(*path, given[1]), f"`{given[0]}` and `{given[1]}` exclude each other"
        )
    if given[0] not in values:
        return BAD
    expected = values.pop(given[0])
    at = f"{reading.problems.file}:{node.at[0]}:{node.at[1]}"
    values.setdefault("name", str(int(path[-1]) + 1))
    many = expected if isinstance(expected, tuple) else (expected,)
    return build(Query, {**values, "bound": given[0], "values": many, "where": at}, node, reading)


def _different_names(queries: tuple[Query, ...], node: Node, reading: Reading, path: Path_) -> Any:
    seen: set[str] = set()
    for query in queries:
        if query.name in seen:
            line, column = query.where.rsplit(":", 2)[1:]
            reading.wrong(
                "duplicate",
                (int(line), int(column)),
                f'two queries are called "{query.name[:40]}"',
                "results are told apart by their names",
            )
        seen.add(query.name)
    return queries


_VALUE = Words("a number or a date", _comparable)
QUERY = Record(
    "a query",
    {
        "name": Key(Words("a name"), "What the query looks after; shown in results."),
        "sql": Key(Words("a SELECT", raw=True), "One SELECT that gives one row with one column.", required=True),
        "of": Key(
            Words("source, target or the name of a system"),
            "Which backup it is asked of, where several are restored: source, target, or a system's name.",
        ),
        "equals": Key(Words("a value, or null", null=True, may_be_empty=True), "The value that it must give; null for NULL."),
        "at_least": Key(_VALUE, "The lowest value that it may give: a number or a date."),
        "at_most": Key(_VALUE, "The highest value that it may give."),
        "between": Key(_Two(_VALUE, "a list of two values"), "The lowest and the highest value that it may give."),
        "seconds": Key(Whole(1), "How long it may take (default 60)."),
        "why": Key(Words("the reason", raw=True), "Why this must be so; shown where it is not."),
    },
    finish=_query,
    rules={"oneOf": [{"required": [name]} for name in _BOUNDS]},
)  # fmt: skip
FILE = Record(
    "a drill file",
    {
        "migrate": Key(Choice(("1",)), "The version of the language: 1.", required=True),
        "name": Key(Words("a name", identifier("a drill")), "What the drill is called."),
        "description": Key(Words(raw=True), "One sentence for people."),
        "scratch": Key(SCRATCH, "Servers where the copy may be made and dropped; not needed for SQLite and files."),
        "limits": Key(
            Record(
                "limits",
                {
                    "rpo": Key(Span(), "The oldest that the restored state may be."),
                    "rto": Key(Span(), "The longest that fetching, restoring and comparing may take."),
                },
                Limits,
            ),
            "What fails the drill although every value came back.",
        ),
        "queries": Key(Then(Many(QUERY, "a list of queries"), _different_names), "What is asked of the restored copy."),
    },
    finish=lambda values, node, reading, path: values,
)  # fmt: skip


def load_drill_file(path: Path | str, environment: Environment[str, str] = os.environ) -> DrillFile:
    """Raises MappingError with every problem found. Connects to nothing."""
    shown, file = str(path), Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would leave the folder of a linked file
    tree = read_tree(file, shown, WHAT)
    reading = Reading(Problems(shown, WHAT), environment, file.parent)
    values = FILE.read(tree, reading, ())
    reading.problems.raise_any()
    del values["migrate"]
    return DrillFile(path=str(file), base=str(file.parent), **values)


def json_schema() -> dict[str, Any]:
    """Of a drill file, for editors."""
    definitions: dict[str, Any] = {}
    root = FILE.schema(definitions)
    return {
        "$schema": DRAFT,
        "title": "migrate drill file",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }
