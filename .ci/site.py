"""What the documentation takes from the repository while it is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_RECORDS = "<!-- decisions -->"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The list of decision records, in the page that stands for all of them."""
    if _RECORDS not in markdown:
        return markdown
    lines = []
    for path in sorted(Path(page.file.abs_src_path).parent.glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return markdown.replace(_RECORDS, "\n".join(lines))
