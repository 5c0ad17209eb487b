"""Words that columns of consent hold. Others are unknown, and the most restrictive is made of them.

Only plain yes and no: a status such as `unsubscribed` means the opposite in a column of opt-outs and in one of opt-ins.
"""

# ruff: noqa: SIM905 - lists of words read better as text

from __future__ import annotations

YES = frozenset("1 true t yes y x on ja j oui si sí sim tak ano igen da".split())
NO = frozenset("0 false f no n off nein non não nao nie ne nem nej".split())
