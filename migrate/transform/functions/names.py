"""Parts of personal names, and their capital letters.

nameparser takes names apart. It reads some 5,000 names a second, so the plainest ones, of two or three words that stand
in none of its word lists, are taken apart here, in the same way (a test compares).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from migrate.transform.distinct import Refused, by_distinct, where_distinct
from migrate.transform.values import TEXT, Mask, Outcome, Values, emptied, mask_of, replaced, texts_of

Arguments = Mapping[str, Any]

_LONGEST = 500  # characters; longer texts are no names, and their parsing is not linear
_ROMAN = r"(?i)\A[ivxlcdm]+\z"
_NONE = "no name is in it"
_WORD = r"\p{Latin}{2,}"
_PLAIN = rf"\A(?<first>{_WORD})(?: (?<second>{_WORD}))? (?<third>{_WORD})\z"
_COMMA = rf"\A(?<third>{_WORD}), (?<first>{_WORD})(?: (?<second>{_WORD}))?\z"


@dataclass(frozen=True)
class _Name:
    given: str = ""
    middle: str = ""
    family: str = ""
    prefix: str = ""
    suffix: str = ""

    @property
    def full(self) -> str:
        return " ".join(filter(None, (self.prefix, self.given, self.middle, self.family, self.suffix)))


def name(values: Values, arguments: Arguments) -> Outcome:
    part, order, one_word = arguments["part"], arguments["order"], arguments["one_word"]
    texts = texts_of(values)

    def read(text: str) -> str | None:
        return getattr(_parsed(text, order, one_word), part) or None

    if order == "given_first":
        plain, done = _plain_parts(texts, part)
        made, failed = where_distinct(texts, mask_of(texts.is_not_null()) & ~done, read)
        return Outcome(Values(replaced(made, done, plain), TEXT), failed, _NONE)
    made, failed = by_distinct(texts, read, pl.String)
    return Outcome(Values(made, TEXT), failed, _NONE)


def _plain_parts(texts: pl.Series, part: str) -> tuple[pl.Series, Mask]:
    """The part of names without any special word, and which texts these are."""
    groups = texts.str.extract_groups(_PLAIN).struct.unnest()
    comma = texts.str.extract_groups(_COMMA).struct.unnest()
    words = {key: groups[key].fill_null(comma[key]) for key in ("first", "second", "third")}
    special = pl.Series(sorted(_special_words()), dtype=pl.String).implode()
    done = mask_of(words["first"].is_not_null())
    for series in words.values():
        done &= ~mask_of(series.str.to_lowercase().is_in(special) | series.str.contains(_ROMAN))
    if part == "full":
        frame = pl.DataFrame(words)
        made = frame.select(pl.concat_str(pl.all(), separator=" ", ignore_nulls=True)).to_series()
    else:
        key = {"given": "first", "middle": "second", "family": "third"}.get(part)
        made = words[key] if key else emptied(texts, mask_of(texts.is_not_null()))
    return made, done


@functools.cache
def _special_words() -> frozenset[str]:
    """Every word that nameparser's lists know, in whatever role."""
    from nameparser import Lexicon

    lexicon = Lexicon.default()
    words: set[str] = set()
    for field in dataclasses.fields(lexicon):
        entries = getattr(lexicon, field.name)
        if isinstance(entries, frozenset):
            words.update(word for entry in entries for word in entry.split())
    return frozenset(words) | dict(lexicon.capitalization_exceptions).keys()


@functools.lru_cache(maxsize=1 << 16)
def _parsed(text: str, order: str, one_word: str) -> _Name:
    """Fields of one entity ask for one part after the other, so the last batch's names are kept. Raises Refused."""
    if len(text) > _LONGEST or not any(c.isalpha() for c in text):
        raise Refused
    found = _parser(order).parse(text)
    read = _Name(found.given, found.middle, found.family, found.title, found.suffix)
    if not read.full:
        raise Refused
    if read.given and _is_all_family(text, read):
        family = " ".join(filter(None, (read.given, read.middle, read.family)))
        return dataclasses.replace(read, given="", middle="", family=family)
    if (
        read.given
        and not read.family
        and not read.middle
        and (one_word == "family" or text.rstrip().endswith(","))
    ):
        return dataclasses.replace(read, given="", family=read.given)
    return read


def _is_all_family(text: str, read: _Name) -> bool:
    """van Gogh, van der Berg, bin Laden: nameparser takes the first word for a given name, as in Van Johnson."""
    from nameparser import Lexicon

    particles = Lexicon.default().particles
    words = " ".join((read.given, read.middle, read.family)).split()
    if "," in text or len(words) < 2 or words[0].lower() not in particles:
        return False
    small_among_large = words[0].islower() and not text.islower()
    return small_among_large or (len(words) > 2 and words[1].lower() in particles)


@functools.cache
def _parser(order: str) -> Any:
    from nameparser import FAMILY_FIRST, GIVEN_FIRST, Parser, Policy

    return Parser(policy=Policy(name_order=FAMILY_FIRST if order == "family_first" else GIVEN_FIRST))


# --- capital letters

_PARTICLES = frozenset((
    "van", "der", "den", "de", "het", "'t", "ter", "ten", "te", "von", "vom", "zu", "zum", "zur", "la",
    "le", "las", "los", "lo", "du", "des", "del", "della", "dello", "dei", "degli", "di", "da", "das",
    "do", "dos", "af", "av", "y", "bin", "ibn",
))  # fmt: skip
_ALWAYS_SMALL = frozenset(("von", "vom", "zu", "zum", "zur", "af", "av", "bin", "ibn"))
_ENDINGS = {
    "ii": "II", "iii": "III", "iv": "IV", "jr": "Jr", "sr": "Sr", "phd": "PhD", "md": "MD", "mba": "MBA", "esq": "Esq",
}  # fmt: skip
# Mac is a part of these; Macy, Mack, Machado and Macias are other names.
_MACS = frozenset((
    "adam", "alister", "allister", "andrew", "arthur", "askill", "aulay", "auley", "beth", "bride",
    "callum", "carthy", "cormack", "crimmon", "culloch", "dermott", "diarmid", "donald", "donnell",
    "dougal", "dougall", "duff", "eachern", "ewan", "ewen", "fadyen", "farlane", "gillivray", "gowan",
    "gregor", "innes", "intosh", "intyre", "iver", "kay", "kenna", "kenzie", "kinley", "kinnon", "lachlan",
    "laren", "laughlin", "lean", "lellan", "lennan", "leod", "mahon", "manus", "master", "millan",
    "murray", "nab", "namara", "naughton", "neil", "neill", "nicol", "niven", "phail", "phee", "pherson",
    "quarrie", "queen", "quaid", "rae", "ritchie", "sween", "swiney", "tavish", "vicar", "william",
))  # fmt: skip
_APOSTROPHES = frozenset(("o", "d", "l", "m", "n", "dell", "dall", "all", "sant", "nell"))
_LETTER = r"(?:[^\W\d_]|[\u0300-\u036f])"
_NAME_WORD = re.compile(rf"{_LETTER}+(?:['’]{_LETTER}+)*|(?<!\w)['’][tTsS](?=\s)")


def title_names(texts: pl.Series) -> pl.Series:
    """Names in capitals or in small letters with the letters that they have: McDonald, O'Neil, van der Berg.

    A word that has both already is somebody's spelling and stays, but for Mc and an apostrophe, after which a small
    letter is what a computer made of it."""
    return where_distinct(texts, mask_of(texts.str.contains(r"\p{L}")), _titled)[0]


def _titled(text: str) -> str:
    found = list(_NAME_WORD.finditer(text))
    words = [match[0] for match in found]
    out: list[str] = []
    end = 0
    for place, match in enumerate(found):
        out += [
            text[end : match.start()],
            _titled_word(words, place, text[: match.start()], text[match.end() :]),
        ]
        end = match.end()
    return "".join(out) + text[end:]


def _titled_word(words: list[str], place: int, before: str, after: str) -> str:
    word = words[place]
    small = word.lower()
    if word[0] in "'’":
        return small
    if len(word) > 1 and not _in_one_case(word):
        return _with_inner_capitals(word, macs=False) if word[1:].islower() else word
    if small in _PARTICLES and _stands_before_a_name(words, place, before, after):
        return small
    if place > 1 and all(later.lower() in _ENDINGS for later in words[place:]):
        return _ENDINGS[small]
    tail = word[1:].lower().replace("i\u0307", "i")  # of a Turkish İ
    return _with_inner_capitals(_capital(word[0]) + tail, macs=True)


def _in_one_case(word: str) -> bool:
    """All large or all small; McDONALD is meant as all large."""
    rest = word[2:] if word.startswith("Mc") else word[3:] if word.startswith("Mac") else ""
    return word.isupper() or word.islower() or (len(rest) > 1 and rest.isupper())


def _stands_before_a_name(words: list[str], place: int, before: str, after: str) -> bool:
    """A particle is small inside a name; at its beginning only where another follows it, or where it always is."""
    if place + 1 == len(words) or not after.startswith(" ") or (before and not before.endswith(" ")):
        return False
    if place > 0 and not before.rstrip().endswith(","):
        return True
    another = words[place + 1].lower().replace("’", "'") in _PARTICLES and place + 2 < len(words)
    return another or words[place].lower() in _ALWAYS_SMALL


def _capital(word: str) -> str:
    return word[:1].title() + word[1:]


def _with_inner_capitals(word: str, *, macs: bool) -> str:
    """Of a word with a large letter at its beginning and small ones after it."""
    for sign in "'’":
        head, found, rest = word.partition(sign)
        if found:
            large = head.lower() in _APOSTROPHES and len(rest) > 1
            return head + sign + (_with_inner_capitals(_capital(rest), macs=macs) if large else rest)
    small = word.lower()
    if small.startswith("mc") and len(small) > 3:
        return word[:2] + _capital(word[2:])
    if macs and small.startswith("mac") and small[3:] in _MACS:
        return word[:3] + _capital(word[3:])
    return word
