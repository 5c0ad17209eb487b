"""`check: email`: syntax by email-validator, and what is known of domains and of the part before the @.

Once per distinct value. Plain addresses are read by a pattern that email-validator is never stricter than; only the
others go through it, one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from migrate.transform.distinct import Refused, by_distinct
from migrate.transform.quality import domains
from migrate.transform.quality.found import About, Broken, Distinct, spread
from migrate.transform.quality.mail_servers import MailServers
from migrate.transform.values import Mask, Values, as_series, mask_of, texts_of

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~\-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The third and fourth character of a label are -- in encoded names only, which email-validator is asked about.
_PLAIN = rf"(?i)\A(?<local>{_ATOM}(?:\.{_ATOM})*)@(?<domain>(?:{_LABEL}\.)+[a-z][a-z0-9-]{{0,61}}[a-z0-9])\z"
_ODD = r"--|[^\x00-\x7F]"
_LOCAL, _DOMAIN, _WHOLE = 64, 253, 254

UNDELIVERABLE, RISKY, UNKNOWN, DELIVERABLE = "undeliverable", "risky", "unknown", "deliverable"


@dataclass(frozen=True)
class Judged:
    """Distinct addresses: for each way in which they are no good, its verdict, code, words, and which they are. `proposals`:
    what a misspelt domain was meant to be (NULL: none)."""

    ways: tuple[tuple[str, str, str, Mask], ...]
    domains: pl.Series
    proposals: pl.Series

    def verdicts(self) -> pl.Series:
        """deliverable, risky, undeliverable or unknown for each; the worst counts."""
        size = len(self.domains)
        named = pl.Series("", [DELIVERABLE] * size, dtype=pl.String)
        for verdict in (UNKNOWN, RISKY, UNDELIVERABLE):
            masks = [mask for v, _, _, mask in self.ways if v == verdict]
            if masks:
                mask = np.logical_or.reduce(masks)
                named = named.zip_with(as_series(~mask), pl.Series([verdict]))
        return named

    def reasons(self) -> pl.Series:
        """The code of the worst way for each, NULL where there is none."""
        named: pl.Series = pl.Series("", [None] * len(self.domains), dtype=pl.String)
        for wanted in (UNKNOWN, RISKY, UNDELIVERABLE):
            for verdict, code, _, mask in reversed(self.ways):
                if verdict == wanted:
                    named = named.zip_with(as_series(~mask), pl.Series([code]))
        return named


def email(arguments: Mapping[str, Any], values: Values, about: About) -> list[Broken]:
    distinct = Distinct.of(texts_of(values))
    judged = judge(distinct.values, arguments, servers=about.servers)
    found = []
    for verdict, code, detail, mask in judged.ways:
        outcome = arguments[verdict]
        if outcome == "keep":
            continue
        if code == "email_typo":
            found += [Broken(m, code, d, outcome) for m, d in _by_proposal(mask, judged.proposals)]
        else:
            found.append(Broken(mask, code, detail, outcome))
    return spread(distinct, found)


_PROPOSALS = 50  # of a batch, each with words of its own


def _by_proposal(mask: Mask, proposals: pl.Series) -> list[tuple[Mask, str]]:
    """The misspelt ones by what was meant: a proposal, which nothing applies."""
    meant = proposals.filter(as_series(mask)).value_counts(sort=True).to_series(0).to_list()
    named = [m for m in meant if m in domains.PROVIDERS][:_PROPOSALS]
    found = []
    rest = mask
    for domain in named:
        mine = mask & mask_of(proposals == domain)
        rest = rest & ~mine
        found.append((mine, f"the domain looks misspelt; perhaps {domain} is meant"))
    return [*found, (rest, "the domain ends in what is no top-level domain; it looks misspelt")]


def judge(texts: pl.Series, arguments: Mapping[str, Any], *, servers: MailServers | None) -> Judged:
    """Distinct texts, none of them NULL. `servers`: those that may be asked, if the mapping says so too."""
    lower = texts.str.to_lowercase()
    parts = lower.str.extract_groups(_PLAIN).struct.unnest()
    odd = mask_of(lower.str.contains(_ODD)) | mask_of(parts["local"].is_null())
    local, domain = parts["local"], parts["domain"]
    bad = np.zeros(len(texts), dtype=np.bool_)
    if odd.any():
        asked = as_series(odd)
        answers, refused = by_distinct(lower.filter(asked), _ask, pl.List(pl.String))
        bad[odd] = refused
        places = np.where(odd, np.cumsum(odd) - 1, 0)
        both = answers.gather(places)
        local = local.zip_with(~asked, both.list.get(0))
        domain = domain.zip_with(~asked, both.list.get(1))
    bad |= mask_of(local.str.len_bytes() > _LOCAL) | mask_of(domain.str.len_bytes() > _DOMAIN)
    bad |= mask_of(lower.str.len_bytes() > _WHOLE)
    return _known(lower, local, domain, bad, arguments, servers)


def _ask(text: str) -> list[str]:
    """[local, domain] as email-validator reads them. Raises Refused for what it does not take."""
    from email_validator import EmailNotValidError, validate_email

    if len(text) > 4 * _WHOLE:
        raise Refused
    try:
        read = validate_email(
            text, strict=True, check_deliverability=False, globally_deliverable=False, test_environment=True
        )
    except EmailNotValidError:
        raise Refused from None
    if "." not in read.domain:
        raise Refused
    return [read.local_part, read.ascii_domain or read.domain]


def _known(
    lower: pl.Series,
    local: pl.Series,
    domain: pl.Series,
    bad: Mask,
    arguments: Mapping[str, Any],
    servers: MailServers | None,
) -> Judged:
    good = ~bad
    ignored = frozenset(arguments["ignore"])
    trusted = good & _within(domain, arguments["trusted"])
    asked = good & ~trusted
    bare = local.str.replace(r"\+.*\z", "")
    label = domain.str.replace(r"\..*\z", "")

    def among(series: pl.Series, words: frozenset[str], mask: Mask = asked) -> Mask:
        return mask & mask_of(series.is_in(sorted(words))) if words else np.zeros(len(lower), dtype=np.bool_)

    nothing = among(bare, domains.NOTHING)
    placeholder = nothing & (
        among(label, domains.NOTHING - domains.SUBDOMAINS)
        | mask_of(bare == label)
        | among(domain, frozenset({"mail.com", "email.com"}))
    )
    reserved = asked & mask_of(domain.str.contains(domains.RESERVED))
    bounced = good & (
        among(lower, arguments["bounced"], good) | (_within(domain, arguments["bounced"]) & good)
        if arguments["bounced"]
        else np.zeros(len(lower), dtype=np.bool_)
    )
    disposable = asked & _within(domain, domains.DISPOSABLE | arguments["disposable"])
    slips = domains.misspelt()
    proposals = _proposed(domain, slips, asked)
    typo = asked & ~mask_of(proposals.is_null()) & ~placeholder
    role = among(bare, domains.ROLES, good)
    provider = among(domain, domains.PROVIDERS)
    off = np.zeros(len(lower), dtype=np.bool_)
    no_mx, answered = off, off
    if arguments["mx"] and servers is not None:
        left = asked & ~placeholder & ~reserved & ~provider & ~bounced
        no_mx, answered = servers.look_up(domain, left)
    sure = trusted | provider | answered
    unknown = good & ~sure & ~placeholder & ~reserved & ~bounced & ~no_mx & ~typo & ~disposable & ~role
    ways = (
        (UNDELIVERABLE, "email_syntax", "not an e-mail address", bad),
        (UNDELIVERABLE, "email_placeholder", "stands for an address that is not there", off if "placeholder" in ignored else placeholder),
        (UNDELIVERABLE, "email_reserved", "its domain is reserved and takes no mail", reserved),
        (UNDELIVERABLE, "email_bounced", "is on the list of addresses not to write to", bounced),
        (UNDELIVERABLE, "email_no_mx", "its domain takes no mail", no_mx),
        (RISKY, "email_typo", "the domain looks misspelt", off if "typo" in ignored else typo),
        (RISKY, "email_disposable", "a throw-away address", off if "disposable" in ignored else disposable),
        (RISKY, "email_role", "shared by several people", off if "role" in ignored else role),
        (UNKNOWN, "email_unknown", "nobody asked whether its domain takes mail", unknown),
    )  # fmt: skip
    return Judged(ways, domain, proposals)


def _within(domain: pl.Series, known: Any) -> Mask:
    """Domains that are among the known ones, or below one of them."""
    if not known:
        return np.zeros(len(domain), dtype=np.bool_)
    words = pl.Series(sorted(known), dtype=pl.String)
    found = mask_of(domain.is_in(words.implode()))
    rest = domain
    dots = domain.str.count_matches(r"\.").drop_nulls().to_numpy()
    for _ in range(int(dots.max()) if len(dots) else 0):
        rest = rest.str.replace(r"\A[^.]*\.", "")
        found = found | mask_of(rest.is_in(words.implode()))
    return found


def _proposed(domain: pl.Series, slips: Mapping[str, str], asked: Mask) -> pl.Series:
    """What a misspelt domain was meant to be, NULL where nothing is misspelt."""
    table = pl.DataFrame({"k": list(slips), "v": list(slips.values())})
    found = domain.alias("k").to_frame().join(table, on="k", how="left", maintain_order="left")["v"]
    ends = asked & mask_of(domain.str.contains(domains.ENDINGS)) & mask_of(found.is_null())
    if ends.any():
        meant, _ = by_distinct(domain.filter(as_series(ends)), domains.ending_meant, pl.String)
        places = np.where(ends, np.cumsum(ends) - 1, 0)
        found = found.zip_with(as_series(~ends), meant.gather(places))
    return found.alias("")
