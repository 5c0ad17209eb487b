"""Functions that take texts apart and put columns together."""

from __future__ import annotations

from migrate.mapping.function_spec import FromColumn, Parameter, Row, text_function

_CITY, _ZIP = FromColumn(from_="city"), FromColumn(from_="zip")

PIECES = (
    text_function(
        "split",
        "One piece of a text, without the white space around it. A piece that is not there, or is empty, is NULL.",
        Parameter("on", "text", "what stands between the pieces; exact, no pattern", required=True),
        Parameter("part", "integer", "which piece: 1 is the first, -1 the last", default=1),
        empty="null",
        examples=(
            ("red; green;blue", ";", "red"),
            ("red; green;blue", {"on": ";", "part": "2"}, "green"),
            ("red; green;blue", {"on": ";", "part": "-1"}, "blue"),
            ("red; green", {"on": ";", "part": "3"}, None),
            ("red;;blue", {"on": ";", "part": "2"}, None),
            ("red", ";", "red"),
            ("a--b", {"on": "--", "part": "2"}, "b"),
            (None, ";", None),
        ),
    ),
    text_function(
        "join",
        "The value and other columns as one text; NULL and white space only leave no gap. All of them empty: NULL.",
        Parameter("with", "columns", "columns to add, each as {from: COLUMN}", required=True),
        Parameter("on", "text", "what is put between them", default=" "),
        empty="seen",
        examples=(
            (Row("1 Main St", {"city": "Oslo"}), _CITY, "1 Main St Oslo"),
            (
                Row("1 Main St", {"city": "Oslo", "zip": "0150"}),
                {"with": (_ZIP, _CITY), "on": ", "},
                "1 Main St, 0150, Oslo",
            ),
            (
                Row("1 Main St", {"city": None, "zip": "0150"}),
                {"with": (_CITY, _ZIP), "on": ", "},
                "1 Main St, 0150",
            ),
            (Row(None, {"city": "Oslo", "zip": " "}), {"with": (_CITY, _ZIP), "on": ", "}, "Oslo"),
            (Row(None, {"city": None}), _CITY, None),
        ),
    ),
    text_function(
        "first_of",
        "The value, or where it is NULL or white space only, the first of other columns that is not.",
        Parameter(
            "columns", "columns", "columns to look into, in this order, each as {from: COLUMN}", required=True
        ),
        empty="seen",
        examples=(
            (Row("a@x.com", {"mail2": "b@x.com"}), FromColumn(from_="mail2"), "a@x.com"),
            (Row(None, {"mail2": "b@x.com"}), FromColumn(from_="mail2"), "b@x.com"),
            (
                Row(" ", {"mail2": None, "mail3": "c@x.com"}),
                (FromColumn(from_="mail2"), FromColumn(from_="mail3")),
                "c@x.com",
            ),
            (Row(None, {"mail2": ""}), FromColumn(from_="mail2"), None),
        ),
    ),
    text_function(
        "const",
        "One fixed text in place of every value; NULL and white space only give NULL.",
        Parameter("text", "text", "the text", required=True),
        empty="null",
        examples=(("anything", "yes", "yes"), ("0", "yes", "yes"), ("  ", "yes", None), (None, "yes", None)),
    ),
)
