"""Lines of Markdown: what must be escaped, and how emphasis, code, links and pictures are written.

A line is made of pieces, texts as they are and parts that are Markdown already, and is escaped when it is whole: only then
it shows what stands beside what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

BREAK = "\x00"  # a line break inside a line; HTML has no such character

_SPACES = re.compile(r"[ \t\r\n\f]+")
_BREAKS = re.compile(r"([ \t\r\n\f\xa0]*\x00[\x00 \t\r\n\f\xa0]*)")
_SEVERAL_BREAKS = re.compile(r"\x00[ \xa0]*(?:\x00[ \xa0]*)+")
_SPECIAL = re.compile(
    r"""(?P<slash>\\(?=[!-/:-@\[-`{-~]|\s*\Z))
      | (?P<star>(?<!\s)\*|\*(?!\s))
      | (?P<under>(?<![^\W_])_|_(?![^\W_]))
      | `
      | \](?=[(\[:])
      | <(?=[A-Za-z/!?])
      | &(?=\#?\w+;)
      | ~(?=~|\Z)|(?<=~)~|\A~
    """,
    re.VERBOSE,
)
_SPECIAL_IN_LINK = re.compile(rf"{_SPECIAL.pattern} | [\[\]]", re.VERBOSE)
# A line that begins so is a heading, a quote, an item, a rule or the underlining of a heading.
_START = re.compile(
    r"^(?P<before>(?:[0-9]{1,9}(?=[.)]))?)(?P<sign>\#{1,6}(?=\s|$)|>|[-+*](?=\s|$)|=+(?=\s*$)|-+(?=\s*$)|(?<=[0-9])[.)](?=\s|$)|\|)",
    re.MULTILINE,
)
_ENDING_TILDE = re.compile(r"(?<!\\)~\Z")
_RUNS = re.compile(r"`+")
_BARE = re.compile(r"(?:https?://|mailto:)[^\s<>\\]+")
_PICTURE = re.compile(r"(?i)data:image/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=]+\Z")
_UNSAFE = re.compile(r"(?i)[\x00-\x20]*(?:javascript|vbscript|data)[\x00-\x20]*:")
# White space of HTML and the no-break blank, which editors put into empty lines.
_ENDS = " \t\r\n\f\xa0\u200b\ufeff"


class Piece(NamedTuple):
    """`mark`: the emphasis that a piece of Markdown begins and ends with."""

    text: str
    markdown: bool = False
    mark: str = ""


def plain(pieces: list[Piece]) -> str:
    """The texts as they are, for code."""
    return "".join(piece.text for piece in pieces)


def inline(pieces: list[Piece], *, in_link: bool = False) -> str:
    """The line as Markdown."""
    if len(pieces) == 1 and not pieces[0].markdown:
        return escaped(pieces[0].text, in_link=in_link)
    out: list[str] = []
    text = ""
    mark = ""
    for piece in [*pieces, Piece("", markdown=True)]:
        if not piece.markdown:
            text += piece.text
            continue
        if text:
            out.append(_beside(escaped(text, in_link=in_link), piece.text))
            text, mark = "", ""
        more = piece.text
        if mark and piece.mark == mark:
            # Two pieces in the same letters become one: **a****b** is no CommonMark.
            out[-1], more = out[-1].removesuffix(mark), more.removeprefix(mark)
        if more.startswith("`") and out and out[-1].endswith("`"):
            out.append(" ")  # two pieces of code would be one
        out.append(more)
        mark = piece.mark
    return "".join(out)


def _beside(text: str, markdown: str) -> str:
    """Escaped text before Markdown that its last sign would change."""
    return f"{text[:-1]}\\!" if text.endswith("!") and markdown.startswith("[") else text


def escaped(text: str, *, in_link: bool = False) -> str:
    """Text whose signs mean nothing. What matters at the beginning of a line is left to `paragraphs`."""
    return (_SPECIAL_IN_LINK if in_link else _SPECIAL).sub(r"\\\g<0>", text)


def one_line(text: str) -> str:
    return _SPACES.sub(" ", text.replace(BREAK, " ")).strip(_ENDS)


def paragraphs(line: str) -> list[str]:
    """What stands between blocks: one paragraph, or several where line breaks follow each other."""
    made = []
    line = _SPACES.sub(" ", line)
    for text in _SEVERAL_BREAKS.split(line) if BREAK in line else [line]:
        lines = [part.strip(_ENDS) for part in text.split(BREAK)]
        whole = "  \n".join(_START.sub(_safe_start, part) for part in lines if part)
        if whole:
            made.append(whole)
    return made


def _safe_start(match: re.Match[str]) -> str:
    return f"{match['before']}\\{match['sign']}"


def wrapped(pieces: list[Piece], mark: str, *, in_link: bool) -> list[Piece]:
    """Emphasis; white space stays outside, and it ends and begins again at line breaks."""
    made: list[Piece] = []
    for part in _BREAKS.split(inline(pieces, in_link=in_link)):
        core = part.strip(_ENDS)
        if BREAK in part or not core:
            made.append(Piece(part))
            continue
        before, _, after = part.partition(core)
        core = _closed(core)
        if mark == "~~":
            core = _ENDING_TILDE.sub(r"\\~", core.replace("~", r"\~", 1) if core[0] == "~" else core)
        made += [Piece(before), Piece(f"{mark}{core}{mark}", markdown=True, mark=mark), Piece(after)]
    return [piece for piece in made if piece.text]


def _closed(text: str) -> str:
    """Without a last backslash that would escape what follows."""
    return text + "\\" if (len(text) - len(text.rstrip("\\"))) % 2 else text


def code_span(text: str) -> str:
    text = _SPACES.sub(" ", text.replace(BREAK, " "))
    if not text.strip():
        return text
    fence = "`" * (max((len(run) for run in _RUNS.findall(text)), default=0) + 1)
    edge = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{edge}{text}{edge}{fence}"


def fenced(text: str) -> str:
    fence = "`" * max(3, max((len(run) for run in _RUNS.findall(text)), default=0) + 1)
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    return f"{fence}\n{text}\n{fence}"


def link_of(pieces: list[Piece], href: str) -> list[Piece]:
    """A link; of one that runs a script, or has no text or no address, the text only."""
    line = inline(pieces, in_link=True)
    text, address = _closed(one_line(line)), _address(href)
    if not text or not address:
        return pieces
    said, target = plain(pieces).strip(), href.strip()
    if target in (said, f"mailto:{said}") and _BARE.fullmatch(target):
        made = f"<{said}>"
    else:
        made = f"[{text}]({address})"
    return (
        [Piece(" ")] * line.startswith(" ") + [Piece(made, markdown=True)] + [Piece(" ")] * line.endswith(" ")
    )


def image_of(attributes: Mapping[str, str | None]) -> Piece:
    """A picture; without an address its text."""
    text = one_line(attributes.get("alt") or "")
    source = attributes.get("src") or ""
    address = _address(source) or (source if _PICTURE.match(source) else "")
    return Piece(f"![{escaped(text, in_link=True)}]({address})", markdown=True) if address else Piece(text)


def _address(href: str) -> str:
    """As the target of a link, or "" for one that must not be followed."""
    href = re.sub(r"[\x00-\x1f\x7f]", "", href.strip())
    if not href or _UNSAFE.match(href):
        return ""
    if re.search(r"[\s()<>\\]", href):
        inside = re.sub(
            r"[<>\\\s]", lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), href
        )
        return f"<{inside}>" if "(" in inside or ")" in inside else inside
    return href
