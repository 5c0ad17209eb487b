"""What the codes of a run mean, in the words that every view of a report uses."""

from __future__ import annotations

# What a code means for the person who has to decide about the row.
MEANINGS = {
    "required": "is empty and must not be",
    "unique": "is there more than once",
    "in": "is none of the allowed values",
    "pattern": "has not the expected form",
    "range": "is out of range",
    "min_length": "is too short",
    "max_length": "is too long",
    "email_syntax": "is no e-mail address",
    "email_placeholder": "stands for an e-mail address that is not there",
    "email_reserved": "is an e-mail address whose domain is reserved",
    "email_bounced": "is an e-mail address on the list of those not to write to",
    "email_no_mx": "is an e-mail address whose domain takes no mail",
    "email_typo": "is an e-mail address whose domain looks misspelt",
    "email_disposable": "is a throw-away e-mail address",
    "email_role": "is an e-mail address that several people share",
    "email_unknown": "is an e-mail address whose domain nobody asked",
    "phone_invalid": "is no telephone number of its country",
    "phone_implausible": "is one digit over and over, or counting",
    "phone_type": "is another kind of telephone number than asked for",
    "test_data": "looks like test data",
    "name_caps": "is a name in capital letters",
    "name_emoji": "is a name with a picture in it",
    "name_title": "is a name with a title or a degree in it",
    "name_comma": "is a name with the family name first",
    "name_company": "is a company in the place of a person's name",
    "name_digits": "is a name with digits in it",
    "name_email": "is an e-mail address in the place of a name",
    "not_before": "is a date before the one it must follow",
    "not_after": "is a date after the one it must precede",
    "fresh": "is a date too long ago",
    "stale": "is an open deal past its date, or untouched for long",
    "expr": "does not meet a condition of the mapping",
    "no_consent": "may not move: there is no consent",
    "consent_unknown": "is a word of consent that is neither yes nor no, and counts as no consent",
    "type": "cannot be read as its type",
    "too_long": "does not fit the target column",
    "lossy": "would lose something on the way",
    "unmapped_value": "is a value that the map does not know",
    "no_case": "fits none of the cases",
    "ref_missing": "points at a row that does not exist",
    "ref_ambiguous": "points at more than one row",
    "parent_quarantined": "points at a row that is in quarantine",
    "parent_excluded": "points at a row that is left out by rule",
    "parent_rejected": "points at a row that the target refused",
    "find_missing": "is not found in the target",
    "find_ambiguous": "is found more than once in the target",
    "key_missing": "has no key",
    "known_already": "is somebody who is known already in another table",
    "known_ambiguous": "is known already in another table, as more than one row",
    "known_quarantined": "is known as a row that is in quarantine",
    "merge_circle": "would be above itself, for rows above and below it became one",
    "merged_quarantined": "would be part of a row that is in quarantine",
    "merged_rejected": "would be part of a row that the target refused",
    "key_not_unique": "shares its key with another row",
    "match_ambiguous": "matches more than one target row",
    "duplicate_in_target": "is in the target already, by what it is like",
    "match_conflict": "matches a target row that another row matches too, or shares its values to match by",
    "link_missing": "is not in the target, where it should be linked",
    "update_missing": "is not in the target, where it should be updated",
    "key_changed": "would get another key than the target row has",
    "changed_since_load": "changed at the source after it was loaded",
    "edited_in_target": "was edited in the target after it was loaded",
    "target_gone": "was loaded and is gone from the target",
    "target_changed": "changed in the target while the run was on",
    "join_missing": "has no row in a joined table where there must be one",
    "pivot_ambiguous": "has several values under one name of a pivoted table",
    "no_road": "fits no condition of the split of its table",
    "bad_row": "is a broken record of the file",
    "ragged_row": "has more or fewer columns than the header",
    "bad_encoding": "holds bytes that are no text in its encoding",
    "nul_byte": "holds a NUL byte",
    "db_unique": "the target refused: its key is taken there",
    "db_foreign_key": "the target refused: what it points at is not there",
    "db_check": "the target refused: one of its checks failed",
    "db_not_null": "the target refused: a column must not be empty",
    "db_value": "the target refused: a value does not fit",
    "db_other": "the target refused the row",
    "dropped_by_trigger": "a trigger of the target dropped it silently",
}

# What a rule of the mapping did to a value, so that the row could go on.
_CHANGES = {
    "emptied": "failed a check and was emptied",
    "defaulted": "was replaced by the default",
    "lossy_allowed": "lost something, as the mapping allows",
    "warned": "failed a check that only warns",
}


def change(code: str) -> str:
    """What an event's code says, in words; "" for a code that is not known."""
    if code in _CHANGES:
        return _CHANGES[code]
    for word in ("emptied", "defaulted"):
        cause = MEANINGS.get(code.removesuffix(f"_{word}"))
        if code.endswith(f"_{word}") and cause:
            return f"{cause}: {'emptied' if word == 'emptied' else 'the default instead'}"
    return MEANINGS.get(code, "")


# What became of rows that are gone at the source; the words that `migrate gone` and the summary use.
GONE = {
    "deleted": "deleted",
    "delete": "to be deleted",
    "flag": "to be flagged",
    "flagged": "flagged",
    "keep": "kept, as on_gone says",
    "linked": "kept: only linked",
    "not_ours": "kept: was there before we wrote to it",
    "edited": "kept: edited in the target since the load",
    "referenced": "kept: other rows refer to it",
    "shared": "kept: another source row is known as the same target row",
    "target_gone": "gone in the target too",
    "target_changed": "kept: changed while the run was on",
    "key_unknown": "kept: a row of the source has no readable key, and might be it",
    "undone": "undone by rollback",
    "not_as_decided": "not as was decided",
}


def gone_words(decided: str, ended: str | None) -> str:
    """Of one row that is gone at the source: how it ended, or what is to become of it while that is not known."""
    return GONE.get(ended or decided, ended or decided)


# What became of rows that are somebody who is known already.
KNOWN = {
    "link": "linked",
    "skip": "left out",
    "quarantine": "in quarantine",
    "ambiguous": "in quarantine, for it may be several",
    "waits": "in quarantine with the row that it is",
}
