"""Find duplicates in a database, in files, or between two of them, with no migration."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from migrate import canon
from migrate.api.databases import place_of_source
from migrate.connectors.registry import open_source
from migrate.duck import workspace
from migrate.durable import atomic_file
from migrate.errors import UsageError
from migrate.mapping.duplicates import Duplicates
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Source
from migrate.mapping.rules_file import load_rules
from migrate.model import Table
from migrate.parts import read_part
from migrate.rules.matching.finding import SIDE, Found, Given, find
from migrate.rules.matching.guessed import guessed_kinds
from migrate.rules.matching.weights import packed, unpacked
from migrate.vault.capture import Capture, capture

_MEMORY = "1500MB"


@dataclass(frozen=True)
class _Place:
    """A table to look at: where it lies, its name, and the columns that name a row ((): its number)."""

    url: str
    base: Path
    table: str | None
    options: Source | None
    key: tuple[str, ...] = ()


def duplicates_find(
    what: str,
    against: str | None = None,
    *,
    rules: Path | str | None = None,
    table: str | None = None,
    entity: str | None = None,
    key: Sequence[str] = (),
    weights: Path | str | None = None,
    out: Path | str | None = None,
    encoding: str | None = None,
    home: Path | None = None,
) -> dict[str, Any]:
    """Duplicates inside a table, or between the tables of `what` and `against`: URLs, files, folders; or `what` is a
    mapping, whose `entity` says which table is meant and how it is read.

    `rules`: a YAML file with what a mapping says under `duplicates`; without it the names of the columns tell how they
    are compared. `key`: columns that name a row in the answer; else its primary key, else its number from 1.
    `weights`: a file of trained weights: used where it is there, else written. `out`: a file for all pairs, .csv or
    .parquet, 0600. Pairs hold keys and reasons, no other values; `placeholders` hold values.
    Raises UsageError for rules that do not fit, MappingError for wrong rules, Unreachable."""
    del home
    places = _places(what, against, table, entity, encoding, tuple(key))
    given = load_rules(rules) if rules is not None else None
    with tempfile.TemporaryDirectory(prefix="migrate-duplicates-") as name:
        taken = [_taken(place, Path(name) / str(n)) for n, place in enumerate(places)]
        used = given or _guessed([t for _, t in taken])
        model = _read_weights(weights, used)
        tables = [
            Given(
                f"{t.name} ({n + 1})" if len(taken) > 1 else t.name,
                t.column_names,
                _texts(c, t, Path(name) / str(n)),
            )
            for n, (c, t) in enumerate(taken)
        ]
        with workspace(Path(name) / "temp", memory=_MEMORY) as db:
            found = find(db, tables, used, model=model)
        keys = _Keys(
            found,
            [
                _keys(c, t, Path(name) / str(n), p.key)
                for n, ((c, t), p) in enumerate(zip(taken, places, strict=True))
            ],
        )
        if weights is not None and model is None and found.model is not None:
            trained = packed(used, found.model, sum(found.rows))
            _write(Path(weights), json.dumps(trained, indent=1))
        document = _document(found, keys, [t.name for t in tables], used)
    if out is not None:
        _write_pairs(Path(out), document["pairs"])
        document["out"] = str(out)
    return document


# ------------------------------------------------------------------ what is looked at


def _places(
    what: str,
    against: str | None,
    table: str | None,
    entity: str | None,
    encoding: str | None,
    key: tuple[str, ...],
) -> list[_Place]:
    if Path(what).suffix.lower() in (".yaml", ".yml"):
        if against is not None:
            raise UsageError(
                "a mapping is searched by itself; there is nothing to compare it with", where=against
            )
        return [_of_mapping(what, entity, key)]
    if entity is not None:
        raise UsageError(
            "--entity is for a mapping", where=what, hint="Of a database or a folder: --table NAME."
        )
    places = []
    for one in [what, *([against] if against is not None else [])]:
        url, only, options = place_of_source(one, encoding)
        places.append(_Place(url, Path.cwd(), table or (only[0] if len(only) == 1 else None), options, key))
    return places


def _of_mapping(path: str, entity: str | None, key: tuple[str, ...]) -> _Place:
    """The source table of an entity, as its mapping reads it."""
    mapping = load_mapping(path)
    names = ", ".join(mapping.entities)
    if entity is None or entity not in mapping.entities:
        said = f"the mapping has no entity {entity!r}" if entity else "a mapping has several entities"
        raise UsageError(said, where=path, hint=f"Give --entity, one of: {names}.")
    one = mapping.entities[entity]
    if not one.table:
        raise UsageError(f"{one.name} reads a query, and only tables are searched", where=path)
    source = mapping.sources[one.source]
    named = key or (() if one.key_is_line or one.key_is_content else one.key)
    return _Place(source.url, Path(mapping.base), one.table, source, tuple(named))


def _taken(place: _Place, folder: Path) -> tuple[Capture, Table]:
    database = open_source(place.url, base=place.base, work=folder / "work", options=place.options)
    try:
        names = database.schema([place.table] if place.table else None).table_names
        if len(names) != 1:
            raise UsageError(
                f"there is no table {place.table}" if place.table else f"there are {len(names)} tables here",
                where=database.url,
                hint="" if place.table else f"Give --table NAME: {', '.join(names[:10])}.",
            )
        taken = capture(database, names, folder / "rows", advance=lambda _: None, point="duplicates.capture")
        return taken, taken.schema.table(names[0])
    finally:
        database.close()


def _texts(taken: Capture, table: Table, folder: Path) -> Iterator[pa.Table]:
    for ref in taken.parts[table.name]:
        rows = read_part(folder / "rows" / ref.path, ref)
        yield pa.table({c.name: canon.canonical_text(rows[c.name], c.type) for c in table.columns})


def _keys(taken: Capture, table: Table, folder: Path, named: tuple[str, ...]) -> list[str] | None:
    columns = {c.name.strip(): c for c in table.columns} | {c.name: c for c in table.columns}
    wanted = named or table.primary_key
    missing = [n for n in wanted if n not in columns]
    if missing:
        raise UsageError(f"there is no column {', '.join(missing)} to name rows by", where=table.name)
    if not wanted:
        return None
    found: list[str] = []
    for ref in taken.parts[table.name]:
        rows = read_part(folder / "rows" / ref.path, ref)
        parts = [canon.canonical_text(rows[columns[n].name], columns[n].type).to_pylist() for n in wanted]
        found += ["/".join("" if p is None else p.strip() for p in row) for row in zip(*parts, strict=True)]
    return found


def _guessed(tables: Sequence[Table]) -> Duplicates:
    own = [[n.strip() for n in t.column_names] for t in tables]
    kinds = {c: k for c, k in guessed_kinds(own[0]).items() if all(c in names for names in own)}
    if not kinds:
        raise UsageError(
            "the columns' names do not tell how they are to be compared",
            where=", ".join(t.name for t in tables),
            kept="Nothing was compared.",
            hint="State it in a file: --rules rules.yaml, with for example  similar: {surname: name, born: date}",
        )
    return Duplicates(similar=kinds)


# ------------------------------------------------------------------ the answer


class _Keys:
    def __init__(self, found: Found, named: Sequence[list[str] | None]) -> None:
        self.named = named
        self.several = len(found.rows) > 1

    def __call__(self, rid: int) -> str:
        side, place = divmod(rid, SIDE)
        names = self.named[side]
        return names[place] if names is not None else f"row {place + 1}"


def _document(found: Found, keys: _Keys, tables: Sequence[str], rules: Duplicates) -> dict[str, Any]:
    clusters: dict[int, list[int]] = {}
    for rid, name in found.clusters.items():
        clusters.setdefault(name, []).append(rid)
    number = {name: n for n, name in enumerate(sorted(clusters), 1)}
    pairs = [
        {
            "a": keys(p.a),
            "b": keys(p.b),
            "probability": round(p.probability or 0.0, 6),
            "decided": p.decided,
            "cluster": number[found.clusters[p.a]] if p.decided == "merge" else None,
            "reasons": list(p.reasons),
            "doubt": p.doubt,
        }
        for p in found.pairs
    ]
    return {
        "tables": list(tables),
        "rows": list(found.rows),
        "rules": rules.model_dump(mode="json", exclude={"survive"}),
        "compared": found.compared,
        "possible": found.possible,
        "merge": sum(p.decided == "merge" for p in found.pairs),
        "review": sum(p.decided == "review" for p in found.pairs),
        "clusters": [[keys(rid) for rid in sorted(rows)] for _, rows in sorted(clusters.items())],
        "pairs": pairs,
        "placeholders": [
            {"columns": list(p.columns), "values": list(p.values), "rows": p.rows} for p in found.placeholders
        ],
    }


def _write_pairs(path: Path, pairs: Sequence[Mapping[str, Any]]) -> None:
    rows = [{**p, "reasons": "; ".join(p["reasons"])} for p in pairs]
    names = ["a", "b", "probability", "decided", "cluster", "reasons", "doubt"]
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError("pairs are written as .csv or .parquet", where=str(path))
    with atomic_file(path, point="duplicates.out") as temporary:
        if path.suffix.lower() == ".parquet":
            types: dict[str, pa.DataType] = {"probability": pa.float64(), "cluster": pa.int64()}
            schema = pa.schema([(n, types.get(n, pa.string())) for n in names])
            pq.write_table(pa.Table.from_pylist(rows, schema), temporary)
            return
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows({k: _harmless(v) for k, v in row.items()} for row in rows)


def _harmless(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _read_weights(path: Path | str | None, rules: Duplicates) -> dict[str, Any] | None:
    if path is None or not Path(path).exists():
        return None
    try:
        model = unpacked(json.loads(Path(path).read_text(encoding="utf-8")), rules)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "this is no file of weights", where=str(path), hint="Remove it: it is made anew."
        ) from error
    if model is None:
        raise UsageError(
            "these weights were trained for other columns, or for other kinds of them",
            where=str(path),
            hint="Give another file, or remove it: it is made anew.",
        )
    return model


def _write(path: Path, text: str) -> None:
    with atomic_file(path, point="duplicates.weights") as temporary:
        temporary.write_text(text, encoding="utf-8")
