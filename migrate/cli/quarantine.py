"""Rows that need a human: migrate quarantine list | show | cells | export | replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from migrate.cli.migration import Run
from migrate.cli.session import Session, command, group
from migrate.errors import UsageError

app = group("Look at the rows that a run set aside, with every reason.")

Entity = Annotated[str | None, typer.Option(metavar="ENTITY", help="Only rows of this entity.")]


@command(app, "list")
def list_(
    session: Session,
    run: Run,
    entity: Entity = None,
    limit: Annotated[int, typer.Option(min=0, help="How many rows to show; --json gives all.")] = 30,
) -> None:
    """Count the quarantined rows by code, and list them with their reasons.

    Examples:

        migrate quarantine list latest --entity contacts
    """
    found = session.api.quarantine(run, entity=entity, home=session.home)
    from migrate.cli import views_rows

    session.answer(found, lambda console: views_rows.quarantine(console, found, limit=limit))


@command(app, "show")
def show(
    session: Session,
    run: Run,
    row: Annotated[
        list[str],
        typer.Argument(
            metavar="[ENTITY] KEY",
            help="The row's source key, as list shows it (all of its columns, in order); line:101 where it has none. "
            "The entity may stand before it, as trace has it, or behind it.",
        ),
    ],
    entity: Entity = None,
) -> None:
    """Show a quarantined row as it came from the source, with all its reasons.

    Examples:

        migrate quarantine show latest contacts 4711

        migrate quarantine show latest 4711 --entity contacts

        migrate quarantine show latest line:101
    """
    from migrate.cli import views_rows
    from migrate.cli.keys import named_rows, one_key

    every = session.api.quarantine(run, entity=entity, home=session.home)
    read: list[list[dict[str, Any]]] = []
    for meant in named_rows(row, entity):
        found = [one for one in every if meant(one)]
        if found and found not in read:
            read.append(found)
    typed = one_key(row)
    if not read:
        raise UsageError(
            "no quarantined row has this key.", where=typed, hint=f"See: migrate quarantine list {run}"
        )
    if len(read) > 1:
        raise UsageError(
            "these words name more than one row: an entity is called as a part of a key is.",
            where=typed,
            hint=f"Say which: migrate quarantine show {run} KEY --entity ENTITY",
        )
    (rows,) = read
    session.answer(rows, lambda console: views_rows.quarantined_rows(console, rows))


@command(app, "cells")
def cells(
    session: Session,
    run: Run,
    entity: Entity = None,
    code: Annotated[str | None, typer.Option(metavar="CODE", help="Only these, such as no_consent.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many of an entity to show; --json gives all.")] = 30,
) -> None:
    """List single values that a rule emptied, held back or replaced, or warned of, as they were. Personal data.

    Examples:

        migrate quarantine cells latest --code no_consent
    """
    most = None if session.json else limit
    found = session.api.quarantine_cells(run, entity=entity, code=code, limit=most, home=session.home)
    from migrate.cli import views_quality

    session.answer(found, lambda console: views_quality.cells(console, found))


@command(app, "export")
def export(
    session: Session,
    run: Run,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to write the files; they hold personal data.")
    ],
    format: Annotated[
        str, typer.Option("--format", metavar="csv|parquet", help="What kind of files to write.")
    ] = "csv",
) -> None:
    """Write the quarantined rows to files, one per entity, to be corrected by people and given back to replay.

    Examples:

        migrate quarantine export latest to-fix/
    """
    paths = session.api.quarantine_export(run, folder, format=format, home=session.home)
    from migrate.cli import views_rows

    session.answer(paths, lambda console: views_rows.exported(console, run, paths))


@command(app, "replay")
def replay(
    session: Session,
    run: Run,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="A corrected file, or a folder of them; several times. Left out: goes on.",
        ),
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what was corrected.")] = False,
) -> None:
    """Send corrected rows again, through every rule and proof, into the target of their run.

    Rows that waited for them go with them; all other rows stay as they are. The same file is never loaded twice.

    Examples:

        migrate quarantine replay latest --from to-fix/contacts.csv

        migrate quarantine replay latest --from to-fix/ --preview
    """
    with session.at_work() as progress:
        document = session.api.quarantine_replay(
            run, tuple(files or ()), preview=preview, home=session.home, progress=progress
        )
    from migrate.cli import views_replay

    session.answer(document, lambda console: views_replay.replayed(console, document))
