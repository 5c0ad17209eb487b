"""A dossier, checked by whoever was given one: migrate dossier verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migrate.cli.session import Session, command, group
from migrate.cli.vault_options import keys_of

app = group("Check a dossier (`report --bundle`), offline.")


@app.callback()
def _several() -> None:
    """Check a dossier (`report --bundle`), offline."""


@command(app, "verify")
def verify(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The dossier, as it was written.")],
    trust: Annotated[
        list[str] | None,
        typer.Option(
            "--trust",
            metavar="KEY",
            help="The dossier has to be signed by this public key (ed25519:… or a file); several times. "
            "Default: $MIGRATE_BACKUP_TRUSTED.",
        ),
    ] = None,
) -> None:
    """Check that nothing in a dossier was changed: hashes, chains and signatures. Needs nothing but the file.

    Ends with 6 and names the file where something is not as it was written. What a file alone cannot tell, such as who
    made it where no key is given, is listed as not checked.

    Examples:

        migrate dossier verify acme.zip

        migrate dossier verify acme.zip --trust signing.pub
    """
    found = session.api.dossier_verify(file, keys=keys_of(session, None, trust))
    from migrate.cli.views_dossier import checked

    session.answer(found, lambda console: checked(console, found))
