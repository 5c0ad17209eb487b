"""Settle every row's fate: what can only be decided over whole tables.

Per part, `apply` has computed values and each row's own reasons. Here, out of core in DuckDB, come
keys that are not unique, `unique` checks, rows already known or found in the target, lookups, and
references with their cascade to a fixpoint. Nothing here knows a database: input and output are
Parquet files. Every row ends in exactly one of settled or quarantine.

Files read, per entity (see `migrate.transform.apply`): rows, reasons, excluded. `__m.COLUMN` in rows
is the canonical text of a match value. Target files, per target table: `tkey` (JSON), `row_hash`,
`c.COLUMN` canonical texts, `h.ENTITY` hash of the columns that the entity maps.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from migrate import failpoints
from migrate.durable import atomic_file
from migrate.mapping.model import Default, Find, Outcome, Ref

MEMORY = "512MB"
CANDIDATES = 5


@dataclass(frozen=True)
class Road:
    """One entity's way from rows to fates."""

    entity: str
    system: str
    write: str
    into: str
    plan: int
    rows: tuple[Path, ...]
    reasons: tuple[Path, ...]
    excluded: tuple[Path, ...]
    refs: Mapping[str, Ref] = field(default_factory=dict)
    finds: Mapping[str, Find] = field(default_factory=dict)
    unique: Mapping[str, str] = field(default_factory=dict)  # field → on_fail
    match: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()  # fields that may not end empty


@dataclass(frozen=True)
class Settled:
    """`stops`: rules that say stop, in words, with counts; `quarantined` and `kept`: rows per entity."""

    quarantined: Mapping[str, int]
    kept: Mapping[str, int]
    operations: Mapping[str, Mapping[str, int]]
    stops: tuple[str, ...]
    strangers: tuple[str, ...] = ()  # entities whose rows are known under another identity (F15), in words


def provisional(plan: int) -> int:
    """The plan number of rows whose reference or lookup was replaced by rule: the next run looks at them again."""
    return plan ^ 1


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def parquet(paths: Sequence[Path]) -> str:
    """A DuckDB table function over files that exist; their order carries no meaning."""
    return "read_parquet([" + ", ".join(literal(str(p)) for p in paths) + "])"


@contextmanager
def workspace(temp: Path, threads: int = 2) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB on disk with bounded memory, gone afterwards."""
    temp.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = temp / f"work-{secrets.token_hex(6)}.duckdb"
    connection = duckdb.connect(str(path))
    try:
        connection.execute(f"SET memory_limit = '{MEMORY}'; SET threads = {threads}")
        connection.execute(f"SET temp_directory = {literal(str(temp))}; SET preserve_insertion_order = false")
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()
        for old in temp.glob(f"{path.name}*"):
            old.unlink()


def settle(
    roads: Sequence[Road],
    *,
    systems: Mapping[str, str],
    runs: Sequence[str] = (),
    crosswalk: Path | None,
    targets: Mapping[str, Path],
    out: Path,
    temp: Path,
) -> Settled:
    """Decide all rows of all `roads` and write `out/ENTITY/{settled,quarantine,patches,events}.parquet`.

    `systems`: entity → source system, also of entities that have no road in this run but whose rows an
    earlier run may have loaded. `runs`: earlier runs of this mapping.

    settled: rid, key, hash, op (insert|update|link|unchanged), tkey (JSON or null), known.
    quarantine: rid, key, fields, codes, details (lists). patches: rid, field, value (text or null):
    what replaces a reference or a lookup. events: rid, field, code, original.
    """
    with workspace(temp) as db:
        _collect(db, roads, crosswalk)
        strangers = _strangers(db, roads, systems, runs)
        if strangers:
            return Settled({}, {}, {}, (), strangers)
        for road in roads:
            _keys_and_uniques(db, road)
        # What `unique` emptied refers to nothing and looks up nothing any more.
        db.execute(
            "DELETE FROM edge e USING patch p WHERE p.entity = e.entity AND p.rid = e.rid AND p.field = e.field"
        )
        for road in roads:
            _operations(db, road, targets.get(road.into))
            _lookups(db, road, targets)
        _one_writer(db, roads)
        _references(db, roads, targets, systems)
        return _write(db, roads, out)


def _collect(db: duckdb.DuckDBPyConnection, roads: Sequence[Road], crosswalk: Path | None) -> None:
    db.execute(
        """
        CREATE TABLE state(entity VARCHAR, rid BIGINT, key VARCHAR, hash BLOB);
        CREATE TABLE gone(entity VARCHAR, rid BIGINT, key VARCHAR);
        CREATE TABLE bad(entity VARCHAR, rid BIGINT, field VARCHAR, code VARCHAR, detail VARCHAR);
        CREATE TABLE op(entity VARCHAR, rid BIGINT, op VARCHAR, tkey VARCHAR, known BOOLEAN);
        CREATE TABLE patch(entity VARCHAR, rid BIGINT, field VARCHAR, value VARCHAR);
        CREATE TABLE event(entity VARCHAR, rid BIGINT, field VARCHAR, code VARCHAR, original VARCHAR);
        CREATE TABLE stop(text VARCHAR);
        CREATE TABLE edge(entity VARCHAR, rid BIGINT, field VARCHAR, parent VARCHAR, parent_key VARCHAR);
        CREATE TABLE xw(system VARCHAR, entity VARCHAR, source_key VARCHAR, target_key VARCHAR,
                        plan BIGINT, source_hash BLOB, target_hash BLOB, run VARCHAR);
        """
    )
    if crosswalk is not None:
        db.execute(
            "INSERT INTO xw SELECT system, entity, source_key, target_key, plan, source_hash, target_hash, run "
            f"FROM {parquet([crosswalk])}"
        )
    for road in roads:
        name = literal(road.entity)
        if road.rows:
            db.execute(f"INSERT INTO state SELECT {name}, __rid, __key, __hash FROM {parquet(road.rows)}")
            for fld in road.refs:
                key, to = identifier(f"__ref.{fld}"), identifier(f"__ref_to.{fld}")
                db.execute(
                    f"INSERT INTO edge SELECT {name}, __rid, {literal(fld)}, {to}, {key} "
                    f"FROM {parquet(road.rows)} WHERE {key} IS NOT NULL"
                )
        if road.excluded:
            db.execute(f"INSERT INTO gone SELECT {name}, rid, key FROM {parquet(road.excluded)}")
        if road.reasons:
            db.execute(
                f"INSERT INTO bad SELECT {name}, rid, field, code, detail FROM {parquet(road.reasons)}"
            )


def _strangers(
    db: duckdb.DuckDBPyConnection, roads: Sequence[Road], systems: Mapping[str, str], runs: Sequence[str]
) -> tuple[str, ...]:
    """Rows that earlier runs loaded under another name, system or key: they would be inserted a second time (F15).

    Told by what runs of the same mapping left in the crosswalk: nothing of this entity, but these very keys under a
    name that the mapping no longer has; or, after the entity's plan changed, keys of which not one is left.
    (Another mapping's rows may well have the same keys: two companies both count from 1.)
    """
    if not runs:
        return ()
    found = []
    own = f"x.run IN ({', '.join(literal(r) for r in runs)})"
    ours = ", ".join(f"({literal(s)}, {literal(e)})" for e, s in systems.items())
    for road in roads:
        mine = f"x.system = {literal(road.system)} AND x.entity = {literal(road.entity)}"
        keys = f"(SELECT DISTINCT key FROM state WHERE entity = {literal(road.entity)} AND key IS NOT NULL)"
        known = _count(db, f"SELECT count(*) FROM xw x WHERE {mine} AND {own}")
        same = _count(
            db,
            f"SELECT count(*) FROM xw x WHERE {mine} AND x.plan IN ({road.plan}, {provisional(road.plan)})",
        )
        if not known:
            other = db.execute(
                f"SELECT x.system, x.entity, count(*) FROM xw x SEMI JOIN {keys} k ON k.key = x.source_key "
                f"WHERE {own} AND (x.system = {literal(road.system)} OR x.entity = {literal(road.entity)}) "
                f"AND (x.system, x.entity) NOT IN ({ours}) GROUP BY ALL ORDER BY 3 DESC LIMIT 1"
            ).fetchone()
            if other:
                found.append(
                    f"{other[2]} rows of {road.entity} ({road.system}) are known as {other[1]} ({other[0]})"
                )
        elif (
            not same
            and _count(db, f"SELECT count(*) FROM {keys}")
            and not _count(
                db, f"SELECT count(*) FROM xw x SEMI JOIN {keys} k ON k.key = x.source_key WHERE {mine}"
            )
        ):
            found.append(
                f"{known} rows of {road.entity} are known, and not one of their keys is left at the source"
            )
    return tuple(found)


def _good(entity: str) -> str:
    """Rows of `entity` that nothing has spoken against so far."""
    name = literal(entity)
    return f"(SELECT * FROM state WHERE entity = {name} AND rid NOT IN (SELECT rid FROM bad WHERE entity = {name}))"


def _keys_and_uniques(db: duckdb.DuckDBPyConnection, road: Road) -> None:
    name = literal(road.entity)
    db.execute(
        f"""
        INSERT INTO bad SELECT {name}, s.rid, '', 'key_missing', '' FROM state s
        WHERE s.entity = {name} AND s.key IS NULL
          AND NOT EXISTS (SELECT 1 FROM bad b WHERE b.entity = s.entity AND b.rid = s.rid
                          AND b.code IN ('key_missing', 'bad_row', 'ragged_row', 'bad_encoding', 'nul_byte') AND b.field = '');
        INSERT INTO bad SELECT {name}, s.rid, '', 'key_not_unique', n || ' rows have this key'
        FROM state s JOIN (SELECT key, count(*) AS n FROM state WHERE entity = {name} AND key IS NOT NULL
                           GROUP BY key HAVING count(*) > 1) d ON d.key = s.key
        WHERE s.entity = {name};
        """
    )
    for fld, on_fail in road.unique.items():
        column = identifier(
            f"__ref.{fld}" if fld in road.refs else f"__find.{fld}" if fld in road.finds else fld
        )
        found = f"""
            SELECT r.__rid AS rid, d.n || ' rows have this value' AS detail
            FROM {parquet(road.rows)} r JOIN {_good(road.entity)} g ON g.rid = r.__rid
            JOIN (SELECT {column} AS v, count(*) AS n FROM {parquet(road.rows)} r2
                  JOIN {_good(road.entity)} g2 ON g2.rid = r2.__rid
                  WHERE {column} IS NOT NULL GROUP BY 1 HAVING count(*) > 1) d ON d.v = r.{column}
        """
        if road.rows:
            _outcome(db, road, fld, on_fail, "unique", found)


def _outcome(
    db: duckdb.DuckDBPyConnection,
    road: Road,
    fld: str,
    outcome: Outcome | Default | str,
    code: str,
    found: str,
) -> None:
    """Apply a declared outcome to the rows that `found` (SELECT rid, detail) yields.

    A field that may not end empty is never emptied: its rows are quarantined."""
    entity = road.entity
    name, field_name = literal(entity), literal(fld)
    empties = outcome == "empty_and_flag" or (isinstance(outcome, Default) and outcome.default is None)
    if empties and fld in road.required:
        outcome = "quarantine"
    db.execute(f"CREATE OR REPLACE TEMP TABLE hit AS {found}")
    if isinstance(outcome, Default):
        value = "NULL" if outcome.default is None else literal(outcome.default)
        db.execute(f"INSERT INTO patch SELECT {name}, rid, {field_name}, {value} FROM hit")
        db.execute(
            f"INSERT INTO event SELECT {name}, rid, {field_name}, {literal(code + '_defaulted')}, NULL FROM hit"
        )
    elif outcome == "empty_and_flag":
        db.execute(f"INSERT INTO patch SELECT {name}, rid, {field_name}, NULL FROM hit")
        db.execute(
            f"INSERT INTO event SELECT {name}, rid, {field_name}, {literal(code + '_emptied')}, NULL FROM hit"
        )
    elif outcome == "warn":
        db.execute(f"INSERT INTO event SELECT {name}, rid, {field_name}, {literal(code)}, NULL FROM hit")
    else:
        db.execute(f"INSERT INTO bad SELECT {name}, rid, {field_name}, {literal(code)}, detail FROM hit")
        if outcome == "stop":
            db.execute(
                f"INSERT INTO stop SELECT {literal(f'{entity}.{fld}: {code} in ')} || count(*) || ' rows' "
                "FROM hit HAVING count(*) > 0"
            )


def _operations(db: duckdb.DuckDBPyConnection, road: Road, target: Path | None) -> None:
    """insert, update, link or unchanged: known rows by the crosswalk, others by `match` in the proven backup."""
    name, system = literal(road.entity), literal(road.system)
    if target is None:
        if road.write == "link":
            db.execute(
                f"INSERT INTO bad SELECT {name}, rid, '', 'link_missing', 'the target table is empty' FROM {_good(road.entity)}"
            )
        else:
            db.execute(f"INSERT INTO op SELECT {name}, rid, 'insert', NULL, FALSE FROM {_good(road.entity)}")
        return
    hash_column = identifier(f"h.{road.entity}")
    untouched = f"(x.target_hash IS NULL OR x.target_hash = t.{hash_column})"
    again = f"CASE WHEN {road.write == 'add_or_update'} AND {untouched} THEN 'recheck' ELSE 'unchanged' END"
    changed = "'update'" if road.write == "add_or_update" else "'changed_since_load'"
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE known AS
        SELECT g.rid, x.target_key AS tkey,
               CASE WHEN t.tkey IS NULL THEN 'target_gone'
                    WHEN {road.write == "link"} THEN 'unchanged'
                    WHEN x.source_hash = g.hash AND x.plan = {road.plan} THEN 'unchanged'
                    WHEN x.source_hash = g.hash AND x.plan = {provisional(road.plan)} THEN {again}
                    WHEN x.target_hash IS NOT NULL AND x.target_hash <> t.{hash_column} THEN 'edited_in_target'
                    ELSE {changed} END AS verdict
        FROM {_good(road.entity)} g
        JOIN xw x ON x.system = {system} AND x.entity = {name} AND x.source_key = g.key
        LEFT JOIN {parquet([target])} t ON t.tkey = x.target_key;
        INSERT INTO op SELECT {name}, rid, verdict, tkey, TRUE FROM known WHERE verdict IN ('unchanged', 'update', 'recheck');
        INSERT INTO bad SELECT {name}, rid, '', verdict, '' FROM known WHERE verdict NOT IN ('unchanged', 'update', 'recheck');
        """
    )
    new = f"(SELECT g.* FROM {_good(road.entity)} g WHERE g.rid NOT IN (SELECT rid FROM known))"
    if not road.match:
        db.execute(f"INSERT INTO op SELECT {name}, rid, 'insert', NULL, FALSE FROM {new}")
        return
    on = " AND ".join(f"t.{identifier(f'c.{c}')} = r.{identifier(f'__m.{c}')}" for c in road.match)
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE matched AS
        SELECT g.rid, count(t.tkey) AS n, min(t.tkey) AS tkey,
               array_to_string((list(t.tkey ORDER BY t.tkey))[1:{CANDIDATES}], ', ') AS candidates
        FROM {new} g JOIN {parquet(road.rows)} r ON r.__rid = g.rid
        LEFT JOIN {parquet([target])} t ON {on}
        GROUP BY g.rid;
        INSERT INTO bad SELECT {name}, rid, '', 'match_ambiguous', 'candidates in the target: ' || candidates
        FROM matched WHERE n > 1;
        """
        if road.rows
        else "CREATE OR REPLACE TEMP TABLE matched(rid BIGINT, n BIGINT, tkey VARCHAR, candidates VARCHAR)"
    )
    found = {"link": "'link'", "add_or_update": "'update'"}.get(road.write)
    if found is None:
        db.execute(
            f"INSERT INTO bad SELECT {name}, rid, '', 'match_conflict', 'is in the target already as ' || tkey FROM matched WHERE n = 1"
        )
    else:
        db.execute(f"INSERT INTO op SELECT {name}, rid, {found}, tkey, FALSE FROM matched WHERE n = 1")
    if road.write == "link":
        db.execute(
            f"INSERT INTO bad SELECT {name}, rid, '', 'link_missing', 'no row in the target matches' FROM matched WHERE n = 0"
        )
    else:
        db.execute(f"INSERT INTO op SELECT {name}, rid, 'insert', NULL, FALSE FROM matched WHERE n = 0")
        db.execute(
            f"""
            INSERT INTO bad SELECT {name}, o.rid, '', 'match_conflict', d.n || ' source rows match target row ' || d.tkey
            FROM op o JOIN (SELECT tkey, count(*) AS n FROM op WHERE entity = {name} AND tkey IS NOT NULL
                            GROUP BY tkey HAVING count(*) > 1 AND bool_or(op = 'update')) d ON d.tkey = o.tkey
            WHERE o.entity = {name} AND NOT o.known;
            """
        )


def _one_writer(db: duckdb.DuckDBPyConnection, roads: Sequence[Road]) -> None:
    """Two entities that would update the same target row: neither may, for each would find the other's values."""
    into = ", ".join(f"({literal(r.entity)}, {literal(r.into)})" for r in roads)
    if len({r.into for r in roads}) == len(roads):
        return
    db.execute(
        f"""
        INSERT INTO bad
        SELECT o.entity, o.rid, '', 'match_conflict', 'several entities update target row ' || o.tkey
        FROM op o JOIN (VALUES {into}) i(entity, target) ON i.entity = o.entity
        JOIN (SELECT i2.target, o2.tkey FROM op o2 JOIN (VALUES {into}) i2(entity, target) ON i2.entity = o2.entity
              WHERE o2.op = 'update' GROUP BY ALL HAVING count(DISTINCT o2.entity) > 1) d
          ON d.target = i.target AND d.tkey = o.tkey
        WHERE o.op = 'update'
        """
    )


def _conditions(find: Find) -> str:
    return " AND ".join(
        [*(f"t.{identifier(f'c.{c}')} = {literal(v)}" for c, v in find.where.items()), "TRUE"]
    )


def _constant(db: duckdb.DuckDBPyConnection, find: Find, targets: Mapping[str, Path]) -> Outcome | Default:
    """A lookup that does not depend on the row: a default value where exactly one is found, else its outcome."""
    path = targets.get(find.table)
    rows = (
        []
        if path is None
        else db.execute(
            f"SELECT t.tkey->>'$[0]' FROM {parquet([path])} t WHERE {_conditions(find)} LIMIT 2"
        ).fetchall()
    )
    if len(rows) == 1:
        return Default(default=rows[0][0])
    return find.missing if not rows else find.ambiguous


def _lookups(db: duckdb.DuckDBPyConnection, road: Road, targets: Mapping[str, Path]) -> None:
    """`find`: into the proven backup of the target, never at rows made in this run."""
    for fld, find in road.finds.items():
        if not road.rows:
            continue
        column = identifier(f"__find.{fld}")
        path = targets.get(find.table)
        join = (
            f"LEFT JOIN {parquet([path])} t ON {_conditions(find)}"
            if path
            else "LEFT JOIN (SELECT NULL::VARCHAR AS tkey) t ON FALSE"
        )
        if find.by and path:
            join += f" AND t.{identifier(f'c.{find.by}')} = r.{column}"
        emptied = f"SELECT rid FROM patch WHERE entity = {literal(road.entity)} AND field = {literal(fld)}"
        rows = f"(SELECT * FROM {parquet(road.rows)} WHERE __rid NOT IN ({emptied}))"
        # Distinct values first: pick columns of a CRM repeat a few owners thousands of times.
        db.execute(
            f"""
            CREATE OR REPLACE TEMP TABLE looked AS
            SELECT r.v, count(t.tkey) AS n, min(t.tkey->>'$[0]') AS value,
                   array_to_string((list(t.tkey ORDER BY t.tkey))[1:{CANDIDATES}], ', ') AS candidates
            FROM (SELECT DISTINCT {column} AS v, {column} FROM {parquet(road.rows)} WHERE {column} IS NOT NULL) r
            {join} GROUP BY r.v;
            INSERT INTO patch SELECT {literal(road.entity)}, r.__rid, {literal(fld)}, l.value
            FROM {rows} r JOIN looked l ON l.v = r.{column} WHERE l.n = 1;
            """
        )
        found = (
            f"FROM {rows} r JOIN looked l ON l.v = r.{column} JOIN {_good(road.entity)} g ON g.rid = r.__rid"
        )
        _outcome(
            db,
            road,
            fld,
            find.missing,
            "find_missing",
            f"SELECT r.__rid AS rid, 'nothing found in {find.table.replace(chr(39), chr(39) * 2)}' AS detail {found} WHERE l.n = 0",
        )
        _outcome(
            db,
            road,
            fld,
            find.ambiguous,
            "find_ambiguous",
            f"SELECT r.__rid AS rid, 'candidates: ' || l.candidates AS detail {found} WHERE l.n > 1",
        )


def _references(
    db: duckdb.DuckDBPyConnection,
    roads: Sequence[Road],
    targets: Mapping[str, Path],
    systems: Mapping[str, str],
) -> None:
    """Resolve references against rows that will be there; a row that goes takes its children along, to a fixpoint."""
    known = ", ".join(f"({literal(entity)}, {literal(system)})" for entity, system in systems.items())
    by_name = {road.entity: road for road in roads}
    outcomes: dict[tuple[str, str], tuple[Outcome | Default, Outcome | Default]] = {}
    for road in roads:
        for fld, ref in road.refs.items():
            missing = _constant(db, ref.missing, targets) if isinstance(ref.missing, Find) else ref.missing
            ambiguous = (
                _constant(db, ref.ambiguous, targets) if isinstance(ref.ambiguous, Find) else ref.ambiguous
            )
            outcomes[road.entity, fld] = (missing, ambiguous)
    if not outcomes:
        return
    db.execute(
        f"""
        CREATE TABLE systems AS SELECT * FROM (VALUES {known}) v(entity, system);
        CREATE TABLE known_before AS
        SELECT x.entity, x.source_key AS key FROM xw x JOIN systems s ON s.entity = x.entity AND s.system = x.system
        WHERE {_still_there(roads, targets)};
        CREATE TABLE lost AS SELECT DISTINCT s.entity, s.key FROM state s SEMI JOIN bad b ON b.entity = s.entity AND b.rid = s.rid
        WHERE s.key IS NOT NULL;
        -- First pass: edges whose parent is neither a row that stays nor known from an earlier run.
        CREATE TABLE broken AS
        SELECT e.*, CASE
            WHEN EXISTS (SELECT 1 FROM bad b JOIN state s ON s.entity = b.entity AND s.rid = b.rid
                         WHERE b.code = 'key_not_unique' AND s.entity = e.parent AND s.key = e.parent_key) THEN 'ref_ambiguous'
            WHEN EXISTS (SELECT 1 FROM lost l WHERE l.entity = e.parent AND l.key = e.parent_key) THEN 'parent_quarantined'
            WHEN EXISTS (SELECT 1 FROM gone g WHERE g.entity = e.parent AND g.key = e.parent_key) THEN 'parent_excluded'
            ELSE 'ref_missing' END AS code
        FROM edge e
        WHERE NOT EXISTS (SELECT 1 FROM state s WHERE s.entity = e.parent AND s.key = e.parent_key
                          AND NOT EXISTS (SELECT 1 FROM bad b WHERE b.entity = s.entity AND b.rid = s.rid))
          AND NOT EXISTS (SELECT 1 FROM known_before k WHERE k.entity = e.parent AND k.key = e.parent_key);
        """
    )
    while True:
        before = _count(db, "SELECT count(*) FROM (SELECT DISTINCT entity, rid FROM bad)")
        for (entity, fld), (missing, ambiguous) in outcomes.items():
            where = f"entity = {literal(entity)} AND field = {literal(fld)}"
            for code in ("ref_missing", "parent_quarantined", "parent_excluded", "ref_ambiguous"):
                if not _count(db, f"SELECT count(*) FROM broken WHERE {where} AND code = {literal(code)}"):
                    continue
                outcome = ambiguous if code == "ref_ambiguous" else missing
                detail = f"parent || ' ' || {_candidates() if code == 'ref_ambiguous' else literal('')}"
                _outcome(
                    db,
                    by_name[entity],
                    fld,
                    outcome,
                    code,
                    f"SELECT rid, {detail} AS detail FROM broken x WHERE {where} AND code = {literal(code)}",
                )
        if _count(db, "SELECT count(*) FROM (SELECT DISTINCT entity, rid FROM bad)") == before:
            return
        # Next pass: only edges to rows that were lost just now.
        db.execute(
            """
            CREATE OR REPLACE TEMP TABLE newly AS
            SELECT DISTINCT s.entity, s.key FROM state s SEMI JOIN bad b ON b.entity = s.entity AND b.rid = s.rid
            ANTI JOIN lost l ON l.entity = s.entity AND l.key = s.key
            WHERE s.key IS NOT NULL;
            INSERT INTO lost SELECT * FROM newly;
            CREATE OR REPLACE TABLE broken AS
            SELECT e.*, 'parent_quarantined' AS code FROM edge e
            SEMI JOIN newly n ON n.entity = e.parent AND n.key = e.parent_key
            ANTI JOIN known_before k ON k.entity = e.parent AND k.key = e.parent_key;
            """
        )


def _still_there(roads: Sequence[Road], targets: Mapping[str, Path]) -> str:
    """Rows of `xw x` that are in the target still, as far as its tables were looked at."""
    there = [
        f"(x.entity <> {literal(r.entity)} OR x.target_key IN (SELECT tkey FROM {parquet([targets[r.into]])}))"
        for r in roads
        if r.into in targets
    ]
    return " AND ".join(there) or "TRUE"


def _candidates() -> str:
    """Where the rows stand that share the parent's key: part and ordinal, never values (P3)."""
    return (
        "(SELECT 'candidates: ' || array_to_string((list('part ' || (s.rid >> 32) || ' row ' || (s.rid & 4294967295) ORDER BY s.rid))"
        f"[1:{CANDIDATES}], ', ') FROM state s WHERE s.entity = x.parent AND s.key = x.parent_key)"
    )


def _count(db: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = db.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


def _write(db: duckdb.DuckDBPyConnection, roads: Sequence[Road], out: Path) -> Settled:
    quarantined: dict[str, int] = {}
    kept: dict[str, int] = {}
    operations: dict[str, dict[str, int]] = {}
    for road in roads:
        name = literal(road.entity)
        folder = out / road.entity
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        bad = f"SELECT DISTINCT rid FROM bad WHERE entity = {name}"
        selects = {
            "settled": f"""SELECT o.rid, s.key, s.hash, o.op, o.tkey, o.known FROM op o
                JOIN state s ON s.entity = o.entity AND s.rid = o.rid
                WHERE o.entity = {name} AND o.rid NOT IN ({bad}) ORDER BY o.rid""",
            "quarantine": f"""SELECT b.rid, any_value(s.key) AS key, list(b.field ORDER BY b.field, b.code) AS fields,
                list(b.code ORDER BY b.field, b.code) AS codes, list(b.detail ORDER BY b.field, b.code) AS details
                FROM (SELECT DISTINCT entity, rid, field, code, detail FROM bad WHERE entity = {name}) b
                LEFT JOIN state s ON s.entity = b.entity AND s.rid = b.rid GROUP BY b.rid ORDER BY b.rid""",
            "patches": f"""SELECT rid, field, CASE WHEN bool_or(value IS NULL) THEN NULL ELSE any_value(value) END AS value FROM patch
                WHERE entity = {name} AND rid NOT IN ({bad}) GROUP BY rid, field ORDER BY rid, field""",
            "events": f"SELECT rid, field, code, original FROM event WHERE entity = {name} ORDER BY rid, field, code",
        }
        for file, select in selects.items():
            with atomic_file(folder / f"{file}.parquet", point="transform.settled") as temporary:
                db.execute(f"COPY ({select}) TO {literal(str(temporary))} (FORMAT parquet, COMPRESSION zstd)")
            failpoints.hit(f"transform.settled.{file}")
        quarantined[road.entity] = _count(db, f"SELECT count(DISTINCT rid) FROM bad WHERE entity = {name}")
        operations[road.entity] = dict(
            db.execute(
                f"SELECT op, count(*) FROM op WHERE entity = {name} AND rid NOT IN ({bad}) GROUP BY op ORDER BY op"
            ).fetchall()
        )
        kept[road.entity] = _count(db, f"SELECT count(*) FROM state WHERE entity = {name}")
    stops = tuple(row[0] for row in db.execute("SELECT text FROM stop ORDER BY text").fetchall())
    return Settled(quarantined, kept, operations, stops)
