"""Rows that are somebody who is known in another table: by e-mail, telephone, domain, or another value (`known_as`).

Both sides lie in Parquet files and meet in DuckDB; only rows of which the other side has the value come out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb

from migrate.duck import count, identifier, literal, parquet
from migrate.mapping.duplicates import Decide
from migrate.rules.matching.clean import cleaned, not_nothing
from migrate.rules.matching.guessed import guessed_kinds

Like = Literal["email", "phone", "domain", "exact"]
LARGEST = Decide().largest  # a value that more rows share stands for nobody

_HOST = (
    "regexp_replace(regexp_extract(lower(trim({0})), "
    "'^(?:[a-z][a-z0-9+.-]*://|mailto:|//)?(?:[^/?#@]*@)?([^/?#:@\\s]+)', 1), '^www[0-9]*\\.|\\.$', '', 'g')"
)


@dataclass(frozen=True)
class There:
    """Rows of one place: of the target (`entity` None), by `tkey`; or of an entity of this run, by `__rid`, of which those
    that are part of another row (`merging`) stand for that one. `item`: as in `migrate.mapping.known_as.KnownBy`."""

    files: tuple[Path, ...]
    column: str
    entity: str | None = None
    merging: Path | None = None
    item: str | None = None
    withheld: str | None = None


@dataclass(frozen=True)
class Rule:
    """`words`: how the rule is called in accounts and reports; `place`: the target table in which rows are known."""

    field: str
    place: str
    like: Like
    words: str
    there: tuple[There, ...]
    withheld: str | None = None


def like_of(field: str, column: str, *, domain: bool) -> Like:
    """How values are compared: what field or column are called tells."""
    if domain:
        return "domain"
    kinds = guessed_kinds([field]) | guessed_kinds([column])
    found = {kinds.get(field), kinds.get(column)}
    return "email" if "email" in found else "phone" if "phone" in found else "exact"


def find_known(
    db: duckdb.DuckDBPyConnection, rows: Sequence[Path], rules: Sequence[Rule], *, free_mail: Collection[str]
) -> dict[str, int]:
    """Table `pairs(rid, number, words, place, entity, prid, tkey)`: per row and rule (by number) all that it is there; and of
    every rule how many values stand for nobody, because too many share them.

    `rows`: the entity's, as they would be written. Empty values, words for nothing, and domains of `free_mail` are equal
    to nothing. A domain may be shared by any number of rows here: they are one company's people."""
    db.execute(
        "CREATE OR REPLACE TEMP TABLE pairs"
        "(rid BIGINT, number INTEGER, words VARCHAR, place VARCHAR, entity VARCHAR, prid BIGINT, tkey VARCHAR)"
    )
    nobody: dict[str, int] = {}
    for number, rule in enumerate(rules):
        if not rows or not rule.there:
            continue
        mine = _form(_text(rule.field, rule.withheld), rule.like, free_mail)
        db.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE here AS SELECT rid, v FROM (SELECT __rid AS rid, {mine} AS v FROM {parquet(rows)})
            WHERE v IS NOT NULL;
            CREATE OR REPLACE TEMP TABLE there AS SELECT DISTINCT * FROM (
                {" UNION ALL ".join(_there(one, rule.like, free_mail) for one in rule.there)}
            ) SEMI JOIN here USING (v) WHERE v IS NOT NULL;
            CREATE OR REPLACE TEMP TABLE crowded AS
            SELECT v FROM there GROUP BY v, entity HAVING count(*) > {LARGEST}
            UNION SELECT v FROM here WHERE {rule.like != "domain"} GROUP BY v HAVING count(*) > {LARGEST};
            INSERT INTO pairs SELECT h.rid, {number}, {literal(rule.words)}, {literal(rule.place)}, t.entity, t.prid, t.tkey
            FROM here h JOIN there t USING (v) ANTI JOIN crowded USING (v);
            """
        )
        shared = count(db, "SELECT count(*) FROM crowded SEMI JOIN there USING (v)")
        if shared:
            nobody[rule.words] = nobody.get(rule.words, 0) + shared
    return nobody


def _there(one: There, like: Like, free_mail: Collection[str]) -> str:
    """SELECT entity, prid, tkey, v."""
    text = _text(one.column, one.withheld)
    if one.item is not None:
        path = "$[*]" + (f'."{one.item}"' if one.item else "")
        text = f"unnest(json_extract_string(TRY_CAST({text} AS JSON), {literal(path)}))"
    if one.entity is None:
        raw = f"SELECT NULL::VARCHAR AS entity, NULL::BIGINT AS prid, tkey, {text} AS raw FROM {parquet(one.files)}"
    else:
        raw = (
            f"SELECT {literal(one.entity)} AS entity, __rid AS prid, NULL::VARCHAR AS tkey, {text} AS raw "
            f"FROM {parquet(one.files)}"
        )
        if one.merging is not None:
            raw = (
                f'SELECT r.entity, coalesce(m."into", r.prid) AS prid, r.tkey, r.raw FROM ({raw}) r '
                f"LEFT JOIN {parquet([one.merging])} m ON m.rid = r.prid"
            )
    return f"SELECT entity, prid, tkey, {_form('raw', like, free_mail)} AS v FROM ({raw})"


def _text(column: str, withheld: str | None) -> str:
    text = f"CAST({identifier(column)} AS VARCHAR)"
    return text if withheld is None else f"coalesce({text}, {identifier(withheld)})"


def _form(text: str, like: Like, free_mail: Collection[str]) -> str:
    if like != "domain":
        return not_nothing(cleaned(text, like), text)
    host = _HOST.format(text)
    free = ", ".join(literal(domain.lower()) for domain in sorted(free_mail)) or "''"
    # One label is no domain, and what is typed where nothing is known (`none.com`) is nobody's.
    return not_nothing(f"CASE WHEN contains({host}, '.') AND {host} NOT IN ({free}) THEN {host} END", text)
