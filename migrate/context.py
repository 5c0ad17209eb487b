"""What a stage is given: one frozen value that opens nothing by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from migrate.connectors.protocol import Database, Target
from migrate.durable import make_private_folder, sha256_file
from migrate.errors import UsageError
from migrate.ledger.ledger import Ledger
from migrate.ledger.records import Output
from migrate.mapping.model import Entity, Mapping
from migrate.plan_model import Plan
from migrate.stores.protocol import Store


class Progress(Protocol):
    """How a run tells a person where it stands; every call is cheap and may be ignored."""

    def stage(self, name: str, total: int | None) -> None: ...
    def advance(self, rows: int) -> None: ...
    def note(self, text: str) -> None: ...


class Silent:
    def stage(self, name: str, total: int | None) -> None:
        del name, total

    def advance(self, rows: int) -> None:
        del rows

    def note(self, text: str) -> None:
        del text


@dataclass(frozen=True)
class Context:
    """One run: `folder` holds everything it writes besides vault and target (mode 0700)."""

    run: str
    mapping: Mapping
    home: Path
    folder: Path
    ledger: Ledger
    sources: Dict[str, Database]
    target: Target
    store: Store
    progress: Progress
    now: str  # ISO 8601 UTC: the one clock of the run, for expressions and names
    only: tuple[str, ...] = ()
    workers: int = 1  # parts worked on at the same time

    @cached_property
    def plan(self) -> Plan:
        """The plan that the first stage wrote."""
        path = self.folder / "plan.json"
        if not path.is_file():
            raise UsageError(
                f"run {self.run} has no plan yet: it stopped before that",
                kept="Nothing was changed.",
                hint="Run the same command again to go on with it.",
            )
        return Plan.from_json(json.loads(path.read_text()))

    @property
    def entities(self) -> dict[str, Entity]:
        """Entities of this run in load order; all of them unless `--only`."""
        return {
            name: self.mapping.entities[name]
            for name in self.plan.order
            if not self.only or name in self.only
        }

    def room(self, *parts: str) -> Path:
        """A folder below the run's folder, made if missing (0700)."""
        return make_private_folder(self.folder.joinpath(*parts))

    def place(self, *parts: str) -> Path:
        """The path of a file below the run's folder; its folder exists."""
        return self.room(*parts[:-1]) / parts[-1]

    def output(self, path: Path) -> Output:
        """A file below the run's folder as a checkpoint remembers it."""
        return Output(str(path.relative_to(self.folder)), sha256_file(path), path.stat().st_size)
