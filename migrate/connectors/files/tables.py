"""Which files of a folder make which table.

A table of the mapping with `file:` has that file, or the files of that folder or pattern. All other
files are found by their ending: `people.csv` is the table `people`; an Excel file with several filled
sheets is a table per sheet, `people.Sheet1`. Files with other endings are none of ours.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from migrate.connectors.files import packed
from migrate.connectors.files.options import FileOptions
from migrate.connectors.files.packed import Packed, Place, file_of
from migrate.durable import disk_errors
from migrate.errors import UsageError
from migrate.mapping.shapes import nearest

DELIMITED, JSON, PARQUET = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson"), (".parquet",)
EXCEL = (".xlsx", ".xlsm", ".xls", ".ods")
GZIP, ZIP = ".gz", ".zip"
ENDINGS = (".csv", ".tsv", *JSON, *PARQUET, *EXCEL, ".csv.gz", ".jsonl.gz", ZIP)  # as messages list them


@dataclass(frozen=True)
class Found:
    """The files of one table, in order of their names. `several`: stated as a folder or a pattern, of one file or more."""

    parts: tuple[Place, ...]
    options: FileOptions
    several: bool = False


def tables_of(
    folder: Path, options: Mapping[str, FileOptions], rest: FileOptions, wanted: Sequence[str] | None
) -> dict[str, Found]:
    """The tables `wanted` that are there; all of them without. Raises UsageError, Unreachable, Corrupt."""
    found = {
        name: _stated(folder, name, option)
        for name, option in options.items()
        if option.file is not None and (wanted is None or name in wanted)
    }
    taken = {p.resolve() for p in _all_stated(folder, options)}
    for path in _listed(folder):
        if path.resolve() in taken or not is_table(path.name, options.get(table_name(path.name), rest)):
            continue
        for name, one in _by_name(path, options, rest, wanted):
            stated = name in options and options[name].file is not None
            if stated or (wanted is not None and name not in wanted):
                continue
            if name in found:
                other = file_of(found[name].parts[0]).name
                raise UsageError(
                    f"two files would be the table {name}: {other} and {path.name}.",
                    where=str(folder),
                    hint="Name them in the mapping: tables: {NAME: {file: …}}.",
                )
            found[name] = one
    return found


def tables_of_file(path: Path, options: FileOptions) -> dict[str, FileOptions]:
    """The tables that one file is: one, or one per filled sheet of an Excel file."""
    name = table_name(path.name)
    found = list(_by_name(path, {}, options, None))
    if not found:  # a zip with several tables: its error names them
        _place(path, options)
    return {n: replace(one.options, file=path.name) for n, one in found or [(name, Found((path,), options))]}


def table_name(file: str) -> str:
    """`people` of people.csv, people.csv.gz, people.zip."""
    path = PurePath(file)
    if path.suffix.lower() in (GZIP, ZIP) and is_table(path.stem, FileOptions(delimiter=",")):
        path = PurePath(path.stem)
    return path.stem


def is_table(file: str, options: FileOptions) -> bool:
    """By its ending; a text file where the mapping states its delimiter. What a zip holds is seen when it is opened."""
    name = PurePath(file)
    suffix = name.suffix.lower()
    if suffix == GZIP:
        inner = PurePath(name.stem).suffix.lower()
        return inner in DELIMITED + JSON and is_table(name.stem, options)
    if suffix == ".txt":
        return options.delimiter is not None
    return suffix in (*DELIMITED, *JSON, *PARQUET, *EXCEL, ZIP)


# -- files that the mapping states


def _stated(folder: Path, table: str, options: FileOptions) -> Found:
    assert options.file is not None
    path = folder / options.file
    if path.is_file():
        return Found((_place(path, options),), options)
    paths = _parts(folder, table, options)
    return Found(tuple(_place(p, options) for p in paths), options, several=True)


def _parts(folder: Path, table: str, options: FileOptions) -> list[Path]:
    """The files of a folder or a pattern, by name. Raises UsageError where there is none."""
    file = str(options.file)
    path = folder / file
    if path.is_dir():
        inside = _listed(path, folders=True)
        paths = [p for p in inside if not p.is_dir() and is_table(p.name, options)]
        if folders := [p.name for p in inside if p.is_dir()]:
            raise UsageError(
                f"the folder of table {table} holds further folders ({', '.join(folders[:5])}).",
                where=str(path),
                hint=f'Say which files are meant: file: "{file.rstrip("/")}/**/*.csv".',
            )
        if paths:
            return paths
        raise UsageError(f"the folder of table {table} holds no file that is a table.", where=str(path))
    if not _is_pattern(file):
        there = [p.name for p in _listed(path.parent)] if path.parent.is_dir() else []
        near = nearest(path.name, there)
        raise UsageError(
            f"the file of table {table} is not there.",
            where=str(path),
            hint=f"Did you mean {near}?" if near else "",
        )
    paths = _matching(folder, file)
    if not paths:
        there = [p.name for p in _listed(folder)]
        raise UsageError(
            f"no file matches the pattern of table {table}.",
            where=str(path),
            hint=f"The folder holds {', '.join(there[:8])}." if there else "The folder holds no file.",
        )
    return paths


def _all_stated(folder: Path, options: Mapping[str, FileOptions]) -> Iterator[Path]:
    """Files of the folder that belong to a stated table; whether all is well with them is not asked here."""
    for stated in options.values():
        if stated.file is not None:
            path = folder / stated.file
            yield from (
                [path] if path.is_file() or not _is_pattern(stated.file) else _matching(folder, stated.file)
            )


def _is_pattern(file: str) -> bool:
    return any(character in file for character in "*?[")


def _matching(folder: Path, pattern: str) -> list[Path]:
    names = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207 - Path.glob knows no absolute pattern
    return sorted(p for p in (folder / n for n in set(names)) if p.is_file() and not p.name.startswith("~$"))


# -- files by their names


def _by_name(
    path: Path, options: Mapping[str, FileOptions], rest: FileOptions, wanted: Sequence[str] | None
) -> Iterator[tuple[str, Found]]:
    name = table_name(path.name)
    own = options.get(name, rest)
    asked = wanted is None or name in wanted
    if path.suffix.lower() == ZIP:
        inside = [m for m in packed.members(path) if _in_zip(m, own)] if asked else []
        if asked and (wanted is not None or len(inside) == 1):
            yield name, Found((_place(path, own),), own)
    elif path.suffix.lower() not in EXCEL or own.sheet is not None:
        yield name, Found((_place(path, own),), own)
    elif asked or any(w.startswith(f"{name}.") for w in wanted or ()):
        from migrate.connectors.files.spreadsheets.book import filled_sheets

        sheets = filled_sheets(path)
        if len(sheets) == 1 or name in options or (wanted is not None and name in wanted):
            yield name, Found((path,), own)
        else:
            for sheet in sheets:
                full = f"{name}.{sheet}"
                yield full, Found((path,), replace(options.get(full, rest), sheet=sheet))


def _in_zip(member: str, options: FileOptions) -> bool:
    return is_table(member, options) and PurePath(member).suffix.lower() not in (GZIP, ZIP)


def _listed(folder: Path, *, folders: bool = False) -> list[Path]:
    """Without hidden files and those that Excel makes while a file is open."""
    with disk_errors("Reading the folder", folder):
        there = sorted(folder.iterdir())
    return [
        p for p in there if not p.name.startswith((".", "~$")) and (p.is_file() or (folders and p.is_dir()))
    ]


def _place(path: Path, options: FileOptions) -> Place:
    suffix = path.suffix.lower()
    if suffix == ZIP:
        return Packed(path, packed.member_of(path, options.member, lambda name: _in_zip(name, options)))
    if options.member is not None:
        raise UsageError("member is for a zip, and this file is none.", where=str(path))
    return Packed(path) if suffix == GZIP else path
