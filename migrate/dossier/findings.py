"""What a check of a dossier found out, and what it could not."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Findings:
    """`checked`: what was looked at and held; `not_checked`: what nobody could tell from the file alone."""

    checked: list[dict[str, str]] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    def holds(self, check: str, found: str) -> None:
        self.checked.append({"check": check, "found": found})
