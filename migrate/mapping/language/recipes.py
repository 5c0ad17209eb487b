"""`recipes` and `as`: bundles of a field's keys that have a name."""

from __future__ import annotations

from typing import Any

from migrate.mapping.shapes import Bad, Many, Reading, Words, did_you_mean, one_line
from migrate.mapping.tree import Pairs, Path_, Position

RECIPES = "recipes"
NAMES_OF_RECIPES = Many(Words("the name of a recipe"), "the name of a recipe, or a list of them", single=True)
_APPENDED = ("do", "check")  # a field's own come after the recipe's


def with_recipes(
    values: dict[str, Any], names: dict[str, Position], node: Pairs, reading: Reading, path: Path_
) -> dict[str, Any] | None:
    """The field's values with those of its recipes; `names` gets the recipes' keys, which stand where `as` stands.

    The nearer word wins: the field's own before those of its recipes, a later recipe before an earlier one; but
    functions and rules are added up, the field's own last. None: a recipe is unknown, or has a problem of its own."""
    wanted = values.pop("as_", ())
    if node.get("as") is None:
        return values
    known: dict[str, Any] = reading.ahead.get(RECIPES, {})
    merged: dict[str, Any] = {}
    good = bool(wanted)
    for number, name in enumerate(wanted):
        recipe = known.get(name)
        if recipe is None:
            place = (*path, "as", number)
            at = reading.values.get(place) or reading.at(*path, "as")
            others = f"there are {', '.join(list(known)[:12])}" if known else "there is no recipe at all"
            message = f"there is no recipe `{one_line(name)}`"
            reading.wrong("unknown_name", at, message, did_you_mean(name, known, others))
        if recipe is None or isinstance(recipe, Bad):
            good = False
            continue
        _add(merged, recipe)
        for key in recipe:
            names.setdefault(key, reading.key_at(*path, "as"))
    _add(merged, values)
    return merged if good else None


def _add(merged: dict[str, Any], values: dict[str, Any]) -> None:
    for key, value in values.items():
        merged[key] = (*merged.get(key, ()), *value) if key in _APPENDED else value
