"""Practice: migrate drill, migrate drills."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migrate.cli.outcome import code_of_verdicts
from migrate.cli.session import Session, command, finish, group
from migrate.cli.vault_options import (
    DrillScratch,
    ErasureSecret,
    Identity,
    StoreOfMapping,
    Trusted,
    keys_of,
)

app = group("")


@command(app, "drill")
def drill(
    session: Session,
    what: Annotated[
        str,
        typer.Argument(
            metavar="BACKUP|MAPPING",
            help="A backup's id, its beginning, or: latest. Or a mapping file: the latest backups of its sources and target.",
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", metavar="FILE", help="The drill file: queries and what they must give, limits."
        ),
    ] = None,
    scratch: DrillScratch = None,
    store: StoreOfMapping = None,
    identity: Identity = None,
    trust: Trusted = None,
    erasure_secret: ErasureSecret = None,
) -> None:
    """Prove now that a backup restores: restore it into scratch, compare every value, ask your queries, time it all.

    Ends with 3 where it does not restore, a query is not answered as declared, or a limit is not kept (6: its bytes
    are damaged). The copy is dropped again; the outcome is kept beside the backup and for `migrate drills`.

    Examples:

        migrate drill latest

        migrate drill latest --file drill.yaml --scratch postgresql://backup@spare/postgres

        migrate drill mappings/acme.yaml
    """
    with session.at_work() as progress:
        document = session.api.drill(
            what,
            file=file,
            scratch=scratch,
            store=store,
            home=session.home,
            progress=progress,
            keys=keys_of(session, identity, trust, erasure_secret=erasure_secret),
        )
    from migrate.cli import views_drill

    session.answer(document, lambda console: views_drill.drilled(console, document))
    finish(code_of_verdicts(document["verdicts"]))


@command(app, "drills")
def drills(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, help="How many to list, the newest first.")] = 20,
) -> None:
    """List the drills so far, and how long restoring takes from drill to drill."""
    found = session.api.drills(home=session.home, limit=limit)
    from migrate.cli import views_drill

    session.answer(found, lambda console: views_drill.history(console, found))
