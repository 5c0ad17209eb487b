"""A small fixed run whose report.json is kept, word by word: `python -m tests.report.golden` writes it anew.

What differs from run to run or from machine to machine (times, names, digests over paths and URLs) is replaced by what
it is; every count, code, name and sentence stays."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from migrate import api

from tests.runs import World, files

GOLDEN = Path(__file__).parents[1] / "golden" / "report-format-1.json"
TARGET = (
    "CREATE TABLE accounts(id TEXT PRIMARY KEY, name TEXT NOT NULL, since DATE)",
    "CREATE TABLE deals(id TEXT PRIMARY KEY, account TEXT REFERENCES accounts(id), amount NUMERIC(12,2), stage TEXT)",
)
FIRMS = b"id,name,since,fax\r\n" + b"".join(
    b"%d,Firm %d,%d-03-0%d,\r\n" % (n, n, 2018 + n % 3, 1 + n % 9) for n in range(1, 19)
) + b"19,,2020-01-01,0113 1\r\n20,Firm 20,31.12.2020,\r\n"  # fmt: skip
DEALS = b"id,firm,amount,stage\r\n" + b"".join(
    b"%d,%d,%d.50,%s\r\n" % (n, 1 + n % 19, 100 * n, b"won" if n % 3 else b"lost") for n in range(1, 31)
) + b"31,77,1.00,won\r\n32,1,many,won\r\n33,2,5.00,open\r\n"  # fmt: skip
ENTITIES = """
  firms:
    from: firms
    key: id
    into: accounts
    why: They are invoiced.
    fields:
      id: id
      name: {from: name, do: [trim], check: [required], why: As printed on invoices.}
      since: {from: since, do: [date]}
  deals:
    from: deals
    key: id
    into: deals
    where: "stage <> 'lost'"
    fields:
      id: id
      account: {from: firm, ref: firms}
      amount: {from: amount, read_as: decimal}
      stage: {from: stage, map: {won: Won}, unmapped: quarantine}
checks:
  - {sum: amount, of: deals, by: stage, within: 100%}
glossary: {deal: An offer that was sent.}
left_behind:
  firms.fax: Nobody has one.
"""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.:+Z]*")
_NAME = re.compile(r"\d{8}-\d{6}(?:-\w+)*-[0-9a-f]{4,}")
_HEX = re.compile(r"\b[0-9a-f]{16,}\b")


def ran(folder: Path) -> dict[str, Any]:
    """The run, and its report.json."""
    entities, _, more = ENTITIES.partition("checks:\n")
    world: World = files(folder, {"firms.csv": FIRMS, "deals.csv": DEALS}, TARGET, entities)
    world.more = f"checks:\n{more}" if more else ""
    world.policy = "max_quarantine: 50%"
    world.source_more = ", nulls: ['']"
    world.write()
    done = api.run(world.mapping, home=world.home)
    found: dict[str, Any] = json.loads(Path(done["report"]).read_text(encoding="utf-8"))
    return found


def fixed(value: Any, key: str = "") -> Any:
    """The same without what no two runs have in common."""
    match value:
        case dict():
            return {k: fixed(v, k) for k, v in value.items() if k not in ("libraries",)}
        case list():
            return [fixed(v, key) for v in value]
        case str():
            if key in ("python", "system", "machine", "migrate", "code"):
                return f"({key})"
            return _HEX.sub("(digest)", _NAME.sub("(name)", _MOMENT.sub("(time)", value)))
        case float() if key in ("seconds", "peak_mb") or key in _STAGES:
            return f"({'MB' if key == 'peak_mb' else 'seconds'})"
        case int() if key == "bytes" or (key in _STAGES and not isinstance(value, bool)):
            return f"({'bytes' if key == 'bytes' else 'seconds'})"
    return value


_STAGES = ("plan", "extract", "profile", "backup", "restore-test", "transform", "load", "verify", "report")


def written(document: dict[str, Any]) -> str:
    return json.dumps(fixed(document), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        GOLDEN.write_text(written(ran(Path(place))), encoding="utf-8")
