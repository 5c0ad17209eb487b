"""Around a mapping file: suggest, test, preview, dictionary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from migrate.cli.migration import Mapping
from migrate.cli.session import Session, command, finish, group
from migrate.errors import UsageError

app = group("")


@command(app, "suggest")
def suggest(
    session: Session,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A database's URL, a SQLite file, or a folder of files.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The database that the rows are to go into.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the mapping there; without it, it is printed.")
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="What the mapping is called.")] = "first",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a first mapping, from names, types, keys and values of both sides. Changes nothing in either.

    The plan takes it as it is. What is doubtful has a comment beside it: read every line before you run it.

    Examples:

        migrate suggest sqlite:///acme.db postgresql://crm/prod --out mappings/acme.yaml

        migrate suggest exports/ sqlite:///crm.db
    """
    with session.at_work():
        document = session.api.suggest(source, target, out=out, force=force, name=name)
    from migrate.cli import views_mapping

    session.answer(document, lambda console: views_mapping.suggested(console, document))


@command(app, "test")
def try_examples(
    session: Session,
    mapping: Mapping,
    entity: Annotated[
        str | None, typer.Option(metavar="ENTITY", help="Only the examples of this entity.")
    ] = None,
) -> None:
    """Try out the examples that a mapping holds; no database is opened. Ends with 3 where one fails.

    Examples:

        migrate test mappings/acme.yaml

        migrate test mappings/acme.yaml --entity contacts
    """
    document = session.api.examples(mapping, entity=entity)
    from migrate.cli import views_mapping

    session.answer(document, lambda console: views_mapping.examples(console, document))
    finish(int(document.get("exit_code", 0)))


@command(app, "dictionary")
def dictionary(
    session: Session,
    mapping: Mapping,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the target for the types of its columns.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it there: Markdown, or JSON by the ending .json."),
    ] = None,
) -> None:
    """Write down what every target column is made of and why: a page for the business.

    Needs no database; nothing of the environment is shown.

    Examples:

        migrate dictionary mappings/acme.yaml

        migrate dictionary mappings/acme.yaml --live --out dictionary.md
    """
    document = session.api.dictionary(mapping, live=live)
    from migrate.cli import views, views_mapping

    if out is None:
        session.answer(document, lambda console: views_mapping.dictionary(console, document))
        return
    text = json.dumps(document, indent=2) + "\n" if out.suffix == ".json" else views_mapping.page(document)
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError("the dictionary cannot be written there.", where=str(out)) from error
    session.answer(document, lambda console: views.written(console, "Dictionary", out))


@command(app, "preview")
def preview(
    session: Session,
    mapping: Mapping,
    entity: Annotated[str, typer.Argument(metavar="ENTITY", help="The entity whose row it is.")],
    key: Annotated[
        list[str],
        typer.Option(metavar="K", help="The row's source key; one of several columns is given part by part."),
    ],
) -> None:
    """Show one row of the source on its way into the target, step by step; nothing is changed anywhere.

    What is shown are the row's own values, which may be personal data.

    Examples:

        migrate preview mappings/acme.yaml contacts --key 000017

        migrate preview mappings/acme.yaml phones --key 000017 --key work
    """
    whole = key[0] if len(key) == 1 else json.dumps(key, ensure_ascii=False, separators=(",", ":"))
    with session.at_work():
        document = session.api.preview(mapping, entity, whole)
    from migrate.cli import views_mapping

    session.answer(document, lambda console: views_mapping.preview(console, document))
