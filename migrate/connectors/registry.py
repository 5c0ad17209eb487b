"""Which module speaks which URL."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import cast

from migrate.connectors.protocol import Database, Place, Scratch, Target
from migrate.errors import UsageError

MODULES = {
    "sqlite": "migrate.connectors.sqlite.target",
    "postgresql": "migrate.connectors.postgres.target",
    "mysql": "migrate.connectors.mysql.target",
    "files": "migrate.connectors.files.source",
}
SCRATCH_MODULES = {
    "sqlite": "migrate.connectors.sqlite.scratch",
    "postgresql": "migrate.connectors.postgres.scratch",
    "mysql": "migrate.connectors.mysql.scratch",
}
PLACE_MODULES = {
    "sqlite": "migrate.connectors.sqlite.place",
    "postgresql": "migrate.connectors.postgres.place",
    "mysql": "migrate.connectors.mysql.place",
}
_ALIASES = {"postgres": "postgresql", "mariadb": "mysql"}
SERVERS = ("postgresql", "mysql")  # engines whose scratch databases are made on a server


def engine_of(url: str) -> str:
    """The engine a URL names. Raises UsageError for one that no connector speaks, or that would be read wrongly."""
    _refuse_unescaped(url)
    scheme = url.split(":", 1)[0].split("+", 1)[0].lower()
    engine = _ALIASES.get(scheme, scheme)
    if engine not in MODULES:
        raise UsageError(f"no connector speaks {scheme!r}", hint=f"Known: {', '.join(sorted(MODULES))}.")
    return engine


def _refuse_unescaped(url: str) -> None:
    """A password with a bare @ or / would be cut in two, and its end shown as a host name. Nothing of the URL is said."""
    scheme, separator, rest = url.partition("://")
    authority, _, path = rest.partition("?")[0].partition("/")
    if separator and scheme not in ("sqlite", "files") and (authority.count("@") > 1 or "@" in path):
        raise UsageError(
            f"the {scheme} URL has an @ or a / that is not escaped in its user name or password",
            hint="Write @ as %40, / as %2F and : as %3A there.",
        )


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def open_source(url: str, *, base: Path, work: Path, options: object = None) -> Database:
    """Open for reading; `options` is the mapping's `Source`, which file sources need for dialects.

    `work` is a private folder for what has to lie on disk meanwhile (SQLite: the copy that is read)."""
    engine = engine_of(url)
    if engine == "files":
        return cast(Database, _module(MODULES[engine]).open_database(url, base=base, source=options))
    return open_target(url, base=base, work=work)


def open_target(url: str, *, base: Path, work: Path) -> Target:
    engine = engine_of(url)
    if engine == "files":
        raise UsageError("files cannot be a target", hint="Give a sqlite:///, postgresql:// or mysql:// URL.")
    module = _module(MODULES[engine])
    if engine == "sqlite":
        return cast(Target, module.open_database(url, base=base, work=work))
    return cast(Target, module.open_database(url, base=base))


def _scratch_module(engine: str) -> ModuleType:
    return _module(SCRATCH_MODULES["sqlite" if engine == "files" else engine])


def open_scratch(engine: str, url: str | None, *, folder: Path, name: str, run: str) -> Scratch:
    """An empty scratch database; files are tested in SQLite. Raises UsageError where `url` is of another engine."""
    wanted = "sqlite" if engine == "files" else engine
    if url is not None and engine_of(url) != wanted:
        raise UsageError(
            f"a backup of {engine} cannot be restored into {engine_of(url)} to prove it",
            kept="Nothing was restored.",
            hint=f"Name a scratch place of {wanted}.",
        )
    return cast(Scratch, _scratch_module(engine).open_scratch(url, folder=folder, name=name, run=run))


def drop_scratch(engine: str, url: str | None, *, folder: Path, name: str) -> bool:
    """What a killed process left of a scratch database; only with our marker. False where it is still there: it is in
    use, or not ours."""
    module = _scratch_module(engine)
    if engine in SERVERS:
        return name in module.drop_leftovers(url, [name])
    return name in module.drop_leftovers(folder if url is None else module.place_of(url, folder), [name])


def drop_snapshot_leftovers(work: Path) -> None:
    """Copies of SQLite files that killed processes left under `work`; those in use stay."""
    if any(work.glob("*")):
        _module("migrate.connectors.sqlite.snapshot").drop_snapshot_leftovers(work)


def open_restore_place(url: str, *, base: Path) -> Place:
    """A place named by the user, to restore a backup into for good: an SQLite file, made where there is none, or a database.

    The restore itself refuses one that is not empty (P27)."""
    engine = engine_of(url)
    if engine == "files":
        raise UsageError(
            "a backup is restored into a database", hint="Give a sqlite:///, postgresql:// or mysql:// URL."
        )
    return cast(Place, _module(PLACE_MODULES[engine]).open_place(url, base=base))
