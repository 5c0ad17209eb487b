"""What columns of consent say, as yes or no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrate.transform.consent import readings
from migrate.transform.values import BOOLEAN, WHITE, Outcome, Values, as_series, texts_of


def consent(values: Values, arguments: Mapping[str, Any]) -> Outcome:
    """Never NULL: nothing is no opt-out, and no opt-in."""
    texts = texts_of(values).str.strip_chars(WHITE).fill_null("")
    yes, _, strange = readings(texts, arguments["yes"], arguments["no"])
    return Outcome(Values(as_series(yes | strange if arguments["of"] == "opt_out" else yes), BOOLEAN))
