"""An engine's own DDL text, by its own program where that is there. It is for people: nothing here is ever run.

Passwords go to these programs in a private file, never on a command line, and what looks like a secret in the text
is taken out of it. Whatever goes wrong is a reason to say, no error: a backup does not need this text.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from migrate import durable, failpoints
from migrate.connectors.protocol import DdlText

SECONDS = 120  # a catalogue that takes longer to write down is locked or out of reach
LIMIT = 32 << 20
_QUOTED = r"('(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\")"
_SECRETS = (
    # options of foreign, federated and Spider tables; URLs with a password
    (re.compile(rf"(\b(?:password|passwd|pwd|secret|token|api_?key)\b\s*=?\s*){_QUOTED}", re.IGNORECASE), r"\1'***'"),
    (re.compile(rf"(\bCONNECTION\s*=?\s*){_QUOTED}", re.IGNORECASE), r"\1'***'"),
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s/?#'\":@]*):[^\s/?#'\"]*@", re.IGNORECASE), r"\1:***@"),
)  # fmt: skip


def without_secrets(text: str) -> str:
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def first_of(programs: Sequence[str]) -> str | None:
    """The path of the first of these that is installed."""
    return next((path for name in programs if (path := shutil.which(name))), None)


def version_of(program: str) -> str:
    """As the program says it, in one line; its name where it does not."""
    try:
        done = subprocess.run(
            [program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return Path(program).name
    said = done.stdout.decode(errors="replace").split("\n")[0].strip()
    return (said.replace(program, Path(program).name) or Path(program).name)[:200]


@contextmanager
def private_file(folder: Path, name: str, content: str) -> Iterator[Path]:
    """A file that only this user reads, gone at the end. After a kill it lies in `folder`, which is private."""
    path = durable.make_private_folder(folder) / name
    path.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(content)
        failpoints.hit("native.password_written")
        yield path
    finally:
        path.unlink(missing_ok=True)


def written_by(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, secrets: Sequence[str] = ()
) -> DdlText:
    """What the program writes, without secrets; or why it wrote nothing, in its own words."""
    tool = version_of(command[0])
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, env=env, check=False
        )
    except subprocess.TimeoutExpired:
        return DdlText(tool, problem=f"it did not end within {SECONDS} s")
    except OSError as error:
        return DdlText(tool, problem=f"it cannot be run: {error.strerror}")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().split("\n")
        return DdlText(tool, problem=_shown(said, secrets) or f"it ended with {done.returncode}")
    if len(done.stdout) > LIMIT:
        return DdlText(tool, problem=f"it is larger than {LIMIT >> 20} MB")
    text = done.stdout.decode(errors="replace")
    return DdlText(tool, without_secrets(text)) if text.strip() else DdlText(tool, problem="it wrote nothing")


def _shown(lines: Sequence[str], secrets: Sequence[str]) -> str:
    said = without_secrets("; ".join(line.strip() for line in lines if line.strip()))
    for secret in filter(None, secrets):
        said = said.replace(secret, "***")
    return "".join(c if c.isprintable() else " " for c in said)[:400]
