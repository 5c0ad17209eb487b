"""What checks over tables hold against the target: the values that a field's origin gave, kept beside its own.

`__given.F`: the text that the origin gave, as it was. `__amount.F`: the same, where it is an amount as it stands: no
function reads it in another way or changes its size, and no map makes an amount of a code.
"""

from __future__ import annotations

from collections.abc import Iterable

from migrate.mapping.model import TableCheck
from migrate.transform.entity import CompiledField

ORIGIN, AMOUNT = "__given.", "__amount."
_RESIZE = ("percent", "units")


def witnesses_of(field: CompiledField, entity: str, checks: Iterable[TableCheck]) -> tuple[str, ...]:
    """The columns that the checks need of one field."""
    wanted = []
    for check in checks:
        if check.of != entity:
            continue
        if field.name in check.by or (check.kind == "count" and check.column == field.name):
            wanted.append(ORIGIN + field.name)
        if check.kind == "sum" and check.column == field.name and _is_amount(field):
            wanted.append(AMOUNT + field.name)
    return tuple(dict.fromkeys(wanted))


def _is_amount(field: CompiledField) -> bool:
    if field.field.map is not None or field.field.bands is not None:
        return False
    return all(s.name not in _RESIZE and s.arguments.get("point", ".") == "." for s in field.steps)
