"""What an SQLite database declares, as `Schema`. Everything here only reads."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from migrate.connectors.sqlite.names import ours, quote
from migrate.connectors.sqlite.types import declared_type
from migrate.errors import Unreachable
from migrate.model import Check, Column, ForeignKey, Index, Schema, Table, Unique
from migrate.model import Sequence as KeySequence

OLDEST = (3, 37, 0)  # PRAGMA table_list


def check_version() -> None:
    """Raises Unreachable if the SQLite library is too old."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise Unreachable(
            f"SQLite {sqlite3.sqlite_version} is too old, {'.'.join(map(str, OLDEST))} is needed",
            hint="Use a newer Python.",
        )


def read_schema(connection: sqlite3.Connection, tables: Sequence[str] | None = None) -> Schema:
    """Catalogue of `tables` (all user tables if None; ours only where named), declared types. Names that do not
    exist are left out."""
    wanted = None if tables is None else set(tables)
    listed = connection.execute("PRAGMA main.table_list").fetchall()
    kinds = {
        str(name): str(kind) for _, name, kind, *_ in listed if not ours(str(name)) or name in (wanted or ())
    }
    without_rowid = {str(row[1]) for row in listed if row[4]}
    strict = {str(row[1]) for row in listed if row[5]}
    names = sorted(name for name, kind in kinds.items() if kind == "table")
    canonical = {name.lower(): name for name in names}
    found = tuple(
        _table(connection, name, canonical, without_rowid=name in without_rowid, strict=name in strict)
        for name in names
        if wanted is None or name in wanted
    )
    return Schema(
        engine="sqlite",
        version=sqlite3.sqlite_version,
        tables=found,
        sequences=_sequences(connection, found),
        not_carried=tuple(
            f"{kind} {name}" for name, kind in sorted(kinds.items()) if kind in ("view", "virtual", "shadow")
        ),
    )


def _table(
    connection: sqlite3.Connection, name: str, canonical: dict[str, str], *, without_rowid: bool, strict: bool
) -> Table:
    sql = _sql(connection, "table", name)
    info = connection.execute(f"PRAGMA main.table_xinfo({quote(name)})").fetchall()
    key = tuple(str(row[1]) for row in sorted((r for r in info if r[5]), key=lambda r: r[5]))
    alias = _rowid_alias(info, key, sql, without_rowid)
    parts = split_definitions(sql)
    columns = tuple(_column(row, parts, alias) for row in info if row[6] in (0, 2, 3))
    uniques, indexes = _indexes(connection, name)
    triggers = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY name",
        (name,),
    ).fetchall()
    options = [word for word, on in (("STRICT", strict), ("WITHOUT ROWID", without_rowid)) if on]
    if _autoincrement(connection, name, sql):
        options.append("AUTOINCREMENT")
    return Table(
        name=name,
        columns=columns,
        primary_key=key,
        uniques=uniques,
        foreign_keys=_foreign_keys(connection, name, canonical, parts),
        checks=tuple(_checks(parts)),
        indexes=indexes,
        triggers=tuple(str(trigger) for trigger, _ in triggers),
        options=", ".join(options),
        not_carried=tuple(f"trigger {trigger}" for trigger, _ in triggers),
        sql=sql,
    )


def _sql(connection: sqlite3.Connection, kind: str, name: str) -> str:
    row = connection.execute(
        "SELECT sql FROM sqlite_master WHERE type = ? AND name = ?", (kind, name)
    ).fetchone()
    return str(row[0]) if row and row[0] else ""


def _column(row: Sequence[object], parts: list[list[str]], alias: str | None) -> Column:
    _, name, declared, not_null, default, _, hidden = row[:7]
    tokens = _column_tokens(parts, str(name))
    type_text = str(declared or "")
    if hidden:  # table_xinfo keeps GENERATED ALWAYS in the type
        type_text = re.sub(r"\s*GENERATED ALWAYS\s*$", "", type_text, flags=re.IGNORECASE)
    return Column(
        name=str(name),
        type=declared_type(type_text),
        nullable=not not_null and name != alias,
        default=None if default is None else str(default),
        generated=_generated(tokens, stored=hidden == 3) if hidden else None,
        identity="by default" if name == alias else None,
        collation=_collation(tokens),
    )


def _rowid_alias(
    info: list[Sequence[object]], key: tuple[str, ...], sql: str, without_rowid: bool
) -> str | None:
    """The INTEGER PRIMARY KEY, if there is one (a `DESC` in the column's definition makes it an ordinary key)."""
    if without_rowid or len(key) != 1:
        return None
    row = next(r for r in info if r[1] == key[0])
    if str(row[2]).strip().upper() != "INTEGER":
        return None
    tokens = [t.upper() for t in _column_tokens(split_definitions(sql), key[0])]
    for at in range(len(tokens) - 2):
        if tokens[at : at + 3] == ["PRIMARY", "KEY", "DESC"]:
            return None
    return key[0]


def _autoincrement(connection: sqlite3.Connection, name: str, sql: str) -> bool:
    return "AUTOINCREMENT" in (token.upper() for part in split_definitions(sql) for token in part)


def _indexes(connection: sqlite3.Connection, table: str) -> tuple[tuple[Unique, ...], tuple[Index, ...]]:
    uniques: list[Unique] = []
    indexes: list[Index] = []
    for _, name, unique, origin, _partial in connection.execute(
        f"PRAGMA main.index_list({quote(table)})"
    ).fetchall():
        columns = tuple(
            str(column)
            for _, cid, column in connection.execute(f"PRAGMA main.index_info({quote(name)})").fetchall()
            if cid >= 0 and column is not None
        )
        if origin == "u":
            uniques.append(Unique("", columns))
        elif origin == "c":
            indexes.append(Index(str(name), _sql(connection, "index", name), bool(unique), columns))
    # Unnamed constraints of SQLite get names that do not depend on the order of the pragma.
    uniques.sort(key=lambda u: u.columns)
    named = tuple(replace(u, name=f"{table}_unique_{'_'.join(u.columns)}") for u in uniques)
    return named, tuple(sorted(indexes, key=lambda i: i.name))


def _foreign_keys(
    connection: sqlite3.Connection, table: str, canonical: dict[str, str], parts: list[list[str]]
) -> tuple[ForeignKey, ...]:
    rows: dict[int, list[Sequence[object]]] = {}
    for row in connection.execute(f"PRAGMA main.foreign_key_list({quote(table)})").fetchall():
        rows.setdefault(int(row[0]), []).append(row)
    deferred = _deferred(parts, len(rows))
    found = []
    # The pragma numbers them backwards: the highest id is the first in the text.
    for place, number in enumerate(sorted(rows, reverse=True)):
        group = sorted(rows[number], key=lambda r: int(str(r[1])))
        parent = canonical.get(str(group[0][2]).lower(), str(group[0][2]))
        columns = tuple(str(r[3]) for r in group)
        ref = tuple(str(r[4]) for r in group if r[4] is not None)
        if not ref:
            info = connection.execute(f"PRAGMA main.table_xinfo({quote(parent)})").fetchall()
            ref = tuple(str(r[1]) for r in sorted((r for r in info if r[5]), key=lambda r: r[5]))
        found.append(
            ForeignKey(
                name=f"{table}_{'_'.join(columns)}_fkey",
                columns=columns,
                ref_table=parent,
                ref_columns=ref,
                on_update=str(group[0][5]),
                on_delete=str(group[0][6]),
                deferrable=deferred[place],
                initially_deferred=deferred[place],
            )
        )
    return tuple(found)


def _sequences(connection: sqlite3.Connection, tables: Sequence[Table]) -> tuple[KeySequence, ...]:
    counted = [t.name for t in tables if "AUTOINCREMENT" in t.options]
    if not counted:
        return ()
    positions = dict(connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
    return tuple(KeySequence(name, positions.get(name)) for name in counted)


# --- the CREATE TABLE text: only what no pragma tells (checks, collations, deferral, generated) ---

_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|$)|\s+          # comments and space
      |'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]
      |[^\W\d]\w*(?:\$\w*)*|\d[\w.]*|->>?|<<|>>|<>|[|]{2}|[<>!=]=|.""",
    re.VERBOSE | re.DOTALL,
)


def tokens_of(sql: str) -> list[str]:
    """Tokens without comments and white space."""
    found = (m[0] for m in _TOKEN.finditer(sql))
    return [t for t in found if not t.isspace() and not t.startswith(("--", "/*"))]


def split_definitions(sql: str) -> list[list[str]]:
    """Tokens of each column definition and table constraint inside the outer parentheses."""
    parts: list[list[str]] = [[]]
    depth = 0
    for token in tokens_of(sql):
        if token == "(":
            depth += 1
            if depth == 1:
                continue
        elif token == ")":
            depth -= 1
            if depth == 0:
                break
        if depth == 1 and token == ",":
            parts.append([])
        elif depth >= 1:
            parts[-1].append(token)
    return [p for p in parts if p]


def unquoted(token: str) -> str:
    if len(token) >= 2 and token[0] in "\"'`" and token[-1] == token[0]:
        return token[1:-1].replace(token[0] * 2, token[0])
    if token.startswith("[") and token.endswith("]"):
        return token[1:-1]
    return token


_CONSTRAINT_WORDS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")


def _column_tokens(parts: list[list[str]], name: str) -> list[str]:
    for part in parts:
        if part[0].upper() not in _CONSTRAINT_WORDS and unquoted(part[0]).lower() == name.lower():
            return part
    return []


def _collation(tokens: list[str]) -> str | None:
    for at, token in _outside_parentheses(tokens):
        if token.upper() == "COLLATE" and at + 1 < len(tokens):
            return unquoted(tokens[at + 1])
    return None


def _outside_parentheses(tokens: list[str]) -> list[tuple[int, str]]:
    depth, found = 0, []
    for at, token in enumerate(tokens):
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
        elif depth == 0:
            found.append((at, token))
    return found


def _parenthesised(tokens: list[str], start: int) -> str:
    """The text inside the parentheses that open at `start`, tokens joined by spaces."""
    depth, inside = 0, []
    for token in tokens[start:]:
        depth += (token == "(") - (token == ")")
        if depth == 0:
            break
        inside.append(token)
    return " ".join(inside[1:])


def _generated(tokens: list[str], *, stored: bool) -> str:
    for at, token in _outside_parentheses(tokens):
        if token.upper() == "AS" and at + 1 < len(tokens) and tokens[at + 1] == "(":
            return _parenthesised(tokens, at + 1) + (" STORED" if stored else " VIRTUAL")
    return "STORED" if stored else "VIRTUAL"


def _checks(parts: list[list[str]]) -> list[Check]:
    found: list[Check] = []
    for part in parts:
        for at, token in _outside_parentheses(part):
            if token.upper() == "CHECK" and at + 1 < len(part) and part[at + 1] == "(":
                named = at >= 2 and part[at - 2].upper() == "CONSTRAINT"
                name = unquoted(part[at - 1]) if named else f"check_{len(found) + 1}"
                found.append(Check(name, _parenthesised(part, at + 1)))
    return found


def _deferred(parts: list[list[str]], count: int) -> list[bool]:
    """INITIALLY DEFERRED for each REFERENCES in the text's order; the column ones come as they are written."""
    found: list[bool] = []
    for part in parts:
        words = [(at, token.upper()) for at, token in _outside_parentheses(part)]
        starts = [place for place, (_, word) in enumerate(words) if word == "REFERENCES"]
        for place, start in enumerate(starts):
            stop = starts[place + 1] if place + 1 < len(starts) else len(words)
            clause = " ".join(word for _, word in words[start:stop])
            found.append("DEFERRABLE INITIALLY DEFERRED" in clause and "NOT DEFERRABLE" not in clause)
    return found if len(found) == count else [True] * count
