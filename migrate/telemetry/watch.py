"""The watchers of a run, and what keeps their failures from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Protocol

from migrate.context import Context
from migrate.errors import MigrateError

_UNKNOWN = 1  # the exit code of an error that is none of ours


class Watcher(Protocol):
    """One place that is told. Every call may raise; `close` returns why something did not arrive, "" if all did."""

    def run_started(self, ctx: Context) -> None: ...
    def stage_started(self, name: str) -> None: ...
    def stage_ended(self, name: str, rows: int | None, exit_code: int) -> None: ...
    def run_ended(self, state: str, exit_code: int, balances: Mapping[str, Mapping[str, int]]) -> None: ...
    def close(self) -> str: ...


class Watch:
    """All watchers of one run; no call raises. A watcher that failed is told of once and called no more."""

    def __init__(self, watchers: dict[str, Watcher], note: Callable[[str], None]) -> None:
        self._watchers = dict(watchers)
        self._note = note

    def run_started(self, ctx: Context) -> None:
        self._each(lambda w: w.run_started(ctx))

    def run_ended(self, state: str, exit_code: int, balances: Mapping[str, Mapping[str, int]]) -> None:
        self._each(lambda w: w.run_ended(state, exit_code, balances))

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[int | None], None]]:
        """Around a stage; the body says how many rows it had."""
        rows: int | None = None

        def had(number: int | None) -> None:
            nonlocal rows
            rows = number

        self._each(lambda w: w.stage_started(name))
        try:
            yield had
        except BaseException as error:
            code = exit_code_of(error)
            self._each(lambda w: w.stage_ended(name, None, code))
            raise
        self._each(lambda w: w.stage_ended(name, rows, 0))

    def close(self) -> None:
        for name, watcher in list(self._watchers.items()):
            try:
                missed = watcher.close()
            except Exception as error:  # noqa: BLE001 - whatever it is, the run has ended well or badly without it
                missed = type(error).__name__
            if missed:
                self._lost(name, missed)

    def _each(self, tell: Callable[[Watcher], None]) -> None:
        for name, watcher in list(self._watchers.items()):
            try:
                tell(watcher)
            except Exception as error:  # noqa: BLE001 - a migration does not fail because a collector does
                self._lost(name, type(error).__name__)

    def _lost(self, name: str, why: str) -> None:
        """Its class only: the text of an error may hold an address with a password."""
        self._watchers.pop(name, None)
        self._note(f"{name} is not told of this run any more ({why}); the run goes on without")


NOBODY = Watch({}, lambda _: None)


@contextmanager
def watching(ctx: Context) -> Iterator[Watch]:
    """The watchers that are configured, from the start of a run to its end."""
    watchers: dict[str, Watcher] = {}
    for name, module, configured in (
        ("OpenLineage", "migrate.telemetry.lineage", lineage_configured),
        ("OpenTelemetry", "migrate.telemetry.otel", otel_configured),
    ):
        if not configured():
            continue
        try:
            watchers[name] = import_module(module).watcher()
        except ImportError:
            extra = "lineage" if name == "OpenLineage" else "otel"
            ctx.progress.note(
                f"{name} is configured, and its library is not installed: pip install 'migrate-crm[{extra}]'"
            )
        except Exception as error:  # noqa: BLE001 - see Watch
            ctx.progress.note(
                f"{name} cannot be told of this run ({type(error).__name__}); it goes on without"
            )
    watch = Watch(watchers, ctx.progress.note) if watchers else NOBODY
    watch.run_started(ctx)
    try:
        yield watch
    except BaseException as error:
        watch.run_ended(
            "interrupted" if isinstance(error, KeyboardInterrupt) else "failed", exit_code_of(error), {}
        )
        raise
    finally:
        watch.close()


def exit_code_of(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 9
    return error.exit_code if isinstance(error, MigrateError) else _UNKNOWN


def lineage_configured() -> bool:
    """By what openlineage's own client looks at: its variables, or its file here or in the home folder."""
    if os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    if any(name in os.environ for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")):
        return True
    if any(name.startswith("OPENLINEAGE__TRANSPORT") for name in os.environ):
        return True
    return any(
        _is_file(folder / "openlineage.yml") for folder in (Path.cwd(), Path("~/.openlineage").expanduser())
    )


def _is_file(path: Path) -> bool:
    """False too where the folder may not be entered: the client finds nothing there either."""
    try:
        return path.is_file()
    except PermissionError:
        return False


def otel_configured() -> bool:
    """By OpenTelemetry's own variables: an endpoint, and nothing that switches it off."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return any(os.environ.get(f"OTEL_EXPORTER_OTLP_{kind}ENDPOINT") for kind in ("", "TRACES_", "METRICS_"))
