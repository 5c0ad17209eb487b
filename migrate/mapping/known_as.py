"""When a row is somebody who is known already in another table, and what then becomes of it, as the mapping says it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Key

from migrate.mapping.strict import Strict


class KnownBy(Strict):
    """The entity's `field` is compared with `column` of the other table. `domain`: what is compared is the domain of the
    e-mail address in `field`. `column`: None: the same name; of a domain, the column that is called as such columns are.
    `item`: the values under this name in a list of objects (JSON) that the column holds, "" in a list of bare values."""

    field: str
    column: str | None = None
    domain: bool = False
    item: str | None = None


class KnownAs(Strict):
    """`tables`: an entity, or a table of the target → by what rows are known there, the first that finds any decides.
    `free_mail`: further domains that are no company's."""

    tables: dict[str, tuple[KnownBy, ...]] = Key(default_factory=dict)
    then: Literal["link", "skip", "quarantine"]
    free_mail: tuple[str, ...] = ()


# A company's own domain stands in columns of these names, the first of them that the table has.
DOMAIN_COLUMNS = ("domain", "email_domain", "website", "web", "web_site", "homepage", "url", "website_url")
