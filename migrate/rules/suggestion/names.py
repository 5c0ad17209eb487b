"""How alike two names are, in the words of CRMs: `cntry` and `Country`, `tel` and `phone_number`, `rep` and `owner_id`."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_SALESFORCE = re.compile(
    r"^(?:[A-Za-z]\w*?__)?(\w+?)__(?:c|r|pc)$"
)  # a package's prefix, the ending of custom fields
# What several words mean together, before each is looked at alone.
_PHRASES = (
    (("e", "mail"), "email"), (("first", "name"), "given"), (("given", "name"), "given"), (("fore", "name"), "given"),
    (("last", "name"), "family"), (("family", "name"), "family"), (("full", "name"), "name"),
    (("post", "code"), "postcode"), (("postal", "code"), "postcode"), (("zip", "code"), "postcode"),
    (("date", "of", "birth"), "birth"), (("birth", "date"), "birth"), (("birth", "day"), "birth"),
    (("staff", "count"), "headcount"), (("employee", "count"), "headcount"), (("number", "of", "employee"), "headcount"),
    (("mobile", "phone"), "mobile"), (("cell", "phone"), "mobile"), (("web", "site"), "website"), (("home", "page"), "website"),
    (("job", "title"), "title"), (("annual", "revenue"), "revenue"), (("do", "not"), "not"), (("opt", "out"), "optout"),
    (("opt", "in"), "optin"), (("assigned", "to"), "owner"), (("assigned", "user"), "owner"),
)  # fmt: skip
_MEANS = {
    "company": "account company organisation organization org firm customer client co business acct",
    "person": "contact person people individual",
    "owner": "user staff employee rep owner agent salesperson responsible",
    "order": "order invoice purchase sale",
    "campaign": "campaign mailing",
    "lead": "lead prospect enquiry inquiry",
    "deal": "deal opportunity oppertunity opp",
    "activity": "activity action task event",
    "phone": "phone tel telephone ph fon telefon",
    "mobile": "mobile cell gsm handy",
    "email": "email mail emailaddress",
    "postcode": "postcode zip zipcode postalcode plz",
    "optout": "optout",
    "optin": "optin",
    "given": "firstname forename fname given vorname",
    "family": "lastname surname family lname nachname",
    "birth": "dob birthdate birthday born birth",
    "created": "created entered added create creation",
    "updated": "updated modified changed lastmodified update",
    "country": "country cntry nation",
    "city": "city town ort",
    "state": "state province region county",
    "street": "street address addr line strasse",
    "amount": "amount value amt worth price total sum",
    "stage": "stage status step phase",
    "headcount": "headcount numberofemployee",
    "revenue": "revenue turnover annualrevenue",
    "industry": "industry sic sector branch trade",
    "note": "note notes description comment remark body text detail memo",
    "title": "title jobtitle position role function",
    "website": "website web url homepage site",
    "subject": "subject summary topic headline",
    "source": "source origin leadsource",
    "tag": "tag label keyword",
    "close": "close closes closed due closing",
    "name": "name fullname",
    "id": "id no nr num number key code pk ref guid uuid",
    "legacy": "legacy external old foreign",
    "gender": "gender sex",
    "currency": "currency curr iso",
}
_PLURALS = {"employees": "headcount"}
_CANONICAL = {word: meaning for meaning, words in _MEANS.items() for word in words.split()}
_NOISE = frozenset({"c", "the", "of", "at", "on", "date", "time", "dt", "tbl", "fld", "is", "has", "my"})


def words(name: str) -> tuple[str, ...]:
    """The words of a name, each in the one form that stands for all its synonyms, without those that say nothing."""
    return _words(name)


@cache
def _words(name: str) -> tuple[str, ...]:
    bare = _SALESFORCE.sub(r"\1", name)
    found = [w.lower() for w in _WORDS.findall(bare) if not w.isdigit() or len(w) < 3]
    plain = [_PLURALS.get(w) or _singular(w) for w in found]
    for phrase, meaning in _PHRASES:
        for start in range(len(plain) - len(phrase) + 1):
            if tuple(plain[start : start + len(phrase)]) == phrase:
                plain[start : start + len(phrase)] = [meaning]
    meant = [_CANONICAL.get(w, w) for w in plain]
    telling = [w for w in meant if w not in _NOISE]
    return tuple(dict.fromkeys(telling or meant))


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("sses") or (word.endswith("es") and word[:-2].endswith(("x", "ch", "sh"))):
        return word[:-2]
    return (
        word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3 else word
    )


def alike(one: str, other: str, *, around: Collection[str] = (), of_tables: bool = False) -> float:
    """0 (nothing in common) to 1 (the same). `around`: names of the tables, whose words say nothing new in a column's
    name (`contact_email` of contacts). `of_tables`: `employees` are people there, in a column their number."""
    from rapidfuzz import fuzz

    context = {w for name in around for w in words(name)}
    mine, theirs = (_without(words(n), context) for n in (one, other))
    if of_tables:
        mine, theirs = (tuple("owner" if w == "headcount" else w for w in ws) for ws in (mine, theirs))
    if set(mine) == set(theirs):
        return 1.0
    if all(w in _MEANS for w in (*mine, *theirs)):  # both are understood: how they are spelled says no more
        return _shared(mine, theirs)
    spelled = fuzz.ratio(one.lower(), other.lower()) / 100
    return max(_shared(mine, theirs), 0.75 * spelled if spelled > 0.7 else 0.0)


def _without(found: tuple[str, ...], context: set[str]) -> tuple[str, ...]:
    left = tuple(w for w in found if w not in context)
    return left or found


def _shared(mine: tuple[str, ...], theirs: tuple[str, ...]) -> float:
    """Words in common, misspelt ones too, as a share of all; numbers and ids weigh less than what they are of."""

    def weight(word: str) -> float:
        return 0.35 if word == "id" or word.isdigit() else 1.0

    left, common = list(theirs), 0.0
    for word in mine:
        best = max(left, key=lambda other: _close(word, other), default=None)
        if best is None:
            break
        close = _close(word, best)
        if close >= 0.84:
            common += close * (weight(word) + weight(best)) / 2
            left.remove(best)
    total = (sum(map(weight, mine)) + sum(map(weight, theirs))) / 2
    return 0.95 * common / total if total else 0.0


def _close(word: str, other: str) -> float:
    from rapidfuzz import fuzz

    if word == other:
        return 1.0
    short, long = sorted((word, other), key=len)
    if len(short) < 3:
        return 0.0
    alike_ = fuzz.ratio(word, other) / 100
    return max(alike_, 0.85) if len(short) >= 4 and long.startswith(short) else alike_  # prob, probability
