"""Rules for a table of which nobody has stated any: what its columns are called tells how they are compared."""

from __future__ import annotations

import re
from collections.abc import Sequence

from migrate.mapping.duplicates import Kind

# The first that fits. None: says nothing of whom or what the row is about.
_NAMES: tuple[tuple[str, Kind | None], ...] = (
    (r"(^|_)(created|updated|modified|changed|last_activity|deleted|note|notes|comment|comments|description|url|website|"
     r"owner|status|type|class|cluster|label)(_|$)", None),
    (r"e?_?mail", "email"),
    (r"phone|(^|_)tel(_|$)|telephone|telefon|mobile|handy|(^|_)fax", "phone"),
    (r"(^|_)(dob|birth|born)|birth|geburt|date_of", "date"),
    (r"zip|post_?code|postal|(^|_)plz(_|$)", "postcode"),
    (r"soc_?sec|(^|_)(ssn|nhs|vat|tax|iban|passport|isbn|ean|sku)(_|$)|street_?(no|number)|house_?(no|number)", "exact"),
    (r"street|addr|strasse|(^|_)road(_|$)", "address"),
    (r"(^|_)(city|town|suburb|ort|county|place)(_|$)", "text"),
    (r"(^|_)(state|country|region|gender|sex)(_|$)", "exact"),
    (r"(^|_)(first|given|fore|sur|last|family|middle|full|company|account|organi[sz]ation)?_?(name|company|organi[sz]ation)(_|$)|"
     r"surname|forename|firstname|lastname|vorname|nachname|firma", "name"),
    (r"(^|_)(title|product|artist|author|authors|brand|manufacturer|venue)(_|$)", "text"),
    (r"(^|_)(year|price|amount)(_|$)", "number"),
)  # fmt: skip


def guessed_kinds(columns: Sequence[str]) -> dict[str, Kind]:
    """Column → how it is compared, for those whose name tells."""
    found: dict[str, Kind] = {}
    for column in columns:
        plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.strip())
        plain = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")
        kind = next((kind for pattern, kind in _NAMES if re.search(pattern, plain)), None)
        if kind is not None:
            found[column] = kind
    return found
