"""Rows that are one and the same: migrate duplicates find | list | accept | reject."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migrate.cli.session import Session, command, group

app = group("Find rows that are one; decide what is open.")

Queue = Annotated[
    str,
    typer.Argument(metavar="RUN|MAPPING", help="A run, latest, or a mapping file: its newest run."),
]
Entity = Annotated[str | None, typer.Option(metavar="ENTITY", help="Only pairs of this entity.")]


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


@command(app, "list")
def list_(
    session: Session,
    run: Queue,
    entity: Entity = None,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Show the values, not only how they begin. Personal data.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="How many pairs to show; --json gives all.")] = 20,
) -> None:
    """List the pairs that a run left for a person to decide, side by side, the most probable first.

    Examples:

        migrate duplicates list mappings/acme.yaml --show-values
    """
    document = session.api.duplicates_list(run, entity=entity, values=show_values, home=session.home)
    from migrate.cli import views_duplicates

    session.answer(document, lambda console: views_duplicates.queue(console, document, limit=limit))


@command(app, "accept")
def accept(
    session: Session,
    run: Queue,
    pairs: Annotated[
        list[str] | None, typer.Argument(metavar="[PAIR]...", help="Pairs, as list shows them.")
    ] = None,
    all_above: Annotated[
        float | None,
        typer.Option(
            "--all-above",
            metavar="X",
            min=0.0,
            max=1.0,
            help="All that are at least as probable, such as 0.9.",
        ),
    ] = None,
    entity: Entity = None,
) -> None:
    """Say that these pairs are one. Nothing changes now: the next run of the mapping merges them.

    Examples:

        migrate duplicates accept latest 3f2a90c1d4e5b677

        migrate duplicates accept mappings/acme.yaml --all-above 0.9
    """
    document = session.api.duplicates_accept(
        run, tuple(pairs or ()), all_above=all_above, entity=entity, home=session.home
    )
    from migrate.cli import views_duplicates

    session.answer(document, lambda console: views_duplicates.decided(console, document))


@command(app, "reject")
def reject(
    session: Session,
    run: Queue,
    pairs: Annotated[list[str], typer.Argument(metavar="PAIR...", help="Pairs, as list shows them.")],
    entity: Entity = None,
) -> None:
    """Say that these pairs are two. No later run makes them one, also not over a third row.

    Examples:

        migrate duplicates reject latest 3f2a90c1d4e5b677
    """
    document = session.api.duplicates_reject(run, tuple(pairs), entity=entity, home=session.home)
    from migrate.cli import views_duplicates

    session.answer(document, lambda console: views_duplicates.decided(console, document))
