"""`maps`: value maps with a name: written out, from a CSV file, or from a table of the source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from migrate.mapping.map_files import MapFile, read_map_file, two_results
from migrate.mapping.model import MapTable, ValueMap
from migrate.mapping.reference_shapes import COLUMN, TABLE, VALUES, name_check
from migrate.mapping.shapes import (
    BAD,
    Bad,
    Choice,
    Key,
    Reading,
    Record,
    Schema,
    Shape,
    Words,
    one_line,
)
from migrate.mapping.tree import Node, Pairs, Path_

_IGNORE = {"ignore": Key(Choice(("case",)), "case: texts are compared without their case.")}


def _written(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    if "values" not in values or len(values) < len(node.pairs):
        return BAD
    if "ignore" in values and (pair := two_results(values["values"])):
        at = reading.key_at(*path, "values", pair[1])
        message = f"without case, `{one_line(pair[1])}` and `{one_line(pair[0])}` are one, with two results"
        return reading.wrong("conflict", at, message, "keep one")
    return ValueMap(name=str(path[-1]), **values)


def _file(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    if len(values) < len(node.pairs):
        return BAD
    read = read_map_file(
        reading.base,
        values["file"],
        values["from_"],
        values["to"],
        ignore_case="ignore" in values,
        kept=reading.kept,
    )
    if isinstance(read, MapFile):
        reading.files[values["file"]] = read.digest
        return ValueMap.model_construct(
            name=str(path[-1]),
            values=read.values,
            ignore=values.get("ignore"),
            file=values["file"],
            digest=read.digest,
        )
    return reading.wrong("map_file", reading.at(*path, read.key), read.message, read.hint)


def _table(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    if len(values) < len(node.pairs):
        return BAD
    ignore = values.pop("ignore", None)
    return ValueMap(name=str(path[-1]), ignore=ignore, table=MapTable(**values))


WRITTEN = Record(
    "a map of values with options",
    {"values": Key(VALUES, "Text to text; null empties.", required=True), **_IGNORE},
    finish=_written,
    explained=False,
)
FILE_MAP = Record(
    "a map from a file",
    {
        "file": Key(Words("a CSV file, relative to the mapping's project", name_check("file")), "A CSV file: UTF-8, with a header.", required=True),
        "from": Key(COLUMN, "The column of the file that is looked up.", required=True, to="from_"),
        "to": Key(COLUMN, "The column of the file that is the result; an empty cell empties.", required=True),
        **_IGNORE,
    },
    finish=_file,
    explained=False,
)  # fmt: skip
TABLE_MAP = Record(
    "a map from a table",
    {
        "table": Key(TABLE, "A table of the source; it is extracted and backed up like the others.", required=True),
        "from": Key(COLUMN, "The column of the table that is looked up.", required=True, to="from_"),
        "to": Key(COLUMN, "The column of the table that is the result; an empty one empties.", required=True),
        "source": Key(Words("the name of a source"), "One of `sources`, where there are several."),
        **_IGNORE,
    },
    finish=_table,
    explained=False,
)  # fmt: skip


@dataclass
class NamedMap(Shape):
    """`{UK: GB}`, or one of the three records; gives a ValueMap."""

    words: str = "a map of values, {file: …, from: …, to: …} or {table: …, from: …, to: …}"

    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        if not isinstance(node, Pairs):
            return self.refuse(node, reading, path)
        for word, record in (("file", FILE_MAP), ("table", TABLE_MAP)):
            if node.get(word) is not None:
                return record.read(node, reading, path)
        if isinstance(node.get("values"), Pairs):
            return WRITTEN.read(node, reading, path)
        for key, _ in node.pairs:
            if key.value == "ignore":
                hint = "write {values: {…}, ignore: case}; a value of that name goes under values: {…}"
                return reading.wrong(
                    "conflict", key.at, "`ignore` cannot stand among the values of a map", hint
                )
        values = VALUES.read(node, reading, path)
        return BAD if isinstance(values, Bad) else ValueMap(name=str(path[-1]), values=values)

    def inner(self) -> tuple[Shape, ...]:
        return (VALUES, WRITTEN, FILE_MAP, TABLE_MAP)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        reserved = [{"required": [word]} for word in ("file", "table", "ignore")]
        flat = VALUES.schema(definitions) | {"not": {"anyOf": reserved}}
        return {"anyOf": [flat, *(r.schema(definitions) for r in (WRITTEN, FILE_MAP, TABLE_MAP))]}
