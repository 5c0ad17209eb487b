"""What name servers answered in a run, `mail_servers/NNNNN.json` in its folder: asked once, so that a run that goes on, and a
replay of its rows, decide as it did, whatever the servers say by then."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from migrate.context import Context
from migrate.durable import make_private_folder, write_bytes
from migrate.errors import Corrupt
from migrate.transform.quality.mail_servers import Answers, MailServers

ANSWERS = "mail_servers"


def mail_servers(ctx: Context) -> MailServers:
    """The name servers, with what they said in this run so far. Raises Corrupt."""
    folder = ctx.folder / ANSWERS
    known: Answers = {}
    for path in sorted(folder.glob("*.json")):
        try:
            known |= json.loads(path.read_text())
        except ValueError as error:
            raise Corrupt(
                "what name servers answered is not as it was written",
                where=str(path),
                kept="The target and the backups are as they were.",
                hint="Run with --fresh, which asks them again.",
            ) from error
    return MailServers(known, partial(_keep, folder))


def _keep(folder: Path, answers: Answers) -> None:
    make_private_folder(folder)
    path = folder / f"{len(list(folder.glob('*.json'))):05d}.json"
    write_bytes(path, json.dumps(answers, ensure_ascii=False).encode(), point="transform.mail_servers")
