"""Options that the commands of the vault share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from migrate.cli.session import Session

Id = Annotated[str, typer.Argument(metavar="BACKUP", help="A backup's id, its beginning, or: latest.")]
Store = Annotated[
    str | None, typer.Option(metavar="URL|DIR", help="The vault; default: backups/ beside the state folder.")
]
StoreOfMapping = Annotated[
    str | None,
    typer.Option(
        metavar="URL|DIR", help="The vault; default: the mapping's, else backups/ beside the state folder."
    ),
]
DrillScratch = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="For PostgreSQL, MySQL and MariaDB: a server where the copy may be made and dropped.",
    ),
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
