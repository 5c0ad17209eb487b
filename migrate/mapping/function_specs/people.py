"""Functions for names of people and for their e-mail addresses."""

from __future__ import annotations

from migrate.mapping.function_spec import FAILS, Parameter, text_function

PEOPLE = (
    text_function(
        "name",
        "One part of a person's name, NULL where the name has none. Knows `Family, Given`, van der, de la, Jr., III, Dr.; a "
        "nickname in brackets or quotes, a maiden name and emoji are left out. Capital letters stay as they are (see `title`).",
        Parameter(
            "part",
            "choice",
            "prefix is Dr. or Mrs., suffix is Jr. or PhD, full is all of them with the given name first",
            required=True,
            choices=("given", "family", "middle", "prefix", "suffix", "full"),
        ),
        Parameter(
            "order",
            "choice",
            "how names without a comma are written",
            default="given_first",
            choices=("given_first", "family_first"),
        ),
        Parameter(
            "one_word",
            "choice",
            "what a name of a single word is",
            default="given",
            choices=("given", "family"),
        ),
        empty="null",
        examples=(
            ("Ada Lovelace", "given", "Ada"),
            ("Ada Lovelace", "family", "Lovelace"),
            ("Lovelace, Ada", "family", "Lovelace"),
            ("Lovelace, Ada", "full", "Ada Lovelace"),
            ("Ludwig van der Rohe", "family", "van der Rohe"),
            ("van Gogh", "family", "van Gogh"),
            ("Martin Luther King, Jr.", "middle", "Luther"),
            ("Martin Luther King, Jr.", "suffix", "Jr."),
            ("Dr. Martin Luther King, Jr.", "prefix", "Dr."),
            ("Ada Lovelace", "suffix", None),
            ("Ada", "given", "Ada"),
            ("Ada", "family", None),
            ("Lovelace", {"part": "family", "one_word": "family"}, "Lovelace"),
            ("Mrs. Lovelace", "family", "Lovelace"),
            ("Lovelace Ada", {"part": "given", "order": "family_first"}, "Ada"),
            ("?", "given", FAILS),
            (" ", "given", None),
        ),
    ),
    text_function(
        "email",
        "The e-mail address in a text, its domain in small letters: takes it out of `Ada <ada@x.com>`, mailto: and quotes. "
        "What is no address fails, and so do two of them, an IP address as domain, and a domain without a point. A domain "
        "that looks misspelt is not corrected.",
        Parameter(
            "local",
            "choice",
            "the part before the @: as it is, or in small letters",
            default="keep",
            choices=("keep", "lower"),
        ),
        empty="null",
        examples=(
            (" Ada@Example.COM ", None, "Ada@example.com"),
            (" Ada@Example.COM ", "lower", "ada@example.com"),
            ("Ada Lovelace <ada@x.com>", None, "ada@x.com"),
            ("mailto:ada@x.com?subject=Hello", None, "ada@x.com"),
            ("'ada@x.com';", None, "ada@x.com"),
            ("ada@gmial.com", None, "ada@gmial.com"),
            ("ada@Müller.example", None, "ada@müller.example"),
            ("ada@x", None, FAILS),
            ("ada.x.com", None, FAILS),
            ("a@x.com, b@x.com", None, FAILS),
            ("ada..l@x.com", None, FAILS),
            ("none", None, FAILS),
            (" ", None, None),
        ),
    ),
    text_function(
        "plus_tag",
        "An e-mail address without the tag that its owner put behind a + before the @. A text without @ fails.",
        Parameter("sign", "text", "where the tag begins", default="+"),
        empty="null",
        examples=(
            ("ada+news@x.com", None, "ada@x.com"),
            ("ada+a+b@x.com", None, "ada@x.com"),
            ("ada@x.com", None, "ada@x.com"),
            ("+ada@x.com", None, "+ada@x.com"),
            ("ada-news@x.com", "-", "ada@x.com"),
            ("ada", None, FAILS),
            (None, None, None),
        ),
    ),
    text_function(
        "domain",
        "The domain of an e-mail address or a web address, in small letters. A text that has none fails.",
        Parameter(
            "www",
            "choice",
            "a www. at the beginning is kept or dropped",
            default="keep",
            choices=("keep", "drop"),
        ),
        empty="null",
        examples=(
            ("ada@Mail.Example.com", None, "mail.example.com"),
            ("Ada <ada@x.com>", None, "x.com"),
            ("https://www.Example.com:8080/a?b=c#d", None, "www.example.com"),
            ("https://www.Example.com:8080/a?b=c#d", "drop", "example.com"),
            ("example.com/about", None, "example.com"),
            ("http://10.0.0.1/", None, FAILS),
            ("localhost", None, FAILS),
            ("no domain", None, FAILS),
            ("", None, None),
        ),
    ),
    text_function(
        "punycode",
        "The domain of an e-mail address, of a web address or alone, in the letters that mail servers know, or back in its own "
        "(IDNA 2008). The rest stays. What no domain can be fails.",
        Parameter(
            "to",
            "choice",
            "ascii: xn--mller-kva.example; unicode: müller.example",
            default="ascii",
            choices=("ascii", "unicode"),
        ),
        empty="null",
        examples=(
            ("ada@müller.example", None, "ada@xn--mller-kva.example"),
            ("ada@xn--mller-kva.example", "unicode", "ada@müller.example"),
            ("https://MÜLLER.example/Über", None, "https://xn--mller-kva.example/Über"),
            ("Example.com", None, "example.com"),
            ("xn--a.example", "unicode", FAILS),
            ("two words.example", None, FAILS),
            ("", None, None),
        ),
    ),
)
