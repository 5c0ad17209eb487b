"""Where a run stands, on stderr: bars where it is a terminal, log lines with -v, else nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from migrate.cli.seam import Progress

if TYPE_CHECKING:
    from logging import Logger

    from rich.progress import Progress as Bars
    from rich.progress import TaskID


@contextmanager
def progress_on_stderr(log: Logger | None, *, bars: bool | None = None) -> Iterator[Progress | None]:
    """`log` is given where the user asked for logs; `bars` None means: where stderr is a terminal."""
    if log is not None:
        yield LoggedProgress(log)
    elif sys.stderr.isatty() if bars is None else bars:
        with _bars() as shown:
            yield BarProgress(shown)
    else:
        yield None


class LoggedProgress:
    def __init__(self, log: Logger) -> None:
        self._log = log

    def stage(self, name: str, total: int | None) -> None:
        self._log.info("%s%s", name, "" if total is None else f": {total} rows")

    def advance(self, rows: int) -> None:
        self._log.debug("%d rows", rows)

    def note(self, text: str) -> None:
        self._log.info("%s", text)


class BarProgress:
    """One bar at a time; those of finished stages vanish."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._current: TaskID | None = None

    def stage(self, name: str, total: int | None) -> None:
        from migrate.report.clean import clean

        if self._current is not None:
            self._bars.remove_task(self._current)
        self._current = self._bars.add_task(clean(name, limit=40), total=total, rows="")

    def advance(self, rows: int) -> None:
        if self._current is not None:
            self._bars.advance(self._current, rows)

    def note(self, text: str) -> None:
        from migrate.report.clean import clean

        self._bars.console.print(clean(text), markup=False, highlight=False, emoji=False)


@contextmanager
def _bars() -> Iterator[Bars]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    with Bars(
        SpinnerColumn("line"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr, markup=False, highlight=False, emoji=False),
        transient=True,
    ) as bars:
        yield bars
