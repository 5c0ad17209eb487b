"""Commands of the language that this version does not have: they say so (exit 2) and are hidden from --help."""

from __future__ import annotations

from typing import Annotated

import typer

from migrate.cli.session import Session, command, group, not_built

NOT_BUILT: tuple[str, ...] = ()

app = group("")


def _later(name: str) -> None:
    @command(app, name, hidden=True, context_settings={"ignore_unknown_options": True})
    def refuse(
        session: Session, rest: Annotated[list[str] | None, typer.Argument(hidden=True)] = None
    ) -> None:
        raise not_built(name)


for _name in NOT_BUILT:
    _later(_name)
