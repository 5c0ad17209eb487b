"""`consent` and `retention` of an entity."""

from __future__ import annotations

from typing import Any

from migrate.mapping.decision_model import Channel, Consent, Retention
from migrate.mapping.durations import duration_problem
from migrate.mapping.language.words import identifier
from migrate.mapping.reference_shapes import COLUMN, TARGET_COLUMN
from migrate.mapping.shapes import (
    BAD,
    Choice,
    Key,
    KeysAndNames,
    Many,
    MapOf,
    Reading,
    Record,
    Share,
    Words,
    build,
)
from migrate.mapping.tree import Pairs, Path_

_COLUMNS = Many(COLUMN, "a column, or a list of columns", single=True)
_WORDS = Many(Words("a word", raw=True, null_is_text=True), "a word, or a list of words", single=True)


def _channel(values: dict[str, Any], node: Pairs, reading: Reading, path: Path_) -> Any:
    if not values.get("no_if") and not values.get("yes_if"):
        if node.get("no_if") is not None or node.get("yes_if") is not None:
            return BAD
        return reading.wrong(
            "missing_key",
            node.at,
            f"nothing says whether there is consent for `{path[-1]}`",
            "no_if: columns that say no; yes_if: columns of which one must say yes",
        )
    return build(Channel, {"fields": (str(path[-1]),), **values}, node, reading)


CHANNEL = Record(
    "a channel of consent",
    {
        "no_if": Key(_COLUMNS, "Columns that say no where they hold a yes (opt-outs): one is enough. Empty says nothing."),
        "yes_if": Key(_COLUMNS, "Columns of which one must say yes (opt-ins). Empty is no consent."),
        "fields": Key(
            Many(Words("a field or a let value", raw=True), "a field or let value, or a list of them", single=True, at_least=0),
            "The fields and let values that do not move without consent; by default that of the channel's name.",
        ),
        "opt_out": Key(TARGET_COLUMN, "The field that says no in the target: a yes that it holds there stays."),
        "opt_in": Key(TARGET_COLUMN, "The field that says yes in the target: a no that it holds there stays."),
        "basis": Key(Words("the legal basis", raw=True), "The legal basis, for people: contract, consent, legitimate interest."),
    },
    finish=_channel,
)  # fmt: skip
_OWN = {
    "merge": Key(Choice.of(Consent, "merge"), "What rows that become one agree on: most_restrictive."),
    "provenance": Key(
        TARGET_COLUMN, "A field that goes with the consent: where the target's consent stays, so does this."
    ),
    "dated": Key(
        TARGET_COLUMN,
        "A field with the date of the consent, which goes with it: of several refusals the latest counts.",
    ),
    "yes": Key(_WORDS, "Further words that mean yes."),
    "no": Key(_WORDS, "Further words that mean no."),
}
CONSENT = KeysAndNames(
    keys=Record("consent", _OWN, finish=lambda values, node, reading, path: values),
    names=MapOf(CHANNEL, "a map of channels", identifier("a channel")),
    model=Consent,
    to="channels",
    nothing="`consent` names no channel",
    words="channels with no_if or yes_if, for example {email: {no_if: opt_out}}",
)
RETENTION = Record(
    "retention",
    {
        "by": Key(_COLUMNS, "The column whose date counts; of several the latest.", required=True),
        "keep": Key(Words("a span of time", duration_problem), "How long rows are kept: 3 years, 18 months, 90 days.", required=True),
        "then": Key(
            Choice.of(Retention, "then"),
            "What happens with older rows: archive (left out, and kept in the vault), drop (left out), keep.",
            required=True,
        ),
        "if_empty": Key(Choice.of(Retention, "if_empty"), "What happens with rows without a date: keep (default), archive, drop, quarantine."),
    },
    Retention,
)  # fmt: skip

_SCORE = Share()
MIN_QUALITY = Record(
    "min_quality",
    {
        "completeness": Key(_SCORE, "The share of filled values, of fields that take one from the source."),
        "validity": Key(_SCORE, "The share of rows without a value of a wrong form, type or kind."),
        "uniqueness": Key(_SCORE, "The share of rows that share no key and no unique value."),
        "timeliness": Key(_SCORE, "The share of rows that are fresh."),
        "consistency": Key(_SCORE, "The share of rows whose dates, conditions and references agree."),
    },
    finish=lambda values, node, reading, path: values,
)
