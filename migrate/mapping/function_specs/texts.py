"""Functions that clean texts."""

from __future__ import annotations

from migrate.mapping.function_spec import FAILS, Parameter, text_function

TEXTS = (
    text_function(
        "trim",
        "Removes white space (or the given characters) at both ends.",
        Parameter("chars", "text", "the characters to remove instead of white space"),
        examples=(
            ("  Ada ", None, "Ada"),
            ("\u00a0Ada\u200b\n", None, "Ada"),
            ("--Ada-", "-", "Ada"),
            ("   ", None, ""),
            (None, None, None),
        ),
    ),
    text_function(
        "squeeze",
        "Makes one blank of every run of white space; trims nothing.",
        examples=(("Acme \t  Ltd", None, "Acme Ltd"), (" a\n\nb", None, " a b"), ("a\u00a0b", None, "a b")),
    ),
    text_function(
        "lower", "Small letters.", examples=(("ADA@Example.COM", None, "ada@example.com"), ("ÄÖ", None, "äö"))
    ),
    text_function(
        "upper", "Capital letters.", examples=(("sw1a 1aa", None, "SW1A 1AA"), ("straße", None, "STRASSE"))
    ),
    text_function(
        "title",
        "First letter of every word large, the others small; an apostrophe starts no word, a hyphen does. With `names` "
        "as people write their names: a word that is large or small as a whole is changed, one that is both is somebody's "
        "own spelling and stays.",
        Parameter("names", "boolean", "knows McDonald, O'Neil, van der Berg, III and PhD", default=False),
        examples=(
            ("JOHN MCDONALD", {"names": "yes"}, "John McDonald"),
            ("sean o'neil-mckay", {"names": "yes"}, "Sean O'Neil-McKay"),
            ("LUDWIG VAN DER ROHE", {"names": "yes"}, "Ludwig van der Rohe"),
            ("VAN DER BERG, JAN", {"names": "yes"}, "van der Berg, Jan"),
            ("DE NIRO", {"names": "yes"}, "De Niro"),
            ("MACDONALD", {"names": "yes"}, "MacDonald"),
            ("MACHADO", {"names": "yes"}, "Machado"),
            ("jean-luc picard iii", {"names": "yes"}, "Jean-Luc Picard III"),
            ("Dick Van Dyke", {"names": "yes"}, "Dick Van Dyke"),
            ("ADA LOVELACE", None, "Ada Lovelace"),
            ("jean-luc o'neil", None, "Jean-Luc O'neil"),
            ("élan vital", None, "Élan Vital"),
        ),
    ),
    text_function(
        "slice",
        "A part of the text, counted in characters.",
        Parameter("length", "integer", "how many characters at most; left out: all that follow"),
        Parameter("from", "integer", "the first character: 1 is the first, -1 the last", default=1),
        examples=(
            ("abcdef", "2", "ab"),
            ("abcdef", {"from": "3", "length": "2"}, "cd"),
            ("abcdef", {"from": "-2"}, "ef"),
            ("ab", {"from": "5"}, ""),
            ("äöü", "2", "äö"),
        ),
    ),
    text_function(
        "replace",
        "Every occurrence of one text becomes another; exact, no pattern.",
        Parameter("from", "text", "what is looked for; not empty", required=True),
        Parameter("to", "text", 'what takes its place; "" removes', required=True),
        examples=(
            ("a.b.c", {"from": ".", "to": "-"}, "a-b-c"),
            ("Ltd.", {"from": "Ltd.", "to": ""}, ""),
            ("$1", {"from": "$1", "to": "\\1"}, "\\1"),
        ),
    ),
    text_function(
        "pattern",
        "Takes out the first match of a pattern, or, with `replace`, replaces every match.",
        Parameter("find", "pattern", "the pattern; it may match anywhere in the text", required=True),
        Parameter("group", "integer", "which bracket to take out; 0 is the whole match", default=0),
        Parameter(
            "replace", "text", "what takes the place of a match; \\1 to \\9 are its brackets, \\\\ is one \\"
        ),
        Parameter(
            "otherwise",
            "choice",
            "taking out, nothing found: fail, empty (NULL), or keep the value (replacing always keeps it)",
            default="fail",
            choices=("fail", "empty", "keep"),
        ),
        examples=(
            ("Order 1234/5", "[0-9]+", "1234"),
            ("Lovelace, Ada", {"find": "^(.*), (.*)$", "replace": "\\2 \\1"}, "Ada Lovelace"),
            ("a1b2", {"find": "[0-9]", "replace": "$1"}, "a$1b$1"),
            ("A-17", {"find": "([A-Z])-([0-9]+)", "group": "2"}, "17"),
            ("none", "[0-9]+", FAILS),
            ("none", {"find": "[0-9]+", "otherwise": "empty"}, None),
            ("none", {"find": "[0-9]+", "otherwise": "keep"}, "none"),
            ("none", {"find": "[0-9]+", "replace": "x"}, "none"),
        ),
    ),
    text_function(
        "pad",
        "Fills up to a width; a text that is as long or longer stays.",
        Parameter("width", "integer", "the width in characters, at least 1", required=True),
        Parameter("with", "text", "the one character to fill with", default="0"),
        Parameter("side", "choice", "where to fill", default="left", choices=("left", "right")),
        examples=(
            ("17", "5", "00017"),
            ("123456", "5", "123456"),
            ("ab", {"width": "4", "with": ".", "side": "right"}, "ab.."),
            ("", "3", "000"),
        ),
    ),
    text_function(
        "strip_emoji",
        "Removes emoji with their joiners, skin tones and variation selectors; © ® ™, digits and # stay.",
        examples=(
            ("Ada 👩🏽‍💻!", None, "Ada !"),
            ("🇬🇧 UK", None, " UK"),
            ("Acme™ #1", None, "Acme™ #1"),
            ("1\ufe0f\u20e3", None, "1"),
        ),
    ),
    text_function(
        "ascii",
        "Letters without accents: ä is a, ß is ss, Æ is AE, Ø is O, Ł is L, typographic quotes and dashes are plain.",
        Parameter(
            "otherwise",
            "choice",
            "a character without such a form: fail, drop it, or keep it",
            default="fail",
            choices=("fail", "drop", "keep"),
        ),
        examples=(
            ("Łódź, Straße", None, "Lodz, Strasse"),
            ("“Zoë” – Ærø", None, '"Zoe" - AEro'),
            ("株 Co", None, FAILS),
            ("株 Co", "drop", " Co"),
            ("é株", "keep", "e株"),
        ),
    ),
    text_function(
        "unescape_html",
        "Turns HTML entities into characters, once.",
        examples=(
            ("Marks &amp; Spencer", None, "Marks & Spencer"),
            ("&#39;a&#x27;", None, "'a'"),
            ("&amp;lt;", None, "&lt;"),
            ("AT&T", None, "AT&T"),
        ),
    ),
    text_function(
        "html_to_markdown",
        "Turns HTML into Markdown (CommonMark, with tables as GitHub has them). Scripts, styles and comments go, a link that "
        "would run a script keeps its text; all other text stays. What only looks like a tag is text, and a text without any "
        "tag stays as it is, but for its entities. Line breaks count where no tag makes lines. HTML that is nested more than "
        "400 deep, or longer than 10 million characters, fails.",
        examples=(
            ("Call <b>Ada</b><br>at 5", None, "Call **Ada**  \nat 5"),
            ("<p>One</p><p>Two</p>", None, "One\n\nTwo"),
            ("<ul><li>a<li>b</ul>", None, "- a\n- b"),
            ('<a href="https://x.com">link</a>', None, "[link](https://x.com)"),
            ('<a href="javascript:x()">link</a>', None, "link"),
            ("<script>x()</script>text", None, "text"),
            ("AT&amp;T, 5 < 6 *", None, "AT&T, 5 < 6 *"),
            ("Ada <ada@x.com> <i>wrote</i>", None, "Ada \\<ada@x.com> *wrote*"),
            ("", None, ""),
        ),
    ),
    text_function(
        "digits",
        "Keeps the digits only, as 0 to 9.",
        examples=(
            ("+44 (0)20 7946", None, "440207946"),
            ("٣٤", None, "34"),
            ("none", None, ""),
            ("007", None, "007"),
        ),
    ),
)
