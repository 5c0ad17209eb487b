"""Every error this program raises on purpose, its exit code and a hint.

The class is the exit code (docs: the command line). An error is one paragraph: what happened,
where, what was kept, what to do next. Messages never hold row values or secrets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":", "`")) else text + "."


class MigrateError(Exception):
    """Base of all errors that are meant for the user.

    `message` says what happened, `where` names file:line:column, table or key, `kept` what is
    still there, `hint` what to do next.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", kept: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.where, self.kept, self.hint = message, where, kept, hint

    def __str__(self) -> str:
        """The paragraph that the user reads."""
        lead = f"{self.where}: {self.message}" if self.where else self.message
        return " ".join(_sentence(part) for part in (lead, self.kept, self.hint) if part)

    def as_json(self) -> dict[str, object]:
        return {
            "code": self.exit_code,
            "message": self.message,
            "where": self.where,
            "kept": self.kept,
            "hint": self.hint,
        }


class UsageError(MigrateError):
    """The command or the mapping is wrong, or asks for what is not built yet."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a mapping; `where` is file:line:column or entity.field, `code` is stable."""

    code: str
    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class MappingError(UsageError):
    """All problems of a mapping, or of another file that a person writes (`what`), at once."""

    def __init__(self, problems: Sequence[Problem], *, hint: str = "", what: str = "mapping") -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        super().__init__(f"the {what} has {count}", hint=hint)

    def __str__(self) -> str:
        return "\n".join(
            [f"{self.message}:", *(f"  {p}" for p in self.problems), *([self.hint] if self.hint else [])]
        )

    def as_json(self) -> dict[str, object]:
        return super().as_json() | {
            "problems": [vars(p) for p in self.problems],
        }


class GateClosed(MigrateError):
    """A proof is missing, stale or failed; or verification failed."""

    exit_code = 3


class Unfit(GateClosed):
    """What a backup declares or holds does not go into a database of its engine: a verdict on the backup."""


class TooManyQuarantined(MigrateError):
    exit_code = 4


class Unreachable(MigrateError):
    """Cannot reach, not allowed, disk full, connection lost: resumable."""

    exit_code = 5


class Transient(Unreachable):
    """Unreachable for a moment (connection lost, server restarting, deadlock): the same work may be tried again.

    Nothing of it was kept, or a receipt tells whether it was: see `migrate.retry`. `in_vain`: it was tried often enough."""

    in_vain = False


class ObjectLocked(Unreachable):
    """The store keeps an object for a time that was promised when it was put. `until`: "locked until 2026-12-24"."""

    def __init__(self, message: str, *, until: str, where: str = "", kept: str = "", hint: str = "") -> None:
        super().__init__(message, where=where, kept=kept, hint=hint)
        self.until = until


class Corrupt(MigrateError):
    """Bytes are not what was written."""

    exit_code = 6


class Drift(MigrateError):
    """Schema, plan or target changed since it was read."""

    exit_code = 7


class Busy(MigrateError):
    """Another run holds the target, or took it over."""

    exit_code = 8


class Interrupted(MigrateError):
    exit_code = 9
