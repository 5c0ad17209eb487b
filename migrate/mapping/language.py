"""The mapping language, declared: every key with its shape, its description, and the keys that are still to come."""

from __future__ import annotations

import codecs
import re
from typing import Any

from migrate.mapping import dates
from migrate.mapping.arguments import timezone_problem
from migrate.mapping.check_shapes import ON_FAIL, Checks
from migrate.mapping.environment import LATER_SCHEMES, absolute, address_problem, holds_password
from migrate.mapping.model import (
    Backup,
    Check,
    Entity,
    Field,
    Keep,
    LeftBehind,
    Policy,
    Scratch,
    Source,
    SourceColumn,
    SourceTable,
    Target,
    ValueMap,
)
from migrate.mapping.reference_shapes import (
    COLUMN,
    FIND,
    LITERAL,
    NULLABLE,
    REF,
    TABLE,
    TARGET_COLUMN,
    Values,
    name_check,
    outcome,
)
from migrate.mapping.shapes import (
    BAD,
    Bad,
    ByKind,
    Choice,
    Key,
    Many,
    MapOf,
    Reading,
    Record,
    Schema,
    Shape,
    Share,
    Then,
    Whole,
    Words,
    build,
    later,
    records,
)
from migrate.mapping.step_shapes import Steps
from migrate.mapping.tree import Node, Pairs, Path_, Text

VERSION = "1"


def _identifier(what: str) -> Any:
    def check(text: str) -> str | None:
        if re.fullmatch(r"[^\W\d][\w-]{0,62}", text):
            return None
        return f'"{text[:70]}" cannot be the name of {what}: letters, digits, _ and -, at most 63, a letter first'

    return check


def _encoding(text: str) -> str | None:
    try:
        good = codecs.lookup(text)._is_text_encoding  # what str.encode itself asks
    except (LookupError, ValueError):
        good = False
    return None if good else f'"{text[:40]}" is not a text encoding; names are like utf-8, cp1252, latin-1'


def _date_format(text: str) -> str | None:
    try:
        dates.pieces(text)
    except ValueError as error:
        return str(error)
    return None


def _one_character(text: str) -> str | None:
    return None if len(text) == 1 else "exactly one character is expected here"


# --- addresses


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

_ENCODING = Words("an encoding such as utf-8 or cp1252", _encoding)
_TIMEZONE = Words("a timezone such as Europe/London", timezone_problem)
_DATES = Many(Words("a date format such as M/D/YYYY", _date_format), "a list of date formats", single=True)
_NULLS = Many(
    Words("a text", raw=True, may_be_empty=True, null_is_text=True),
    "a list of texts",
    single=True,
    at_least=0,
)
_CHARACTER = Words("one character", _one_character, raw=True)

COLUMN_OPTIONS = Record(
    "a column of a source table",
    {
        "nulls": Key(_NULLS, "Words that mean nothing in this column."),
        "timezone": Key(_TIMEZONE, "For timestamps of this column that carry none."),
        "dates": Key(_DATES, "Formats of dates in this column."),
    },
    SourceColumn,
)
TABLE_OPTIONS = Record(
    "a source table",
    {
        "file": Key(
            Words("a file name", name_check("file")), "The file that holds the table (folders of files)."
        ),
        "dates": Key(_DATES, "Formats of dates; a value that two formats read differently is quarantined."),
        "nulls": Key(_NULLS, "Words that mean nothing in this table."),
        "encoding": Key(_ENCODING, "The encoding of the file."),
        "timezone": Key(_TIMEZONE, "For timestamps that carry none."),
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
            Words("a name", _identifier("a system")),
            "The name of the source system; kept with every row: lineage and identity.",
            required=True,
        ),
        "url": Key(
            Address("source"),
            "postgresql://, sqlite:///file or files:folder/; secrets as ${NAME}.",
            required=True,
        ),
        "timezone": Key(
            _TIMEZONE, "For timestamps that carry none; without it such a column is an error, not a guess."
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
    {"url": Key(Address("target"), "postgresql:// or sqlite:///file; secrets as ${NAME}.", required=True)},
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

# --- policy


class VaultPlace(Words):
    def read(self, node: Node, reading: Reading, path: Path_) -> Any:
        value = super().read(node, reading, path)
        scheme = re.match(r"(\w+)://", value) if isinstance(value, str) else None
        if scheme and scheme[1] not in LATER_SCHEMES:
            return reading.wrong(
                "wrong_value", node.at, "`to` is a folder, not an address", "for example backups/"
            )
        return reading.wrong("later", node.at, later(f"{scheme[1]}://")) if scheme else value


KEEP = Record(
    "keep",
    {name: Key(Whole(1), f"How many {doc} backups stay.") for name, doc in {"last": "latest", "daily": "daily", "weekly": "weekly", "monthly": "monthly", "yearly": "yearly"}.items()},
    Keep,
)  # fmt: skip
BACKUP = Record(
    "backup",
    {
        "to": Key(VaultPlace("a folder"), "The vault: a folder, relative to the mapping's project."),
        "tables": Key(
            Many(TABLE, "touched, or a list of tables", single=True),
            "touched (tables that the run may change), and further tables.",
        ),
        "keep": Key(KEEP, "How many backups stay."),
    },
    Backup,
)
POLICY = Record(
    "policy",
    {
        "max_quarantine": Key(Share(), "More rows in quarantine than this share stop the run before load."),
        "unmapped": Key(
            Choice.of(Policy, "unmapped"),
            "Filled source columns and tables that nothing uses and left_behind does not name.",
        ),
        "lossy": Key(
            Choice.of(Policy, "lossy"),
            "Truncation, rounding, encoding repair, zone shift; counted either way.",
        ),
        "target_drift": Key(
            Choice.of(Policy, "target_drift"),
            "The target changed since its backup: back up and prove again, or stop.",
        ),
        "backup": Key(BACKUP, "Where backups go and what they hold."),
    },
    Policy,
)

# --- field

_FIELD_LATER = frozenset(
    ["as", "else", "list", "split", "first_of", "text", "choose", "bands", "when", "one_per", "pivot"]
)
_ORIGINS = ("from", "value", "expr")


def _origin_later(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    """`from: {first_of: …}` and the like: all its keys are later ones, and reported."""
    return BAD


def _field(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    given = [name for name in _ORIGINS if node.get(name) is not None]
    has_later = any(name.value in _FIELD_LATER for name, _ in node.pairs)
    if len(given) > 1:
        names = " and ".join(f"`{name}`" for name in given)
        reading.wrong(
            "conflict",
            reading.key_at(*path, given[1]),
            f"{names} exclude each other",
            "a field has one origin",
        )
    elif not given and not has_later:
        reading.wrong(
            "missing_key",
            node.at,
            f"`{path[-1]}` does not say where its value comes from",
            "from: a source column, value: a text, or expr: SQL",
        )
    _field_together(node, reading, path)
    if "map" in values:
        data = values["map"]
        values["map"] = ValueMap(name=data) if isinstance(data, str) else ValueMap(values=data)
    own = values.pop("on_fail", None)
    if "check" in values:
        values["check"] = tuple(
            Check(**({"on_fail": own} if own else {}) | check) for check in values["check"]
        )
        for check in values["check"]:
            if check.on_fail == "default" and node.get("default") is None:
                at = reading.key_at(*path, "on_fail") if own == "default" else reading.at(*path, "check")
                reading.wrong(
                    "missing_key", at, f"`on_fail: default` of `{check.name}` needs a `default`", "say which"
                )
                break
    return build(Field, values, node, reading) if len(given) == 1 else BAD


def _field_together(node: Pairs, reading: Reading, path: Path_) -> None:
    has = {name.value for name, _ in node.pairs}
    needs = {"on_fail": "check", "unmapped": "map"}
    for name, other in needs.items():
        if name in has and other not in has:
            reading.wrong(
                "conflict",
                reading.key_at(*path, name),
                f"`{name}` without `{other}` does nothing",
                f"add `{other}`, or remove it",
            )
    if {"ref", "find"} <= has:
        reading.wrong(
            "conflict",
            reading.key_at(*path, "find"),
            "`ref` and `find` exclude each other",
            "a last resort stands in missing: {find: …}",
        )
    if {"value", "default"} <= has:
        reading.wrong(
            "conflict",
            reading.key_at(*path, "default"),
            "`default` beside `value` does nothing",
            "remove one of them",
        )


EXPRESSION = Words("an SQL expression", raw=True)
_MAP = ByKind(Words("the name of a map"), pairs=Values(named=False), words="the name of a map, or {from: to}")
FIELD = Record(
    "a field",
    {
        "from": Key(
            ByKind(COLUMN, pairs=Record("the origin of a field", {}, later=frozenset(["first_of", "split", "text", "each", "of"]), finish=_origin_later, words="the name of a source column"), words=COLUMN.words),
            "The source column.",
            to="from_",
        ),
        "value": Key(LITERAL, "The same text in every row."),
        "expr": Key(EXPRESSION, "An SQL expression over the row's source columns."),
        "read_as": Key(Choice.of(Field, "read_as"), "The type that the source text is read as."),
        "do": Key(Many(Steps(), "a function, or a list of functions", single=True), "Functions, one after the other."),
        "map": Key(_MAP, "A value map: the name of one under `maps`, or its data."),
        "unmapped": Key(outcome(Choice(("quarantine", "keep", "stop")), "the outcome of map"), "Values that the map does not have: quarantine (default), keep, stop, {default: …}."),
        "ref": Key(REF, "The row of another entity that has this source key."),
        "find": Key(FIND, "A row that is in the target already."),
        "default": Key(NULLABLE, "What stands where the value is empty."),
        "check": Key(Many(Checks(), "a rule, or a list of rules", single=True), "Rules that the value must meet."),
        "on_fail": Key(ON_FAIL, "What happens with a value that breaks a rule."),
        "lossy": Key(Choice.of(Field, "lossy"), "Truncation and rounding in this field."),
        "why": Key(Words(raw=True), "The reason; shown in plan and report."),
    },
    later=_FIELD_LATER,
    finish=_field,
)  # fmt: skip


def _short_field(value: str, node: Node, reading: Reading, path: Path_) -> Any:
    return Field(from_=value)


FIELDS = MapOf(
    ByKind(Then(COLUMN, _short_field), pairs=FIELD, words="a source column, or {from: …}"),
    "a map of target columns",
    name_check("column"),
    at_least=0,
)

# --- entity

_ENTITY_LATER = frozenset(
    [
        *(
            "with",
            "let",
            "explode",
            "one_per",
            "query",
            "existing",
            "create",
            "on_gone",
            "on_conflict",
            "on_parent_excluded",
            "was",
        ),
        *(
            "duplicates",
            "consent",
            "retention",
            "known_as",
            "examples",
            "defaults",
            "pivot",
            "when",
            "split",
            "checks",
        ),
    ]
)


def _key(value: Any, node: Node, reading: Reading, path: Path_) -> Any:
    if isinstance(node, Text) and node.value == "line":
        return ("line",), True
    twice = next((c for i, c in enumerate(value) if c in value[:i]), None)
    return reading.wrong("conflict", node.at, f"`key` names `{twice}` twice") if twice else (value, False)


def _entity(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    origin = values.pop("from")
    values["key"], values["key_is_line"] = values["key"]
    if "write" not in values:
        values["write"] = "add_or_update" if node.get("match") is not None else "add"
    return build(Entity, {**values, **origin, "name": str(path[-1])}, node, reading)


_MATCH = ByKind(
    Then(TARGET_COLUMN, lambda value, node, reading, path: {value: None}),
    Then(Many(TARGET_COLUMN), lambda value, node, reading, path: dict.fromkeys(value)),
    MapOf(
        Words("a source column or an SQL expression", raw=True),
        "a map of target columns to source columns",
        name_check("column"),
    ),
    words="a list of target columns, or {target column: source column}",
)
ENTITY = Record(
    "an entity",
    {
        "from": Key(
            ByKind(
                Then(TABLE, lambda value, node, reading, path: {"table": value}),
                pairs=Record(
                    "the origin of an entity",
                    {
                        "source": Key(Words("the name of a source"), "One of `sources`.", required=True),
                        "table": Key(TABLE, "The table there.", required=True),
                    },
                ),
                words="the name of a source table, or {source: …, table: …}",
            ),
            "The source table.",
            required=True,
        ),
        "where": Key(EXPRESSION, "An SQL condition on the extracted rows; the others are counted as excluded. NULL is not true."),
        "key": Key(
            Then(Many(COLUMN, "the column that identifies a row", single=True), _key),
            "The source column that identifies a row, or a list of them; line: the line of a file without one.",
            required=True,
        ),
        "into": Key(TABLE, "The target table.", required=True),
        "match": Key(_MATCH, "Target columns that decide whether a row is there already."),
        "write": Key(
            Choice.of(Entity, "write", later=["update", "add_or_link"]), "link (found, never created), add, or add_or_update (default where `match` is given)."
        ),
        "target_sets": Key(
            MapOf(Choice(("any", "at_least", "not_null")), "a map of target columns", name_check("column")), "Columns that triggers or defaults of the target change."
        ),
        "fields": Key(FIELDS, "Target columns and where their values come from."),
        "max_quarantine": Key(Share(), "The entity's own limit; see policy."),
        "why": Key(Words(raw=True), "The reason; shown in plan and report."),
    },
    later=_ENTITY_LATER,
    finish=_entity,
)  # fmt: skip

# --- the file

_LEFT = ByKind(
    Then(Words(raw=True), lambda value, node, reading, path: LeftBehind(pattern=str(path[-1]), why=value)),
    pairs=Record(
        "left_behind",
        {
            "why": Key(Words(raw=True), "The reason."),
            "decided": Key(Words(raw=True), "When and by whom."),
        },
        finish=lambda values, node, reading, path: LeftBehind(pattern=str(path[-1]), **values),
    ),
    words="the reason, or {why: …, decided: …}",
)


def _left_pattern(text: str) -> str | None:
    if not text.strip() or any(not part.strip() for part in text.split(".")):
        return f'"{text[:60]}" is no pattern of a table or table.column'
    return name_check("table")(text)


def _maps(values: dict[str, dict[str, Any]], node: Node, reading: Reading, path: Path_) -> Any:
    return {name: ValueMap(name=name, values=data) for name, data in values.items()}


FILE = Record(
    "a mapping",
    {
        "migrate": Key(Choice((VERSION,)), "The version of the mapping language: 1.", required=True),
        "name": Key(Words("a name", _identifier("a mapping")), "The name of the migration; runs are kept under it.", required=True),
        "description": Key(Words(raw=True), "One sentence for people."),
        "source": Key(SOURCE, "Where the rows come from."),
        "sources": Key(MapOf(SOURCE, "a map of sources", _identifier("a source")), "Several sources by name; entities say from: {source: …, table: …}."),
        "target": Key(TARGET, "Where the rows go.", required=True),
        "scratch": Key(SCRATCH, "Where restore tests run; empty: beside source and target."),
        "policy": Key(POLICY, "Limits and what happens by default."),
        "maps": Key(Then(MapOf(Values(named=True), "a map of value maps", _identifier("a map")), _maps), "Value maps by name."),
        "entities": Key(MapOf(ENTITY, "a map of entities", _identifier("an entity")), "What goes where.", required=True),
        "left_behind": Key(
            Then(MapOf(_LEFT, "a map of tables or table.column, with * and ?", _left_pattern, at_least=0), lambda value, node, reading, path: tuple(value.values())),
            "What stays behind, decided: shown in plan and report.",
        ),
    },
    later=frozenset(["recipes", "split", "checks", "glossary", "defaults", "duplicates", "consent", "retention"]),
    rules={"oneOf": [{"required": ["source"]}, {"required": ["sources"]}]},
    finish=lambda values, node, reading, path: values,
)  # fmt: skip


def homes() -> dict[str, list[str]]:
    """Name of a key → titles of the records that have it (or will have it)."""
    found: dict[str, list[str]] = {}
    for record in records(FILE):
        for name in (*record.keys, *sorted(record.later)):
            if record.title not in found.setdefault(name, []):
                found[name].append(record.title)
    return found


__all__ = ["ENTITY", "FIELD", "FILE", "VERSION", "homes"]
