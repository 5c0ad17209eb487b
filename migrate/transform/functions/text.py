"""Text functions: they get the canonical text of the value."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Literal

import polars as pl

from migrate.transform.distinct import Refused, by_distinct, where_distinct
from migrate.transform.functions.names import title_names
from migrate.transform.values import (
    BOOLEAN,
    TEXT,
    WHITE,
    Mask,
    Outcome,
    Values,
    as_series,
    emptied,
    mask_of,
    texts_of,
)

Arguments = Mapping[str, Any]

_RUN_OF_WHITE = f"[{WHITE}]+"
_SQUEEZABLE = f"  |[{WHITE.replace(' ', '')}]"
_WORD = re.compile(r"\w[\w'’\u0300-\u036f]*")


def _text(series: pl.Series, failed: Mask | None = None, detail: str = "") -> Outcome:
    return Outcome(Values(series, TEXT), failed, detail)


def trim(values: Values, arguments: Arguments) -> Outcome:
    return _text(texts_of(values).str.strip_chars(arguments.get("chars") or WHITE))


def squeeze(values: Values, arguments: Arguments) -> Outcome:
    texts = texts_of(values)
    # Most columns hold nothing to squeeze, and looking is ten times cheaper than replacing.
    if not mask_of(texts.str.contains(_SQUEEZABLE)).any():
        return _text(texts)
    return _text(texts.str.replace_all(_RUN_OF_WHITE, " "))


def lower(values: Values, arguments: Arguments) -> Outcome:
    return _text(texts_of(values).str.to_lowercase())


def upper(values: Values, arguments: Arguments) -> Outcome:
    return _text(texts_of(values).str.to_uppercase())


def title(values: Values, arguments: Arguments) -> Outcome:
    if arguments["names"]:
        return _text(title_names(texts_of(values)))

    def words(text: str) -> str:
        return _WORD.sub(lambda m: m[0][0].title() + m[0][1:].lower(), text)

    return _text(by_distinct(texts_of(values), words, pl.String)[0])


def slice(values: Values, arguments: Arguments) -> Outcome:
    first, length = int(arguments["from"]), arguments.get("length")
    texts = texts_of(values)
    if first < 0:
        # Counted from the end; a text that is shorter starts with its first character.
        texts = texts.str.tail(-first)
        first = 1
    return _text(texts.str.slice(max(first - 1, 0), None if length is None else int(length)))


def replace(values: Values, arguments: Arguments) -> Outcome:
    return _text(texts_of(values).str.replace_all(arguments["from"], arguments["to"], literal=True))


def pattern(values: Values, arguments: Arguments) -> Outcome:
    texts, find = texts_of(values), arguments["find"]
    if arguments.get("replace") is not None:
        return _text(texts.str.replace_all(find, _template(arguments["replace"])))
    taken = texts.str.extract(find, int(arguments["group"]))
    missed = mask_of(taken.is_null() & texts.is_not_null())
    if arguments["otherwise"] == "keep":
        return _text(taken.fill_null(texts))
    if arguments["otherwise"] == "empty":
        return _text(taken)
    return _text(taken, missed, "the pattern is not found")


def _template(text: str) -> str:
    """\\1 and \\\\ of the mapping language in the words of Rust's regex, where $ is the special sign."""
    out: list[str] = []
    at = 0
    while at < len(text):
        sign, after = text[at], text[at + 1 : at + 2]
        if sign == "\\" and after.isdigit():
            out.append(f"${{{after}}}")
            at += 2
        elif sign == "\\" and after == "\\":
            out.append("\\")
            at += 2
        else:
            out.append("$$" if sign == "$" else sign)
            at += 1
    return "".join(out)


def pad(values: Values, arguments: Arguments) -> Outcome:
    texts, width, sign = texts_of(values), int(arguments["width"]), arguments["with"]
    return _text(
        texts.str.pad_end(width, sign) if arguments["side"] == "right" else texts.str.pad_start(width, sign)
    )


def digits(values: Values, arguments: Arguments) -> Outcome:
    texts = texts_of(values)
    if not mask_of(texts.str.contains("[^0-9]")).any():
        return _text(texts)
    texts = texts.str.replace_all(r"[^\p{Nd}]+", "")
    foreign = mask_of(texts.str.contains("[^0-9]"))
    return _text(where_distinct(texts, foreign, lambda t: "".join(str(unicodedata.digit(c)) for c in t))[0])


_PICTURE = r"[\p{Emoji}&&\p{Extended_Pictographic}--[©®™]]"
_ATTACHED = r"(?:\x{FE0F}|\p{Emoji_Modifier}|[\x{E0020}-\x{E007F}])*"
_EMOJI = (
    rf"{_PICTURE}{_ATTACHED}(?:\x{{200D}}{_PICTURE}{_ATTACHED})*"
    r"|\p{Regional_Indicator}|\p{Emoji_Modifier}|[\x{FE0E}\x{FE0F}\x{20E3}]"
)


def strip_emoji(values: Values, arguments: Arguments) -> Outcome:
    return _text(texts_of(values).str.replace_all(_EMOJI, ""))


_PLAIN = {
    "ß": "ss", "ẞ": "SS", "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "Ø": "O", "ø": "o", "Ł": "L", "ł": "l",
    "Đ": "D", "đ": "d", "Ð": "D", "ð": "d", "Þ": "TH", "þ": "th", "Ħ": "H", "ħ": "h", "ı": "i", "ĸ": "k",
    "Ŋ": "N", "ŋ": "n", "Ŧ": "T", "ŧ": "t", "ſ": "s", "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'",
    "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"', "‹": "'", "›": "'",
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "…": "...", "\xa0": " ", "\u202f": " ",
    "\u2009": " ", "\u200b": "", "\ufeff": "", "\u2060": "",
}  # fmt: skip


def ascii(values: Values, arguments: Arguments) -> Outcome:
    otherwise = arguments["otherwise"]

    def plain_form(sign: str) -> str:
        if sign in _PLAIN:
            return _PLAIN[sign]
        form: Literal["NFKD", "NFD"] = "NFKD" if unicodedata.category(sign).startswith("L") else "NFD"
        parts = "".join(c for c in unicodedata.normalize(form, sign) if not unicodedata.combining(c))
        if parts.isascii():
            return parts
        if otherwise == "fail":
            raise Refused
        return "" if otherwise == "drop" else sign

    def plain(text: str) -> str:
        # Composed first, so that an accent written apart belongs to its letter.
        return "".join(c if c.isascii() else plain_form(c) for c in unicodedata.normalize("NFC", text))

    texts = texts_of(values)
    texts, failed = where_distinct(texts, mask_of(texts.str.contains(r"[^\x00-\x7F]")), plain)
    return _text(texts, failed, "a character has no plain form")


def unescape_html(values: Values, arguments: Arguments) -> Outcome:
    texts = texts_of(values)
    return _text(where_distinct(texts, mask_of(texts.str.contains("&", literal=True)), html.unescape)[0])


def boolean(values: Values, arguments: Arguments) -> Outcome:
    """Not a text function by kind, but made of texts."""
    if values.series.dtype == pl.Boolean:
        return Outcome(values)
    texts = texts_of(values).str.strip_chars(WHITE)
    texts = emptied(texts, mask_of(texts == "")).str.to_lowercase()
    yes = pl.Series(sorted({str(w).lower() for w in arguments["true"]}), dtype=pl.String)
    no = pl.Series(sorted({str(w).lower() for w in arguments["false"]}), dtype=pl.String)
    is_yes, is_no = mask_of(texts.is_in(yes.implode())), mask_of(texts.is_in(no.implode()))
    other = mask_of(texts.is_not_null()) & ~is_yes & ~is_no
    otherwise = arguments["otherwise"]
    known = is_yes | is_no | (other if otherwise in ("true", "false") else is_yes & False)
    series = emptied(as_series(is_yes | (other if otherwise == "true" else is_yes & False)), ~known)
    return Outcome(
        Values(series, BOOLEAN), other if otherwise == "fail" else None, "neither a word for yes nor for no"
    )
