"""Which pieces of a text are HTML, so that what only looks like a tag stays text: `<ada@x.com>`, `a < b`, `Dear <name>`."""

from __future__ import annotations

import re

from migrate.transform.distinct import Refused

BLOCK_TAGS = frozenset((
    "address", "article", "aside", "blockquote", "br", "caption", "center", "col", "colgroup", "dd",
    "details", "dialog", "dir", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form",
    "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "legend", "li", "main", "menu", "nav",
    "ol", "optgroup", "option", "p", "pre", "search", "section", "select", "summary", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "ul",
))  # fmt: skip
_INLINE_TAGS = frozenset((
    "a", "abbr", "acronym", "area", "b", "base", "basefont", "bdi", "bdo", "bgsound", "big", "blink",
    "body", "button", "canvas", "cite", "code", "data", "datalist", "del", "dfn", "em", "embed", "font",
    "head", "html", "i", "iframe", "img", "image", "input", "ins", "kbd", "label", "link", "map", "mark",
    "marquee", "meta", "meter", "nobr", "noscript", "object", "output", "param", "picture", "progress",
    "q", "rb", "rp", "rt", "rtc", "ruby", "s", "samp", "script", "small", "source", "span", "strike",
    "strong", "style", "sub", "sup", "svg", "template", "textarea", "time", "track", "tt", "u", "var",
    "video", "audio", "wbr", "math", "path", "g", "rect", "circle", "ellipse", "line", "polyline",
    "polygon", "text", "tspan", "defs", "use", "symbol", "lineargradient", "radialgradient", "stop",
    "clippath", "mask", "filter", "foreignobject", "mi", "mn", "mo", "ms", "mtext", "mrow", "mfrac",
    "msup", "msub", "msqrt", "mroot", "munder", "mover", "munderover", "msubsup", "mtable", "mtr", "mtd",
    "mstyle", "semantics", "annotation",
))  # fmt: skip
TAGS = BLOCK_TAGS | _INLINE_TAGS
# They hold text of another kind up to their end; without it they would swallow the rest.
_RAW = ("script", "style", "iframe", "textarea", "title")
_VOID = frozenset((
    "area", "base", "basefont", "bgsound", "br", "col", "embed", "hr", "image", "img", "input", "link",
    "meta", "param", "source", "track", "wbr",
))  # fmt: skip
_CLOSED_BY_OTHERS = frozenset((
    "colgroup", "dd", "dt", "li", "optgroup", "option", "p", "rb", "rp", "rt", "rtc", "tbody", "td",
    "tfoot", "th", "thead", "tr",
))  # fmt: skip
_FLAT = _VOID | _CLOSED_BY_OTHERS
_FLAGS = frozenset((
    "allowfullscreen", "async", "autofocus", "autoplay", "checked", "compact", "controls", "default",
    "defer", "disabled", "hidden", "ismap", "loop", "multiple", "muted", "nohref", "noresize", "noshade",
    "novalidate", "nowrap", "open", "readonly", "required", "reversed", "selected",
))  # fmt: skip

_PIECE = re.compile(
    r"""<(?:
        (?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9]*(?::[A-Za-z][\w.-]*)?)
        (?P<attributes>(?:[\s/](?:[^<>"']|"[^"<]*"|'[^'<]*')*)?)>
      | (?P<comment>!--)
      | (?P<declaration>!(?i:doctype\b)[^<>]*>|!\[[^<>]*>|\?(?i:xml)\b[^<>]*>)
    )""",
    re.VERBOSE,
)
_DEEPEST = 400  # elements inside each other; browsers stop at about as many
_LONGEST = 10_000_000  # characters
_MOST_ATTRIBUTES = 500


def marked(text: str) -> tuple[str, frozenset[str]]:
    """The text with every < escaped that begins no HTML, and the names of its tags in small letters.

    Raises Refused for a text that no parser reads in reasonable time."""
    if len(text) > _LONGEST:
        raise Refused
    known = _Known(text)
    names: set[str] = set()
    out: list[str] = []
    at = depth = 0
    while (place := text.find("<", at)) >= 0:
        out.append(text[at:place])
        found = _PIECE.match(text, place)
        if found is None or not known.is_html(found):
            out.append("&lt;")
            at = place + 1
            continue
        name, opens = (found["name"] or "").lower(), not found["end"]
        at = known.end_of(found, name) if opens else found.end()
        out.append(text[place:at])
        if name:
            names.add(name)
        if name and name not in _FLAT:
            depth = max(0, depth + (1 if opens else -1))
            if depth > _DEEPEST:
                raise Refused
    return "".join(out) + text[at:], frozenset(names)


class _Known:
    """What is HTML in one text. Ends are looked for once, so that a text full of beginnings takes no longer."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.comments_end = text.rfind("-->")
        self.has_head = re.search(r"<(?:head|svg)\b", text, re.IGNORECASE) is not None
        self._last: dict[str, int] = {}

    def is_html(self, found: re.Match[str]) -> bool:
        if found["comment"]:
            return self.comments_end >= found.end()
        if found["declaration"]:
            return True
        name, attributes = found["name"].lower(), found["attributes"]
        if name not in TAGS and ":" not in name and not (name == "title" and self.has_head):
            return False
        if name in _RAW and not found["end"] and self._last_end(name) < found.end():
            return False
        if not attributes:
            return True
        if attributes.count("=") > _MOST_ATTRIBUTES:
            raise Refused
        # <b and c> is no tag, <td nowrap> is.
        return "=" in attributes or all(
            word.lower() in _FLAGS for word in attributes.replace("/", " ").split()
        )

    def end_of(self, found: re.Match[str], name: str) -> int:
        """Where the piece ends: after the tag, or before the end of what it holds as another kind of text."""
        if found["comment"]:
            return self.text.index("-->", found.end()) + 3
        if name not in _RAW:
            return found.end()
        end = _raw_end(name).search(self.text, found.end())
        assert end is not None, "is_html has seen it"
        return end.start()

    def _last_end(self, name: str) -> int:
        if name not in self._last:
            self._last[name] = max((m.start() for m in _raw_end(name).finditer(self.text)), default=-1)
        return self._last[name]


def _raw_end(name: str) -> re.Pattern[str]:
    return re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
