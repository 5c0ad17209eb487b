"""Consent: which rows say no, or do not say yes, to a channel, by the words in their columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from migrate.mapping.consent_words import NO, YES
from migrate.mapping.decision_model import Channel, Consent
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import WHITE, Mask, as_series, mask_of, texts_of

WITHHELD = "no_consent"  # code of a value that did not move
# Columns of the transformed rows: by field what did not move, by channel who refuses it.
WITHHELD_TEXT, REFUSED = "__withheld.", "__refused."
UNKNOWN = "consent_unknown"  # code of a word in a column of consent that is neither yes nor no


@dataclass(frozen=True)
class Judged:
    """`refused`: rows without consent; `unknown`: rows with a word that is neither yes nor no, and the words."""

    refused: Mask
    unknown: Mask
    words: pl.Series


def judge(consent: Consent, channels: Iterable[str], rows: SourceRows) -> Judged:
    """Rows that lack the consent of any of the channels."""
    size = len(rows)
    refused = np.zeros(size, dtype=np.bool_)
    unknown = np.zeros(size, dtype=np.bool_)
    words: pl.Series = pl.Series("", [None] * size, dtype=pl.String)
    for name in channels:
        channel = consent.channels[name]
        refused |= _refused(channel, consent, rows)
        for _, texts, _, _, strange in _columns(channel, consent, rows):
            words = words.zip_with(~as_series(strange & ~unknown), texts)
            unknown |= strange
    return Judged(refused, unknown, words)


def _refused(channel: Channel, consent: Consent, rows: SourceRows) -> Mask:
    """An unknown word among the opt-outs is one; among the opt-ins it is none, whatever the others say."""
    out = np.zeros(len(rows), dtype=np.bool_)
    agreed = np.full(len(rows), not channel.yes_if)
    doubtful = np.zeros(len(rows), dtype=np.bool_)
    for is_out, _, yes, _, strange in _columns(channel, consent, rows):
        if is_out:
            out |= yes | strange
        else:
            agreed |= yes
            doubtful |= strange
    refused: Mask = out | ~agreed | doubtful
    return refused


def _columns(
    channel: Channel, consent: Consent, rows: SourceRows
) -> Iterator[tuple[bool, pl.Series, Mask, Mask, Mask]]:
    """(is it an opt-out, its texts, rows that say yes, that say no, that say something else)."""
    for column in channel.columns:
        values, bad = rows.column(column)
        texts = texts_of(values).str.strip_chars(WHITE)
        yes, no, strange = readings(texts, consent.yes, consent.no)
        if bad is not None:  # bytes that are no text
            strange = strange | bad
        yield column in channel.no_if, texts, yes, no, strange


def readings(
    texts: pl.Series, more_yes: Iterable[str] = (), more_no: Iterable[str] = ()
) -> tuple[Mask, Mask, Mask]:
    """Texts that say yes, that say no, and that say something else; empty ones say nothing."""
    lower = texts.str.to_lowercase()
    own_yes, own_no = {w.lower() for w in more_yes}, {w.lower() for w in more_no}
    yes = mask_of(lower.is_in(sorted((YES - own_no) | own_yes)))
    no = mask_of(lower.is_in(sorted((NO - own_yes) | own_no)))
    return yes, no, mask_of(lower != "") & ~yes & ~no
