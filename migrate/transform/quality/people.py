"""`check: person` and `check: not_test_data`: names that no person has, and texts that nobody meant."""

# ruff: noqa: SIM905 - lists of words read better as text

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from migrate.transform.quality.found import About, Broken, Distinct, spread
from migrate.transform.values import WHITE, Values, mask_of, texts_of

_COMPANY = (
    r"(?i)(?:\A|[\s,(])(?:ltd|limited|plc|llp|llc|inc|incorporated|corp|corporation|gmbh|mbh|ag|kg|ohg|s\.?a\.?r\.?l|s\.p\.a|spa|srl|"
    r"b\.?v\.?|n\.v\.|a/s|aps|oy|oyj|pty|pte|co\.|company|holdings?|group|foundation|university|e\.v\.|trust|bank|council|solutions|"
    r"consulting|services|systems|technologies|international)\.?(?:\z|[\s,).])"
)
_TITLE = (
    r"(?i)(?:\A(?:mr|mrs|ms|miss|mx|dr|prof|professor|sir|dame|lord|lady|rev|herr|frau|hr|fr|mme|mlle|m|sr|sra|srta|dott|ing|dipl)"
    r"\.?\s+\S)|(?:[\s,]\(?(?:phd|ph\.d\.?|mba|msc|bsc|md|m\.d\.|esq|esquire|jr|sr|ii|iii)\.?\)?\z)"
)
_EMOJI = r"[\x{1F000}-\x{1FAFF}\x{2600}-\x{27BF}\x{2B00}-\x{2BFF}\x{FE0F}\x{200D}\x{20E3}\x{E0020}-\x{E007F}]"
_CAPS = r"\A[\p{Lu}\p{M}\s.'’-]*\p{Lu}{3}[\p{Lu}\p{M}\s.'’-]*\z"
# code, what `ignore` calls it, pattern, words
_NAMES = (
    ("name_caps", "caps", _CAPS, "all in capital letters"),
    ("name_emoji", "emoji", _EMOJI, "holds a picture"),
    ("name_title", "title", _TITLE, "holds a title or a degree"),
    ("name_comma", "comma", r"\S,\s*\S", "is written family name first, with a comma"),
    ("name_company", "company", _COMPANY, "looks like a company"),
    ("name_digits", "digits", r"\d", "holds digits"),
    ("name_email", "email", r"@", "holds an e-mail address"),
)
_TESTS = (
    "a aa aaa aaaa aaaaa abc abcd abc123 asd asdf asdfg asdfgh asdfghjkl asdasd asdfasdf qwe qwer qwert qwerty qwertz azerty zxcv zxcvb foo bar baz "
    "foobar foo@bar.com test tests testing tester test1 test12 test123 test1234 test@test test@test.com test@example.com "
    "test.test deltest dummy sample demo fake lorem ipsum blah blahblah xx xxx xxxx xxxxx x yy yyy zz zzz zzzz none n/a n.a. na null nil nan "
    "undefined unknown unbekannt keine inconnu tbc tba tbd todo temp tmp delete deleted ignore donotuse - -- --- . .. ... ? ?? ??? 0 00 000 "
    "123 1234 12345 123456 0000 1111 9999 no none@none.com na@na.com".split()
)
_PHRASES = (
    "mickey mouse|minnie mouse|donald duck|daisy duck|bugs bunny|homer simpson|bart simpson|john doe|jane doe|max mustermann|erika mustermann|"
    "max muster|mario rossi test|jean test|joe bloggs|fred bloggs|john q public|test account|test company|test contact|test customer|test user|"
    "test person|test test|test lead|test record|testing testing|do not use|please delete|to be deleted|delete me|delete this|lorem ipsum|"
    "not known|not available|not provided|first name last name|firstname lastname|acme test|batman|superman|santa claus|harry potter|"
    "darth vader|spider man|spiderman"
).split("|")
_TEST = r"(?i)\A(?:(?:z+|x+)?-?test(?:ing)?|dummy|fake)[ _-]+(?:account|company|contact|customer|user|person|lead|record|data|entry|deal|name|\d+)\z"


def person(arguments: Mapping[str, Any], values: Values, about: About) -> list[Broken]:
    distinct = Distinct.of(texts_of(values))
    ignored = frozenset(arguments["ignore"])
    found = [
        Broken(mask_of(distinct.values.str.contains(pattern)), code, words)
        for code, name, pattern, words in _NAMES
        if name not in ignored
    ]
    return spread(distinct, found)


def not_test_data(arguments: Mapping[str, Any], values: Values, about: About) -> list[Broken]:
    distinct = Distinct.of(texts_of(values))
    also = [text.lower() for text in arguments["also"]]
    plain = distinct.values.str.strip_chars(WHITE).str.to_lowercase().str.replace_all(r"\s+", " ")
    words = pl.Series([*_TESTS, *_PHRASES, *also], dtype=pl.String)
    mask = mask_of(plain.is_in(words.implode())) | mask_of(plain.str.contains(_TEST))
    return spread(distinct, [Broken(mask, "test_data", "looks like test data")])
