"""`with`: rows of other tables beside those of a road, out of core. DuckDB matches texts and carries values unread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from migrate.arrow import layout
from migrate.errors import GateClosed
from migrate.model import Column
from migrate.transform.expressions import expressions_of
from migrate.transform.keys import combined
from migrate.transform.own_columns import BASE, CODES, MISSING, ROW
from migrate.transform.roads import pivoting
from migrate.transform.roads.carry import carried, restored
from migrate.transform.roads.rows import Tables
from migrate.transform.roads.spec import JoinSpec, Nulls
from migrate.transform.roads.stream import (
    Asking,
    Stream,
    broken,
    chunks,
    fetch,
    insert,
    one,
    row_texts,
    sort_keys,
    texts_of,
    true_of,
    with_codes,
)
from migrate.transform.source_rows import SourceRows
from migrate.transform.sql import Prepared

_EXAMPLES = 5
MOST = 1_000_000_000  # rows of one join of any number


@dataclass(frozen=True)
class JoinCounts:
    """Rows of a joined table: all of them, used by some row of the road, not used; of these such that could not be read,
    and rows with names that a pivot does not list."""

    rows: int
    used: int
    unread: int = 0
    names: dict[str, int] | None = None

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"rows": self.rows, "used": self.used, "unused": self.rows - self.used}
        found |= {"unread": self.unread} if self.unread else {}
        return found | ({"names": self.names} if self.names else {})


@dataclass(frozen=True)
class Joiner:
    """Joins of one entity. `tables` by source; `where`: the entity's own condition; `place` tells where a join stands."""

    db: duckdb.DuckDBPyConnection
    entity: str
    tables: dict[str, Tables]
    where: Prepared | None
    place: Callable[[str], str]
    counts: dict[str, JoinCounts]

    # -- one row at most

    def single(self, stream: Stream, joins: Sequence[JoinSpec], nulls: Nulls, group: str) -> Stream:
        """The stream with the columns of `joins`, each of which finds one row or none. `nulls`: NULL words of the columns
        that the road ends with; `group`: a name for tables of DuckDB. Raises GateClosed where more rows are found."""
        self._left(stream, joins, group)
        for spec in joins:
            self._right(spec, _later_texts(spec, joins, stream))
            self._refuse_more(spec, stream, joins, group)
            self._match(spec, stream, joins, group)
        self._beside(joins, group)
        new = [c for spec in joins for c in spec.columns]
        place = next(n for n, c in enumerate(stream.columns) if c.name.startswith("__"))
        columns = [*stream.columns[:place], *new, *stream.columns[place:]]
        words = {c.name: nulls[c.name] for c in new if c.name in nulls}
        return stream.then(
            columns, {**stream.nulls, **words}, lambda: self._joined(stream, joins, columns, group)
        )

    def _left(self, stream: Stream, joins: Sequence[JoinSpec], group: str) -> None:
        """Table `GROUP_left`: the rows that are asked for, and the texts that joins start from."""
        texts = [c for c in dict.fromkeys(left for j in joins for left in j.left) if c in stream.types]
        with Asking.of(stream, self.where) as asking:
            for first, batch in [(0, _none(stream.columns)), *stream.numbered()]:
                seen = stream.seen(batch)
                columns: dict[str, Any] = {"n": pa.array(first + np.arange(batch.num_rows, dtype=np.int64))}
                columns |= {f"b{n}": texts_of(seen, c) for n, c in enumerate(texts)}
                insert(self.db, f"{group}_left", pa.table(columns).filter(pa.array(asking.asked(seen))))

    def _right(self, spec: JoinSpec, later: Sequence[str] = ()) -> None:
        """Table `r_JOIN`: the rows of the joined table, with the texts that they are found by."""
        name = f"r_{_word(spec.name)}"
        rows, unread = 0, 0
        names: dict[str, int] | None = None

        def read() -> Iterator[pa.Table]:
            nonlocal rows, unread
            tables = self.tables[spec.join.source]
            columns = {spec.where.sql: spec.where.columns} if spec.where is not None else {}
            with expressions_of(columns) as expressions:
                for ref in tables.parts[spec.join.table]:
                    part = tables.read(ref)
                    places = (np.int64(ref.index) << 32) + np.arange(part.num_rows, dtype=np.int64)
                    part = part.append_column(BASE, pa.array(places))
                    rows += part.num_rows
                    for batch in chunks(part):
                        bad = broken(batch)
                        unread += int(bad.sum())
                        kept = ~bad
                        if spec.where is not None:
                            seen = SourceRows(batch, spec.table.types, spec.nulls)
                            kept &= true_of(expressions, spec.where, seen)[0]
                        yield batch.filter(pa.array(kept))

        if spec.pivot is not None:
            pivot = f"p_{_word(spec.name)}"
            names = pivoting.load(self.db, pivot, spec.pivot, read()).names
            batches = pivoting.made(self.db, pivot, spec.pivot, f"{spec.name}.")()
        else:
            batches = read()
        insert(self.db, name, self._right_columns(spec, _none_of(spec), later))
        for batch in batches:
            insert(self.db, name, self._right_columns(spec, batch, later))
        self.counts[spec.name] = JoinCounts(rows, 0, unread, names)

    def _right_columns(self, spec: JoinSpec, batch: pa.Table, later: Sequence[str]) -> pa.Table:
        seen = SourceRows(batch, {c.name: c.type for c in _stored(spec)}, spec.nulls)
        columns: dict[str, Any] = {"m": combined(batch.column(BASE))}
        columns |= {f"k{n}": texts_of(seen, c) for n, c in enumerate(spec.right)}
        columns |= {f"x{n}": texts_of(seen, c) for n, c in enumerate(later)}
        columns |= {f"v{n}": carried(batch.column(c)) for n, c in enumerate(spec.carried)}
        if spec.pivot is not None:
            columns |= {"used": combined(batch.column(pivoting.USED)), "codes": combined(batch.column(CODES))}
        if spec.join.rows == "any":
            columns |= {f"o{n}": key for n, (key, _) in enumerate(_orders(spec, seen))}
        return pa.table(columns)

    def _condition(
        self, spec: JoinSpec, stream: Stream, joins: Sequence[JoinSpec], group: str
    ) -> tuple[str, str]:
        """(relation of the left side, condition) in SQL."""
        known = [c for c in dict.fromkeys(left for j in joins for left in j.left) if c in stream.types]
        needed, terms = [], []
        for number, left in enumerate(spec.left):
            if left in known:
                terms.append(f"l.b{known.index(left)} = r.k{number}")
                continue
            other = next(j for j in joins if j.name == left.partition(".")[0])
            texts = _later_texts(other, joins, stream)
            alias = f"m_{_word(other.name)}"
            if alias not in needed:
                needed.append(alias)
            terms.append(f"{alias}.x{texts.index(left.partition('.')[2])} = r.k{number}")
        relation = f"{group}_left l" + "".join(f" JOIN {a} ON {a}.n = l.n" for a in needed)
        return relation, " AND ".join(terms)

    def _refuse_more(self, spec: JoinSpec, stream: Stream, joins: Sequence[JoinSpec], group: str) -> None:
        """Unasked multiplication: several rows where one was said."""
        left, on = self._condition(spec, stream, joins, group)
        keys = [f"k{n}" for n in range(len(spec.right))]
        listed = ", ".join(keys)
        twice = (
            f"(SELECT {listed}, count(*) AS c FROM r_{_word(spec.name)} "
            f"WHERE {' AND '.join(f'{k} IS NOT NULL' for k in keys)} GROUP BY {listed} HAVING count(*) > 1)"
        )
        self.db.execute(
            f"CREATE OR REPLACE TEMP TABLE more AS SELECT {', '.join(f'r.{k}' for k in keys)}, any_value(r.c) AS c, count(*) AS n "
            f"FROM {left} JOIN {twice} r ON {on} GROUP BY {', '.join(f'r.{k}' for k in keys)}"
        )
        found = one(self.db, "SELECT sum(n) FROM more")
        if not found:
            return
        examples = self.db.execute(
            f"SELECT c, {listed} FROM more ORDER BY {listed} LIMIT {_EXAMPLES}"
        ).fetchall()
        shown = "; ".join(
            f"{', '.join(f'{c} {v}' for c, v in zip(spec.right, values, strict=True))}: {count} rows"
            for count, *values in examples
        )
        rows = "row finds" if found == 1 else "rows find"
        raise GateClosed(
            f"the join {spec.name} of {self.entity} would multiply rows: {found} {rows} more than one row of "
            f"{spec.join.table}, where rows: {spec.join.rows} was said ({shown})",
            where=self.place(f"with.{spec.name}"),
            kept="Nothing was loaded; the backups are kept.",
            hint="Choose the row by a `where` of the join, or by more columns in `on`; or say rows: any and gather them in a list.",
        )

    def _match(self, spec: JoinSpec, stream: Stream, joins: Sequence[JoinSpec], group: str) -> None:
        left, on = self._condition(spec, stream, joins, group)
        name = _word(spec.name)
        self.db.execute(f"CREATE TABLE m_{name} AS SELECT l.n, r.* FROM {left} JOIN r_{name} r ON {on}")
        self.db.execute(f"DROP TABLE r_{name}")
        self._count(spec)

    def _count(self, spec: JoinSpec) -> None:
        name, counts = _word(spec.name), self.counts[spec.name]
        once = f"(SELECT DISTINCT m{', used' if spec.pivot is not None else ''} FROM m_{name})"
        used = one(self.db, f"SELECT {'sum(used)' if spec.pivot is not None else 'count(*)'} FROM {once}")
        self.counts[spec.name] = JoinCounts(counts.rows, used, counts.unread, counts.names)

    def _beside(self, joins: Sequence[JoinSpec], group: str) -> None:
        """Table `GROUP_beside`: what the joins give to every row, by the row's number."""
        columns, codes, froms = [], [], []
        for spec in joins:
            name = f"m_{_word(spec.name)}"
            columns += [f"{name}.v{n} AS {_word(spec.name)}_v{n}" for n in range(len(spec.carried))]
            columns.append(f"{name}.n IS NOT NULL AS {_word(spec.name)}_found")
            if spec.join.rows == "one":
                codes.append(
                    f"CASE WHEN {name}.n IS NULL THEN ['{MISSING} {spec.name}'] ELSE [] :: VARCHAR[] END"
                )
            if spec.pivot is not None:
                codes.append(f"coalesce({name}.codes, [] :: VARCHAR[])")
            froms.append(f" LEFT JOIN {name} ON {name}.n = l.n")
        columns.append(f"{' || '.join(codes) if codes else 'CAST(NULL AS VARCHAR[])'} AS codes")
        self.db.execute(
            f"CREATE TABLE {group}_beside AS SELECT l.n, {', '.join(columns)} FROM {group}_left l{''.join(froms)} ORDER BY l.n"
        )

    def _joined(
        self, stream: Stream, joins: Sequence[JoinSpec], columns: Sequence[Column], group: str
    ) -> Iterator[pa.Table]:
        for first, batch in stream.numbered():
            found = fetch(
                self.db,
                f"SELECT * FROM {group}_beside WHERE n >= {first} AND n < {first + batch.num_rows} ORDER BY n",
            )
            at = combined(found.column("n")).to_numpy() - first
            places = np.full(batch.num_rows, -1, dtype=np.int64)
            places[at] = np.arange(len(at))
            take = pa.array(np.maximum(places, 0), mask=places < 0)
            for spec in joins:
                for number, column in enumerate(spec.columns):
                    values = restored(found.column(f"{_word(spec.name)}_v{number}"), layout(column.type))
                    batch = batch.append_column(column.name, values.take(take))
            codes = pivoting.no_empty(found.column("codes")).take(take)
            yield with_codes(batch, codes).select([c.name for c in columns])

    # -- any number of rows

    def many(self, stream: Stream, spec: JoinSpec) -> float:
        """Table `s_JOIN`: the rows of a join of any number, by the number of their row in the stream; how many come beside
        a row on average. Raises GateClosed where they are so many that it must be a mistake."""
        group, name = f"a_{_word(spec.name)}", _word(spec.name)
        self._left(stream, [spec], group)
        self._right(spec)
        left, on = self._condition(spec, stream, [spec], group)
        self._refuse_too_many(spec, left, on)
        self.db.execute(f"CREATE TABLE m_{name} AS SELECT l.n, r.* FROM {left} JOIN r_{name} r ON {on}")
        self._count(spec)
        orders = [
            f"o{n} {'DESC' if falling else 'ASC'} NULLS LAST"
            for n, (_, falling) in enumerate(_orders(spec, None))
        ]
        values = "".join(f", v{n}" for n in range(len(spec.carried)))
        self.db.execute(
            f"CREATE TABLE s_{name} AS SELECT n, row_number() OVER (PARTITION BY n ORDER BY {', '.join([*orders, 'm'])}) AS pos{values} "
            f"FROM m_{name} ORDER BY n, pos"
        )
        self.db.execute(f"DROP TABLE m_{name}; DROP TABLE r_{name}")
        beside, rows = (one(self.db, f"SELECT count(*) FROM {t}") for t in (f"s_{name}", f"{group}_left"))
        return beside / max(1, rows)

    def _refuse_too_many(self, spec: JoinSpec, left: str, on: str) -> None:
        """Counted before they are put side by side: a key that a million rows share on both sides fills any disk."""
        keys = ", ".join(f"k{n}" for n in range(len(spec.right)))
        counted = f"(SELECT {keys}, count(*) AS c FROM r_{_word(spec.name)} GROUP BY {keys})"
        found = one(self.db, f"SELECT sum(r.c) FROM {left} JOIN {counted} r ON {on}")
        if found > MOST:
            raise GateClosed(
                f"the join {spec.name} of {self.entity} would put {found:,} rows of {spec.join.table} beside those of the entity",
                where=self.place(f"with.{spec.name}"),
                kept="Nothing was loaded; the backups are kept.",
                hint="The columns in `on` are shared by many rows on both sides: name more of them, or add a `where`.",
            )

    def rows_of(self, spec: JoinSpec, first: int, count: int) -> pa.Table:
        """`__row` and the columns of a join of any number for `count` rows of the stream from `first` on."""
        found = fetch(
            self.db,
            f"SELECT * FROM s_{_word(spec.name)} WHERE n >= {first} AND n < {first + count} ORDER BY n, pos",
        )
        columns: dict[str, Any] = {ROW: pa.array(combined(found.column("n")).to_numpy() - first)}
        for number, column in enumerate(spec.columns):
            columns[column.name] = restored(found.column(f"v{number}"), layout(column.type))
        return pa.table(columns)


def _word(name: str) -> str:
    """The name of a join as a part of names in DuckDB."""
    return f"j{name.encode().hex()}"


def _stored(spec: JoinSpec) -> tuple[Column, ...]:
    return spec.table.columns if spec.pivot is None else spec.pivot.after.columns


def _later_texts(spec: JoinSpec, joins: Sequence[JoinSpec], stream: Stream) -> list[str]:
    """Columns of a join whose texts the joins after it start from, as `_right` was told."""
    after = list(joins)[list(joins).index(spec) + 1 :]
    lefts = (left for other in after for left in other.left)
    found = (c.partition(".")[2] for c in lefts if c.partition(".")[0] == spec.name and c not in stream.types)
    return list(dict.fromkeys(found))


def _orders(spec: JoinSpec, rows: SourceRows | None) -> list[tuple[Any, bool]]:
    """What the rows of a join are sorted by: its `order`, then the table's primary key, else all its columns' texts.
    Without `rows` only how many there are, and which of them fall."""
    seen = (
        rows if rows is not None else SourceRows(_none_of(spec), {c.name: c.type for c in _stored(spec)}, {})
    )
    keys: list[tuple[Any, bool]] = []
    for column, falling in spec.join.ordering:
        keys += [(key, falling) for key in sort_keys(seen, column)]
    known = [c for c in spec.table.primary_key if c in seen.types]
    if known:
        return keys + [(key, False) for c in known for key in sort_keys(seen, c)]
    return [*keys, (row_texts(seen, spec.shape.column_names), False)]


def _none(columns: Sequence[Column]) -> pa.Table:
    return pa.schema([pa.field(c.name, layout(c.type)) for c in columns]).empty_table()


def _none_of(spec: JoinSpec) -> pa.Table:
    """No rows, in the columns that rows of the joined table come with."""
    extra: list[pa.Field[Any]] = [pa.field(BASE, pa.int64())]
    if spec.pivot is not None:
        extra += [pa.field(CODES, pa.list_(pa.string())), pa.field(pivoting.USED, pa.int64())]
    fields = [pa.field(c.name, layout(c.type)) for c in _stored(spec)]
    return pa.schema([*fields, *extra]).empty_table()
