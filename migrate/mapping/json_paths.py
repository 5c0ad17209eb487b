"""Paths into JSON: `$.a.b[0]`, `a.b`, `$["a b"][-1]`. Names and places only, nothing that gives several values."""

from __future__ import annotations

import json
import re

Path = tuple[str | int, ...]

_STEP = re.compile(
    r"""\.?\[\s*(?P<place>-?[0-9]{1,9})\s*\]
      | \.?\[\s*(?P<quoted>"(?:[^"\\]|\\.)*"|'[^']*')\s*\]
      | \.(?P<name>[^.\[\]"'*?@()\s][^.\[\]*?@()]*)""",
    re.VERBOSE,
)


def parse_path(text: str) -> Path:
    """Names and places from the outermost on; () is the whole. Raises ValueError with what is wrong."""
    rest = text.strip()
    rest = rest[1:] if rest.startswith("$") else rest if rest.startswith((".", "[")) else f".{rest}"
    steps: list[str | int] = []
    at = 0
    while at < len(rest):
        found = _STEP.match(rest, at)
        if found is None:
            raise ValueError(f'"{text}" is not a path into JSON; paths are like $.a.b[0] or $["a b"]')
        if found["place"] is not None:
            steps.append(int(found["place"]))
        elif found["quoted"] is not None:
            steps.append(_unquoted(found["quoted"], text))
        else:
            steps.append(found["name"].rstrip())
        at = found.end()
    if not steps:
        raise ValueError(f'"{text}" names nothing inside the JSON; paths are like $.a.b[0]')
    return tuple(steps)


def _unquoted(quoted: str, path: str) -> str:
    if quoted.startswith("'"):
        return quoted[1:-1]
    try:
        return str(json.loads(quoted))
    except ValueError:
        raise ValueError(f'"{path}": {quoted} is not a text of JSON') from None


__all__ = ["Path", "parse_path"]
