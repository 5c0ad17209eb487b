"""Every `migrate …` that README and docs show is a command that exists, with options that it has."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from migrate.cli.app import app
from typer.main import get_command

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_CALL = re.compile(r"(?:^|[\s/])migrate( [^|;&#`\n]*)")


def calls() -> Iterator[tuple[str, list[str]]]:
    """Page and words after `migrate`, of inline code and of code blocks."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
        for code in [*re.findall(r"`([^`\n]+)`", text), *(line for b in blocks for line in b.splitlines())]:
            for found in _CALL.finditer(code):
                yield page.name, found[1].split()


def test_every_command_and_option_exists() -> None:
    root = get_command(app)
    wrong, commands, options = [], 0, 0
    for page, words in calls():
        command, rest, path = root, list(words), list[str]()
        while rest and (further := getattr(command, "commands", {}).get(rest[0].strip(",.:"))):
            command, path = further, [*path, rest.pop(0)]
        if not path and not re.fullmatch(r"[a-z]+", words[0]):
            continue  # a placeholder
        commands += 1
        said = f"{page}: migrate {' '.join(words)}"
        if not path or (getattr(command, "commands", {}) and rest and re.fullmatch(r"[a-z]+", rest[0])):
            wrong.append(said)
        known = {o for p in (*command.params, *root.params) for o in (*p.opts, *p.secondary_opts)} | {
            "--help"
        }
        for word in rest:
            option = word.strip("[],.:…").partition("=")[0]
            if option.startswith("--"):
                options += 1
                if option not in known:
                    wrong.append(f"{said}: {option}")
    assert wrong == []
    assert commands > 150
    assert options > 50


def test_every_extra_that_is_named_can_be_installed() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "migrate").rglob("*.py")]
    named = {
        (extra, path.name)
        for path in pages
        for extra in re.findall(r"migrate-crm\[([^]{]+)\]", path.read_text())
    }
    assert {extra for extra, _ in named} >= {"age", "sign", "keyring", "match", "contract"}
    assert not [one for one in named if one[0] not in extras]
