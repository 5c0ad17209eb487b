"""Erasure by request: migrate erase."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from migrate.cli.session import Session, command, group
from migrate.cli.vault_options import ErasureSecret, Identity, Store, keys_of
from migrate.errors import Unreachable

app = group("")


def _listed(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Unreachable("the file of keys cannot be read", where=str(file)) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


@command(app, "erase")
def erase(
    session: Session,
    mapping: Annotated[
        Path | None, typer.Argument(metavar="MAPPING", help="With --entity; else give --system and --table.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="A row's key: a value or a JSON array; several times."),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            allow_dash=True,
            help="Keys, one on every line; - reads them from stdin.",
        ),
    ] = None,
    entity: Annotated[str | None, typer.Option(metavar="ENTITY", help="Rows by their source key.")] = None,
    system: Annotated[
        str | None, typer.Option(metavar="SYSTEM", help="As `migrate backup list` names it.")
    ] = None,
    table: Annotated[str | None, typer.Option(metavar="TABLE", help="A table of that system.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="The column that KEY is of; several times. Default: primary key."
        ),
    ] = None,
    erasure_secret: ErasureSecret = None,
    identity: Identity = None,
    sign: Annotated[
        str | None,
        typer.Option("--sign", metavar="FILE", help="The Ed25519 private key that signs the record."),
    ] = None,
    store: Store = None,
) -> None:
    """Record that rows are erased: no restore, drill, undo or run brings them back, whatever backup it reads.

    The vault keeps a keyed hash of each key, which says nothing without the secret. What refers to an erased row loses
    that reference; a row that must have one goes too. Databases are not touched: delete there what they hold.

    Examples:

        migrate backup keygen --erasure ~/.config/migrate

        migrate erase mappings/acme.yaml --entity contacts --key 17

        migrate erase --system crm --table people --by email --key ada@example.org
    """
    keys = keys_of(session, identity, None, erasure_secret=erasure_secret, signing_key=sign)
    document = session.api.erase(
        mapping,
        entity=entity,
        system=system,
        table=table,
        by=tuple(by or ()),
        keys=(*(key or ()), *_listed(key_file)),
        store=store,
        home=session.home,
        vault_keys=keys,
    )
    from migrate.cli import views_vault

    session.answer(document, lambda console: views_vault.erased(console, document))
