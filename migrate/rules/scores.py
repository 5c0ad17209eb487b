"""Quality scores: what share of an entity's rows is as it should be, before and after the rules have worked.

Five dimensions, each a share from 0 to 1. Completeness is the share of filled values; the others are the share of rows in
which nothing of their kind was found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from migrate.mapping.every_field import every_field
from migrate.mapping.model import Entity

DIMENSIONS = ("completeness", "validity", "uniqueness", "timeliness", "consistency")
_UNIQUENESS = frozenset(
    ("unique", "key_not_unique", "match_conflict", "match_ambiguous", "merged_quarantined", "merged_rejected")
)
_CONSISTENCY = frozenset((
    "not_before", "not_after", "expr", "ref_missing", "ref_ambiguous", "find_missing", "find_ambiguous", "parent_quarantined",
    "parent_excluded", "parent_rejected", "join_missing", "pivot_ambiguous", "no_road",
))  # fmt: skip
_TIMELINESS = frozenset(("fresh", "stale"))
# Decided otherwise, and no matter of quality; or told by completeness already.
_NONE = frozenset((
    "no_consent", "consent_unknown", "lossy_allowed", "required", "key_missing", "link_missing", "update_missing", "key_changed",
    "changed_since_load", "edited_in_target", "target_gone", "target_changed", "email_unknown", "opt_in", "opt_out",
))  # fmt: skip
_DONE = re.compile(r"_?(?:emptied|defaulted)\Z")


@dataclass(frozen=True)
class Found:
    """One finding: `mended` where a rule emptied or replaced the value, so that it does not reach the target."""

    dimension: str
    mended: bool


def finding(code: str, own: frozenset[str]) -> Found | None:
    """What the code of a reason or an event says about quality; `own`: codes that the entity's `expr` rules give."""
    mended = bool(_DONE.search(code))
    plain = _DONE.sub("", code)
    if plain in _NONE:
        return None
    for dimension, codes in (
        ("uniqueness", _UNIQUENESS),
        ("consistency", _CONSISTENCY | own),
        ("timeliness", _TIMELINESS),
    ):
        if plain in codes:
            return Found(dimension, mended)
    return Found("validity", mended)


def own_codes(entity: Entity) -> frozenset[str]:
    return frozenset(
        str(rule.argument["code"])
        for _, field in every_field(entity)
        for rule in field.check
        if rule.name == "expr" and isinstance(rule.argument, dict) and "code" in rule.argument
    )


def measured(entity: Entity) -> frozenset[str]:
    """Dimensions that the mapping asks about at all; of the others nothing is known, which is not the same as 100 %."""
    rules = {rule.name for _, field in every_field(entity) for rule in field.check}
    refers = any(field.ref or field.find for _, field in every_field(entity))
    found = {"completeness", "validity", "uniqueness"}
    if rules & _TIMELINESS:
        found.add("timeliness")
    if refers or rules & {"not_before", "not_after", "expr"}:
        found.add("consistency")
    return frozenset(found)


def share(rows: int, bad: int) -> float | None:
    """Rows without a finding, of all; None where there are none."""
    return round(1 - bad / rows, 4) if rows else None


def below(scores: Mapping[str, Mapping[str, float | None]], least: Mapping[str, float]) -> list[str]:
    """Dimensions that are below what the mapping asks for after its rules have worked, in words."""
    found = []
    for dimension, limit in least.items():
        after = scores.get(dimension, {}).get("after")
        if after is not None and after < limit:
            found.append(f"{dimension} is {after:.1%}, at least {limit:.1%} is asked for")
    return found
