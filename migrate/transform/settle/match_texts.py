"""What a row is matched by, where a reference is part of it: the target key of the row that it points at.

A parent that is new in this run has no key in the target yet, so nothing there can refer to it; two new rows that
point at the same new parent are told alike by its identity.
"""

from __future__ import annotations

import duckdb

from migrate.duck import identifier, literal
from migrate.transform.settle.road import Road


def tell_references(db: duckdb.DuckDBPyConnection, road: Road) -> None:
    """`told(entity, rid, field, text, identity)` for the references that the road matches by. The operations of the
    entities that they point at are decided."""
    if not road.match_references:
        return
    fields = ", ".join(literal(fld) for fld in road.match_references)
    db.execute(
        f"""
        INSERT INTO told
        SELECT e.entity, e.rid, e.field, coalesce(min(o.tkey), min(k.tkey))->>'$[0]', min(e.parent || chr(31) || e.parent_key)
        FROM edge e
        LEFT JOIN state s ON s.entity = e.parent AND s.key = e.parent_key
        LEFT JOIN op o ON o.entity = s.entity AND o.rid = s.rid
        LEFT JOIN known_before k ON k.entity = e.parent AND k.key = e.parent_key
        WHERE e.entity = {literal(road.entity)} AND e.field IN ({fields}) AND e.item = 0
        GROUP BY e.entity, e.rid, e.field
        """
    )


def match_texts(road: Road, rows: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """(joins, column → text that the target has, column → text that tells rows of this run apart), in SQL over the
    road's rows under the alias `rows`."""
    joins, stands, tells = "", {}, {}
    for number, column in enumerate(road.match):
        plain = f"{rows}.{identifier(f'__m.{column}')}"
        stands[column] = tells[column] = plain
        if column in road.match_references:
            told = f"told_{number}"
            joins += (
                f" LEFT JOIN told {told} ON {told}.entity = {literal(road.entity)} "
                f"AND {told}.rid = {rows}.__rid AND {told}.field = {literal(column)}"
            )
            stands[column] = f"coalesce({told}.text, {plain})"
            tells[column] = f"coalesce({told}.text, {told}.identity, {plain})"
    return joins, stands, tells
