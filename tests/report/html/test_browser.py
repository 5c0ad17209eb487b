"""The page in a real Chromium: opened as a file, it is quiet, reads well everywhere, and harm in it stays text."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from migrate.errors import UsageError
from migrate.report.html.paper import find_chromium, write_pdf
from migrate.report.html.render import page as page_of
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from tests import services
from tests.report.html import documents

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
GRAVE = ("serious", "critical")


def chromium() -> str:
    """Its path. Without one the test is skipped; in CI that is a failure."""
    found = find_chromium()
    if found is None:
        reason = "no Chromium: apt-get install chromium, or name one in MIGRATE_CHROMIUM"
        services.missing(reason)
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:  # makes and removes a profile of its own
        started = driver.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    harm = itertools.cycle(documents.HARM)
    made = {
        "full": documents.full(),
        "drill": documents.drill(),
        "rebuilt": documents.rebuilt(),
        "hostile": documents.spoiled(documents.full(), lambda: next(harm)),
        "large": documents.large(),
    }
    for name, document in made.items():
        (folder / f"{name}.html").write_bytes(page_of(document).encode("utf-8", "backslashreplace"))
    return {name: folder / f"{name}.html" for name in made}


class Opened:
    """A page, what it asked for and what it complained of."""

    def __init__(self, browser: Browser, path: Path, **how: Any) -> None:
        self.page: Page = browser.new_page(**{"viewport": {"width": 1200, "height": 900}, **how})
        self.asked: list[str] = []
        self.got: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("response", lambda response: self.got.append(response.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", self._dismissed)
        self.page.goto(path.as_uri())

    def _dismissed(self, dialog: Dialog) -> None:
        self.said.append(dialog.message)
        dialog.dismiss()

    def run(self, script: str) -> Any:
        return self.page.evaluate(script)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.page.close()


@pytest.mark.parametrize("name", ["full", "drill", "rebuilt", "hostile", "large"])
def test_it_opens_on_a_phone_without_a_word_a_fetch_or_a_sideways_scroll(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    with Opened(browser, pages[name], viewport={"width": 360, "height": 740}) as opened:
        opened.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert opened.run("document.documentElement.scrollWidth") <= 360
        assert opened.asked == [pages[name].as_uri()]
        assert opened.said == []


def test_a_script_that_slipped_in_is_stopped_by_the_page_itself(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    """What escaping is for, but for the day it fails."""
    path = tmp_path / "slipped.html"
    slipped = '<main id="content"><script>document.title="broken in"</script><img src="https://example.invalid/x.png"><p style="color:red" onclick="1">x</p>'
    path.write_text(
        pages["full"].read_text(encoding="utf-8").replace('<main id="content">', slipped, 1), encoding="utf-8"
    )
    with Opened(browser, path) as opened:
        assert "broken in" not in opened.page.title()
        assert len([s for s in opened.said if "Content Security Policy" in s or "violates" in s]) >= 2
        assert not [url for url in opened.got if url.startswith("http")]


def test_harm_changes_nothing_of_the_page(browser: Browser, pages: dict[str, Path]) -> None:
    count = "[...document.querySelectorAll('script,img,iframe,form,input,marquee')].length"
    with Opened(browser, pages["hostile"]) as opened:
        assert opened.run(count) == 0
        assert opened.run("getComputedStyle(document.querySelector('h1')).display") == "block"
        assert "broken in" not in opened.page.title().split("<script>")[0]


def test_dark_and_light_are_both_readable_and_different(browser: Browser, pages: dict[str, Path]) -> None:
    colours = "(() => { const s = getComputedStyle(document.documentElement); return [s.backgroundColor, s.color] })()"
    with (
        Opened(browser, pages["full"], color_scheme="light") as light,
        Opened(browser, pages["full"], color_scheme="dark") as dark,
    ):
        (light_back, light_ink), (dark_back, dark_ink) = light.run(colours), dark.run(colours)
    assert _brightness(light_back) > 200 > 80 > _brightness(light_ink)
    assert _brightness(dark_back) < 80 < 200 < _brightness(dark_ink)


def _brightness(colour: str) -> float:
    red, green, blue = (int(n) for n in colour.removeprefix("rgb(").removesuffix(")").split(","))
    return 0.299 * red + 0.587 * green + 0.114 * blue


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("full", "light"),
        ("full", "dark"),
        ("drill", "light"),
        ("rebuilt", "dark"),
        ("hostile", "light"),
        ("large", "dark"),
    ],
)
def test_axe_finds_no_serious_fault(browser: Browser, pages: dict[str, Path], name: str, scheme: str) -> None:
    # Contrast and sizes of thousands of texts take minutes: of a large page they are looked at section by section, below.
    slow = {rule: {"enabled": name != "large"} for rule in ("color-contrast", "target-size")}
    with Opened(browser, pages[name], color_scheme=scheme) as opened:
        unfolded = 1 if name == "large" else 10_000
        opened.run(
            f"[...document.querySelectorAll('details')].slice(0, {unfolded}).forEach(d => d.open = true)"
        )
        opened.run(AXE_FILE_PATH.read_text(encoding="utf-8"))
        found = opened.page.evaluate("rules => axe.run(document, {rules, resultTypes: ['violations']})", slow)
        told = [
            f"{v['id']}: {v['help']}: {[n['html'][:120] for n in v['nodes'][:3]]}"
            for v in found["violations"]
            if v["impact"] in GRAVE
        ]
        assert told == []
        assert len(found["passes"]) > 15  # it looked


# A section stands alone on the page, unfolded, with the first of the rows and of the tables that are alike in it: what it
# costs to look at a text grows with all that there is beside it.
ALONE = """(at) => {
  const main = document.querySelector('main')
  window.sections ??= [...main.children]
  if (at === null) return window.sections.length
  const one = window.sections[at]
  main.replaceChildren(one)
  one.querySelectorAll('details').forEach(d => d.open = true)
  for (const list of [one, ...one.querySelectorAll('*')]) {
    const alike = {}
    for (const child of [...list.children]) {
      const kind = child.tagName + '.' + child.className
      alike[kind] = (alike[kind] ?? 0) + 1
      if (alike[kind] > (['TR', 'TD', 'TH'].includes(child.tagName) ? 6 : 3)) child.remove()
    }
  }
  return one.querySelectorAll('*').length
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_of_contrast_in_any_section_of_a_large_page(
    browser: Browser, pages: dict[str, Path], scheme: str
) -> None:
    told, passed, seen = [], 0, 0
    rules = {"runOnly": ["color-contrast", "target-size"]}
    with Opened(browser, pages["large"], color_scheme=scheme) as opened:
        opened.run(AXE_FILE_PATH.read_text(encoding="utf-8"))
        for at in range(opened.page.evaluate(ALONE, None)):
            elements = opened.page.evaluate(ALONE, at)
            assert elements < 1_500, f"section {at} has {elements} elements"
            seen += elements
            found = opened.page.evaluate("rules => axe.run(document, rules)", rules)
            passed += sum(len(rule["nodes"]) for rule in found["passes"])
            told += [
                f"{v['id']}: {[n['html'][:120] for n in v['nodes'][:3]]}"
                for v in found["violations"]
                if v["impact"] in GRAVE
            ]
    assert told == []
    assert passed > seen / 4  # it looked at texts, and not at an empty page


def test_the_keyboard_reaches_everything(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["full"]) as opened:
        opened.page.keyboard.press("Tab")
        assert opened.run("document.activeElement.textContent") == "To the content"
        links = opened.run("[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href'))")
        assert links
        assert all(opened.run(f"document.querySelector('{link}') !== null") for link in links)
        opened.page.locator("#profile ~ details summary").first.focus()
        opened.page.keyboard.press("Enter")
        assert opened.run("document.querySelector('#profile ~ details').open")


def test_on_paper_nothing_is_folded_away_and_the_ink_is_dark(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with Opened(browser, pages["full"], color_scheme="dark") as opened:
        opened.page.emulate_media(media="print")
        shown = opened.run(
            "document.querySelector('#dictionary ~ details table').getBoundingClientRect().height"
        )
        assert shown > 20
        assert _brightness(opened.run("getComputedStyle(document.querySelector('h1')).color")) < 80
        assert opened.run("getComputedStyle(document.querySelector('nav')).display") == "none"


def test_a_pdf_is_written_whole_or_the_reason_is_said(
    pages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chromium()
    to = tmp_path / "report.pdf"
    assert write_pdf(pages["drill"], to) == to
    assert to.read_bytes().startswith(b"%PDF-")
    assert [p.name for p in tmp_path.iterdir()] == ["report.pdf"]
    with pytest.raises(UsageError, match="no such folder"):
        write_pdf(pages["drill"], tmp_path / "nowhere" / "report.pdf")
    monkeypatch.setenv("MIGRATE_CHROMIUM", str(tmp_path / "no-browser"))
    with pytest.raises(UsageError, match="needs a Chromium") as refused:
        write_pdf(pages["drill"], to)
    assert str(pages["drill"]) in refused.value.kept
