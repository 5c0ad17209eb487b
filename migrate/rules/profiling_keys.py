"""Keys, picklist values and references over whole tables, out of core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from migrate import canon, durable
from migrate.model import Type
from migrate.rules.profiling_engine import (
    BAD,
    Engine,
    Parts,
    batches,
    engine,
    open_parts,
    text,
    text_relation,
)

KEY_NOT_UNIQUE, KEY_MISSING = "key_not_unique", "key_missing"
_RID: tuple[str, pa.DataType] = ("rid", pa.int64())
_KEYS = pa.schema([_RID, ("key", pa.string())])
_FOUND = pa.schema([_RID, ("code", pa.string())])
EXAMPLES = 10


@dataclass(frozen=True)
class DuplicateKeys:
    """Rows whose key does not name them. `rows` were judged (broken ones are not)."""

    rows: int
    not_unique: int  # rows that share their key with another row
    repeated: int  # keys that occur more than once
    missing: int  # rows with a NULL in the key

    @property
    def unique(self) -> bool:
        return not self.not_unique and not self.missing

    def as_json(self) -> dict[str, int]:
        return dict(vars(self))


def duplicate_keys(
    paths: Sequence[Path], key: Sequence[str], types: Mapping[str, Type], *, out: Path, temp: Path
) -> DuplicateKeys:
    """Writes to `out` (Parquet: rid int64, code string; by rid) every row whose key occurs more than once
    or holds a NULL. rid = place of the part in `paths` << 32 | place of the row in the part.

    Keys are equal where their canonical texts are. Rows with `_bad` set are left out: they have a
    code already. Raises Corrupt for a part that does not decode, Unreachable for a full disk.
    """
    durable.make_private_folder(out.parent)
    with engine(temp) as duck:
        parts = open_parts(duck, paths)
        found = load_keys(duck, parts, key, types)
        rows = duck.stream(
            f"SELECT rid, CASE WHEN key IS NULL THEN '{KEY_MISSING}' ELSE '{KEY_NOT_UNIQUE}' END AS code "
            "FROM keys WHERE key IS NULL OR key IN (SELECT key FROM repeated) ORDER BY rid"
        )
        with (
            durable.atomic_file(out, point="profile.duplicates") as temporary,
            pq.ParquetWriter(temporary, _FOUND, compression="zstd", write_statistics=False) as writer,
        ):
            for batch in rows:
                writer.write_batch(batch.cast(_FOUND))
    return found


def load_keys(
    duck: Engine, parts: Parts | None, key: Sequence[str], types: Mapping[str, Type]
) -> DuplicateKeys:
    """Tables `keys` (rid, key) and `repeated` (key, n) in `duck`, and their counts."""
    source = _keys(parts, key, types) if parts is not None else iter(())
    duck.load("keys", _KEYS, source)
    duck.run(
        "CREATE OR REPLACE TABLE repeated AS SELECT key, count(*) AS n FROM keys "
        "WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1"
    )
    rows, missing = duck.rows("SELECT count(*), count(*) FILTER (key IS NULL) FROM keys")[0]
    repeated, not_unique = duck.rows("SELECT count(*), coalesce(sum(n), 0) FROM repeated")[0]
    return DuplicateKeys(int(rows), int(not_unique), int(repeated), int(missing))


def _keys(parts: Parts, key: Sequence[str], types: Mapping[str, Type]) -> Iterator[pa.RecordBatch]:
    for part, first, batch in batches(parts, list(dict.fromkeys(key))):
        rids = pa.array((np.int64(part) << 32) + np.arange(first, first + batch.num_rows, dtype=np.int64))
        keys = canon.source_keys(batch, key, types).cast(pa.string())
        rows = pa.RecordBatch.from_arrays([rids, keys], schema=_KEYS)
        yield rows.filter(batch.column(BAD).is_null()) if BAD in batch.schema.names else rows


def value_counts(
    paths: Sequence[Path], column: str, *, temp: Path, limit: int = 10_000
) -> list[tuple[str | None, int]]:
    """The distinct values of a column as canonical text with their rows, the most frequent first, at most
    `limit`. Rows with `_bad` set are left out. The result holds values: personal data."""
    with engine(temp) as duck:
        parts = open_parts(duck, paths)
        if parts is None:
            return []
        texts = text_relation(duck, parts, column)
        rows = duck.rows(
            f"SELECT v, count(*) AS n FROM {texts} GROUP BY v ORDER BY n DESC, v NULLS FIRST LIMIT {limit:d}"
        )
        return [(value, int(count)) for value, count in rows]


def orphans(
    child_paths: Sequence[Path],
    child_column: str,
    parent_paths: Sequence[Path],
    parent_column: str,
    temp: Path,
    *,
    nulls: Sequence[str] = (),
) -> tuple[int, list[str]]:
    """Rows of the child whose value is not NULL (nor a word of `nulls`) and is no value of the parent's column,
    by canonical text; and up to EXAMPLES such values, the most frequent first (personal data)."""
    with engine(temp) as duck:
        children, parents = open_parts(duck, child_paths), open_parts(duck, parent_paths)
        if children is None:
            return 0, []
        duck.run(
            "CREATE TABLE wanted AS SELECT v, count(*) AS n FROM "
            f"{text_relation(duck, children, child_column)} WHERE v IS NOT NULL{_but(nulls)} GROUP BY v"
        )
        known = (
            text_relation(duck, parents, parent_column) if parents is not None else "(SELECT '' AS v LIMIT 0)"
        )
        duck.run(f"CREATE TABLE lost AS SELECT v, n FROM wanted ANTI JOIN {known} AS known USING (v)")
        missing = duck.rows("SELECT coalesce(sum(n), 0) FROM lost")[0][0]
        examples = duck.rows(f"SELECT v FROM lost ORDER BY n DESC, v LIMIT {EXAMPLES}")
        return int(missing), [str(v) for (v,) in examples]


def _but(words: Sequence[str]) -> str:
    return f" AND v NOT IN ({', '.join(text(w) for w in words)})" if words else ""
