"""What is known of an e-mail address, as a value of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from migrate.transform.quality.emails import judge
from migrate.transform.values import TEXT, Outcome, Values, texts_of


def email_verdict(values: Values, arguments: Mapping[str, Any]) -> Outcome:
    """Once per distinct address. Name servers are not asked here."""
    texts = texts_of(values)
    distinct = texts.drop_nulls().unique(maintain_order=True)
    judged = judge(distinct, {**arguments, "mx": False}, servers=None)
    if arguments["give"] == "proposal":
        local = distinct.str.to_lowercase().str.replace(r"@[^@]*\z", "")
        given = (local + "@" + judged.proposals).alias("")
    else:
        given = judged.verdicts() if arguments["give"] == "verdict" else judged.reasons()
    table = pl.DataFrame({"k": distinct, "v": given})
    made = texts.alias("k").to_frame().join(table, on="k", how="left", maintain_order="left")["v"].alias("")
    return Outcome(Values(made, TEXT))
