"""The vault: migrate backup create | list | show | check | restore | prune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from migrate.cli.outcome import code_of_verdicts
from migrate.cli.session import Session, command, finish, group

app = group("Make, list, check and restore backups.")

Id = Annotated[str, typer.Argument(metavar="BACKUP", help="A backup's id, its beginning, or: latest.")]
Store = Annotated[
    str | None, typer.Option(metavar="URL|DIR", help="The vault; default: backups/ beside the state folder.")
]

Identity = Annotated[
    str | None,
    typer.Option(
        "--identity",
        "-i",
        metavar="FILE",
        help="The identity of age that opens encrypted backups: a file, or keyring:SERVICE/NAME; default: $MIGRATE_BACKUP_IDENTITY.",
    ),
]
Trusted = Annotated[
    list[str] | None,
    typer.Option(
        "--trust",
        metavar="KEY",
        help="Only backups that this public key (ed25519:… or a file) signed; several times. Default: $MIGRATE_BACKUP_TRUSTED, required or not.",
    ),
]
ErasureSecret = Annotated[
    str | None,
    typer.Option(
        "--erasure-secret",
        metavar="FILE",
        help="The secret that tells which rows were erased: a file, or keyring:SERVICE/NAME; default: $MIGRATE_ERASURE_SECRET.",
    ),
]


def keys_of(session: Session, identity: str | None, trusted: list[str] | None, **more: Any) -> Any:
    """None leaves it to the environment."""
    given = {"identity": identity, "trusted": tuple(trusted or ()), "require_signature": bool(trusted)} | more
    return session.api.backup_keys(**given) if any(given.values()) else None


@command(app, "list")
def list_(session: Session, store: Store = None, identity: Identity = None, trust: Trusted = None) -> None:
    """List the backups, with what is proven about each."""
    keys = keys_of(session, identity, trust)
    found = session.api.backups(store=store, home=session.home, keys=keys)
    from migrate.cli import views_vault

    session.answer(found, lambda console: views_vault.backups(console, found))


@command(app, "show")
def show(
    session: Session, backup: Id, store: Store = None, identity: Identity = None, trust: Trusted = None
) -> None:
    """Show what a backup holds and which checks it passed."""
    keys = keys_of(session, identity, trust)
    document = session.api.backup_show(backup, store=store, home=session.home, keys=keys)
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

    session.answer(document, lambda console: views.anything(console, document))
