"""The vault: migrate backup list | show | check | restore. What writes into it: `migrate.cli.backup_making`."""

from __future__ import annotations

from typing import Annotated

import typer

from migrate.cli.outcome import code_of_verdicts
from migrate.cli.session import Session, command, finish, group
from migrate.cli.vault_options import ErasureSecret, Id, Identity, Store, Trusted, keys_of

app = group("Make, list, check and restore backups.")


@command(app, "list")
def list_(session: Session, store: Store = None, identity: Identity = None, trust: Trusted = None) -> None:
    """List the backups, with what is proven about each."""
    keys = keys_of(session, identity, trust)
    found = session.api.backups(store=store, home=session.home, keys=keys)
    from migrate.cli import views_vault

    session.answer(found, lambda console: views_vault.backups(console, found))


@command(app, "show")
def show(
    session: Session,
    backup: Id,
    ddl: Annotated[
        bool,
        typer.Option(
            "--ddl", help="Print the DDL text instead, as pg_dump, mysqldump or SQLite wrote it at the time."
        ),
    ] = False,
    store: Store = None,
    identity: Identity = None,
    trust: Trusted = None,
) -> None:
    """Show what a backup holds and which checks it passed.

    Examples:

        migrate backup show latest

        migrate backup show latest --ddl > schema.sql
    """
    keys = keys_of(session, identity, trust)
    if ddl:
        text = session.api.backup_ddl(backup, store=store, home=session.home, keys=keys)
        session.answer({"ddl": text}, lambda console: console.out(text, end="", highlight=False))
        return
    document = session.api.backup_show(backup, store=store, home=session.home, keys=keys)
    from migrate.cli import views_vault

    session.answer(document, lambda console: views_vault.shown(console, document))


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
    identity: Identity = None,
    trust: Trusted = None,
    erasure_secret: ErasureSecret = None,
) -> None:
    """Check a backup, up to a level. Only 4 and 5 restore it, and only a restore proves.

    The restore goes into a scratch database that is dropped again; its verdicts are kept beside the backup. Of an
    encrypted backup levels 0 to 2 need no key, the others an identity of one of its recipients.

    Examples:

        migrate backup check latest --level 5

        migrate backup check latest --level 5 --identity /media/escrow/backup-identity.txt
    """
    with session.at_work():
        verdicts = session.api.backup_check(
            backup,
            level=level,
            scratch=scratch,
            store=store,
            home=session.home,
            keys=keys_of(session, identity, trust, erasure_secret=erasure_secret),
        )
    from migrate.cli import views

    session.answer(verdicts, lambda console: views.verdicts(console, verdicts))
    finish(code_of_verdicts(verdicts))


@command(app, "restore")
def restore(
    session: Session,
    backup: Id,
    into: Annotated[
        str,
        typer.Option("--into", metavar="URL", help="A database of the same engine; an SQLite file is made."),
    ],
    table: Annotated[
        list[str] | None, typer.Option(metavar="TABLE", help="Only this table; several times.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Replace the tables that are there, once a backup of them is made and proven."
        ),
    ] = False,
    scratch: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="With --replace on PostgreSQL, MySQL and MariaDB: a server where that backup may be proven.",
        ),
    ] = None,
    trust_sql: Annotated[
        bool,
        typer.Option(
            "--trust-sql",
            help="Run the backup's SQL (defaults, checks, partial indexes) though no ledger here knows the backup and no trusted key signed it.",
        ),
    ] = False,
    store: Store = None,
    identity: Identity = None,
    trust: Trusted = None,
    erasure_secret: ErasureSecret = None,
) -> None:
    """Restore a backup for good, and compare every value with it.

    The place must be empty, or --replace is given: then what is there is backed up into the same vault and proven first.
    Broken off anywhere, the same command goes on; ended, it only compares again.

    Examples:

        migrate backup restore latest --into sqlite:///restored.db

        migrate backup restore 20261101 --into postgresql://admin@crm/prod --table people --replace --scratch postgresql://admin@spare/postgres
    """
    with session.at_work() as progress:
        document = session.api.backup_restore(
            backup,
            into,
            tables=tuple(table or ()),
            replace=replace,
            scratch=scratch,
            trust_sql=trust_sql,
            store=store,
            home=session.home,
            keys=keys_of(session, identity, trust, erasure_secret=erasure_secret),
            progress=progress,
        )
    from migrate.cli import views_vault

    session.answer(document, lambda console: views_vault.restored(console, document))
    verdicts = document.get("verdicts")
    finish(int(document.get("exit_code", code_of_verdicts(verdicts) if verdicts else 0)))
