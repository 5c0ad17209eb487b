"""What an entity's `duplicates` must say together with the rest of it."""

from __future__ import annotations

from collections.abc import Iterator

from migrate.mapping.duplicates import DEFAULT, Survive
from migrate.mapping.model import Entity
from migrate.mapping.references import list_values
from migrate.mapping.shapes import Reading, did_you_mean, one_line
from migrate.mapping.tree import Path_, Position
from migrate.mapping.usage import consented_fields


def check_duplicates(entity: Entity, path: Path_, fields: list[str], reading: Reading) -> None:
    """`duplicates` speaks of fields, for what is compared is what would be written. `fields`: the names that the file
    gives."""
    rules = entity.duplicates
    if rules is None:
        return
    here = (*path, "duplicates")
    for message, hint in _conflicts(entity):
        reading.wrong("conflict", reading.key_at(*here), message, hint)
    named: list[tuple[str, Path_]] = [
        *((c, (*here, "same", n)) for n, group in enumerate(rules.same) for c in group),
        *((c, (*here, "similar", c)) for c in rules.similar),
        *((c, (*here, "decide", "never_differ")) for c in rules.decide.never_differ),
        *((f, (*here, "survive", f)) for f in rules.survive if f != DEFAULT),
        *((s.by, (*here, "survive", f)) for f, s in rules.survive.items() if s.by is not None),
        *((f, (*here, "against")) for f in (rules.against.columns if rules.against else ())),
    ]
    for column, place in named:
        if column not in fields:
            hint = did_you_mean(column, fields, "rows are compared, and survive, by fields of the entity")
            reading.wrong("unknown_name", reading.at(*place), f"no field gives `{one_line(column)}`", hint)
    _survive(entity, here, reading)
    _against(entity, here, reading)
    for column in rules.columns:
        field = entity.fields.get(column)
        if field is not None and (field.ref or field.find or field.list is not None):
            reading.wrong(
                "conflict",
                reading.key_at(*here),
                f"`{one_line(column)}` is a reference or a list, and rows are compared by plain values",
                "name another field",
            )


def _survive(entity: Entity, here: Path_, reading: Reading) -> None:
    """Rules that are about some fields only."""
    rules = entity.duplicates
    assert rules is not None
    consent = entity.consent
    for name, stated in rules.survive.items():
        place = reading.at(*here, "survive", name)
        field = entity.fields.get(name)
        if stated.rule == "union":
            if name == DEFAULT or (field is not None and field.list is None):
                reading.wrong(
                    "conflict", place, "`union` puts lists together", "name a field that is a `list`"
                )
            elif field is not None and any(v.ref or v.find for v in list_values(field).values()):
                message = f"`{one_line(name)}` holds references, and such a list stays the survivor's own"
                reading.wrong("conflict", place, message, "take `union` out")
        elif stated.rule == "most_restrictive":
            held = (
                {f for c in consent.channels.values() for f in (c.opt_out, c.opt_in) if f}
                if consent
                else set()
            )
            if name not in held:
                reading.wrong(
                    "conflict",
                    place,
                    "`most_restrictive` is about consent, and no channel of `consent` holds it in this field",
                    "name the field as opt_out or opt_in of a channel; it is the rule for those anyway",
                )
        elif stated.rule == "with":
            _with(entity, name, stated, place, reading)
        elif stated.rule in ("target_wins", "source_wins"):
            says = entity.existing.get(name)
            meant = "fill_empty" if stated.rule == "target_wins" else "overwrite"
            if not entity.updates:
                message = f"`{stated.rule}` does nothing under `write: {entity.write}`, which changes no row that is there"
                reading.wrong("conflict", place, message, "write add_or_update, or remove it")
            elif says is not None and says != meant:
                message = f"`{stated.rule}` is `{meant}`, and `existing` says {says} of this field"
                reading.wrong("conflict", place, message, "say one of the two")


def _with(entity: Entity, name: str, stated: Survive, place: Position, reading: Reading) -> None:
    """A value that goes with another one, in the target too."""
    rules = entity.duplicates
    assert rules is not None
    assert stated.by is not None, "the language asks for it"
    other = entity.fields.get(stated.by)
    own = entity.fields.get(name)
    if name == DEFAULT:
        reading.wrong("conflict", place, "`with` is about one field", "name the field")
    elif other is None or own is None:
        return  # told already
    elif (further := rules.surviving(stated.by)) is not None and further.rule == "with":
        message = f"`{one_line(stated.by)}` goes with another field itself"
        reading.wrong("conflict", place, message, "name the field that both go with")
    elif own.list is not None or own.ref or own.find or other.list is not None:
        message = f"`{one_line(name)}` and `{one_line(stated.by)}` are not both plain values"
        reading.wrong(
            "conflict", place, message, "`with` is about a plain value and the field that it goes with"
        )
    elif entity.updates:
        mine, theirs = entity.on_existing(name), entity.on_existing(stated.by)
        if mine != theirs or mine == "fill_empty":
            reading.wrong(
                "conflict",
                place,
                f"in rows that are there `{one_line(stated.by)}` is `{theirs}` and `{one_line(name)}` is `{mine}`: one could be written without the other",
                "say `keep` or `overwrite` of both under `existing`",
            )


def _against(entity: Entity, here: Path_, reading: Reading) -> None:
    rules = entity.duplicates
    against = rules.against if rules is not None else None
    if rules is None or against is None:
        return
    if against.table not in ("", entity.into, entity.name):
        reading.wrong(
            "conflict",
            reading.key_at(*here, "against", against.table),
            f"these rows go into `{one_line(entity.into)}`, not into `{one_line(against.table)}`",
            "`against` is about rows of the same table; `known_as` about those of another",
        )
    if not entity.inserts and entity.write != "link":
        reading.wrong(
            "conflict",
            reading.key_at(*here, "against"),
            f"`against` does nothing under `write: {entity.write}`, which brings no new row",
            "remove it",
        )
    for field in against.columns:
        if field not in rules.columns and field in entity.fields:
            message = f"`{one_line(field)}` is not compared"
            reading.wrong(
                "conflict", reading.at(*here, "against"), message, "name it under `same` or `similar`"
            )
    needs = {"update": entity.updates, "link": entity.write == "add_or_link"}
    if against.then is not None and not needs.get(against.then, True):
        wanted = "add_or_update" if against.then == "update" else "add_or_link"
        reading.wrong(
            "conflict",
            reading.at(*here, "against", "then"),
            f"`then: {against.then}` needs `write: {wanted}`, and here it is {entity.write}",
            f"write: {wanted}",
        )


def _conflicts(entity: Entity) -> Iterator[tuple[str, str]]:
    if entity.write == "link":
        yield "`duplicates` does nothing under `write: link`, which only finds rows", "remove it"
    if entity.key_is_content:
        yield (
            "`key: content` tells equal rows apart by a number, and `duplicates` makes them one",
            "name key columns",
        )
    for name in consented_fields(entity):
        field = entity.fields[name]
        if field.list is not None and any(v.ref or v.find for v in list_values(field).values()):
            yield (
                f"`{one_line(name)}` needs consent and holds references: such a list stays the survivor's own, whatever the others say",
                "take the consent of its values, or their references, out",
            )
