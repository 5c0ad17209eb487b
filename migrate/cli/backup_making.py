"""The vault: migrate backup create | prune | keygen, of the group of `migrate.cli.backup`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migrate.cli.backup import app
from migrate.cli.outcome import code_of_verdicts
from migrate.cli.session import Session, command, finish
from migrate.cli.vault_options import Identity, Store, keys_of

__all__ = ["app"]


@command(app, "create")
def create(
    session: Session,
    what: Annotated[
        str,
        typer.Argument(
            metavar="URL|PATH|MAPPING",
            help="A database's URL, a SQLite file, a folder of files, or a mapping.",
        ),
    ],
    table: Annotated[
        list[str] | None, typer.Option(metavar="TABLE", help="Only this table; several times.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the backup is called after; default: the database's name.")
    ] = None,
    scratch: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="For PostgreSQL, MySQL and MariaDB: a server where the backup may be restored to prove it.",
        ),
    ] = None,
    prove: Annotated[bool, typer.Option(help="Restore the backup at once and compare every value.")] = True,
    store: Store = None,
    recipient: Annotated[
        list[str] | None,
        typer.Option(
            "--recipient",
            "-r",
            metavar="KEY",
            help="Encrypt for this public key of age (age1…, ssh-ed25519 …, or a file of them); several times. Default: $MIGRATE_BACKUP_RECIPIENTS.",
        ),
    ] = None,
    identity: Identity = None,
    sign: Annotated[
        str | None,
        typer.Option(
            "--sign",
            metavar="FILE",
            help="The Ed25519 private key that signs it: a PEM file, or keyring:SERVICE/NAME; default: $MIGRATE_BACKUP_SIGNING_KEY.",
        ),
    ] = None,
) -> None:
    """Back up a database, with or without a migration, and prove at once that it restores.

    Ends with 3 where it does not restore. A server's backup needs --scratch for that, or --no-prove; one that is
    encrypted needs an identity of a recipient.

    Examples:

        migrate backup create sqlite:///crm.db

        migrate backup create postgresql://backup@crm/prod --scratch postgresql://backup@spare/postgres

        migrate backup create mappings/acme.yaml     # what it reads of its sources, and may write of its target

        migrate backup create sqlite:///crm.db -r age1… --identity /media/escrow/backup-identity.txt
    """
    with session.at_work() as progress:
        document = session.api.backup_create(
            what,
            tables=tuple(table or ()),
            system=name,
            scratch=scratch,
            prove_it=prove,
            store=store,
            home=session.home,
            keys=keys_of(session, identity, None, recipients=tuple(recipient or ()), signing_key=sign),
            progress=progress,
        )
    from migrate.cli import views_vault

    session.answer(document, lambda console: views_vault.created(console, document))
    finish(code_of_verdicts(document["verdicts"]) if prove else 0)


@command(app, "prune")
def prune(
    session: Session,
    mapping: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MAPPING]", help="Only its backups, in its vault, by its policy.backup.keep."
        ),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(
            "--keep", "--keep-last", min=1, help="How many of the newest stay, of each system and role."
        ),
    ] = None,
    daily: Annotated[
        int | None, typer.Option("--keep-daily", min=1, help="Of how many days the newest of the day stays.")
    ] = None,
    weekly: Annotated[int | None, typer.Option("--keep-weekly", min=1, help="Of how many weeks.")] = None,
    monthly: Annotated[int | None, typer.Option("--keep-monthly", min=1, help="Of how many months.")] = None,
    yearly: Annotated[int | None, typer.Option("--keep-yearly", min=1, help="Of how many years.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them. Without it nothing is removed.")] = False,
    store: Store = None,
) -> None:
    """Show which old backups may go, and with --yes remove them.

    The last proven one always stays, one that a run can be resumed with or undone against, and one that is being
    restored. The space is freed by the first prune that comes an hour after the backup went.

    Examples:

        migrate backup prune --keep-last 3 --keep-daily 7 --keep-monthly 12

        migrate backup prune mappings/acme.yaml --yes
    """
    with session.at_work():
        document = session.api.backup_prune(
            mapping,
            last=last,
            daily=daily,
            weekly=weekly,
            monthly=monthly,
            yearly=yearly,
            really=yes,
            store=store,
            home=session.home,
        )
    from migrate.cli import views_vault

    session.answer(document, lambda console: views_vault.pruned(console, document))


@command(app, "keygen")
def keygen(
    session: Session,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where the key goes; not beside the backups.")
    ] = Path(),
    signing: Annotated[
        bool, typer.Option("--signing", help="A key that signs backups, instead of one that opens them.")
    ] = False,
    erasure: Annotated[
        bool, typer.Option("--erasure", help="The secret that tells which rows were erased by request.")
    ] = False,
) -> None:
    """Make a pair of keys: the secret one into a file, the public one for you to use.

    Without --signing it is an identity of age: what is encrypted for the public key, only this file opens. Keep it
    where it survives the loss of everything else, and let the restore tests use it, so that its loss shows early.

    Examples:

        migrate backup keygen /media/escrow

        migrate backup keygen --signing ~/.config/migrate
    """
    document = session.api.backup_keygen(folder, signing=signing, erasure=erasure)
    from migrate.cli import views

    told = {
        name: value for name, value in document.items() if value
    }  # a secret of erasures has no public half
    session.answer(document, lambda console: views.anything(console, told))
