"""Looking at databases and at this machine: profile, doctor, the mapping's JSON Schema."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from migrate.connectors.protocol import Database
from migrate.connectors.registry import engine_of, open_source, open_target
from migrate.errors import MappingError, MigrateError, Problem, Unreachable, UsageError
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Mapping, Source, SourceTable
from migrate.mapping.schema import json_schema
from migrate.mapping.usage import read_tables
from migrate.model import Schema
from migrate.planning import scratch_url
from migrate.rules.profiling import profile_table
from migrate.stages.plan import held_against, target_tables
from migrate.vault.capture import capture

_LIBRARIES = (
    "pyarrow",
    "polars",
    "duckdb",
    "psycopg",
    "adbc-driver-postgresql",
    "pymysql",
    "sqlalchemy",
    "alembic",
    "pydantic",
    "python-calamine",
    "xlrd",
)
_NEEDED_MB = 500
_SQLITE = (".db", ".sqlite", ".sqlite3")


def schema(of: str = "mapping") -> dict[str, Any]:
    """The JSON Schema of a mapping file, of a `drill` file or a `schedule`, for editors. Raises UsageError."""
    from migrate.mapping import drill_file, schedule_file

    known = {"mapping": json_schema, "drill": drill_file.json_schema, "schedule": schedule_file.json_schema}
    if of not in known:
        raise UsageError(f"there is no schema of {of!r}", hint=f"Known: {', '.join(known)}.")
    return known[of]()


def profile(
    url_or_path: str,
    *,
    tables: Sequence[str] = (),
    samples: bool = False,
    encoding: str | None = None,
    home: Path | None = None,
) -> dict[str, Any]:
    """Every column of a database's tables, of a folder of files, or of one file. Values are masked unless `samples`.

    `encoding`: of text files. Raises UsageError for a file that is neither a table nor a SQLite database."""
    del home
    url, only, options = place_of_source(url_or_path, encoding)
    tables = tables or only
    with tempfile.TemporaryDirectory(prefix="migrate-profile-") as name:
        folder = Path(name)
        database = open_source(url, base=Path.cwd(), work=folder, options=options)
        try:
            found = database.schema(list(tables) or None)
            missing = [t for t in tables if t not in found.table_names]
            if missing:
                raise UsageError(f"there is no table {', '.join(missing)}", where=database.url)
            return {t: _profile_one(database, t, folder, samples) for t in found.table_names}
        except UsageError as error:
            if encoding is None and "encoding" in error.message:
                error.hint = f"{error.hint} Here: --encoding NAME.".strip()
            raise
        finally:
            database.close()


def place_of_source(given: str, encoding: str | None) -> tuple[str, Sequence[str], Source | None]:
    """What to open: its URL, the one table wanted (of one file), and how files are to be read."""
    path = Path(given).expanduser()
    only: list[str] = []
    tables: dict[str, SourceTable] = {}
    if ":" in given and not path.exists():
        url = given
    elif path.suffix.lower() in _SQLITE and not path.is_dir():
        url = f"sqlite:///{path.absolute()}"
    elif path.is_file():
        url, tables = f"files:{path.absolute().parent}", _tables_of(path.absolute(), encoding, given)
        only = list(tables)
    elif path.is_dir():
        url = f"files:{path.absolute()}"
    else:
        raise Unreachable("there is no such file or folder", where=given)
    if not url.startswith("files:"):
        if encoding is not None:
            raise UsageError("--encoding is for files; a database knows its own", where=given)
        return url, only, None
    return url, only, Source(system="profile", url=url, encoding=encoding, tables=tables)


def _tables_of(path: Path, encoding: str | None, given: str) -> dict[str, SourceTable]:
    """The tables of one file. A name that another file of the folder has too gets this one's ending."""
    from migrate.connectors.files.options import FileOptions
    from migrate.connectors.files.tables import ENDINGS, is_table, table_name, tables_of_file

    if not is_table(path.name, FileOptions()):
        raise UsageError(
            "this file is no table and no SQLite database",
            where=given,
            hint=f"Known endings: {', '.join((*ENDINGS, *_SQLITE))}.",
        )
    found = tables_of_file(path, FileOptions(encoding=encoding))
    own = table_name(path.name)
    twins = [p for p in path.parent.glob("*") if table_name(p.name) == own and p.name != path.name]
    return {
        (path.name if twins and name == own else name): SourceTable(file=path.name, sheet=options.sheet)
        for name, options in found.items()
    }


def _profile_one(database: Database, table: str, folder: Path, samples: bool) -> dict[str, Any]:
    """One table at a time, so that no more than one lies on disk."""
    taken = capture(database, [table], folder / "rows", advance=lambda _: None, point="profile.capture")
    files = [folder / "rows" / p.path for p in taken.parts[table]]
    declared = taken.schema.table(table)
    result = profile_table(files, declared, key=declared.primary_key, temp=folder / "temp")
    shutil.rmtree(folder / "rows")
    return result.as_json(samples=samples)


def doctor(mapping: Path | str | None = None, *, home: Path | None = None) -> list[dict[str, Any]]:
    """What will not work, before it does not: versions, disk, with a mapping its databases and scratch places; a vault
    that lacks backups which the ledger knows; and the drills and scheduled jobs that failed or were missed."""
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
    from migrate.api.lacking import vault_checks  # `profile` need not wait for it, nor for what follows
    from migrate.api.schedules import practice_checks

    checks += vault_checks(mapping, home or _home_beside(mapping))
    return checks + practice_checks(home or _home_beside(mapping))


def _home_beside(mapping: Path | str | None) -> Path | None:
    """The state folder of a mapping, where it has one and the environment names no other."""
    if mapping is None or os.environ.get("MIGRATE_HOME"):
        return None
    folder = Path(mapping).absolute().parent
    home = (folder.parent if folder.name == "mappings" else folder) / ".migrate"
    return home if home.is_dir() else None


def _check(check: str, passed: bool, found: str, hint: str) -> dict[str, Any]:
    return {"check": check, "passed": passed, "found": found, "hint": "" if passed else hint}


def _databases(path: Path | str) -> Iterator[dict[str, Any]]:
    try:
        mapping = load_mapping(path)
    except MigrateError as error:
        problems = error.problems if isinstance(error, MappingError) else []
        yield _wrong_mapping(problems, error.message, error.exit_code)
        return
    base = Path(mapping.base)
    reached: dict[str, Schema] = {}
    with tempfile.TemporaryDirectory(prefix="migrate-doctor-") as name:
        for source, spec in mapping.sources.items():
            wanted = sorted(read_tables(mapping).get(source, ()))
            yield _reach(
                f"source {source}",
                wanted,
                lambda spec=spec: open_source(spec.url, base=base, work=Path(name), options=spec),
                reached,
            )
        yield _reach(
            "target",
            sorted(target_tables(mapping)),
            lambda: open_target(mapping.target.url, base=base, work=Path(name)),
            reached,
            made={e.into for e in mapping.entities.values() if e.create and e.inserts},
        )
    yield _held_against(mapping, reached)
    for role, source in [*(("source", s) for s in mapping.sources), ("target", "")]:
        label = f"scratch for {role} {source}".strip()
        try:
            engine, url = scratch_url(mapping, role, source)
            yield _check(label, True, f"{engine} {'server' if url else 'file'}", "")
        except MigrateError as error:
            yield _check(label, False, error.message, error.hint) | {"exit_code": error.exit_code}


def _held_against(mapping: Mapping, reached: dict[str, Schema]) -> dict[str, Any]:
    """What plan would say of the mapping, as far as both sides can be reached; nothing is read but catalogues."""
    names = [f"source {s}" for s in mapping.sources]
    if not {*names, "target"} <= reached.keys():
        return _check(
            "mapping", True, f"{mapping.name}: its text is right; its databases were not reached", ""
        )
    held = held_against(
        mapping,
        {s: reached[f"source {s}"] for s in mapping.sources},
        reached["target"],
        engine=engine_of(mapping.target.url),
        now=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    if held.problems:
        return _wrong_mapping(held.problems, "", MappingError.exit_code)
    return _check("mapping", True, f"{mapping.name} fits both databases", "")


def _wrong_mapping(problems: Sequence[Problem], message: str, exit_code: int) -> dict[str, Any]:
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    return {
        **_check("mapping", False, count if problems else message, "Correct the mapping."),
        "exit_code": exit_code,
        "problems": [str(p) for p in problems],
    }


def _reach(
    label: str,
    wanted: list[str],
    open_it: Any,
    reached: dict[str, Schema],
    made: Collection[str] = (),
) -> dict[str, Any]:
    """`made`: tables that a run creates where they are missing."""
    try:
        database = open_it()
        try:
            found = database.schema(wanted)
        finally:
            database.close()
    except MigrateError as error:
        hint = error.hint or "Check the URL and the rights."
        return _check(label, False, error.message, hint) | {"exit_code": error.exit_code}
    reached[label] = found
    missing = [t for t in wanted if t not in found.table_names and t not in made]
    return _check(
        label,
        not missing,
        f"{database.url}, {len(found.tables)} of {len(wanted)} tables",
        f"Missing: {', '.join(missing)}",
    ) | ({"exit_code": MappingError.exit_code} if missing else {})
