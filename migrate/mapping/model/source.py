"""Where rows come from and go to: sources and their tables, the target, the place for restore tests."""

from __future__ import annotations

from pydantic import Field as Key

from migrate.mapping.strict import Strict


class SourceColumn(Strict):
    nulls: tuple[str, ...] | None = None
    timezone: str | None = None
    dates: tuple[str, ...] | None = None


class SourceTable(Strict):
    """How one table (for files: one file) is read. None = as the source says."""

    file: str | None = None  # files: also a folder, or a pattern such as people-*.csv
    sheet: str | None = None  # of an Excel file
    member: str | None = None  # of a zip
    skip_first: int = 0  # lines before the header
    skip_last: int = 0  # rows at the end: totals, footers
    dates: tuple[str, ...] | None = None
    nulls: tuple[str, ...] | None = None
    encoding: str | None = None
    timezone: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    columns: dict[str, SourceColumn] = Key(default_factory=dict)


class Source(Strict):
    """`name` is the key under `sources:`, or "source" for the short form."""

    name: str = "source"
    system: str
    url: str
    timezone: str | None = None
    nulls: tuple[str, ...] = ()
    encoding: str | None = None
    dates: tuple[str, ...] = ()
    tables: dict[str, SourceTable] = Key(default_factory=dict)


class Target(Strict):
    url: str


class Scratch(Strict):
    """URLs where restore tests run; None = the default place (see PROOFS §4). Short form: one url for both."""

    source: str | None = None
    target: str | None = None
