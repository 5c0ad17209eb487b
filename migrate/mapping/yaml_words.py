"""What the YAML reader says of a mistake, in words that mean something to the author of a mapping."""

from __future__ import annotations

import yaml

MAX_DEPTH = 50

# Noticed far behind the place that needs mending.
UNCLOSED = ("unexpected end of stream", "expected ',' or '}'", "expected ',' or ']'")


# What the YAML reader says → what it means to the author.
_WORDS = (
    (
        "mapping values are not allowed",
        "a colon stands where none can be",
        'quote a text that holds ": ", and indent the names of one block alike',
    ),
    (
        "exceeded maximum nesting depth",  # of libyaml itself, which looks ahead of the events
        f"nested deeper than {MAX_DEPTH} levels",
        "a mapping needs fewer than ten",
    ),
    (
        "found character that cannot start any token",
        "no text can start with this character",
        "quote the text",
    ),
    (
        "found unexpected end of stream",
        "a quoted text is not closed",
        "close the quote",
    ),
    (
        "did not find expected ',' or '}'",
        "a { is not closed, or a comma is missing",
        "each { needs its }, parts are separated by commas",
    ),
    (
        "did not find expected ',' or ']'",
        "a [ is not closed, or a comma is missing",
        "each [ needs its ], parts are separated by commas",
    ),
    (
        "did not find expected key",
        "this line does not fit the block it stands in",
        "indent the names of one block alike; quote texts with : { [ in them",
    ),
    (
        "did not find expected '-' indicator",
        "this line does not fit the list it stands in",
        "every item of a list starts with - at the same indent",
    ),
    (
        "did not find expected <document start>",
        "this does not belong to what stands before it",
        "indent it, or give it a name",
    ),
    ("did not find expected node content", "a value is missing here", "write the value, or remove the comma"),
    (
        "could not find expected ':'",
        "a name without a colon, or a text that is not indented",
        "write name: value",
    ),
    (
        "block sequence entries are not allowed",
        "a list cannot start here",
        "put the - on the next line, indented",
    ),
    (
        "found unknown escape character",
        'this \\ means nothing inside "…"',
        "write \\\\ for one \\, or use '…'",
    ),
    ("while parsing a quoted scalar", "a quoted text is not closed", "close the quote"),
    ("found undefined tag handle", "tags (!) are not allowed", 'a text that starts with ! is quoted: "!…"'),
    ("did not find URI escape", "tags (!) are not allowed", 'a text that starts with ! is quoted: "!…"'),
    ("alphabetic or numeric character", "a text cannot start with & or *", "quote it"),
    (
        "did not find expected hexdecimal number",
        'this \\ means nothing inside "…"',
        "write \\\\ for one \\, or use '…'",
    ),
)


def in_plain_words(error: yaml.MarkedYAMLError, character: str) -> tuple[str, str]:
    said = f"{error.context or ''} {error.problem or ''}"
    for phrase, message, hint in _WORDS:
        if phrase in said:
            return message.replace("this character", character or "this"), hint
    return f"this is not YAML: {' '.join((error.problem or 'unreadable').split())}", ""
