"""Text from outside, made safe to show: row keys, table names and database messages may hold anything.

Control characters could move the cursor or rename the terminal, direction marks could turn a word
round; they are shown as escapes instead of being obeyed.
"""

from __future__ import annotations

import re

# C0 and C1 controls, DEL, zero-width and direction marks, line and paragraph separators, surrogates, tags.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def clean(value: object, *, limit: int = 200, lines: bool = False) -> str:
    """`value` as text that cannot act on a terminal; longer than `limit` characters is cut and says so.

    `lines` keeps line breaks, for paragraphs of our own."""
    text = "" if value is None else str(value)
    if lines:
        return "\n".join(clean(line, limit=limit) for line in text.split("\n"))
    text = _UNSAFE.sub(lambda match: _escape(match[0]), text)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _escape(character: str) -> str:
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
