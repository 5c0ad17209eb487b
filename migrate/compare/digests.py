"""Digests of a whole table against each other: whether it is the same."""

from __future__ import annotations

from migrate.canon import Digest
from migrate.errors import GateClosed
from migrate.model import Verdict


def compare_digests(check: str, expected: Digest, found: Digest, *, table: str) -> Verdict:
    """Passed if algorithm-equal digests agree in rows and both lanes; else the reason names the damage as far as
    digests can tell: rows missing or extra, and how many of the 64 buckets differ.

    Raises GateClosed if they are of different algorithms, which proves neither.
    """
    if expected.algorithm != found.algorithm:
        raise GateClosed(
            f"digests of {expected.algorithm} and {found.algorithm} cannot be compared",
            where=table,
            hint="Compute both again from the stored bytes.",
        )
    evidence: dict[str, object] = {"table": table, "rows_expected": expected.rows, "rows_found": found.rows}
    if expected == found:
        return Verdict(check, True, expected.text(), found.text(), "", evidence)
    gap = found.rows - expected.rows
    if gap:
        reason = f"{table}: {_rows(abs(gap))} {'extra' if gap > 0 else 'missing'}"
    else:
        reason = f"{table}: {_rows(expected.rows)} on both sides, of different content"
    if expected.buckets and len(expected.buckets) == len(found.buckets):
        differing = [
            n for n, (a, b) in enumerate(zip(expected.buckets, found.buckets, strict=True)) if a != b
        ]
        evidence["buckets"] = differing
        reason += f"; {len(differing)} of {len(expected.buckets)} buckets differ"
    return Verdict(check, False, expected.text(), found.text(), reason, evidence)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
