"""`migrate audit`: how good the rows of a database or of files are, with no migration, comparable over time.

Columns are asked what their names and their values suggest. Nothing of what is kept holds a value.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from migrate.api.databases import place_of_source
from migrate.api.places import home_to_be
from migrate.connectors.protocol import Database
from migrate.connectors.registry import open_source
from migrate.durable import make_private_folder, write_bytes
from migrate.errors import UsageError
from migrate.mapping.arguments import parse_arguments
from migrate.mapping.check_specs import CHECK_SPECS
from migrate.mapping.model import Check
from migrate.model import Column, Kind, Table, added_columns
from migrate.rules.profiling import TableProfile, orphans, profile_table
from migrate.rules.scores import DIMENSIONS, finding, share
from migrate.transform.convert import DATES, TEXTS
from migrate.transform.quality import About, broken_rows
from migrate.transform.values import Values, values_of
from migrate.vault.capture import Capture, capture

FORMAT = 1
_EMAIL = re.compile(r"(?:\A|_|\b)e?-?mail(?:\d|_|\b|\Z)", re.IGNORECASE)
_PHONE = re.compile(r"(?:\A|_|\b)(?:tel|phone|telephone|mobile|cell|fax)(?:\d|_|\b|\Z)", re.IGNORECASE)
_NAME = re.compile(
    r"(?:first|last|family|given|sur|full|contact)_?name\Z|\A(?:forename|surname|contact)\Z", re.IGNORECASE
)
_BORN = re.compile(r"(?:\A|_)(?:birth|born|dob)", re.IGNORECASE)
_TOUCHED = re.compile(
    r"(?:\A|_)(?:updated|modified|changed|last_(?:activity|contact|seen|login|modified))", re.IGNORECASE
)
_LOOKS = 0.6  # share of the values that look like an e-mail address


def audit(
    url_or_path: str,
    *,
    tables: Sequence[str] = (),
    region: str | None = None,
    fresh: str = "12 months",
    encoding: str | None = None,
    home: Path | None = None,
) -> dict[str, Any]:
    """Scores and findings of every table, and what changed since the last audit of the same place.

    `region`: the country of telephone numbers without +; `fresh`: how old a row may be whose table says when it was last
    touched. Kept under `audits/` of the state folder. Raises UsageError for a table that is not there."""
    url, only, options = place_of_source(url_or_path, encoding)
    wanted = list(tables) or list(only)
    now = datetime.now(UTC)
    rules = _Rules(region, fresh, now.date())
    with tempfile.TemporaryDirectory(prefix="migrate-audit-") as name:
        database = open_source(url, base=Path.cwd(), work=Path(name), options=options)
        try:
            there = database.schema(wanted or None)
            missing = [t for t in wanted if t not in there.table_names]
            if missing:
                raise UsageError(f"there is no table {', '.join(missing)}", where=database.url)
            found = _tables(database, list(there.table_names), Path(name), rules)
            place = database.url
        finally:
            database.close()
    document: dict[str, Any] = {
        "format": FORMAT,
        "place": place,
        "at": now.isoformat(timespec="seconds"),
        "tables": found,
    }
    folder = home_to_be(home) / "audits" / hashlib.sha256(url.encode()).hexdigest()[:16]
    earlier = _latest(folder)
    document["since"] = _compared(earlier, found) if earlier is not None else None
    make_private_folder(folder)
    path = folder / f"{now:%Y%m%d-%H%M%S-%f}.json"
    write_bytes(
        path, (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode(), point="audit.written"
    )
    return {**document, "kept": str(path)}


class _Rules:
    """Which rules a column is asked by."""

    def __init__(self, region: str | None, fresh: str, today: date) -> None:
        self.phone = _check("phone", region)
        self.fresh = _check("fresh", fresh)
        self.about = About(today=today)

    def of(self, column: Column, shares: dict[str, float]) -> list[Check]:
        name, kind = column.name, column.type.kind
        if kind in TEXTS and (_EMAIL.search(name) or shares.get("email", 0) >= _LOOKS):
            return [Check(name="email")]
        if kind in TEXTS and _PHONE.search(name):
            return [self.phone]
        if kind in TEXTS and _NAME.search(name):
            return [Check(name="person"), Check(name="not_test_data")]
        if kind in (*DATES, Kind.TEXT) and _BORN.search(name):
            return [Check(name="not_after", argument="today")]
        if kind in (*DATES, Kind.TEXT) and _TOUCHED.search(name):
            return [self.fresh]
        return []


def _check(name: str, argument: str | None) -> Check:
    """Raises UsageError for an argument that the rule does not know."""
    _, problems = parse_arguments(CHECK_SPECS[name], argument)
    if problems:
        raise UsageError(problems[0].message, hint=problems[0].hint)
    return Check(name=name, argument=argument)


def _tables(database: Database, names: list[str], folder: Path, rules: _Rules) -> dict[str, Any]:
    """All tables inside one snapshot, so that references between them are seen as they were at one moment."""
    taken = capture(database, names, folder / "rows", advance=lambda _: None, point="audit.capture")
    files = {t: [folder / "rows" / p.path for p in taken.parts[t]] for t in names}
    try:
        return {t: _table(taken, t, files, folder / "temp", rules) for t in names}
    finally:
        shutil.rmtree(folder / "rows", ignore_errors=True)


def _table(
    taken: Capture, name: str, files: dict[str, list[Path]], temp: Path, rules: _Rules
) -> dict[str, Any]:
    declared = taken.schema.table(name)
    profiled = profile_table(files[name], declared, key=declared.primary_key, temp=temp)
    counts: Counter[tuple[str, str]] = Counter()
    rows_with: Counter[str] = Counter()
    asked = {
        c.name: rules.of(c, profiled.column(c.name).shares)
        for c in declared.columns
        if c.name in _own(declared)
    }
    for path in files[name]:
        _count(path, declared, {n: r for n, r in asked.items() if r}, rules.about, counts, rows_with)
    keys = profiled.keys
    if keys is not None and keys.not_unique:
        counts[", ".join(declared.primary_key), "key_not_unique"] = keys.not_unique
        rows_with["uniqueness"] = keys.not_unique
    lost = _lost(declared, files, temp)
    counts.update({(column, "ref_missing"): n for column, n in lost.items() if n})
    # Which rows they are is not known: at least as many as the worst of them says.
    rows_with["consistency"] = max(rows_with["consistency"], *lost.values(), 0)
    return {
        "rows": profiled.rows,
        "scores": _scores(profiled, declared, rows_with, asked, keyed=keys is not None, refers=bool(lost)),
        "findings": [{"column": c, "code": code, "rows": n} for (c, code), n in counts.most_common()],
        "filled": {
            c.name: round((c.rows - c.nulls - c.empty) / c.rows, 4) for c in profiled.columns if c.rows
        },
    }


def _own(table: Table) -> list[str]:
    added = added_columns(table.column_names)
    return [n for n in table.column_names if n not in added]


def _count(
    path: Path,
    table: Table,
    asked: dict[str, list[Check]],
    about: About,
    counts: Counter[tuple[str, str]],
    rows_with: Counter[str],
) -> None:
    """Adds what the rules find in one part: rows by column and code, and by dimension."""
    if not asked:
        return
    rows = pq.read_table(path, columns=list(asked))
    worst: dict[str, Any] = {}
    for name, checks in asked.items():
        column = table.column(name)
        values = _filled(values_of(rows[name].combine_chunks(), column.type))
        for check in checks:
            for one in broken_rows(check, values, about):
                if one.code == "email_unknown":
                    continue
                counts[name, one.code] += int(one.mask.sum())
                said = finding(one.code, frozenset())
                if said is not None:
                    seen = worst.get(said.dimension)
                    worst[said.dimension] = one.mask if seen is None else seen | one.mask
    rows_with.update({dimension: int(mask.sum()) for dimension, mask in worst.items()})


def _filled(values: Values) -> Values:
    """Blank texts are no values: nobody has said what stands for nothing here, and rules ask what is filled."""
    texts = values.series
    if texts.dtype != pl.String:
        return values
    filled = (texts.str.strip_chars() != "").fill_null(False)
    return replace(values, series=texts.zip_with(filled, pl.Series([None], dtype=pl.String)))


def _lost(table: Table, files: dict[str, list[Path]], temp: Path) -> dict[str, int]:
    """Rows whose reference leads nowhere, by column; only those of one column to a table that was read too."""
    found: dict[str, int] = {}
    for key in table.foreign_keys:
        if len(key.columns) == 1 and len(key.ref_columns) == 1 and key.ref_table in files:
            found[key.columns[0]], _ = orphans(
                files[table.name], key.columns[0], files[key.ref_table], key.ref_columns[0], temp
            )
    return found


def _scores(
    profiled: TableProfile,
    table: Table,
    rows_with: Counter[str],
    asked: dict[str, list[Check]],
    *,
    keyed: bool,
    refers: bool,
) -> dict[str, float | None]:
    """What nothing could be asked about has no score."""
    rules = {check.name for checks in asked.values() for check in checks}
    known = {
        "completeness": True,
        "validity": bool(rules - {"fresh", "not_after"}) or bool(profiled.bad),
        "uniqueness": keyed,
        "timeliness": "fresh" in rules,
        "consistency": refers or "not_after" in rules,
    }
    cells = sum(c.rows for c in profiled.columns)
    filled = sum(c.rows - c.nulls - c.empty for c in profiled.columns)
    rows_with["validity"] += sum(profiled.bad.values())
    return {
        d: (round(filled / cells, 4) if cells else None)
        if d == "completeness"
        else (share(profiled.rows, min(rows_with[d], profiled.rows)) if known[d] else None)
        for d in DIMENSIONS
    }


def _latest(folder: Path) -> dict[str, Any] | None:
    """The last audit of the same place that can be read."""
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict) and found.get("format") == FORMAT:
            return found
    return None


def _compared(earlier: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """`at`; per table that was there: rows and scores now less those then; tables that are new or gone."""
    then: dict[str, Any] = earlier["tables"]
    changed = {}
    for name in found.keys() & then.keys():
        scores = {
            d: round(now - was, 4)
            for d, now in found[name]["scores"].items()
            if now is not None and (was := then[name]["scores"].get(d)) is not None
        }
        changed[name] = {"rows": found[name]["rows"] - then[name]["rows"], "scores": scores}
    return {
        "at": earlier["at"],
        "tables": dict(sorted(changed.items())),
        "new": sorted(found.keys() - then.keys()),
        "gone": sorted(then.keys() - found.keys()),
    }
