"""From pairs of tables to entities: keys, fields, references, how rows are found again."""

from __future__ import annotations

import re
from collections.abc import Mapping

from migrate.model import Kind, Table
from migrate.rules.suggestion.facts import Facts, Seen
from migrate.rules.suggestion.keys import LINE, key_of
from migrate.rules.suggestion.model import Choice, Suggested, Suggestion
from migrate.rules.suggestion.names import words
from migrate.rules.suggestion.pairs import Pair, by_target, columns, columns_alike, tables, wants_value
from migrate.rules.suggestion.references import reference
from migrate.rules.suggestion.values import changes, nothing, value_map

_NOTHING = "? it must have a value and nothing was found: until it has, every row waits in quarantine"
_LIKELY = 0.25  # of a column that must have a value


def suggest(one: Facts, other: Facts) -> Suggestion:
    """`one`: the source, `other`: the target. Pure: the same facts give the same suggestion."""
    pairs = tables(one, other)
    names = _names([p.target for p in pairs])
    into = {p.target: p for p in pairs}
    entities = tuple(
        _entity(p, names, into, one, other) for p in sorted(pairs, key=lambda p: names[p.target])
    )
    return Suggestion(
        entities,
        left=tuple(t for t in one.tables if t not in {p.source for p in pairs}),
        waiting=tuple(t for t in other.tables if t not in into),
    )


def _names(targets: list[str]) -> dict[str, str]:
    """Names of entities: those of the target's tables, without their schema, each once."""
    found: dict[str, str] = {}
    for target in targets:
        plain = re.sub(r"\W+", "_", target.rpartition(".")[2]).strip("_").lower() or "rows"
        name, number = plain, 2
        while name in found.values():
            name, number = f"{plain}_{number}", number + 1
        found[target] = name
    return found


def _entity(
    pair: Pair, names: Mapping[str, str], into: Mapping[str, Pair], one: Facts, other: Facts
) -> Suggested:
    table, seen = other.tables[pair.target], other.columns[pair.target]
    key = key_of(one.tables[pair.source], one.columns[pair.source])
    found = by_target(columns(pair.source, pair.target, one, other))
    mail = _mail(found, one.columns[pair.source])
    if "owner" in words(pair.target) and mail and other.rows.get(pair.target):
        return _linked(pair, names[pair.target], key, mail)
    doubts = _of_key(key, one.columns[pair.source])
    chosen: list[Choice] = []
    opened: list[str] = []
    for name, column in seen.items():
        if not wants_value(table, column):
            continue
        choice = reference(pair, name, names, into, one, other, key)
        if choice is None and not _refers(table, name) and name in found:
            choice = _field(found[name], pair.source, one, other, table)
        if choice is None and key != LINE and len(key) == 1 and "legacy" in words(name):
            choice = Choice(name, {"from": key[0]}, 1.0)
        if choice is None and not column.column.nullable and column.column.default is None:
            free = [c for c in one.columns[pair.source] if c not in {p.source for p in found.values()}]
            choice = None if _refers(table, name) else _needed(pair, name, free, one, other)
            choice = choice or Choice(name, nothing(column), 0.0, (_NOTHING,))
        if choice is None:
            opened.append(name)
        else:
            chosen.append(choice)
    used = {str(c.says.get("from")) for c in chosen} | ({*key} if key != LINE else set())
    unused = [c for c, s in one.columns[pair.source].items() if c not in used and not s.empty]
    return Suggested(
        names[pair.target], pair.source, pair.target, key, pair.score, tuple(chosen),
        match=_match(chosen, seen), open=tuple(opened), unused=tuple(unused), doubts=doubts,
    )  # fmt: skip


def _of_key(key: tuple[str, ...] | str, seen: Mapping[str, Seen]) -> tuple[str, ...]:
    if key == LINE:
        return ("no column tells its rows apart: they are known by their place in it",)
    found = seen[key[0]].profile
    if len(key) == 1 and found is not None and not seen[key[0]].unique:
        return (
            f"{found.rows - found.distinct} rows have no {key[0]} of their own, and would wait in quarantine",
        )
    return ()


def _needed(pair: Pair, name: str, free: list[str], one: Facts, other: Facts) -> Choice | None:
    """A column that must have a value and got none: a name from its parts, else the likeliest of what is left."""
    source, theirs = one.columns[pair.source], other.columns[pair.target][name]
    parts = {w: c for c in source for w in words(c) if w in ("given", "family") and len(words(c)) == 1}
    if "name" in words(name) and len(parts) == 2:
        return Choice(name, {"text": f"{{{parts['given']}}} {{{parts['family']}}}"}, 0.7)
    likely = [(columns_alike(source[c], theirs, (pair.source, pair.target)), c) for c in free]
    score, best = max(likely, default=(0.0, ""))
    if score < _LIKELY:
        return None
    return _field(Pair(best, name, score), pair.source, one, other, other.tables[pair.target])


def _mail(found: Mapping[str, Pair], source: Mapping[str, Seen]) -> Pair | None:
    mails = [p for p in found.values() if "email" in words(p.target) and "email" in words(p.source)]
    return mails[0] if mails and mails[0].source in source else None


def _linked(pair: Pair, name: str, key: tuple[str, ...] | str, mail: Pair) -> Suggested:
    return Suggested(
        name, pair.source, pair.target, key, pair.score, (),
        match={mail.target: mail.source}, write="link",
        doubts=("people who work with the system: found in the target by their e-mail, never created",),
    )  # fmt: skip


def _refers(table: Table, column: str) -> bool:
    return any(fk.columns == (column,) for fk in table.foreign_keys)


def _field(pair: Pair, source: str, one: Facts, other: Facts, table: Table) -> Choice:
    mine = one.columns[source][pair.source]
    theirs = other.columns[table.name][pair.target]
    says: dict[str, object] = {"from": pair.source}
    doubts: list[str] = []
    if pair.score < 0.75:
        doubts.append("is it this column?")
    options = value_map(source, mine, table.name, theirs, one, other)
    if options is None or not options.values:
        done, said = changes(mine, theirs)
        says |= done
        doubts += said
    else:
        says |= {"map": options.values, "unmapped": "quarantine"}
    doubts += options.doubts if options is not None else ()
    checks: list[object] = []
    column = theirs.column
    if not column.nullable and column.default is None:
        checks.append("required")
    longest = mine.profile.max_length if mine.profile else None
    if column.type.kind is Kind.TEXT and column.type.length and (longest or 0) > column.type.length:
        checks.append({"max_length": column.type.length})
        doubts.append(f"up to {longest} characters come, {column.type.length} have room")
    if checks:
        says["check"] = checks[0] if checks == ["required"] else checks
    return Choice(pair.target, says, pair.score, tuple(doubts))


def _match(chosen: list[Choice], seen: Mapping[str, Seen]) -> tuple[str, ...]:
    """By what rows are found in the target: the source's own key that it keeps; else an e-mail that is unique there."""
    legacy = [c.column for c in chosen if "legacy" in words(c.column)]
    if legacy:
        return (legacy[0],)
    unique = [
        c.column
        for c in chosen
        if "email" in words(c.column)
        and seen[c.column].unique
        and "map" not in c.says
        and "ref" not in c.says
    ]
    return tuple(unique[:1])
