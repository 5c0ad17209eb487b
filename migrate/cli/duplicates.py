"""Rows that are one and the same: migrate duplicates find."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migrate.cli.session import Session, command, group

app = group("Find rows that are one and the same.")


@command(app, "find")
def find(
    session: Session,
    what: Annotated[
        str,
        typer.Argument(metavar="URL|PATH|MAPPING", help="A database's URL, a file, a folder, or a mapping."),
    ],
    against: Annotated[
        str | None, typer.Argument(metavar="[URL|PATH]", help="Another place: rows of the two are compared.")
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A YAML file with same, similar, decide; see docs/duplicates.md."),
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="TABLE", help="The table, where there are several.")
    ] = None,
    entity: Annotated[
        str | None, typer.Option(metavar="ENTITY", help="Of a mapping: the entity whose rules are meant.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="What names a row in the answer; several times."),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Trained weights: used where the file is there, else written."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="All pairs into this file: .csv or .parquet.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of files, such as cp1252; default: UTF-8.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many pairs to show; --json gives all.")] = 20,
) -> None:
    """Find duplicates by exact keys and by similarity, with probability and reasons; nothing is changed anywhere.

    Without --rules the names of the columns tell how they are compared. Similarity needs the extra `match`.

    Examples:

        migrate duplicates find contacts.csv --key id

        migrate duplicates find ours.csv theirs.csv --rules rules.yaml --out pairs.csv

        migrate duplicates find sqlite:///crm.db --table contacts --weights contacts.weights.json --json
    """
    with session.at_work():
        document = session.api.duplicates_find(
            what,
            against,
            rules=rules,
            table=table,
            entity=entity,
            key=tuple(key or ()),
            weights=weights,
            out=out,
            encoding=encoding,
            home=session.home,
        )
    from migrate.cli import views_duplicates

    session.answer(document, lambda console: views_duplicates.found(console, document, limit=limit))
