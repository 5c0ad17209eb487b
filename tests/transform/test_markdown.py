"""HTML to Markdown: what people's programs write, what breaks converters, and that no text gets lost."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from migrate.transform.distinct import Refused
from migrate.transform.functions.html_tags import marked
from migrate.transform.functions.markdown import to_markdown
from selectolax.lexbor import LexborHTMLParser

RENDERER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
TAGS = [
    "b",
    "i",
    "em",
    "strong",
    "a",
    "code",
    "p",
    "div",
    "span",
    "ul",
    "ol",
    "li",
    "h1",
    "h3",
    "blockquote",
    "pre",
    "table",
    "tr",
    "td",
    "th",
    "br",
    "hr",
    "s",
    "font",
    "q",
    "sup",
    "tbody",
    "dl",
    "dt",
    "dd",
    "center",
    "u",
]
TEXTS = st.lists(
    st.sampled_from(
        [
            "x",
            "word ",
            "a*b",
            "*",
            "_",
            "a_b",
            "`",
            "``",
            "1. ",
            "2) x",
            "- ",
            "+ ",
            "# h",
            "> ",
            "=",
            "---",
            "\n",
            "  ",
            "\xa0",
            "[",
            "]",
            "](x)",
            "![",
            "&lt;",
            "&amp;lt;",
            "<",
            "<b and",
            "\\",
            "\\*",
            "~~",
            "~",
            "é",
            "http://x.y/a_b",
            "<ada@x.com>",
            "!",
            ":",
            "(",
            ")",
            "*a*",
            "    code",
        ]
    ),
    min_size=1,
    max_size=3,
).map("".join)
ATTRIBUTES = {
    "a": [" href='http://x.y/(a) b'", " href=http://x.y", " href='javascript:x'", ""],
    "ol": [" start=7", ""],
}


def element(tag: str, inside: list[str], attribute: int, closed: bool) -> str:
    attributes = ATTRIBUTES.get(tag, [""])
    return f"<{tag}{attributes[attribute % len(attributes)]}>{''.join(inside)}{f'</{tag}>' if closed else ''}"


HTML: Any = st.recursive(
    TEXTS,
    lambda inner: st.builds(
        element, st.sampled_from(TAGS), st.lists(inner, max_size=4), st.integers(0, 3), st.booleans()
    ),
    max_leaves=12,
)


def letters(html: str) -> str:
    body = LexborHTMLParser(html).body
    return "".join(c for c in (body.text() if body else "") if c.isalnum())


@settings(max_examples=300, deadline=None)
@given(st.lists(HTML, min_size=1, max_size=3).map("".join))
def test_every_letter_is_there_in_its_order(html: str) -> None:
    """Rendered again, the Markdown has the letters of the HTML, whatever signs of Markdown stand among them."""
    source, names = marked(html)
    if names:
        shown = iter(letters(RENDERER.render(to_markdown(html))))
        assert all(letter in shown for letter in letters(source))


@pytest.mark.parametrize(
    "text",
    ["", "Hello", "  two\n\nlines ", "1. *a* _b_ #c [d](e)", "5 < 6 & 7 > 3", "a\x00b", "<ada@x.com>", "x <- y", "AT&T &copy=1",
     "Dear <first name>", "a<b and c>d", "<https://x.y>", "<", "<<<", "<b", "</", "<!-- no end", "<script>no end", "<3"],
)  # fmt: skip
def test_text_without_tags_is_unharmed(text: str) -> None:
    assert to_markdown(text) == text


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        # programs
        ("<p class=MsoNormal>Word<o:p></o:p></p><p><o:p>&nbsp;</o:p></p>", "Word"),
        ("<p>a<!--[if gte mso 9]><xml>q</xml><![endif]-->b</p>", "ab"),
        ("<html><head><title>T</title><style>p{}</style></head><body>b</body></html>", "b"),
        ("Hi,<br><br>Thanks<br>Ada", "Hi,\n\nThanks  \nAda"),
        ("one\ntwo <b>x</b>\n\nthree", "one  \ntwo **x**\n\nthree"),
        ("<p>one\n   two</p>\n", "one two"),
        # emphasis
        ("a<b> b </b>c", "a **b** c"),
        ("<b>a</b><b>b</b> <b></b>", "**ab**"),
        ("<b>a<br>b</b>", "**a**  \n**b**"),
        ("<b><p>block</p></b>rest", "block\n\nrest"),
        ("<i>a<i>b</i></i>", "*ab*"),
        ("<s>old</s>", "~~old~~"),
        ("2 * 3 * 4 and a_b_c <b>_x_</b>", "2 * 3 * 4 and a_b_c **\\_x\\_**"),
        # code
        ("<code>a`b*c</code><code>d</code>", "``a`b*c`` `d`"),
        ("<pre>\na\n <b>```</b>\n</pre>", "````\na\n ```\n````"),
        # links and pictures
        ("<a href='https://x.y'>https://x.y</a>", "<https://x.y>"),
        ("<a href='mailto:a@x.com'>a@x.com</a>", "<a@x.com>"),
        ("<a href='http://x.y/a b(c)'>d]e</a>", "[d\\]e](<http://x.y/a%20b(c)>)"),
        ("<a href='JaVa\tScript:x'>a</a> <a href='data:text/html,x'>b</a> <a>c</a>", "a b c"),
        ("<a href='http://x.y'><div>One</div><h1>Two</h1></a>", "[One Two](http://x.y)"),
        ("<a href='http://x.y'><img src=z.png alt='p'></a>wow!<a href=q>r</a>", "[![p](z.png)](http://x.y)wow\\![r](q)"),
        ("<img alt='only text'>", "only text"),
        # lists
        ("<ol start=3><li>a<li>b<ul><li>c</ul></ol>", "3. a\n4. b\n   - c"),
        ("<ul><li>a</li><ul><li>in</li></ul><li>b</ul>", "- a\n  - in\n- b"),
        ("<ul><li><p>a<p>b<li>c</ul>", "- a\n\n  b\n\n- c"),
        # blocks
        ("<blockquote>a<blockquote>b</blockquote></blockquote>", "> a\n>\n> > b"),
        ("<h2>A<br>B</h2>c<hr>d", "## A B\n\nc\n\n---\n\nd"),
        ("<p>1. a</p><p># b</p><p>- c</p><p>1986) d</p><p>&gt; e</p>", "1\\. a\n\n\\# b\n\n\\- c\n\n1986\\) d\n\n\\> e"),
        ("<table><tr><th>a<th>b<tr><td>1|2<td><b>x</b></table>", "| a | b |\n| --- | --- |\n| 1\\|2 | **x** |"),
        ("<table><tr><td colspan=2>a<td>b<tr><td>c</table>", "|  |  |  |\n| --- | --- | --- |\n| a |  | b |\n| c |  |  |"),
        ("<table><tr><td><p>layout<p>here<td>x</table>", "layout\n\nhere\n\nx"),
    ],
)  # fmt: skip
def test_what_people_and_programs_write(html: str, markdown: str) -> None:
    assert to_markdown(html) == markdown


@pytest.mark.parametrize(
    "html",
    ["<div>" * 100_000, "<b>" * 5000 + "x", "<ul><li>" * 20_000, "<table><tr><td>" * 5000, "<a " + "x=1 " * 50_000 + ">y</a>", "x" * 10_000_001],
    ids=["div", "b", "ul", "table", "attributes", "long"],
)  # fmt: skip
def test_what_would_take_for_ever_is_refused_at_once(html: str) -> None:
    started = time.process_time()
    with pytest.raises(Refused):
        to_markdown(html)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "html",
    ["<!--" * 20_000, "<script>" * 20_000, '<a "' * 20_000, "<" * 50_000 + "<p>", "<p>a" * 5000, "*_`[]<b>x</b>" * 3000, "a<br>" * 10_000,
     "<blockquote>" * 390 + "a<br>" * 50, "~" * 50_000 + "<b>x</b>", "&amp" * 50_000 + "<b>", "\n" * 100_000 + "<b>x</b>", "<code>" + "`" * 50_000],
    ids=lambda html: html[:6],
)  # fmt: skip
def test_hostile_html_is_read_in_reasonable_time(html: str) -> None:
    started = time.process_time()
    to_markdown(html)
    assert time.process_time() - started < 2
