"""Where a field's values come from, held against the columns that are there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from migrate.mapping.model import Field
from migrate.mapping.model import Origin as Stated
from migrate.mapping.template import Name, pieces
from migrate.model import Kind, Type
from migrate.transform.origin import (
    Chosen,
    Computed,
    Constant,
    FirstOf,
    NamedRow,
    OneColumn,
    Origin,
    Template,
)
from migrate.transform.result_types import common
from migrate.transform.scope import Scope
from migrate.transform.values import TEXT


@dataclass(frozen=True)
class Compiled:
    """`type` of the values; `columns`: those that values are taken from; `reads`: these and what conditions name."""

    origin: Origin
    type: Type
    columns: tuple[str, ...] = ()
    reads: frozenset[str] = frozenset()


def compile_origin(field: Field, path: str, scope: Scope) -> Compiled | None:
    """None: what is wrong has been reported."""
    if field.first_of:
        return _first_of(field.first_of, path, scope)
    if field.text is not None:
        return _template(field.text, path, scope)
    if field.choose:
        return _chosen(field, path, scope)
    if field.from_columns:
        return _named_row(field.from_columns, path, scope)
    return _plain(Stated(from_=field.from_, value=field.value, expr=field.expr), path, scope)


def _plain(stated: Stated, path: str, scope: Scope) -> Compiled | None:
    if stated.from_ is not None:
        column = scope.column(stated.from_, f"{path}.from")
        if column is None:
            return None
        return Compiled(OneColumn(column.name), column.type, (column.name,), frozenset([column.name]))
    if stated.expr is not None:
        prepared = scope.sql(stated.expr, f"{path}.expr")
        if prepared is None:
            return None
        return Compiled(Computed(prepared.sql), prepared.type, (), frozenset(prepared.columns))
    return Compiled(Constant(stated.value), TEXT)


def _first_of(names: Iterable[str], path: str, scope: Scope) -> Compiled | None:
    found = [scope.column(name, f"{path}.first_of.{n}") for n, name in enumerate(names)]
    columns = [c for c in found if c is not None]
    if len(columns) < len(found):
        return None
    taken = tuple(c.name for c in columns)
    type_ = _shared([c.type for c in columns], path, scope)
    return None if type_ is None else Compiled(FirstOf(taken, type_), type_, taken, frozenset(taken))


def _named_row(names: Iterable[str], path: str, scope: Scope) -> Compiled | None:
    """Columns that name a row: those of bytes and lists cannot."""
    found = [scope.column(name, f"{path}.from.{n}") for n, name in enumerate(names)]
    for column in found:
        if column is not None and column.type.kind in (Kind.BYTES, Kind.ARRAY):
            what = f'"{column.name}" holds {column.type.kind.value} values, which name no row'
            scope.wrong("type", f"{path}.from", what)
    taken = tuple(c.name for c in found if c is not None)
    return Compiled(NamedRow(taken), TEXT, (), frozenset(taken)) if len(taken) == len(found) else None


def _template(text: str, path: str, scope: Scope) -> Compiled | None:
    found: list[str | Name] = []
    for piece in pieces(text):
        if isinstance(piece, str):
            found.append(piece)
            continue
        column = scope.column(piece.column, f"{path}.text")
        if column is not None and column.type.kind in (Kind.BYTES, Kind.ARRAY):
            scope.wrong(
                "type",
                f"{path}.text",
                f'"{column.name}" holds {column.type.kind.value} values, which have no text',
            )
        elif column is not None:
            found.append(Name(column.name))
    if len(found) < len(pieces(text)):
        return None
    taken = tuple(piece.column for piece in found if isinstance(piece, Name))
    return Compiled(Template(tuple(found)), TEXT, (), frozenset(taken))


def _chosen(field: Field, path: str, scope: Scope) -> Compiled | None:
    conditions, origins = [], []
    for number, case in enumerate(field.choose):
        place = f"{path}.choose.{number}"
        conditions.append(scope.sql(case.when, f"{place}.when", boolean=True))
        origins.append(_plain(case, place, scope))
    last: Compiled | None = None
    if isinstance(field.otherwise, Stated):
        last = _plain(field.otherwise, f"{path}.else", scope)
    good = [o for o in origins if o is not None]
    asked = [c for c in conditions if c is not None]
    if len(good) + len(asked) < 2 * len(field.choose) or (
        isinstance(field.otherwise, Stated) and last is None
    ):
        return None
    made = [*good, *([last] if last else [])]
    type_ = _shared([o.type for o in made], path, scope)
    if type_ is None:
        return None
    decision = " ".join(f"WHEN (\n{c.sql}\n) THEN {n}" for n, c in enumerate(asked))
    decision = f"CASE {decision} ELSE -1 END"
    named = tuple(dict.fromkeys(name for c in asked for name in c.columns))
    scope.columns_of_sql[decision] = named
    return Compiled(
        Chosen(decision, tuple(o.origin for o in good), last.origin if last else None, type_),
        type_,
        tuple(dict.fromkeys(c for o in made for c in o.columns)),
        frozenset(named).union(*(o.reads for o in made)),
    )


def _shared(types: list[Type], path: str, scope: Scope) -> Type | None:
    """The type that all have in common, text where they differ; bytes and lists have no text."""
    shared = common(types)
    odd = next((t.kind for t in types if t.kind in (Kind.BYTES, Kind.ARRAY)), None)
    if odd is not None and shared.kind is not odd:
        scope.wrong("type", path, f"{odd.value} values and others have no kind in common")
        return None
    return shared
