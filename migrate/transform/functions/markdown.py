"""`html_to_markdown`: HTML as people's mail programs and editors leave it, as CommonMark with GitHub's tables.

Lexbor parses, as browsers do (HTML5). The writer is our own: of the libraries tried, markdownify recurses, so that deep
nesting breaks it, and writes 800 notes a second; html-to-markdown drops text without a word where tags nest deeply; and
html2text comes under the GPL. Here nothing recurses, and no visible text gets lost.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from migrate.transform.distinct import Refused, where_distinct
from migrate.transform.functions.html_tags import BLOCK_TAGS, marked
from migrate.transform.functions.markdown_blocks import Block, item_of, joined, list_of, prefixed, table_of
from migrate.transform.functions.markdown_text import (
    BREAK,
    Piece,
    code_span,
    fenced,
    image_of,
    inline,
    link_of,
    one_line,
    paragraphs,
    plain,
    wrapped,
)
from migrate.transform.values import TEXT, Outcome, Values, mask_of, texts_of

Arguments = Mapping[str, Any]

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_MARKS = {
    "b": "**",
    "strong": "**",
    "i": "*",
    "em": "*",
    "cite": "*",
    "dfn": "*",
    "var": "*",
    "del": "~~",
    "s": "~~",
    "strike": "~~",
}
_CODE = frozenset(("code", "kbd", "samp", "tt"))
_DROPPED = ["script", "style", "iframe", "template", "head"]
_LISTS = frozenset(("ul", "ol", "menu", "dir"))
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}


def html_to_markdown(values: Values, arguments: Arguments) -> Outcome:
    texts = texts_of(values)
    some = mask_of(texts.str.contains("<", literal=True) | texts.str.contains(_ENTITY.pattern))
    made, failed = where_distinct(texts, some, to_markdown)
    return Outcome(Values(made, TEXT), failed, "too long, or nested too deeply")


def to_markdown(text: str) -> str:
    """Raises Refused for what is too long or nested too deeply to be read."""
    source, names = marked(text)
    if not names and source.count("<") == 0:
        return _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(source if names & BLOCK_TAGS else _with_breaks(source))
    tree.strip_tags(_DROPPED)
    if tree.body is None:
        raise Refused
    return _Writer().written(tree.body)


def _with_breaks(source: str) -> str:
    """Where no tag makes lines, those of the text are meant."""
    return source.strip().replace("\r\n", "\n").replace("\r", "\n").replace("\n", "<br>")


@dataclass
class _Frame:
    """An open element: its finished blocks, and the pieces of the line that is being written."""

    tag: str
    node: Any
    blocks: list[Block] = field(default_factory=list)
    line: list[Piece] = field(default_factory=list)
    cells: list[list[Block]] = field(default_factory=list)
    rows: list[tuple[bool, list[list[Block]]]] = field(default_factory=list)  # (a header, its cells)
    number: int = 1

    def add(self, text: str) -> None:
        self.line.append(Piece(text))

    def add_markdown(self, text: str, mark: str = "") -> None:
        self.line.append(Piece(text, markdown=True, mark=mark))

    def flush(self) -> None:
        if self.line:
            self.blocks += [("text", text) for text in paragraphs(inline(self.line))]
            self.line.clear()

    def finished(self) -> list[Block]:
        self.flush()
        return self.blocks


class _Writer:
    """One document. `open_` counts open elements of a kind, to see whether we are inside one."""

    def __init__(self) -> None:
        self.stack: list[_Frame] = []
        self.open_: dict[str, int] = {}

    def written(self, body: Any) -> str:
        self.stack.append(_Frame("body", body))
        node = body.first_child
        while True:
            if node is None:
                frame = self.stack.pop()
                if not self.stack:
                    return joined(frame.finished())
                self._close(frame, self.stack[-1])
                node = frame.node.next
                continue
            tag = node.tag
            if tag == "-text":
                self._text(node.text_content or "")
            elif not tag.startswith(("-", "!")):
                child = node.first_child
                if child is not None:
                    self._enter(_Frame(tag, node))
                    node = child
                    continue
                self._empty(tag, node)
            node = node.next

    def _inside(self, kind: str) -> bool:
        return self.open_.get(kind, 0) > 0

    def _text(self, text: str) -> None:
        self.stack[-1].add(text.replace(BREAK, ""))

    def _empty(self, tag: str, node: Any) -> None:
        """An element without any content."""
        top = self.stack[-1]
        if tag == "br":
            top.add("\n" if self._inside("pre") else BREAK)
        elif tag == "hr" and not self._flat():
            top.flush()
            top.blocks.append(("rule", "---"))
        elif tag == "img":
            raw = self._inside("pre") or self._inside("code")
            top.line.append(Piece(node.attributes.get("alt") or "") if raw else image_of(node.attributes))
        elif tag in ("td", "th"):
            top.cells += [[] for _ in range(_span(node))]
        elif tag == "li":
            top.number = _number(node, "value", top.number) + 1
        elif tag == "input" and (node.attributes.get("type") or "").lower() == "checkbox":
            top.add("[x] " if "checked" in node.attributes else "[ ] ")
        elif tag in BLOCK_TAGS:
            top.add(" ") if self._flat() else top.flush()

    def _flat(self) -> bool:
        """Inside a link, a heading or code there are no blocks."""
        inside = self.open_.get
        return bool(inside("a") or inside("heading") or inside("code") or inside("pre"))

    def _kind(self, tag: str) -> str:
        return _MARKS.get(tag) or ("code" if tag in _CODE else "heading" if tag in _HEADINGS else tag)

    def _enter(self, frame: _Frame) -> None:
        if frame.tag == "ol":
            frame.number = _number(frame.node, "start", 1)
        kind = self._kind(frame.tag)
        self.open_[kind] = self.open_.get(kind, 0) + 1
        self.stack.append(frame)

    def _close(self, frame: _Frame, parent: _Frame) -> None:
        tag, kind = frame.tag, self._kind(frame.tag)
        self.open_[kind] -= 1
        again = self._inside(kind)
        if self._inside("pre") or self._inside("code"):
            parent.line += frame.line
            if tag in BLOCK_TAGS and self._inside("pre"):
                parent.add("\n")
        elif tag == "pre":
            self._pre(frame, parent)
        elif tag in BLOCK_TAGS and self._flat():
            parent.line += [Piece(" "), *frame.line, Piece(" ")]
        elif tag in BLOCK_TAGS:
            self._close_block(frame, parent)
        elif frame.blocks:
            # Blocks inside an element of a line: it makes no difference to them.
            parent.flush()
            parent.blocks += frame.finished()
        elif kind == "code":
            parent.add_markdown(code_span(plain(frame.line)))
        elif tag == "a" and not again:
            parent.line += link_of(frame.line, frame.node.attributes.get("href") or "")
        elif tag in _MARKS and not again:
            parent.line += wrapped(frame.line, kind, in_link=self._inside("a"))
        elif tag == "q":
            parent.line += [Piece("“"), *frame.line, Piece("”")]
        else:
            parent.line += frame.line

    def _pre(self, frame: _Frame, parent: _Frame) -> None:
        text = plain(frame.line)
        if self._flat():
            parent.add(one_line(text))
        elif text.strip():
            parent.flush()
            parent.blocks.append(("code", fenced(text)))

    def _close_block(self, frame: _Frame, parent: _Frame) -> None:
        tag, blocks = frame.tag, frame.finished()
        if tag in ("td", "th"):
            parent.cells += [blocks, *([] for _ in range(_span(frame.node) - 1))]
        elif tag == "tr":
            header = parent.tag == "thead" or (bool(frame.cells) and frame.node.css_first("td") is None)
            parent.rows.append((header, frame.cells))
        elif tag in ("thead", "tbody", "tfoot"):
            parent.rows += frame.rows
            parent.blocks += blocks
        elif tag == "li":
            self._item(frame, parent, blocks)
        else:
            parent.flush()
            parent.blocks += self._made(frame, blocks)

    def _item(self, frame: _Frame, parent: _Frame, blocks: list[Block]) -> None:
        parent.flush()
        number = _number(frame.node, "value", parent.number)
        parent.number = number + 1
        if blocks:
            parent.blocks.append(("item", item_of(f"{number}. " if parent.tag == "ol" else "- ", blocks)))

    def _made(self, frame: _Frame, blocks: list[Block]) -> list[Block]:
        tag = frame.tag
        if tag == "table":
            return blocks + table_of(frame.rows)
        if tag in _LISTS:
            return [("list", joined(list_of(blocks)))] if blocks else []
        if tag == "blockquote":
            return [("quote", prefixed("> ", joined(blocks)))] if blocks else []
        if tag in _HEADINGS:
            text = one_line(" ".join(text for _, text in blocks))
            return [("heading", _HEADINGS[tag] + text)] if text else []
        return blocks


def _number(node: Any, name: str, otherwise: int) -> int:
    text = (node.attributes.get(name) or "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else otherwise


def _span(node: Any) -> int:
    return min(max(_number(node, "colspan", 1), 1), 50)
