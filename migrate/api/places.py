"""Where state lies, and how a command without a mapping finds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from migrate.context import Context, Progress
from migrate.errors import Drift, UsageError
from migrate.ledger.ledger import Ledger
from migrate.opening import mapping_of, opened
from migrate.state.replays import replay_of


def find_home(home: Path | None = None) -> Path:
    """`--home`, MIGRATE_HOME, or the nearest `.migrate` from the current folder upwards."""
    if home is not None:
        return home
    if os.environ.get("MIGRATE_HOME"):
        return Path(os.environ["MIGRATE_HOME"])
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".migrate" / "ledger.db").is_file():
            return folder / ".migrate"
    raise UsageError(
        "there is no .migrate folder here or above",
        where=str(here),
        hint="Give --home, or change to the project's folder.",
    )


def home_to_be(home: Path | None) -> Path:
    """Where the ledger is, or will be: a backup or a drill needs no project."""
    try:
        return find_home(home)
    except UsageError:
        return Path.cwd() / ".migrate"


@contextmanager
def ledger_of(home: Path | None) -> Iterator[Ledger]:
    place = find_home(home)
    if not (place / "ledger.db").is_file():
        raise UsageError("there are no runs yet", where=str(place))
    with Ledger.open(place / "ledger.db") as ledger:
        yield ledger


def run_id(ledger: Ledger, given: str | None) -> str:
    """A run by its id, by the beginning of it, or `latest` (also for None). Replays belong to their run, and are meant only
    by their whole name. Raises UsageError."""
    names = [r.run for r in ledger.runs()]
    whole = [n for n in names if replay_of(n) is None]
    if not whole:
        raise UsageError("there are no runs yet")
    if given in (None, "latest"):
        return whole[0]
    found = [n for n in names if n == given] or [n for n in whole if n.startswith(str(given))]
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"{'no run is' if not found else f'{len(found)} runs are'} named {given}",
        hint="`migrate runs` lists them.",
    )


@contextmanager
def context_of(
    run: str | None, home: Path | None, progress: Progress | None = None, *, hold: bool, workers: int = 1
) -> Iterator[Context]:
    """The context of a run that exists, from the copy of the mapping that it was started with."""
    place = find_home(home)
    with ledger_of(place) as ledger:
        name = run_id(ledger, run)
        info, facts = ledger.run(name), ledger.run_facts(name)
        folder = ledger.root / name
    mapping = mapping_of(folder, str(facts["source"]), str(facts.get("base") or ""))
    if mapping.digest != info.mapping_digest:
        raise Drift(
            f"the mapping is no longer the one of run {name}",
            where=mapping.path,
            kept="Nothing was changed.",
            hint="Put the mapping of that run back (version control has it) and try again.",
        )
    only = facts.get("only")
    names = [str(o) for o in only] if isinstance(only, list) else []
    with opened(mapping, home=place, only=names, progress=progress, run=name, hold=hold, workers=workers) as (
        ctx,
        _,
    ):
        yield ctx
