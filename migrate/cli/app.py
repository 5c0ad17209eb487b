"""The program's commands in the order of `--help`."""

from __future__ import annotations

from typing import Annotated

import typer

from migrate import __version__
from migrate.cli import (
    backup_making,
    dossier,
    drill,
    duplicates,
    erase,
    gone,
    mapping,
    migration,
    quarantine,
    schedule,
    sources,
    undo,
)
from migrate.cli.session import Debug, Home, Json, LogJson, Verbose, common_session, group

app = group(
    """Move a CRM's data into another one, with proof: nothing is written before backups of both sides have been
    restored and compared, every row is accounted for, and any run can be resumed and undone.

    Try it:  migrate demo

    Exit codes: 0 done and verified, 1 bug in the program, 2 usage or mapping wrong, 3 gate closed or verification
    failed, 4 too many rows quarantined, 5 cannot reach or not allowed, 6 corrupt bytes, 7 drift, 8 another run
    holds the target, 9 interrupted (the same command resumes).
    """
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"migrate {__version__}")
        raise typer.Exit


@app.callback()
def everywhere(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
    json: Json = False,
    home: Home = None,
    verbose: Verbose = 0,
    log_json: LogJson = False,
    debug: Debug = False,
) -> None:
    context.obj = common_session(
        context, home=home, json=json, verbose=verbose, log_json=log_json, debug=debug
    )


everywhere.__doc__ = app.info.help

app.add_typer(migration.app)
app.add_typer(dossier.app, name="dossier")
app.add_typer(undo.app)
app.add_typer(gone.app)
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(mapping.app)
app.add_typer(sources.app)
app.add_typer(duplicates.app, name="duplicates")
app.add_typer(backup_making.app, name="backup")
app.add_typer(drill.app)
app.add_typer(erase.app)
app.add_typer(schedule.app)
