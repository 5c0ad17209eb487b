"""What lies where in a dossier.

    dossier.json                       what it is, and what it leaves out and why
    report.json, report.html           the run's report (the page where there is one)
    verdicts.json                      every check of the run, without its evidence
    mapping/mapping.yaml               the mapping that was carried out
    audit.jsonl                        the whole audit chain, one entry a line
    backups/ID/…                       of every backup of the run: manifest, schema, checksum file, signatures, verdicts
    checksums.txt                      for `sha256sum -c`, over all the rest
    checksums.txt.sig                  Ed25519 over the bytes of checksums.txt, where a key signs backups

The first line of `checksums.txt` is a comment that no manifest and no verdict begins with, so that a signature over the
one is never one over the other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

FORMAT = 1
DOSSIER = "dossier.json"
REPORT = "report.json"
PAGE = "report.html"
VERDICTS = "verdicts.json"
MAPPING = "mapping/mapping.yaml"
AUDIT = "audit.jsonl"
CHECKSUMS = "checksums.txt"
SIGNATURE = "checksums.txt.sig"
BACKUPS = "backups/"
ALWAYS = frozenset({DOSSIER, REPORT, VERDICTS, MAPPING, AUDIT, CHECKSUMS})
MAY_BE = frozenset({PAGE, SIGNATURE})

_HEADER = "# migrate dossier 1"
_LINE = re.compile(r"([0-9a-f]{64})  (\S+)")
_WITHHELD = ".withheld.json"


def checksums(files: Mapping[str, bytes]) -> bytes:
    """In the form of sha256sum, sorted by name, over all files but itself and its signature."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(_covered(files))]
    return "".join([f"{_HEADER}\n", *lines]).encode()


def parsed_checksums(data: bytes) -> dict[str, str] | None:
    """Name → SHA-256; None where that is no checksum file of ours."""
    try:
        header, *lines = data.decode("ascii").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        return None
    found = [_LINE.fullmatch(line) for line in lines]
    if header != _HEADER or not all(found):
        return None
    return {match[2]: match[1] for match in found if match}


def is_ours(name: str) -> bool:
    return name in ALWAYS or name in MAY_BE or name.startswith(BACKUPS)


def withheld_name(verdict_name: str) -> str:
    """The name of what stands in the place of a verdict that is kept back."""
    return verdict_name.removesuffix(".json") + _WITHHELD


def is_withheld(name: str) -> bool:
    return name.endswith(_WITHHELD)


def _covered(files: Mapping[str, bytes]) -> set[str]:
    return files.keys() - {CHECKSUMS, SIGNATURE}
