"""Functions for identifiers, and for values that must not be read."""

from __future__ import annotations

from migrate.mapping.function_spec import FAILS, FromColumn, Parameter, Row, text_function

CODES = (
    text_function(
        "salesforce_id",
        "A Salesforce id in its long form, whose last three characters check the case of the others. An id of 18 "
        "characters whose check does not fit fails, and so does anything else.",
        Parameter("to", "choice", "how many characters", default="18", choices=("18", "15")),
        empty="null",
        examples=(
            ("001A0000006Vm9r", None, "001A0000006Vm9rIAC"),
            ("001A0000006Vm9rIAC", None, "001A0000006Vm9rIAC"),
            ("001A0000006Vm9rIAC", "15", "001A0000006Vm9r"),
            ("001a0000006vm9rIAC", None, FAILS),
            ("001A0000006Vm9", None, FAILS),
            ("001A0000006Vm9-", None, FAILS),
            ("", None, None),
        ),
    ),
    text_function(
        "hash",
        "A fingerprint of the text (UTF-8) in hexadecimal digits: the same text gives the same, and nobody reads it back. "
        "Short texts, such as phone numbers, can be tried out: give a salt.",
        Parameter(
            "algorithm", "choice", "how it is made", default="sha256", choices=("sha256", "sha1", "md5")
        ),
        Parameter(
            "salt", "text", "put before the text; may be ${NAME} of the environment", default="", env=True
        ),
        examples=(
            ("Ada", "md5", "1a382809b7c03f686e12dd15677c5497"),
            ("Ada", "sha1", "5c3cb098d52deb3f67e97b7fba960c4cf6880461"),
            ("Ada", None, "99a563ab2f6e21e96998f9fddd2a2bab82b70ac019579502b8d7fc0032ff62bb"),
            ("Ada", {"salt": "pepper"}, "a361fc0516894a29805742d18c2062065108996bdee21d8eecda9c133147d723"),
            (None, None, None),
        ),
    ),
    text_function(
        "mask",
        "Hides characters, one sign for each. A text that is not longer than what would be shown is hidden whole.",
        Parameter("last", "integer", "how many characters at the end stay", default=0),
        Parameter("first", "integer", "how many characters at the beginning stay", default=0),
        Parameter("with", "text", "the one character that hides", default="*"),
        examples=(
            ("4111111111111111", "4", "************1111"),
            ("Lovelace", {"first": "1"}, "L*******"),
            ("Lovelace", {"first": "1", "last": "1", "with": "x"}, "Lxxxxxxe"),
            ("1234", "4", "****"),
            ("secret", None, "******"),
            ("", "4", ""),
        ),
    ),
    text_function(
        "uuid5",
        "A UUID made of a name: the same name gives the same UUID (RFC 9562, version 5).",
        Parameter("namespace", "namespace", "url, dns, oid, x500, or a UUID of one's own", required=True),
        examples=(
            ("python.org", "dns", "886313e1-3b8a-5372-9b90-0c9aee199e5d"),
            ("http://python.org/", "url", "4c565f0d-3f5a-5890-b41b-20cf47701c5e"),
            (
                "contact:7",
                "886313e1-3b8a-5372-9b90-0c9aee199e5d",
                "b91df1a8-bfb9-55c9-92e5-817a6c4a72bb",
            ),
            (None, "dns", None),
        ),
    ),
    text_function(
        "json",
        "A value out of JSON: text as it is, numbers as they are written, lists and maps as JSON again. What is not there "
        "is NULL, and so is null; what is not JSON fails.",
        Parameter(
            "path",
            "json_path",
            'where it is: names after a point, or in ["…"]; list items as [0], from the end [-1]',
            required=True,
        ),
        empty="null",
        examples=(
            ('{"a": {"b": ["x", "y"]}}', "$.a.b[0]", "x"),
            ('{"a": {"b": ["x", "y"]}}', "a.b[-1]", "y"),
            ('{"a": {"b": ["x", "y"]}}', "$.a", '{"b":["x","y"]}'),
            ('{"price": 12.50}', "$.price", "12.50"),
            ('{"e-mail": "a@x.com", "old": null}', '$["e-mail"]', "a@x.com"),
            ('{"e-mail": "a@x.com", "old": null}', "$.old", None),
            ('{"a": 1}', "$.b.c", None),
            ("[true]", "$[0]", "true"),
            ("{a: 1}", "$.a", FAILS),
            ("", "$.a", None),
            (Row('{"a": 1, "b": 2}', {"key": "$.b"}), FromColumn(from_="key"), "2"),
        ),
    ),
)
