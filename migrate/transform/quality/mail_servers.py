"""Which domains take mail, by asking name servers: once per domain, several at a time, never for long."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from migrate.transform.values import Mask, as_series, mask_of

_AT_ONCE = 16
_SECONDS = 3.0


Answers = dict[str, bool | None]  # domain → whether it takes mail; None: no server answered


@dataclass
class MailServers:
    """What name servers say of domains. `known`: what they said before, silence too, which is not asked again, so that a
    run that goes on decides as it did; `keep` stores new answers before anything is decided by them."""

    known: Answers = field(default_factory=dict)
    keep: Callable[[Answers], None] | None = None

    def look_up(self, domains: pl.Series, asked: Mask) -> tuple[Mask, Mask]:
        """Rows whose domain takes no mail, and rows whose domain does. What no server answered is in neither."""
        names = domains.filter(as_series(asked)).drop_nulls().unique().to_list()
        if new := sorted(name for name in names if name not in self.known):
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                answers = dict(zip(new, pool.map(takes_mail, new), strict=True))
            if self.keep is not None:
                self.keep(answers)
            self.known |= answers
        no = [name for name in names if self.known[name] is False]
        yes = [name for name in names if self.known[name]]
        nothing: Mask = np.zeros(len(domains), dtype=np.bool_)
        return tuple(asked & mask_of(domains.is_in(found)) if found else nothing for found in (no, yes))  # type: ignore[return-value]


def takes_mail(domain: str) -> bool | None:
    """By its MX records, or where it has none by its address (RFC 5321, 5.1); a null MX (RFC 7505) says no. None: nobody
    answered."""
    import dns.exception
    import dns.resolver

    resolver = dns.resolver.get_default_resolver()
    for kind in ("MX", "A", "AAAA"):
        try:
            answer = resolver.resolve(domain, kind, lifetime=_SECONDS)
        except dns.resolver.NXDOMAIN:
            return False
        except dns.resolver.NoAnswer:
            continue
        except (dns.exception.DNSException, OSError):
            return None
        if kind == "MX":
            return any(str(record.exchange) != "." for record in answer)
        return True
    return False
