"""Blocks of Markdown: lists, quotes and tables out of finished blocks."""

from __future__ import annotations

import re

from migrate.transform.functions.markdown_text import one_line

_PIPE = re.compile(r"(?<!\\)((?:\\\\)*)\|")

# (kind, Markdown): text, heading, list, item, quote, code, rule, table
Block = tuple[str, str]


def joined(blocks: list[Block]) -> str:
    """A blank line between blocks; items of a list follow each other where all are short."""
    out: list[str] = []
    before = ""
    loose = any(kind == "item" and "\n\n" in text for kind, text in blocks)
    for kind, text in blocks:
        if out:
            close = kind == "item" and before == "item" and not loose
            out.append("\n" if close else "\n\n")
        out.append(text)
        before = kind
    return "".join(out)


def item_of(mark: str, blocks: list[Block]) -> str:
    """An item of a list; a list inside follows its text at once."""
    short = [kind for kind, _ in blocks] in (["text"], ["text", "list"], ["list"])
    text = "\n".join(text for _, text in blocks) if short else joined(blocks)
    return mark + prefixed(" " * len(mark), text).removeprefix(" " * len(mark))


def list_of(blocks: list[Block]) -> list[Block]:
    """Items only: what stands between them, such as a list inside a list, belongs to the one before."""
    made: list[Block] = []
    for kind, text in blocks:
        if kind != "item" and made:
            before = made[-1][1]
            gap = "\n" if kind == "list" and "\n\n" not in before else "\n\n"
            made[-1] = ("item", before + gap + prefixed("  ", text))
        else:
            made.append(("item", text) if kind == "item" else ("item", item_of("- ", [(kind, text)])))
    return made


def prefixed(prefix: str, text: str) -> str:
    """Every line with the prefix; an empty line has only the part that is seen."""
    return "\n".join(prefix + line if line else prefix.rstrip() for line in text.split("\n"))


def table_of(rows: list[tuple[bool, list[list[Block]]]]) -> list[Block]:
    """A table with rules, or, where it serves for layout, what its cells hold, one after the other."""
    rows = [(header, cells) for header, cells in rows if any(cells)]
    width = max((len(cells) for _, cells in rows), default=0)
    simple = all(
        len(cell) <= 1 and all(kind == "text" for kind, _ in cell) for _, cells in rows for cell in cells
    )
    if width < 2 or len(rows) < 2 or not simple:
        return [block for _, cells in rows for cell in cells for block in cell]
    texts = [[_cell(cell) for cell in cells] + [""] * (width - len(cells)) for _, cells in rows]
    head, body = (texts[0], texts[1:]) if rows[0][0] else ([""] * width, texts)
    lines = [_row(head), _row(["---"] * width), *map(_row, body)]
    return [("table", "\n".join(lines))]


def _cell(cell: list[Block]) -> str:
    return _PIPE.sub(r"\1\|", one_line(cell[0][1])) if cell else ""


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
