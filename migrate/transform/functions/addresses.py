"""E-mail addresses and domain names. Whole columns at a time; only international domains go through Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from migrate.transform.distinct import Refused, where_distinct
from migrate.transform.values import TEXT, WHITE, Mask, Outcome, Values, emptied, mask_of, nulls_of, texts_of

Arguments = Mapping[str, Any]

_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = rf"\A(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])\z"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\p{L}\p{M}\p{N}]+"
_ADDRESS = rf"\A(?<local>{_ATOM}(?:\.{_ATOM})*)@(?<domain>[^@]+)\z"
_HOST = (
    r"(?is)\A(?<before>(?:[a-z][a-z0-9+.-]*:)?(?://)?(?:[^@/?#]*@)?)"
    r"(?<host>[^@:/?#\[\]]+)(?<after>(?::[0-9]*)?(?:[/?#].*)?)\z"
)
_INTERNATIONAL = r"[^\x00-\x7F]|(?i)(?:\A|\.)xn--"
_LONGEST_LOCAL, _LONGEST_DOMAIN, _LONGEST = 64, 253, 254  # bytes: RFC 5321, RFC 3696 erratum 1690


def email(values: Values, arguments: Arguments) -> Outcome:
    texts = _unwrapped(texts_of(values))
    parts = texts.str.extract_groups(_ADDRESS).struct.unnest()
    domain, unreal = _domains(parts["domain"])
    local = parts["local"].str.to_lowercase() if arguments["local"] == "lower" else parts["local"]
    made = local + "@" + domain
    failed = mask_of(texts.is_not_null()) & (nulls_of(parts["local"]) | unreal)
    failed |= mask_of((local.str.len_bytes() > _LONGEST_LOCAL) | (made.str.len_bytes() > _LONGEST))
    return Outcome(Values(emptied(made, failed), TEXT), failed, "not an e-mail address")


def _unwrapped(texts: pl.Series) -> pl.Series:
    """The address inside `Ada <ada@x.com>`, mailto:ada@x.com?subject=…, quotes, or before a last comma or semicolon."""
    white = f"[{WHITE}]*"
    if not mask_of(texts.str.contains(r"""[<>'";,]|(?i)\Amailto:""")).any():
        return texts
    texts = texts.str.replace(rf"{white}[;,]\z", "")
    texts = texts.str.replace(rf"(?s)\A[^<>]*<{white}([^<>]*?){white}>\z", "$1")
    texts = texts.str.replace(rf"(?is)\Amailto:{white}([^?]*)(?:\?.*)?\z", "$1")
    return texts.str.replace(r"""\A'([^'"]*)'\z""", "$1").str.replace(r"""\A"([^'"]*)"\z""", "$1")


def _domains(texts: pl.Series) -> tuple[pl.Series, Mask]:
    """Domain names in small letters, and which texts are none. An international one is checked and keeps its script."""
    lower = texts.str.to_lowercase()
    abroad = mask_of(lower.str.contains(_INTERNATIONAL))
    lower, refused = where_distinct(lower, abroad, _in_its_script)
    bad = ~abroad & ~mask_of(lower.str.contains(_DOMAIN)) | mask_of(lower.str.len_bytes() > _LONGEST_DOMAIN)
    bad &= mask_of(texts.is_not_null())
    return emptied(lower, bad | refused), bad | refused


def _in_its_script(domain: str) -> str:
    """A domain as it is written, where IDNA 2008 has it. xn-- stays xn--."""
    coded = _coded(domain)
    if "." not in coded or coded.rpartition(".")[2].isdigit():
        raise Refused
    return coded if domain.isascii() else _uncoded(coded)


def _coded(domain: str) -> str:
    import idna

    try:
        made = idna.encode(domain, uts46=True).decode()
        idna.decode(made)  # xn-- that stands for nothing
    except (idna.IDNAError, ValueError):
        raise Refused from None
    return made


def _uncoded(domain: str) -> str:
    import idna

    try:
        return idna.decode(domain, uts46=True)
    except (idna.IDNAError, ValueError):
        raise Refused from None


def punycode(values: Values, arguments: Arguments) -> Outcome:
    texts = texts_of(values)
    parts = texts.str.extract_groups(_HOST).struct.unnest()
    host = parts["host"].str.to_lowercase()
    change: Callable[[str], str] = (
        _coded if arguments["to"] == "ascii" else lambda text: _uncoded(_coded(text))
    )
    abroad = mask_of(host.str.contains(_INTERNATIONAL))
    made, refused = where_distinct(host, abroad, change)
    plain = mask_of(host.str.contains(rf"\A(?:{_LABEL}\.)*{_LABEL}\z"))
    failed = mask_of(texts.is_not_null()) & (refused | (~abroad & ~plain))
    whole = parts["before"] + made + parts["after"]
    return Outcome(Values(emptied(whole, failed), TEXT), failed, "not a domain, nor an address that has one")


def plus_tag(values: Values, arguments: Arguments) -> Outcome:
    texts = texts_of(values)
    parts = texts.str.extract_groups(r"(?s)\A(?<local>.+)(?<rest>@[^@]+)\z").struct.unnest()
    bare = parts["local"].str.splitn(arguments["sign"], 2).struct.field("field_0")
    made = bare.zip_with(bare != "", parts["local"]) + parts["rest"]
    return Outcome(
        Values(made, TEXT), mask_of(made.is_null() & texts.is_not_null()), "no @ with a text on both sides"
    )


def domain(values: Values, arguments: Arguments) -> Outcome:
    texts = _unwrapped(texts_of(values))
    addresses = mask_of(texts.str.contains("@", literal=True) & ~texts.str.contains("//", literal=True))
    of_address = email(Values(emptied(texts, ~addresses), TEXT), {"local": "keep"}).values.series
    hosts = emptied(texts, addresses).str.extract_groups(_HOST).struct.field("host").str.replace(r"\.\z", "")
    domains, _ = _domains(hosts)
    domains = domains.fill_null(of_address.str.split("@").list.last())
    if arguments["www"] == "drop":
        # www.com is a domain itself.
        domains = domains.str.replace(r"\Awww\.(.+\..+)\z", "$1")
    failed = mask_of(domains.is_null() & texts.is_not_null())
    return Outcome(Values(domains, TEXT), failed, "no domain is in it")
