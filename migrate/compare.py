"""Expected against found: digests, sets of rows, cells and catalogues.

Digests say whether, sets of row hashes say which rows, cells say what. A difference is a result
here, never an exception; an exception means that the comparison could not be made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import duckdb
import pyarrow as pa

from migrate import failpoints
from migrate.canon import Digest, Tag, canonical_bytes, canonical_text
from migrate.duck import workspace
from migrate.errors import Corrupt, GateClosed, Unreachable
from migrate.model import Column, ForeignKey, Index, Kind, Schema, Table, Type, Verdict
from migrate.model import Sequence as Sequence_

SHOWN = 200  # characters of a value in a cell difference


def compare_digests(check: str, expected: Digest, found: Digest, *, table: str) -> Verdict:
    """Passed if algorithm-equal digests agree in rows and both lanes; else the reason names the damage as far as
    digests can tell: rows missing or extra, and how many of the 64 buckets differ.

    Raises GateClosed if they are of different algorithms, which proves neither.
    """
    if expected.algorithm != found.algorithm:
        raise GateClosed(
            f"digests of {expected.algorithm} and {found.algorithm} cannot be compared",
            where=table,
            hint="Compute both again from the stored bytes.",
        )
    evidence: dict[str, object] = {"table": table, "rows_expected": expected.rows, "rows_found": found.rows}
    if expected == found:
        return Verdict(check, True, expected.text(), found.text(), "", evidence)
    gap = found.rows - expected.rows
    if gap:
        reason = f"{table}: {_rows(abs(gap))} {'extra' if gap > 0 else 'missing'}"
    else:
        reason = f"{table}: {_rows(expected.rows)} on both sides, of different content"
    if expected.buckets and len(expected.buckets) == len(found.buckets):
        differing = [
            n for n, (a, b) in enumerate(zip(expected.buckets, found.buckets, strict=True)) if a != b
        ]
        evidence["buckets"] = differing
        reason += f"; {len(differing)} of {len(expected.buckets)} buckets differ"
    return Verdict(check, False, expected.text(), found.text(), reason, evidence)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


# -- sets of rows -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetDifference:
    """Rows by key and hash. expected = matched + missing + different, found = matched + extra + different.

    `duplicates` counts the keys that occur more than once on either side. The key lists are the first
    ones in the order of their bytes; None stands for a NULL key.
    """

    matched: int
    missing: int
    extra: int
    different: int
    duplicates: int
    missing_keys: tuple[str | None, ...] = ()
    extra_keys: tuple[str | None, ...] = ()
    different_keys: tuple[str | None, ...] = ()

    @property
    def equal(self) -> bool:
        """As multisets: every row has its counterpart. Duplicate keys do not matter by themselves."""
        return not (self.missing or self.extra or self.different)


def compare_sets(
    expected: Sequence[Path], found: Sequence[Path], *, limit: int = 20, temp: Path
) -> SetDifference:
    """Compares Parquet files with columns `key` (string) and `hash` (16 bytes) as multisets of rows.

    Out of core: at most ~256 MB of memory, the rest in a folder below `temp`, removed afterwards. Rows of one
    key are matched by hash first; what remains on both sides is `different`, on one side missing or extra.
    Raises Corrupt if a file is not readable as such, Unreachable if memory or disk do not suffice.
    """
    failpoints.hit("compare.sets.query")
    try:
        with workspace(temp, memory="256MB", on_disk=False) as db:
            return _difference(db, expected, found, limit)
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        missing = [p.name for p in (*expected, *found) if not p.is_file()]
        if missing:
            raise Corrupt("rows to compare are gone", where=missing[0]) from None
        raise Unreachable("memory or disk did not suffice to compare the rows", where=str(temp)) from error
    except duckdb.Error:
        raise Corrupt(
            "rows to compare are not readable as Parquet with columns key and hash", where=str(temp)
        ) from None


# Keys whose rows are not all matched: how many rows without a counterpart of the same hash each side has left.
_ODD_UNIQUE = """
create table odd as
select coalesce(e.key, f.key) as key, (e.there is not null)::bigint as left_e, (f.there is not null)::bigint as left_f,
  false as duplicate
from (select key, hash, 1 as there from {e}) e
full outer join (select key, hash, 1 as there from {f}) f on e.key is not distinct from f.key
where e.there is null or f.there is null or e.hash is distinct from f.hash
"""
_ODD_REPEATED = """
create table odd as
with by_hash as (
  select key, sum(e)::bigint e, sum(f)::bigint f
  from (select key, hash, 1 as e, 0 as f from {e} union all select key, hash, 0, 1 from {f})
  group by key, hash
)
select key, sum(greatest(e - f, 0))::bigint left_e, sum(greatest(f - e, 0))::bigint left_f,
  sum(e) > 1 or sum(f) > 1 as duplicate
from by_hash group by key having left_e > 0 or left_f > 0 or duplicate
"""


_ODD_COUNTS = """
select coalesce(sum(greatest(left_e - left_f, 0)), 0), coalesce(sum(greatest(left_f - left_e, 0)), 0),
  coalesce(sum(least(left_e, left_f)), 0), count(*) filter (duplicate)
from odd
"""


def _difference(
    db: duckdb.DuckDBPyConnection, expected: Sequence[Path], found: Sequence[Path], limit: int
) -> SetDifference:
    sources = [_source(paths) for paths in (expected, found)]
    rows, distinct = zip(
        *(_row(db, f"select count(*), count(distinct hash(key)) from {source}") for source in sources),
        strict=True,
    )
    # A join is many times faster, but rows of a repeated key would meet crosswise. Equal hashes of
    # different keys only lead to the slower way.
    query = _ODD_UNIQUE if rows == distinct else _ODD_REPEATED
    db.execute(query.format(e=sources[0], f=sources[1]))
    missing, extra, different, duplicates = _row(db, _ODD_COUNTS)
    if rows[0] - missing != rows[1] - extra:
        raise Corrupt("the rows to compare changed while they were read")

    def keys(number: int, condition: str) -> tuple[str | None, ...]:
        if not number:
            return ()
        query = f"select key from odd where {condition} order by key nulls first limit {int(limit)}"
        return tuple(row[0] for row in db.execute(query).fetchall())

    return SetDifference(
        matched=rows[0] - missing - different,
        missing=missing,
        extra=extra,
        different=different,
        duplicates=duplicates,
        missing_keys=keys(missing, "left_e > left_f"),
        extra_keys=keys(extra, "left_f > left_e"),
        different_keys=keys(different, "left_e > 0 and left_f > 0"),
    )


def _source(paths: Sequence[Path]) -> str:
    if not paths:
        return "(select ''::varchar as key, ''::blob as hash where false)"
    files = ", ".join("'" + str(p).replace("'", "''") + "'" for p in paths)
    return f"(select key::varchar as key, hash::blob as hash from read_parquet([{files}]))"


def _row(db: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    row = db.execute(query).fetchone()
    assert row is not None
    return tuple(int(value) for value in row)


# -- cells --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CellDifference:
    """One cell that is not as expected; None is NULL. `column` is empty where a whole row is on one side only."""

    key: str
    column: str
    expected: str | None
    found: str | None


def cell_differences(
    expected: pa.Table, found: pa.Table, key: str, types: Mapping[str, Type], limit: int
) -> list[CellDifference]:
    """The first `limit` cells, by key and column, whose canonical forms differ between rows of the same key.

    For rows that `compare_sets` has named already: works row by row in memory. `key` is the column that
    pairs the rows (rows of a repeated key are paired in order); a column of one table only counts as
    different in every row. Values are shortened to 200 characters around the first difference. They are
    customers' data: write them to a local file of mode 0600, never to a log or a report that travels.
    Raises Corrupt if `key` is missing, or a column is not of its type.
    """
    sides = [_Side.of(table, key, types) for table in (expected, found)]
    columns = [name for name in dict.fromkeys([*expected.column_names, *found.column_names]) if name != key]
    differences: list[CellDifference] = []
    for text in sorted(set(sides[0].places) | set(sides[1].places)):
        for left, right in _paired(sides[0], sides[1], text):
            if left is None or right is None:
                here = (None, "a row") if left is None else ("a row", None)
                differences.append(CellDifference(text, "", *here))
            else:
                differences += _cells(text, columns, sides, (left, right))
            if len(differences) >= limit:
                return differences[:limit]
    return differences


@dataclass(frozen=True)
class _Side:
    places: Mapping[str, Sequence[int]]  # key → rows
    forms: Mapping[str, Sequence[tuple[int, bytes]]]
    texts: Mapping[str, Sequence[str | None]]

    @classmethod
    def of(cls, table: pa.Table, key: str, types: Mapping[str, Type]) -> _Side:
        for name in (key, *table.column_names):
            if table.schema.get_field_index(name) < 0:
                raise Corrupt("is missing from the rows, or there twice", where=name)
            if name not in types and name != key:
                raise Corrupt("has no declared type", where=name)
        places: dict[str, list[int]] = {}
        keys = canonical_text(table.column(key), types.get(key, Type(Kind.TEXT))).to_pylist()
        for row, text in enumerate(keys):
            places.setdefault("NULL" if text is None else text, []).append(row)
        names = [name for name in table.column_names if name != key]
        forms = {
            name: [
                pair
                for chunk in table.column(name).chunks
                for pair in canonical_bytes(chunk, types[name], name)
            ]
            for name in names
        }
        texts = {name: canonical_text(table.column(name), types[name]).to_pylist() for name in names}
        return cls(places, forms, texts)


def _paired(expected: _Side, found: _Side, key: str) -> Iterable[tuple[int | None, int | None]]:
    """Rows of one key: equal ones leave in pairs first, the rest is paired in order."""
    left, right = (list(side.places.get(key, ())) for side in (expected, found))
    if len(left) > 1 or len(right) > 1:
        names = sorted(expected.forms.keys() & found.forms.keys())
        for row in list(left):
            form = [expected.forms[name][row] for name in names]
            twin = next((r for r in right if [found.forms[name][r] for name in names] == form), None)
            if twin is not None:
                left.remove(row)
                right.remove(twin)
    return zip_longest(left, right)


def _cells(
    key: str, columns: Iterable[str], sides: Sequence[_Side], rows: tuple[int, int]
) -> list[CellDifference]:
    differences = []
    for name in columns:
        if not all(name in side.forms for side in sides):
            here = ("a column", None) if name in sides[0].forms else (None, "a column")
            differences.append(CellDifference(key, name, *here))
            continue
        forms = [side.forms[name][row] for side, row in zip(sides, rows, strict=True)]
        if forms[0] == forms[1]:
            continue
        texts = [side.texts[name][row] for side, row in zip(sides, rows, strict=True)]
        if texts[0] == texts[1]:  # the same to the eye: say it by kind and bytes
            texts = [
                f"{text} (kind {Tag(form[0]).name.lower()}, bytes {form[1].hex()})"
                for text, form in zip(texts, forms, strict=True)
            ]
        differences.append(CellDifference(key, name, *_shortened(texts[0], texts[1])))
    return differences


def _shortened(expected: str | None, found: str | None) -> tuple[str | None, str | None]:
    """Both cut to SHOWN characters, such that the first difference is in sight."""
    if len(expected or "") <= SHOWN and len(found or "") <= SHOWN:
        return expected, found
    start = 0
    if expected is not None and found is not None:
        same = next(
            (n for n, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b),
            min(len(expected), len(found)),
        )
        start = max(0, same - SHOWN // 2)

    def cut(text: str | None) -> str | None:
        if text is None:
            return None
        piece = ("…" if start else "") + text[start:]
        return piece if len(piece) <= SHOWN else piece[: SHOWN - 1] + "…"

    return cut(expected), cut(found)


# -- catalogues ---------------------------------------------------------------------------------


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
