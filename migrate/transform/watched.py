"""What happened to the values of a row, step by step: what a preview shows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from migrate.transform.values import Mask, Values, texts_of


@dataclass(frozen=True)
class Step:
    """`value`: its canonical text after the step, None where there is none (any more). `broken`: it breaks the rule of
    this step."""

    step: str
    value: str | None
    broken: bool = False


@dataclass
class Watched:
    """Keeps every step of every field for all rows of a batch; for few rows. A `migrate.transform.findings.Watch`."""

    _seen: dict[str, list[tuple[str, list[str | None], list[bool]]]] = dataclasses.field(default_factory=dict)

    def __call__(self, field: str, step: str, values: Values, broken: Mask | None = None) -> None:
        texts = texts_of(values).to_list()
        wrong = [False] * len(texts) if broken is None else [bool(b) for b in broken]
        self._seen.setdefault(field, []).append((step, texts, wrong))

    @property
    def fields(self) -> list[str]:
        """Names of fields, let values (`let.NAME`) and values of lists (`emails.email`), in the order of the work."""
        return list(self._seen)

    def steps(self, name: str, ordinal: int) -> list[Step]:
        """Of one field for the row at `ordinal` of the batch (of a list: the item)."""
        return [Step(step, texts[ordinal], wrong[ordinal]) for step, texts, wrong in self._seen.get(name, [])]

    def count(self, name: str) -> int:
        """How many rows, or items, a field was computed for."""
        return len(self._seen[name][0][1]) if self._seen.get(name) else 0
