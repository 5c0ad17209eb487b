"""Catalogues against each other: what of a schema differs, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migrate.model import Column, ForeignKey, Index, Schema, Table
from migrate.model import Sequence as Sequence_


def compare_schemas(expected: Schema, found: Schema) -> list[str]:
    """Differences between two catalogues of one engine, one readable line each; empty if there are none.

    Compares what a restore promises: columns (in order), keys, uniques, foreign keys, checks, indexes,
    sequence positions, enums, table options; names too, also those an engine made up. Views, triggers,
    comments, functions and grants are listed elsewhere, not compared. Lines hold names and SQL, no row values.
    """
    if expected.engine != found.engine:
        return [f"engine: expected {expected.engine}, found {found.engine}"]
    lines: list[str] = []
    wanted, there = ({t.name: t for t in s.tables} for s in (expected, found))
    lines += _named("table", dict.fromkeys(wanted, ""), dict.fromkeys(there, ""))
    for name in wanted.keys() & there.keys():
        lines += [f"table {name}: {line}" for line in _tables(wanted[name], there[name])]
    lines += _named(
        "sequence", *({s.name: _sequence(s) for s in schema.sequences} for schema in (expected, found))
    )
    lines += _named(
        "enum", *({n: ", ".join(v) for n, v in schema.enums.items()} for schema in (expected, found))
    )
    return sorted(lines)


def _named(what: str, expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Things with a name and a description."""
    lines = [f"{what} {name} is missing" for name in expected if name not in found]
    lines += [f"{what} {name} is extra" for name in found if name not in expected]
    lines += [
        f"{what} {name}: expected {text}, found {found[name]}"
        for name, text in expected.items()
        if name in found and found[name] != text
    ]
    return lines


def _tables(expected: Table, found: Table) -> list[str]:
    lines = _named("column", *({c.name: _column(c) for c in t.columns} for t in (expected, found)))
    if not lines and expected.column_names != found.column_names:
        lines.append(
            f"column order: expected {_list(expected.column_names)}, found {_list(found.column_names)}"
        )
    lines += _changed("primary key", _list(expected.primary_key), _list(found.primary_key))
    lines += _named(
        "unique",
        *(
            {u.name: f"({_list(u.columns)}) {u.definition}".rstrip() for u in t.uniques}
            for t in (expected, found)
        ),
    )
    lines += _named(
        "foreign key", *({f.name: _foreign_key(f) for f in t.foreign_keys} for t in (expected, found))
    )
    lines += _named(
        "check", *({c.name: c.sql + _state(c.validated) for c in t.checks} for t in (expected, found))
    )
    lines += _named("index", *({i.name: _index(i) for i in t.indexes} for t in (expected, found)))
    return lines + _changed("options", expected.options or "none", found.options or "none")


def _changed(what: str, expected: str, found: str) -> list[str]:
    return [] if expected == found else [f"{what}: expected {expected}, found {found}"]


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _state(validated: bool) -> str:
    return "" if validated else " not valid"


def _column(column: Column) -> str:
    type_ = column.type
    parts = [type_.native or repr(type_), "null" if column.nullable else "not null"]
    for word, value in (
        ("default", column.default),
        ("generated as", column.generated),
        ("identity", column.identity),
        ("sequence", column.sequence),
        ("collate", column.collation),
    ):
        if value is not None:
            parts.append(f"{word} {value}")
    return " ".join(parts)


def _foreign_key(key: ForeignKey) -> str:
    deferrable = " deferrable" if key.deferrable else " not deferrable"
    deferred = " initially deferred" if key.initially_deferred else ""
    return (
        f"({_list(key.columns)}) references {key.ref_table} ({_list(key.ref_columns)})"
        f" on delete {key.on_delete} on update {key.on_update}"
        f"{deferrable}{deferred}{_state(key.validated)}"
    )


def _index(index: Index) -> str:
    return f"{'unique ' if index.unique else ''}({_list(index.columns)}) {index.sql}".rstrip()


def _sequence(sequence: Sequence_) -> str:
    position = "never used" if sequence.last_value is None else f"at {sequence.last_value}"
    return f"{position} {sequence.definition}".rstrip()
