"""`source`, `target` and `scratch`: where rows come from, go to, and are restored for the proof."""

from __future__ import annotations

from typing import Any

from migrate.mapping.arguments import timezone_problem
from migrate.mapping.environment import absolute, address_problem, holds_password
from migrate.mapping.language.words import character, date_format, encoding, identifier
from migrate.mapping.model import (
    Scratch,
    Source,
    SourceColumn,
    SourceTable,
    Target,
)
from migrate.mapping.reference_shapes import (
    name_check,
)
from migrate.mapping.shapes import (
    BAD,
    Bad,
    ByKind,
    Key,
    Many,
    MapOf,
    Reading,
    Record,
    Schema,
    Shape,
    Then,
    Whole,
    Words,
    build,
)
from migrate.mapping.tree import Node, Pairs, Path_, Text


class Address(Shape):
    """A url: no literal password, references replaced, relative files below the base folder."""

    def __init__(self, role: str, *, optional: bool = False) -> None:
        self.role, self.optional, self.words = role, optional, f"the {role}'s url"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if isinstance(node, Text) and holds_password(node.value):
            return reading.wrong(
                "secret",
                node.at,
                "this url holds a password",
                "write ${NAME} and set NAME in the environment",
            )
        url = Words(self.words, env=True, may_be_empty=True).read(node, reading, path)
        if isinstance(url, Bad):
            return BAD
        if not url.strip():
            return (
                None
                if self.optional
                else reading.wrong(
                    "empty",
                    node.at,
                    f"the {self.role}'s url is empty",
                    "see the environment variable it names",
                )
            )
        problem = address_problem(url, self.role)
        return reading.wrong(problem[0], node.at, *problem[1:]) if problem else absolute(url, reading.base)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        return {"type": "string"}


# --- source, target, scratch

_ENCODING = Words("an encoding such as utf-8 or cp1252", encoding)
_TIMEZONE = Words("a timezone such as Europe/London", timezone_problem)
_DATES = Many(Words("a date format such as M/D/YYYY", date_format), "a list of date formats", single=True)
_NULLS = Many(
    Words("a text", raw=True, may_be_empty=True, null_is_text=True),
    "a list of texts",
    single=True,
    at_least=0,
)
_CHARACTER = Words("one character", character, raw=True)

COLUMN_OPTIONS = Record(
    "a column of a source table",
    {
        "nulls": Key(_NULLS, "Words that mean nothing in this column."),
        "timezone": Key(
            _TIMEZONE,
            "For times of this column that carry none, and for its moments where the target has none.",
        ),
        "dates": Key(_DATES, "Formats of dates in this column."),
    },
    SourceColumn,
)
TABLE_OPTIONS = Record(
    "a source table",
    {
        "file": Key(
            Words("a file name", name_check("file")),
            "The file that holds the table (folders of files); a folder or a pattern such as people-*.csv: its parts.",
        ),
        "sheet": Key(
            Words("the name of a sheet", name_check("sheet"), raw=True), "The sheet of a spreadsheet."
        ),
        "member": Key(
            Words("the name of a file in the zip", name_check("file")), "The file in a zip of several."
        ),
        "skip_first": Key(Whole(), "How many lines stand before the header."),
        "skip_last": Key(
            Whole(), "How many rows at the end are totals or footers, and no rows of the table."
        ),
        "dates": Key(_DATES, "Formats of dates; a value that two formats read differently is quarantined."),
        "nulls": Key(_NULLS, "Words that mean nothing in this table."),
        "encoding": Key(_ENCODING, "The encoding of the file."),
        "timezone": Key(
            _TIMEZONE, "For timestamps that carry none, and for moments where the target has none."
        ),
        "delimiter": Key(_CHARACTER, "The character between two values of a file."),
        "quote": Key(_CHARACTER, "The character around values of a file."),
        "columns": Key(MapOf(COLUMN_OPTIONS, "a map of columns"), "Options of single columns."),
    },
    SourceTable,
)
SOURCE = Record(
    "source",
    {
        "system": Key(
            Words("a name", identifier("a system")),
            "The name of the source system; kept with every row: lineage and identity.",
            required=True,
        ),
        "url": Key(
            Address("source"),
            "postgresql://, mysql:// (or mariadb://), sqlite:///file or files:folder/; secrets as ${NAME}.",
            required=True,
        ),
        "timezone": Key(
            _TIMEZONE,
            "For timestamps that carry none, and for moments where the target has none; without it such a column is an error, not a guess.",
        ),
        "nulls": Key(_NULLS, "Words that mean nothing."),
        "encoding": Key(_ENCODING, "The encoding of the files."),
        "dates": Key(_DATES, "Formats of dates."),
        "tables": Key(MapOf(TABLE_OPTIONS, "a map of tables"), "Options of single tables."),
    },
    finish=lambda values, node, reading, path: build(
        Source, {**values, "name": str(path[-1])}, node, reading
    ),
)
TARGET = Record(
    "target",
    {
        "url": Key(
            Address("target"),
            "postgresql://, mysql:// (or mariadb://) or sqlite:///file; secrets as ${NAME}.",
            required=True,
        )
    },
    Target,
)


def _scratch(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    if "url" in values and node.get("url") and (node.get("source") or node.get("target")):
        return reading.wrong(
            "conflict", reading.key_at(*path, "url"), "`url` is for both: give it, or `source` and `target`"
        )
    both = {"source": values["url"], "target": values["url"]} if "url" in values else values
    return build(Scratch, both, node, reading)


_SCRATCH_URL = Address("scratch database", optional=True)
SCRATCH = ByKind(
    Then(_SCRATCH_URL, lambda url, node, reading, path: Scratch(source=url, target=url)),
    pairs=Record(
        "scratch",
        {
            "url": Key(_SCRATCH_URL, "Where restore tests run, for source and target; empty: beside them."),
            "source": Key(_SCRATCH_URL, "Where the source's backup is restored."),
            "target": Key(_SCRATCH_URL, "Where the target's backup is restored."),
        },
        finish=_scratch,
    ),
    words="a url, or {source: …, target: …}",
)
