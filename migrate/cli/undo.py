"""Afterwards: undo a run, or tell one row's story."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from migrate.cli.keys import one_key
from migrate.cli.migration import Run
from migrate.cli.session import Session, command, finish, group
from migrate.errors import GateClosed, UsageError

app = group("")


@command(app, "rollback")
def rollback(
    session: Session,
    run: Run,
    preview: Annotated[bool, typer.Option("--preview", help="Only count what would be undone.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="ENTITY", help="Undo only this entity; several times.")
    ] = None,
    force: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE", help="Also undo rows of this table that were changed after the load."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Undo what a run wrote, and prove that the target equals its backup from before the load.

    Rows that somebody changed after the load are conflicts: they are listed and kept, unless --force names their table.

    Examples:

        migrate rollback latest --preview

        migrate rollback 20261120-1 --only deals --yes
    """
    chosen: dict[str, Any] = {"only": tuple(only or ()), "force": tuple(force or ()), "home": session.home}
    if not preview and not yes:
        _ask(session, run, chosen)
    with session.at_work() as progress:
        document = session.api.rollback(run, preview=preview, progress=progress, **chosen)
    from migrate.cli import views

    session.answer(document, lambda console: views.rollback(console, document))
    proven = bool((document.get("proof") or {}).get("passed"))
    finish(int(document.get("exit_code", 0 if preview or proven else GateClosed.exit_code)))


@command(app, "trace")
def trace(
    session: Session,
    run: Run,
    row: Annotated[
        list[str],
        typer.Argument(
            metavar="ENTITY KEY", help="The entity, and the source key: all of its columns, in order."
        ),
    ],
    entity: Annotated[
        str | None, typer.Option(metavar="ENTITY", help="The entity; all words behind RUN are the key then.")
    ] = None,
) -> None:
    """Tell one row's story, from the source to the target or into quarantine.

    Examples:

        migrate trace latest contacts 4711

        migrate trace latest phones 4711 work

        migrate trace latest 4711 --entity contacts
    """
    key = row
    if entity is None:
        entity, *key = row
    if not key:
        raise UsageError(
            "an entity or a key is missing.", where=row[0], hint=f"Say: migrate trace {run} ENTITY KEY"
        )
    document = session.api.trace(run, entity, one_key(key), home=session.home)
    from migrate.cli import views_rows

    session.answer(document, lambda console: views_rows.trace(console, document))


def _ask(session: Session, run: str, chosen: dict[str, Any]) -> None:
    """Show the preview and ask; without a person at a terminal nothing is undone."""
    if session.json or not sys.stdin.isatty():
        raise UsageError(
            "rollback asks before it undoes anything, and nobody is there to answer.",
            hint="Give --yes, or --preview.",
        )
    from migrate.cli import views

    seen = session.api.rollback(run, preview=True, **chosen)
    session.answer(seen, lambda console: views.rollback(console, seen))
    if not typer.confirm(f"Undo run {seen.get('run', run)} in the target?"):
        typer.echo("Nothing was changed.")
        raise typer.Exit
