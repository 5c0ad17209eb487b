"""What the command line asks of the program. `migrate.api` is this, and so is the recorded one in the tests.

Documents are plain JSON-able dicts in the shapes of the command line's documentation. Every call
raises `MigrateError` for what the user can act on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

Document = Mapping[str, Any]


class Progress(Protocol):
    def stage(self, name: str, total: int | None) -> None: ...
    def advance(self, rows: int) -> None: ...
    def note(self, text: str) -> None: ...


class Api(Protocol):
    def run(
        self,
        mapping: Path | str,
        *,
        to: str | None = None,
        only: Sequence[str] = (),
        fresh: bool = False,
        workers: int | None = None,
        plan: Path | str | None = None,
        home: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]: ...

    def plan(
        self,
        mapping: Path | str,
        *,
        rehearse: bool = False,
        ddl: bool = False,
        home: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]: ...

    def status(self, run: str | None = None, *, home: Path | None = None) -> dict[str, Any]: ...

    def runs(self, *, home: Path | None = None) -> list[dict[str, Any]]: ...

    def verify(
        self, run: str, *, home: Path | None = None, progress: Progress | None = None
    ) -> dict[str, Any]: ...

    def report(
        self,
        run: str,
        *,
        with_samples: bool = False,
        pdf: Path | str | None = None,
        home: Path | None = None,
    ) -> dict[str, Any]: ...

    def rebuild(
        self, run: str, target: str, *, store: str | None = None, home: Path | None = None
    ) -> dict[str, Any]: ...

    def dossier(self, run: str, file: Path | str, *, home: Path | None = None) -> dict[str, Any]: ...

    def dossier_verify(self, file: Path | str, *, keys: Any = None) -> dict[str, Any]: ...

    def rollback(
        self,
        run: str,
        *,
        preview: bool = False,
        only: Sequence[str] = (),
        force: Sequence[str] = (),
        home: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]: ...

    def trace(self, run: str, entity: str, key: str, *, home: Path | None = None) -> dict[str, Any]: ...

    def quarantine(
        self, run: str, *, entity: str | None = None, home: Path | None = None
    ) -> list[dict[str, Any]]: ...

    def gone(
        self, run: str, *, entity: str | None = None, home: Path | None = None
    ) -> list[dict[str, Any]]: ...

    def audit(
        self,
        url_or_path: str,
        *,
        tables: Sequence[str] = (),
        region: str | None = None,
        fresh: str = "12 months",
        encoding: str | None = None,
        home: Path | None = None,
    ) -> dict[str, Any]: ...

    def quarantine_cells(
        self,
        run: str,
        *,
        entity: str | None = None,
        code: str | None = None,
        limit: int | None = None,
        home: Path | None = None,
    ) -> list[dict[str, Any]]: ...

    def quarantine_export(
        self, run: str, folder: Path, *, format: str = "csv", home: Path | None = None
    ) -> list[str]: ...

    def quarantine_replay(
        self,
        run: str,
        files: Sequence[Path] = (),
        *,
        preview: bool = False,
        home: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]: ...

    def examples(self, mapping: Path | str, *, entity: str | None = None) -> dict[str, Any]: ...

    def preview(self, mapping: Path | str, entity: str, key: str) -> dict[str, Any]: ...

    def dictionary(self, mapping: Path | str, *, live: bool = False) -> dict[str, Any]: ...

    def suggest(
        self,
        source: str,
        target: str,
        *,
        out: Path | str | None = None,
        force: bool = False,
        name: str = "first",
    ) -> dict[str, Any]: ...

    def schema(self, of: str = "mapping") -> dict[str, Any]: ...

    def profile(
        self,
        url_or_path: str,
        *,
        tables: Sequence[str] = (),
        samples: bool = False,
        encoding: str | None = None,
        home: Path | None = None,
    ) -> dict[str, Any]: ...

    def backup_keys(
        self,
        *,
        recipients: Sequence[str] = (),
        identity: str | None = None,
        signing_key: str | None = None,
        trusted: Sequence[str] = (),
        require_signature: bool = False,
        erasure_secret: str | None = None,
    ) -> Any: ...

    def backup_keygen(
        self, folder: Path, *, signing: bool = False, erasure: bool = False
    ) -> dict[str, str]: ...

    def erase(
        self,
        mapping: Path | str | None = None,
        *,
        entity: str | None = None,
        system: str | None = None,
        table: str | None = None,
        by: Sequence[str] = (),
        keys: Sequence[str],
        store: str | None = None,
        home: Path | None = None,
        vault_keys: Any = None,
    ) -> dict[str, Any]: ...

    def backups(
        self, *, store: str | None = None, home: Path | None = None, keys: Any = None
    ) -> list[dict[str, Any]]: ...

    def backup_show(
        self, id: str, *, store: str | None = None, home: Path | None = None, keys: Any = None
    ) -> dict[str, Any]: ...

    def backup_ddl(
        self, id: str, *, store: str | None = None, home: Path | None = None, keys: Any = None
    ) -> str: ...

    def backup_check(
        self,
        id: str,
        *,
        level: int = 3,
        scratch: str | None = None,
        store: str | None = None,
        home: Path | None = None,
        keys: Any = None,
    ) -> list[dict[str, Any]]: ...

    def backup_create(
        self,
        what: str,
        *,
        tables: Sequence[str] = (),
        system: str | None = None,
        scratch: str | None = None,
        prove_it: bool = True,
        store: str | None = None,
        home: Path | None = None,
        keys: Any = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]: ...

    def backup_prune(
        self,
        mapping: Path | str | None = None,
        *,
        last: int | None = None,
        daily: int | None = None,
        weekly: int | None = None,
        monthly: int | None = None,
        yearly: int | None = None,
        really: bool = False,
        store: str | None = None,
        home: Path | None = None,
        keys: Any = None,
    ) -> dict[str, Any]: ...

    def backup_restore(
        self,
        id: str,
        into: str,
        *,
        tables: Sequence[str] = (),
        replace: bool = False,
        scratch: str | None = None,
        trust_sql: bool = False,
        store: str | None = None,
        home: Path | None = None,
        keys: Any = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]: ...

    def drill(
        self,
        what: str,
        *,
        file: Path | str | None = None,
        scratch: str | None = None,
        store: str | None = None,
        home: Path | None = None,
        progress: Progress | None = None,
        keys: Any = None,
    ) -> dict[str, Any]: ...

    def drills(self, *, home: Path | None = None, limit: int | None = None) -> dict[str, Any]: ...

    def duplicates_list(
        self, run: str, *, entity: str | None = None, values: bool = False, home: Path | None = None
    ) -> dict[str, Any]: ...

    def duplicates_accept(
        self,
        run: str,
        pairs: Sequence[str] = (),
        *,
        all_above: float | None = None,
        entity: str | None = None,
        home: Path | None = None,
    ) -> dict[str, Any]: ...

    def duplicates_reject(
        self, run: str, pairs: Sequence[str], *, entity: str | None = None, home: Path | None = None
    ) -> dict[str, Any]: ...

    def duplicates_find(
        self,
        what: str,
        against: str | None = None,
        *,
        rules: Path | str | None = None,
        table: str | None = None,
        entity: str | None = None,
        key: Sequence[str] = (),
        weights: Path | str | None = None,
        out: Path | str | None = None,
        encoding: str | None = None,
        home: Path | None = None,
    ) -> dict[str, Any]: ...

    def schedule(
        self,
        file: Path | str,
        *,
        job: str | None = None,
        until: datetime | None = None,
        told: Callable[[dict[str, Any]], None] | None = None,
        home: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]: ...

    def schedule_units(self, file: Path | str, kind: str) -> str: ...

    def practice_checks(self, home: Path | None = None) -> list[dict[str, Any]]: ...

    def doctor(
        self, mapping: Path | str | None = None, *, home: Path | None = None
    ) -> list[dict[str, Any]]: ...

    def demo(
        self, folder: Path | None = None, *, seed: int = 7, progress: Progress | None = None
    ) -> dict[str, Any]: ...
