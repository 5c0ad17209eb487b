"""The vault: migrate backup create | list | show | check | restore | prune."""

from __future__ import annotations

from typing import Annotated

import typer

from migrate.cli.outcome import code_of_verdicts
from migrate.cli.session import Session, command, finish, group

app = group("Make, list, check and restore backups.")

Id = Annotated[str, typer.Argument(metavar="BACKUP", help="A backup's id, its beginning, or: latest.")]
Store = Annotated[
    str | None, typer.Option(metavar="URL|DIR", help="The vault; default: backups/ beside the state folder.")
]


@command(app, "list")
def list_(session: Session, store: Store = None) -> None:
    """List the backups, with what is proven about each."""
    found = session.api.backups(store=store, home=session.home)
    from migrate.cli import views_vault

    session.answer(found, lambda console: views_vault.backups(console, found))


@command(app, "show")
def show(session: Session, backup: Id, store: Store = None) -> None:
    """Show what a backup holds and which checks it passed."""
    document = session.api.backup_show(backup, store=store, home=session.home)
    from migrate.cli import views

    session.answer(document, lambda console: views.anything(console, document))


@command(app, "check")
def check(
    session: Session,
    backup: Id,
    level: Annotated[
        int,
        typer.Option(
            min=0,
            max=5,
            help="0 manifest, 1 sizes, 2 every byte, 3 every row, 4 and 5 restored and every value compared.",
        ),
    ] = 3,
    scratch: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="For PostgreSQL, MySQL and MariaDB: a server where a scratch database may be made and dropped.",
        ),
    ] = None,
    store: Store = None,
) -> None:
    """Check a backup, up to a level. Only 4 and 5 restore it, and only a restore proves.

    The restore goes into a scratch database that is dropped again; its verdicts are kept beside the backup.

    Examples:

        migrate backup check latest --level 5
    """
    with session.at_work():
        verdicts = session.api.backup_check(
            backup, level=level, scratch=scratch, store=store, home=session.home
        )
    from migrate.cli import views

    session.answer(verdicts, lambda console: views.verdicts(console, verdicts))
    finish(code_of_verdicts(verdicts))


@command(app, "restore")
def restore(
    session: Session,
    backup: Id,
    into: Annotated[str, typer.Option("--into", metavar="URL", help="An empty database of the same engine.")],
    table: Annotated[
        list[str] | None, typer.Option(metavar="TABLE", help="Only this table; several times.")
    ] = None,
    store: Store = None,
) -> None:
    """Restore a backup into an empty place, and compare it with the manifest. Never writes over anything.

    Examples:

        migrate backup restore latest --into sqlite:///restored.db
    """
    with session.at_work():
        document = session.api.backup_restore(
            backup, into, tables=tuple(table or ()), store=store, home=session.home
        )
    from migrate.cli import views_vault

    session.answer(document, lambda console: views_vault.restored(console, document))
    verdicts = document.get("verdicts")
    finish(int(document.get("exit_code", code_of_verdicts(verdicts) if verdicts else 0)))


@command(app, "create")
def create(
    session: Session,
    what: Annotated[
        str, typer.Argument(metavar="URL|PATH", help="A database's URL, a SQLite file, or a folder of files.")
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
) -> None:
    """Back up a database, with or without a migration, and prove at once that it restores.

    Ends with 3 where it does not restore. A server's backup needs --scratch for that, or --no-prove.

    Examples:

        migrate backup create sqlite:///crm.db

        migrate backup create postgresql://backup@crm/prod --scratch postgresql://backup@spare/postgres
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
            progress=progress,
        )
    from migrate.cli import views_vault

    session.answer(document, lambda console: views_vault.created(console, document))
    finish(code_of_verdicts(document["verdicts"]) if prove else 0)


@command(app, "prune")
def prune(
    session: Session,
    keep: Annotated[
        int, typer.Option(min=1, help="How many backups of each system and role stay; the newest do.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Remove them. Without it nothing is removed.")] = False,
    store: Store = None,
) -> None:
    """Show which old backups may go, and with --yes remove them. The last proven one always stays.

    Examples:

        migrate backup prune --keep 7
    """
    with session.at_work():
        document = session.api.backup_prune(keep=keep, really=yes, store=store, home=session.home)
    from migrate.cli import views_vault

    session.answer(document, lambda console: views_vault.pruned(console, document))
