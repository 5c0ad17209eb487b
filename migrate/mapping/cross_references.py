"""What a reference gives and what it is compared with, held against each other; everything that needs no database."""

from __future__ import annotations

from migrate.mapping.model import Entity, Field, Find, Ref
from migrate.mapping.references import every_reference
from migrate.mapping.shapes import Reading
from migrate.mapping.tree import Path_


def check_values(field: Field, path: Path_, entities: dict[str, Entity], reading: Reading) -> None:
    """The values that a field gives to `ref` and `find`. A recipe's keys are told at `as`."""
    if field.find is not None and field.find.by is None and any(find.by for find in field.lookups):
        reading.wrong(
            "conflict",
            reading.at(*path, "find"),
            "a `find` that does not look at the value cannot be followed by one that does",
            "begin with the one that has `by`",
        )
    if field.ref is not None:
        _compared(field, field.ref, (*path, "ref"), entities, reading)


def check_parents(entity: Entity, path: Path_, reading: Reading) -> None:
    if entity.on_parent_excluded is not None and not any(every_reference(entity)):
        reading.wrong(
            "conflict",
            reading.key_at(*path, "on_parent_excluded"),
            f"`on_parent_excluded` does nothing: no field of `{entity.name}` is a `ref`",
            "remove it",
        )


def _compared(field: Field, ref: Ref, path: Path_, entities: dict[str, Entity], reading: Reading) -> None:
    given = len(field.from_columns) or 1
    if ref.by and len(ref.by) != given:
        against = "one column" if len(ref.by) == 1 else f"{len(ref.by)} columns"
        reading.wrong(
            "conflict",
            reading.at(*path, "by"),
            f"{_values(given)} cannot be compared with {against}",
            "`from` and `by` name equally many columns, in the same order",
        )
    if not ref.by:
        for to, where in targets_of(ref, path):
            if to in entities:
                _by_key(entities[to], given, where, reading)
    if given > 1 and any(find.by is not None for find in field.lookups):
        reading.wrong(
            "conflict",
            reading.at(*path, "missing" if isinstance(ref.missing, Find) else "ambiguous"),
            f"`find` with `by` compares one value, and `from` gives {given}",
            "conditions with values of their own are possible here",
        )


def targets_of(ref: Ref, path: Path_) -> list[tuple[str, Path_]]:
    """(entity, where it is named) of all that a reference may point at."""
    if ref.to:
        return [(to, (*path, "to", number)) for number, to in enumerate(ref.to)]
    return [(to, (*path, "to", kind)) for kind, to in ref.kinds.items()]


def _by_key(known: Entity, given: int, where: Path_, reading: Reading) -> None:
    """The key of the entity that is referred to must be what the field gives."""
    if known.key_is_line or known.key_is_content:
        reading.wrong(
            "conflict",
            reading.at(*where),
            f"rows of `{known.name}` are known by their {known.key[0]} only, so no value is their key",
            "give it a key, or say by which of its columns: by: …",
        )
    elif len(known.key) != given:
        columns = ", ".join(known.key)
        hint = (
            f"from: a list of columns for {columns}; or by: another column of it"
            if len(known.key) > 1
            else "by: the columns of it that they are compared with"
        )
        key = f"a key of {len(known.key)} columns" if len(known.key) > 1 else f"the key {columns}"
        reading.wrong(
            "conflict",
            reading.at(*where),
            f"`{known.name}` has {key}, and the reference gives {_values(given)}",
            hint,
        )


def _values(count: int) -> str:
    return "one value" if count == 1 else f"{count} values"
