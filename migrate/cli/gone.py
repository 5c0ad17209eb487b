"""Rows that are no longer at the source: migrate gone."""

from __future__ import annotations

from typing import Annotated

import typer

from migrate.cli.migration import Run
from migrate.cli.session import Session, command, group

app = group("")


@command(app, "gone")
def gone(
    session: Session,
    run: Run,
    entity: Annotated[str | None, typer.Option(metavar="ENTITY", help="Only rows of this entity.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many rows to show; --json gives all.")] = 30,
) -> None:
    """List rows that earlier runs loaded and that are gone at the source, and what was decided about each.

    Examples:

        migrate gone latest

        migrate gone latest --entity contacts --json
    """
    found = session.api.gone(run, entity=entity, home=session.home)
    from migrate.cli import views_rows

    session.answer(found, lambda console: views_rows.gone(console, found, limit=limit))
