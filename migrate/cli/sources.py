"""Around a migration: profile, schema, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migrate.cli.session import Session, command, finish, group
from migrate.errors import Unreachable

app = group("")


@command(app, "profile")
def profile(
    session: Session,
    source: Annotated[
        str, typer.Argument(metavar="URL|PATH", help="A database's URL, a file, or a folder of files.")
    ],
    table: Annotated[
        list[str] | None, typer.Option(metavar="TABLE", help="Only this table; several times.")
    ] = None,
    samples: Annotated[
        bool, typer.Option("--samples", help="Show values; they may be personal data.")
    ] = False,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of files, such as cp1252; default: UTF-8.")
    ] = None,
) -> None:
    """Look at the quality of a database or of files, with no migration.

    Examples:

        migrate profile exports/ --encoding cp1252

        migrate profile exports/people.csv

        migrate profile sqlite:///acme.db --table people --json
    """
    with session.at_work():
        document = session.api.profile(
            source, tables=tuple(table or ()), samples=samples, encoding=encoding, home=session.home
        )
    from migrate.cli import views

    session.answer(document, lambda console: views.profile(console, document))


@command(app, "audit")
def audit(
    session: Session,
    source: Annotated[
        str, typer.Argument(metavar="URL|PATH", help="A database's URL, a file, or a folder of files.")
    ],
    table: Annotated[
        list[str] | None, typer.Option(metavar="TABLE", help="Only this table; several times.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="COUNTRY", help="Of telephone numbers without +, such as GB.")
    ] = None,
    fresh: Annotated[
        str, typer.Option(metavar="SPAN", help="How old rows may be that say when they were last touched.")
    ] = "12 months",
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of files, such as cp1252; default: UTF-8.")
    ] = None,
) -> None:
    """Score the quality of a database or of files, and say what changed since the last time.

    Columns are asked what their names and values suggest: e-mail addresses, telephone numbers, names, dates, references.

    Examples:

        migrate audit sqlite:///crm.db --region GB

        migrate audit exports/ --encoding cp1252
    """
    with session.at_work():
        document = session.api.audit(
            source,
            tables=tuple(table or ()),
            region=region,
            fresh=fresh,
            encoding=encoding,
            home=session.home,
        )
    from migrate.cli import views_quality

    session.answer(document, lambda console: views_quality.audit(console, document))


@command(app, "schema")
def schema(
    session: Session,
    of: Annotated[str, typer.Option(metavar="mapping|drill|schedule", help="Of which file.")] = "mapping",
) -> None:
    """Print the JSON Schema of the mapping file (or of drill and schedule files), for editors.

    Examples:

        migrate schema > mappings/mapping.schema.json
    """
    document = session.api.schema(of=of)
    session.as_json().answer(document, lambda console: None)


@command(app, "doctor")
def doctor(
    session: Session,
    mapping: Annotated[
        Path | None,
        typer.Argument(metavar="[MAPPING]", help="Also try its databases, their privileges and its vault."),
    ] = None,
) -> None:
    """Find what will not work, before it does not: drivers, versions, privileges, disk; drills that failed or were missed.

    Examples:

        migrate doctor mappings/acme.yaml
    """
    with session.at_work():
        found = session.api.doctor(mapping, home=session.home)
    from migrate.cli import views

    session.answer(found, lambda console: views.doctor(console, found))
    failed = [check for check in found if not check.get("passed")]
    finish(max((int(check.get("exit_code", Unreachable.exit_code)) for check in failed), default=0))
