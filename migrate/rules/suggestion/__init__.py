"""A first mapping, told from names, declared types, keys and what the columns hold."""

from __future__ import annotations

from migrate.rules.suggestion.facts import Facts, Seen
from migrate.rules.suggestion.fields import suggest
from migrate.rules.suggestion.model import Suggested, Suggestion
from migrate.rules.suggestion.text import Written, written

__all__ = ["Facts", "Seen", "Suggested", "Suggestion", "Written", "suggest", "written"]
