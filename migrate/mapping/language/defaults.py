"""`defaults`: what all fields say unless they say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrate.mapping.every_field import with_every_field
from migrate.mapping.language.field import DO, UNMAPPED
from migrate.mapping.model import Check, Entity, Field
from migrate.mapping.shapes import Choice, Key, Record

# `default` as an outcome needs a default, which is the field's own.
_ON_FAIL = Choice(("quarantine", "empty_and_flag", "stop", "warn"))
DEFAULTS = Record(
    "defaults",
    {
        "do": Key(DO, "Functions for texts that come `from` a column, where the field has no `do`, `ref` or `find`."),
        "on_fail": Key(_ON_FAIL, "What happens with a value that breaks a rule."),
        "unmapped": Key(UNMAPPED, "Values that a map or bands do not have."),
        "lossy": Key(Choice.of(Field, "lossy"), "Truncation and rounding."),
    },
    finish=lambda values, node, reading, path: values,
)  # fmt: skip


def with_defaults(entity: Entity, defaults: Mapping[str, Any]) -> Entity:
    """The entity with `defaults` (as DEFAULTS gives them) in those of its fields and let values that do not speak for
    themselves."""
    return with_every_field(entity, lambda field: _with(field, defaults)) if defaults else entity


def _with(field: Field, defaults: Mapping[str, Any]) -> Field:
    said = field.model_fields_set
    update: dict[str, Any] = {}
    taken = field.from_ is not None or field.first_of
    if "do" in defaults and "do" not in said and taken and not (field.ref or field.find):
        update |= {"do": defaults["do"], "do_if_text": True}
    if "unmapped" in defaults and "unmapped" not in said and (field.map or field.bands):
        update["unmapped"] = defaults["unmapped"]
    if "lossy" in defaults and "lossy" not in said:
        update["lossy"] = defaults["lossy"]
    if "on_fail" in defaults and field.check:
        update["check"] = tuple(_rule(rule, defaults["on_fail"]) for rule in field.check)
    return field.model_copy(update=update) if update else field


def _rule(rule: Check, on_fail: str) -> Check:
    return rule if "on_fail" in rule.model_fields_set else rule.model_copy(update={"on_fail": on_fail})
