"""By the clock: migrate schedule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from migrate.cli.session import Session, command, finish, group
from migrate.errors import UsageError

app = group("")


@command(app, "schedule")
def schedule(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The schedule file.")],
    print_as: Annotated[
        str | None,
        typer.Option("--print", metavar="systemd|cron|k8s", help="Only print units for a scheduler outside."),
    ] = None,
    job: Annotated[
        str | None, typer.Option(metavar="NAME", help="Carry out this job now, once: what the units call.")
    ] = None,
) -> None:
    """Make backups, drills and prunes at their times, until it is ended by Ctrl-C or SIGTERM.

    One job at a time; one that fails does not stop the others, and every outcome is kept: `migrate doctor` and
    `migrate status` end with 3 while a job or a drill has failed or was missed. With --job the exit code is the job's.

    Examples:

        migrate schedule schedule.yaml

        migrate schedule schedule.yaml --print systemd
    """
    if print_as is not None:
        if job is not None:
            raise UsageError("--print and --job exclude each other.")
        from migrate.cli import views_drill

        text = session.api.schedule_units(file, print_as)
        session.answer({"units": print_as, "text": text}, lambda console: views_drill.units(console, text))
        return
    from migrate.cli import views_drill

    told: Callable[[dict[str, Any]], None] | None = None
    if not session.json:
        told = lambda document: session.answer(document, lambda console: views_drill.job(console, document))  # noqa: E731
    with session.at_work() as progress:
        document = session.api.schedule(file, job=job, told=told, home=session.home, progress=progress)
    session.answer(document, lambda console: views_drill.schedule_ended(console, document))
    finish(int(document.get("exit_code", 0)))
