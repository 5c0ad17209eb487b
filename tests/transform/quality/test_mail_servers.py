"""Asking name servers: what their answers mean, that silence means nothing, and who may ask at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dns.exception
import dns.resolver
import pytest
from migrate.mapping.model import Check
from migrate.transform.quality import About, broken_rows
from migrate.transform.quality.mail_servers import MailServers
from migrate.transform.values import TEXT, Values
from polars import Series

ANSWERS: dict[tuple[str, str], Any] = {
    ("mail.de", "MX"): ["mx.mail.de."],
    ("null.de", "MX"): ["."],
    ("bare.de", "MX"): dns.resolver.NoAnswer(),
    ("bare.de", "A"): ["192.0.2.1"],
    ("empty.de", "MX"): dns.resolver.NoAnswer(),
    ("empty.de", "A"): dns.resolver.NoAnswer(),
    ("empty.de", "AAAA"): dns.resolver.NoAnswer(),
    ("gone.de", "MX"): dns.resolver.NXDOMAIN(),
    ("slow.de", "MX"): dns.exception.Timeout(),
    ("deaf.de", "MX"): OSError("network is unreachable"),
}


class Resolver:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def resolve(self, domain: str, kind: str, lifetime: float) -> Any:
        self.asked.append(domain)
        answer = ANSWERS[domain, kind]
        if isinstance(answer, Exception):
            raise answer
        return [SimpleNamespace(exchange=text) for text in answer]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    made = Resolver()
    monkeypatch.setattr(dns.resolver, "get_default_resolver", lambda: made)
    return made


def codes(domains: list[str], *, mx: str = "yes", network: bool = True) -> dict[str, set[str]]:
    check = Check(name="email", argument={"mx": mx, "unknown": "warn"})
    texts = Series([f"ada@{domain}" for domain in domains])
    found = broken_rows(check, Values(texts, TEXT), About(servers=MailServers() if network else None))
    return {d: {one.code for one in found if one.mask[n]} for n, d in enumerate(domains)}


def test_answers_and_silence(resolver: Resolver) -> None:
    assert codes(["mail.de", "null.de", "bare.de", "empty.de", "gone.de", "slow.de", "deaf.de"]) == {
        "mail.de": set(),
        "null.de": {"email_no_mx"},
        "bare.de": set(),
        "empty.de": {"email_no_mx"},
        "gone.de": {"email_no_mx"},
        "slow.de": {"email_unknown"},
        "deaf.de": {"email_unknown"},
    }


def test_every_domain_is_asked_once_and_nobody_is_asked_without_need(resolver: Resolver) -> None:
    codes(["mail.de", "mail.de", "gmail.com", "x.example"])
    assert resolver.asked == ["mail.de"]


@pytest.mark.parametrize(("mx", "network"), [("no", True), ("yes", False)])
def test_nobody_is_asked_where_the_mapping_or_the_command_does_not_allow_it(
    resolver: Resolver, mx: str, network: bool
) -> None:
    assert codes(["mail.de"], mx=mx, network=network) == {"mail.de": {"email_unknown"}}
    assert resolver.asked == []
