"""Which engines are tried as source and as target. A new engine is added by adding its list of cases here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fidelity import files, postgres, sqlite
from tests.fidelity.case import Case
from tests.fidelity.places import Files, Place, Postgres, Sqlite
from tests.fidelity.trial import Became, tried

CASES: dict[str, Sequence[Case]] = {
    "postgresql": postgres.CASES,
    "sqlite": sqlite.CASES,
    "csv": files.CSV,
    "jsonl": files.JSON,
    "parquet": tuple(t.case for t in files.PARQUET),
}
TARGETS = ("postgresql", "sqlite")
PAIRS = [(source, target) for source in CASES for target in TARGETS]


def place(engine: str, folder: Path, name: str, make_postgres: Callable[[], str]) -> Place:
    if engine == "postgresql":
        return Postgres(make_postgres())
    return Sqlite(folder / f"{name}.db") if engine == "sqlite" else Files(folder / "exports", engine)


def try_pair(
    source: str, target: str, folder: Path, make_postgres: Callable[[], str]
) -> tuple[list[Became], frozenset[str]]:
    """What became of every value, and what this machine's servers have not got."""
    first, second = (place(e, folder, n, make_postgres) for e, n in ((source, "source"), (target, "target")))
    assert not isinstance(second, Files)
    copy = second if isinstance(first, Files) else place(source, folder, "restored", make_postgres)
    assert not isinstance(copy, Files)
    found = tried(folder, first, second, copy, CASES[source])
    return found, first.without() | second.without()
