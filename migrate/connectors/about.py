"""What a connector says of itself, for people who decide whether to trust it with their data.

What it can do is not said here: it is what its classes have (`capabilities`). Versions and traps are stated by each
connector beside its code, in `migrate.connectors.ENGINE.about`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from migrate.connectors.registry import MODULES, PLACE_MODULES


@dataclass(frozen=True)
class Trap:
    """Something of the engine that loses or changes rows where nobody looks, and what stands against it."""

    what: str
    answer: str


@dataclass(frozen=True)
class About:
    """`urls`: as they begin. `oldest`: what is refused below. `tried`: the versions that the tests have run against,
    and nothing else. `moment`: how all rows are read as of one moment. `restored_in`: where its backups are proven, by default."""

    title: str
    urls: tuple[str, ...]
    oldest: str
    tried: tuple[str, ...]
    moment: str
    restored_in: str
    traps: tuple[Trap, ...]


def about(engine: str) -> About:
    """`engine`: a key of MODULES."""
    folder = MODULES[engine].rsplit(".", 1)[0]
    found: About = importlib.import_module(f"{folder}.about").ABOUT
    return found


def capabilities(engine: str) -> dict[str, bool]:
    """What its classes can do, in words."""
    database = _database(engine)
    snapshot = _snapshot(engine)
    return {
        "read from": True,
        "write to, and undo": hasattr(database, "begin"),
        "restore a backup for good": engine in PLACE_MODULES,
        "read large tables in pieces, which outlive a kill": hasattr(snapshot, "pieces"),
        "create missing tables and columns": hasattr(database, "changing"),
        "write down its tables in its own words beside a backup": hasattr(database, "ddl_text"),
    }


def _database(engine: str) -> type:
    return _class(MODULES[engine], ("begin", "snapshot", "others"), ("snapshot", "others"))


def _snapshot(engine: str) -> type:
    folder = MODULES[engine].rsplit(".", 1)[0]
    name = {"sqlite": "snapshot", "files": "source"}.get(engine, "read")
    return _class(f"{folder}.{name}", ("verify_unchanged", "read"))


def _class(module: str, *wanted: tuple[str, ...]) -> type:
    """The class defined in `module` that has all of the first of `wanted`, else of the next."""
    named = importlib.import_module(module)
    own = [c for c in vars(named).values() if isinstance(c, type) and c.__module__ == module]
    return next(c for names in wanted for c in own if all(hasattr(c, n) for n in names))
