"""Which engines are tried as source and as target. A new engine is added by adding its list of cases here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.fidelity import files, mysql, postgres, sqlite
from tests.fidelity.case import Case
from tests.fidelity.places import Files, Mysql, Place, Postgres, Sqlite
from tests.fidelity.trial import Became, tried

CASES: dict[str, Sequence[Case]] = {
    "postgresql": postgres.CASES,
    "sqlite": sqlite.CASES,
    "csv": files.CSV,
    "jsonl": files.JSON,
    "parquet": tuple(t.case for t in files.PARQUET),
    "mysql": mysql.CASES,
}
TARGETS = ("postgresql", "sqlite")
PAIRS = [
    *((source, target) for source in CASES for target in TARGETS),
    *((source, "mysql") for source in CASES),
]
Make = Mapping[str, Callable[[], str]]  # engine with servers → makes an empty database, and gives its URL


def cases(source: str, target: str) -> Sequence[Case]:
    """Those of a source; into MariaDB by what they would go into on PostgreSQL."""
    if target != "mysql" or source == "mysql":
        return CASES[source]
    chosen = [(c, mysql.FROM_POSTGRES.get(c.into["postgresql"][0])) for c in CASES[source]]
    return [replace(c, into={"mysql": (into,)}) for c, into in chosen if into is not None]


def place(engine: str, folder: Path, name: str, make: Make) -> Place:
    if engine in make:
        return (Postgres if engine == "postgresql" else Mysql)(make[engine]())
    return Sqlite(folder / f"{name}.db") if engine == "sqlite" else Files(folder / "exports", engine)


def try_pair(source: str, target: str, folder: Path, make: Make) -> tuple[list[Became], frozenset[str]]:
    """What became of every value, and what this machine's servers have not got."""
    first, second = (place(e, folder, n, make) for e, n in ((source, "source"), (target, "target")))
    assert not isinstance(second, Files)
    copy = second if isinstance(first, Files) else place(source, folder, "restored", make)
    assert not isinstance(copy, Files)
    found = tried(folder, first, second, copy, cases(source, target))
    return found, first.without() | second.without()
