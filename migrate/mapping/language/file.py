"""The whole file."""

from __future__ import annotations

from migrate.mapping.language.defaults import DEFAULTS
from migrate.mapping.language.entity import ENTITY
from migrate.mapping.language.field import RECIPE
from migrate.mapping.language.policy import POLICY
from migrate.mapping.language.recipes import RECIPES
from migrate.mapping.language.source import SCRATCH, SOURCE, TARGET
from migrate.mapping.language.split import SPLIT
from migrate.mapping.language.table_checks import TABLE_CHECKS
from migrate.mapping.language.value_maps import NamedMap
from migrate.mapping.language.words import identifier
from migrate.mapping.model import (
    LeftBehind,
)
from migrate.mapping.reference_shapes import (
    name_check,
)
from migrate.mapping.shapes import (
    BAD,
    ByKind,
    Choice,
    Key,
    MapOf,
    Reading,
    Record,
    Then,
    Words,
    records,
)
from migrate.mapping.tree import Pairs

VERSION = "1"

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


def _word(text: str) -> str | None:
    return (
        None if text.strip() and text.isprintable() else "a word of the glossary is empty or cannot be seen"
    )


RECIPES_SHAPE = MapOf(RECIPE, "a map of recipes", identifier("a recipe"))
# Records whose keys are those of a field: a key that stands in the wrong place is never sent there.
# Records whose keys are those of others too: no hint says that a key belongs there.
_LIKE_OTHERS = frozenset(
    [
        *("a let value", "a recipe", "defaults", "a case", "the else of choose", "a value of an item"),
        *("a map of values with options", "a map from a file", "a map from a table"),
    ]
)
FILE = Record(
    "a mapping",
    {
        "migrate": Key(Choice((VERSION,)), "The version of the mapping language: 1.", required=True),
        "name": Key(Words("a name", identifier("a mapping")), "The name of the migration; runs are kept under it.", required=True),
        "description": Key(Words(raw=True), "One sentence for people."),
        "source": Key(SOURCE, "Where the rows come from."),
        "sources": Key(MapOf(SOURCE, "a map of sources", identifier("a source")), "Several sources by name; entities say from: {source: …, table: …}."),
        "target": Key(TARGET, "Where the rows go.", required=True),
        "scratch": Key(SCRATCH, "Where restore tests run; empty: beside source and target."),
        "policy": Key(POLICY, "Limits and what happens by default."),
        "maps": Key(MapOf(NamedMap(), "a map of value maps", identifier("a map")), "Value maps by name."),
        "recipes": Key(RECIPES_SHAPE, "Bundles of a field's keys by name, for `as`."),
        "defaults": Key(DEFAULTS, "What all fields say unless they, or their entity, say otherwise."),
        "entities": Key(MapOf(ENTITY, "a map of entities", identifier("an entity")), "What goes where.", required=True),
        "split": Key(SPLIT, "One table, several roads: each row takes the first that fits."),
        "left_behind": Key(
            Then(MapOf(_LEFT, "a map of tables or table.column, with * and ?", _left_pattern, at_least=0), lambda value, node, reading, path: tuple(value.values())),
            "What stays behind, decided: shown in plan and report.",
        ),
        "checks": Key(TABLE_CHECKS, "Sums and counts that must be the same before and after."),
        "glossary": Key(MapOf(Words("what the word means", raw=True), "a map of words to what they mean", _word), "Words of the business and what they mean here; shown in plan, report and dictionary."),
    },
    later=frozenset(["duplicates"]),
    rules={"oneOf": [{"required": ["source"]}, {"required": ["sources"]}]},
    finish=lambda values, node, reading, path: values,
)  # fmt: skip


def read_ahead(tree: Pairs, reading: Reading) -> None:
    """Sections that fields take parts of, wherever they stand in the file. Their problems are reported once: they are
    the same again in their turn."""
    node = tree.get(RECIPES)
    read = RECIPES_SHAPE.read(node, reading, (RECIPES,)) if isinstance(node, Pairs) and node.pairs else {}
    names = [key.value for key, _ in node.pairs] if isinstance(node, Pairs) else []
    reading.ahead[RECIPES] = {name: read.get(name, BAD) for name in names}


def homes() -> dict[str, list[str]]:
    """Name of a key → titles of the records that have it (or will have it)."""
    found: dict[str, list[str]] = {}
    for record in records(FILE):
        if record.title in _LIKE_OTHERS:
            continue
        for name in (*record.keys, *sorted(record.later)):
            if record.title not in found.setdefault(name, []):
                found[name].append(record.title)
    return found
