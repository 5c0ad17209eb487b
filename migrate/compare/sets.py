"""Sets of row hashes against each other: which rows differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from migrate import failpoints
from migrate.duck import workspace
from migrate.errors import Corrupt, Unreachable


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
