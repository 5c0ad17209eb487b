"""docs/first-migration.md is carried out as it is written: its files, its commands, and what they are said to answer."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs import command

PAGE = (Path(__file__).parents[2] / "docs" / "first-migration.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?(?:<!-- [^>]* -->\n)?```(\w+)\n(.*?)```", re.DOTALL)


def test_the_page_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("MIGRATE_HOME", raising=False)
    said, commands = "", 0
    counts = {}
    for file, language, text in BLOCK.findall(PAGE):
        if file:
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif language == "text":
            assert all(line in said for line in text.splitlines()), said[-2000:]
        elif language == "sh" and ".venv" not in text:
            said = ""
            for line in text.splitlines():
                said += _run(line)
                commands += 1
                if line.startswith(("migrate run", "migrate rollback latest --yes")):
                    counts[line.split()[1]] = _rows()
    assert commands == 10
    assert counts == {"run": (4, 2), "rollback": (1, 0)}


def _run(line: str) -> str:
    words = shlex.split(line)
    if words[0] == "migrate":
        done = command(*words[1:])
        assert done.code == 0, done.err + done.out
        return done.out
    assert words[0] == "python3"
    ran = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _rows() -> tuple[int, int]:
    connection = sqlite3.connect("crm.db")
    try:
        accounts, contacts = (
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("accounts", "contacts")
        )
    finally:
        connection.close()
    return accounts, contacts
