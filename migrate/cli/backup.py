"""The vault: migrate backup list | show | check | restore."""

from __future__ import annotations

from typing import Annotated

import typer

from migrate.cli.outcome import code_of_verdicts
from migrate.cli.session import Session, command, finish, group, not_built

app = group("List, check and restore backups.")

Id = Annotated[str, typer.Argument(metavar="BACKUP", help="A backup's id, its beginning, or: latest.")]
Store = Annotated[
    str | None, typer.Option(metavar="URL|DIR", help="The vault; default: backups/ beside the state folder.")
]


@command(app, "list")
def list_(session: Session, store: Store = None) -> None:
    """List the backups, with what is proven about each."""
    found = session.api.backups(store=store, home=session.home)
    from migrate.cli import views

    session.answer(found, lambda console: views.backups(console, found))


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
    from migrate.cli import views

    session.answer(document, lambda console: views.restored(console, document))
    verdicts = document.get("verdicts")
    finish(int(document.get("exit_code", code_of_verdicts(verdicts) if verdicts else 0)))


def _later(name: str) -> None:
    @command(app, name, hidden=True, context_settings={"ignore_unknown_options": True})
    def refuse(
        session: Session, rest: Annotated[list[str] | None, typer.Argument(hidden=True)] = None
    ) -> None:
        raise not_built(f"backup {name}")


for _name in ("create", "prune"):
    _later(_name)
