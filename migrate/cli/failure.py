"""An error as the user reads it: one paragraph, or one JSON object, and an exit code.

Nothing here prints row values or passwords: of an unexpected error only its class and place are
told, and the traceback that `--debug` asks for is redacted.
"""

from __future__ import annotations

import errno
import re
import traceback
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import typer

from migrate.errors import Interrupted, MigrateError, Unreachable

# The base of all faults of usage. Typer carries its own copy of click since 0.2x and exports only the leaves.
UsageFault: type[Any] = typer.BadParameter.__bases__[0]

_INTERRUPTED = Interrupted(
    "interrupted.",
    kept="What was finished is kept.",
    hint="Run the same command again to resume.",
)
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SECRETS = (
    (re.compile(r"(?<=://)([^:/@\s]*):[^@\s]*@"), r"\1:***@"),
    (
        re.compile(r"(?i)\b(password|passwd|pwd|secret|token)(\s*[=:]\s*)('[^']*'|\"[^\"]*\"|[^\s,;)]+)"),
        r"\1\2***",
    ),
    (re.compile(r"(?m)^(\s*(?:DETAIL|CONTEXT|HINT):).*$"), r"\1 (left out: it may hold row values)"),
)


@dataclass(frozen=True)
class Failure:
    """`paragraph` goes to stderr; `document` is what `--json` prints on stdout."""

    code: int
    paragraph: str
    document: dict[str, object]


def failure_of(error: BaseException) -> Failure:
    """What to tell about `error`; every exception has an answer."""
    if isinstance(error, MigrateError):
        return _told(error)
    if isinstance(error, KeyboardInterrupt):
        return _told(_INTERRUPTED)
    if isinstance(error, UsageFault):
        return _usage(error)
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return _told(
            Unreachable(
                "the disk is full.",
                where=str(error.filename or ""),
                kept="What was finished is kept.",
                hint="Free some space and run the same command again.",
            )
        )
    if isinstance(error, PermissionError) and error.filename is not None:
        return _told(
            Unreachable(
                "the system does not allow this file or folder.",
                where=str(error.filename),
                kept="What was finished is kept.",
                hint="Mend the rights of it, or of a folder above it, and run the same command again.",
            )
        )
    return _unexpected(error)


def traceback_of(error: BaseException) -> str:
    """The traceback, without passwords in URLs and without the values that databases add to errors."""
    return redact("".join(traceback.format_exception(error)))


def redact(text: str) -> str:
    """`text` without what looks like a password or like the DETAIL of a database error."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _told(error: MigrateError) -> Failure:
    return Failure(error.exit_code, str(error), dict(error.as_json()))


def _usage(error: Any) -> Failure:
    context = error.ctx
    path = context.command_path if context is not None else "migrate"
    message, hint = error.format_message(), f"See: {path} --help"
    return Failure(
        2, f"{message} {hint}", {"code": 2, "message": message, "where": path, "kept": "", "hint": hint}
    )


def _unexpected(error: BaseException) -> Failure:
    message = f"the program has a bug: {type(error).__name__}."
    where = _place(error)
    hint = (
        "What was finished is kept. Run the same command again with --debug for the traceback, and please "
        "report it: it holds no passwords, but read it before you send it."
    )
    return Failure(
        1,
        f"{where}: {message} {hint}",
        {"code": 1, "message": message, "where": where, "kept": "", "hint": hint},
    )


def _place(error: BaseException) -> str:
    """File and line of the innermost frame that is ours, from the package's folder on."""
    ours = [
        f"{PurePath(*path.parts[path.parts.index('migrate') :])}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "migrate" in (path := PurePath(frame.filename)).parts
    ]
    return ours[-1] if ours else "outside of the program"
