"""The documentation as a site: it builds without a warning, fetches nothing, and what is made from the program is up to date."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from migrate import errors
from migrate.connectors.about import capabilities
from migrate.connectors.registry import MODULES
from migrate.mapping.language import FILE
from migrate.mapping.shapes import records

from tests import services
from tests.docs import pages

ROOT = Path(__file__).parents[2]
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\bhref=["']?(?:https?:)?//"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    services.needed("mkdocs")
    folder = tmp_path_factory.mktemp("site") / "built"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_it_builds_strictly_and_fetches_nothing_from_elsewhere(site: Path) -> None:
    built = sorted(site.rglob("*.html"))
    assert len(built) > 15
    for page in built:
        found = FETCHED.search(page.read_text(encoding="utf-8"))
        assert found is None, f"{page.name}: {found and found[0]}"
    assert "0001-two-phase-transform.html" in (site / "decisions" / "index.html").read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"[a-z0-9/-]+\.md", yaml.safe_dump(_navigation())))
    there = {path.name for path in (ROOT / "docs").glob("*.md")} | {"decisions/index.md"}
    assert listed == there


def _navigation() -> object:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text[text.index("\nnav:") :])


def test_the_reference_is_what_the_program_reads() -> None:
    """Made anew by `python -m tests.docs`."""
    written = pages.REFERENCE.read_text(encoding="utf-8")
    assert written == pages.reference(), "run: python -m tests.docs"
    for record in records(FILE):
        assert all(f"`{name}`" in written for name in record.keys)


def test_the_page_of_the_connectors_is_what_they_say_and_can_do() -> None:
    """Made anew by `python -m tests.docs`."""
    written = pages.CONNECTORS.read_text(encoding="utf-8")
    assert written == pages.connectors(), "run: python -m tests.docs"
    assert "(fidelity.md)" in written
    assert capabilities("files") == dict.fromkeys(capabilities("files"), False) | {"read from": True}
    assert [
        e for e in MODULES if not capabilities(e)["read large tables in pieces, which outlive a kill"]
    ] == ["sqlite", "files"]


def test_every_exit_code_has_its_section() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = {int(code) for code in re.findall(r"^## (\d):", text, re.MULTILINE)}
    classes = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.MigrateError)]
    assert told == {0} | {e.exit_code for e in classes}
