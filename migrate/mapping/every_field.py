"""Every field of an entity, wherever it stands: let values, fields, and the values inside lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migrate.mapping.model import Entity, Field, Item, ListOf

Path = tuple[str | int, ...]


def every_field(entity: Entity) -> Iterator[tuple[Path, Field]]:
    """(where it stands in the entity, the field); a list before the values in it."""
    for section, fields in (("let", entity.let), ("fields", entity.fields)):
        for name, field in fields.items():
            yield (section, name), field
            yield from _inside((section, name), field)


def _inside(path: Path, field: Field) -> Iterator[tuple[Path, Field]]:
    if field.list is None:
        return
    for number, item in enumerate(field.list.items):
        yield from _of_item((*path, "list", number), item)
    if field.list.each is not None:
        yield from _of_item((*path, "list", "each"), field.list.each)


def _of_item(path: Path, item: Item) -> Iterator[tuple[Path, Field]]:
    for name, value in item.values.items():
        yield ((*path, name) if name else path), value


def with_every_field(entity: Entity, change: Callable[[Field], Field]) -> Entity:
    """The entity with each of its fields changed."""

    def changed(field: Field) -> Field:
        made = change(field)
        return made.model_copy(update={"list": _list(made.list)}) if made.list is not None else made

    def _list(given: ListOf) -> ListOf:
        items = {"items": tuple(_item(item) for item in given.items)} if given.items else {}
        return given.model_copy(
            update={**items, **({"each": _item(given.each)} if given.each is not None else {})}
        )

    def _item(item: Item) -> Item:
        if item.field is not None:
            return item.model_copy(update={"field": changed(item.field)})
        return item.model_copy(update={"keys": {name: changed(value) for name, value in item.keys.items()}})

    made = {"fields": {name: changed(field) for name, field in entity.fields.items()}}
    if entity.let:
        made["let"] = {name: changed(field) for name, field in entity.let.items()}
    return entity.model_copy(update=made)
