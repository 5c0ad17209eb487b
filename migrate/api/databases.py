"""Looking at databases and at this machine: profile, doctor, the mapping's JSON Schema."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from migrate.connectors.protocol import Database
from migrate.connectors.registry import open_source, open_target
from migrate.errors import MigrateError, UsageError
from migrate.mapping.load import load_mapping
from migrate.mapping.schema import json_schema
from migrate.planning import scratch_url
from migrate.rules.profiling import profile_table
from migrate.vault.capture import capture

_LIBRARIES = (
    "pyarrow",
    "polars",
    "duckdb",
    "psycopg",
    "adbc-driver-postgresql",
    "sqlalchemy",
    "alembic",
    "pydantic",
)
_NEEDED_MB = 500


def schema() -> dict[str, Any]:
    """The JSON Schema of a mapping file, for editors."""
    return json_schema()


def profile(
    url_or_path: str, *, tables: Sequence[str] = (), samples: bool = False, home: Path | None = None
) -> dict[str, Any]:
    """Every column of a database's tables, or of a folder of files. Values are masked unless `samples`."""
    del home
    url = url_or_path if ":" in url_or_path else f"files:{Path(url_or_path).absolute()}"
    with tempfile.TemporaryDirectory(prefix="migrate-profile-") as name:
        folder = Path(name)
        database = open_source(url, base=Path.cwd(), work=folder)
        try:
            found = database.schema(list(tables) or None)
            missing = [t for t in tables if t not in found.table_names]
            if missing:
                raise UsageError(f"there is no table {', '.join(missing)}", where=database.url)
            return {t: _profile_one(database, t, folder, samples) for t in found.table_names}
        finally:
            database.close()


def _profile_one(database: Database, table: str, folder: Path, samples: bool) -> dict[str, Any]:
    """One table at a time, so that no more than one lies on disk."""
    taken = capture(database, [table], folder / "rows", advance=lambda _: None, point="profile.capture")
    files = [folder / "rows" / p.path for p in taken.parts[table]]
    declared = taken.schema.table(table)
    result = profile_table(files, declared, key=declared.primary_key, temp=folder / "temp")
    shutil.rmtree(folder / "rows")
    return result.as_json(samples=samples)


def doctor(mapping: Path | str | None = None, *, home: Path | None = None) -> list[dict[str, Any]]:
    """What will not work, before it does not: versions, disk, and with a mapping its databases and scratch places."""
    checks = [
        _check(
            "Python", sys.version_info >= (3, 11), sys.version.split()[0], "Python 3.11 or newer is needed."
        ),
        _check(
            "SQLite",
            sqlite3.sqlite_version_info >= (3, 35),
            sqlite3.sqlite_version,
            "SQLite 3.35 or newer is needed.",
        ),
    ]
    for name in _LIBRARIES:
        try:
            checks.append(_check(name, True, version(name), ""))
        except PackageNotFoundError:
            checks.append(_check(name, False, "missing", f"pip install {name}"))
    free = shutil.disk_usage(home if home is not None and home.is_dir() else Path.cwd()).free >> 20
    checks.append(
        _check("disk", free > _NEEDED_MB, f"{free} MB free", f"At least {_NEEDED_MB} MB should be free.")
    )
    if mapping is not None:
        checks += _databases(mapping)
    return checks


def _check(check: str, passed: bool, found: str, hint: str) -> dict[str, Any]:
    return {"check": check, "passed": passed, "found": found, "hint": "" if passed else hint}


def _databases(path: Path | str) -> Iterator[dict[str, Any]]:
    try:
        mapping = load_mapping(path)
    except MigrateError as error:
        yield _check("mapping", False, str(error), "Correct the mapping.")
        return
    yield _check("mapping", True, mapping.name, "")
    base = Path(mapping.base)
    with tempfile.TemporaryDirectory(prefix="migrate-doctor-") as name:
        for source, spec in mapping.sources.items():
            wanted = sorted({e.table for e in mapping.entities.values() if e.source == source})
            yield _reach(
                f"source {source}",
                wanted,
                lambda spec=spec: open_source(spec.url, base=base, work=Path(name), options=spec),
            )
        wanted = sorted({e.into for e in mapping.entities.values()})
        yield _reach("target", wanted, lambda: open_target(mapping.target.url, base=base, work=Path(name)))
    for role, source in [*(("source", s) for s in mapping.sources), ("target", "")]:
        label = f"scratch for {role} {source}".strip()
        try:
            engine, url = scratch_url(mapping, role, source)
            yield _check(label, True, f"{engine} {'server' if url else 'file'}", "")
        except MigrateError as error:
            yield _check(label, False, str(error), error.hint)


def _reach(label: str, wanted: list[str], open_it: Any) -> dict[str, Any]:
    try:
        database = open_it()
        try:
            found = database.schema(wanted)
        finally:
            database.close()
    except MigrateError as error:
        return _check(label, False, error.message, error.hint or "Check the URL and the rights.")
    missing = [t for t in wanted if t not in found.table_names]
    return _check(
        label,
        not missing,
        f"{database.url}, {len(found.tables)} of {len(wanted)} tables",
        f"Missing: {', '.join(missing)}",
    )
