"""The contract of a target table: what the mapping's rules promise of its rows, as a pandera schema.

It is made from the same rules that decide about rows, by the same functions, so that the two cannot drift apart. It only
ever judges: rows are never dropped by it (`drop_invalid_rows` passes bad ones, pandera 1830 and 2216).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate.connectors.registry import open_target
from migrate.errors import UsageError
from migrate.mapping.load import load_mapping
from migrate.mapping.model import Check, Entity, Field
from migrate.model import Kind, Table, Type
from migrate.transform.checks import failing
from migrate.transform.quality import About
from migrate.transform.values import TEXT, as_series, values_of

if TYPE_CHECKING:
    from pandera.polars import DataFrameSchema

_DTYPES: dict[Kind, Any] = {
    Kind.TEXT: pl.String,
    Kind.INT: pl.Int64,
    Kind.FLOAT: pl.Float64,
    Kind.BOOL: pl.Boolean,
    Kind.DATE: pl.Date,
    Kind.TIMESTAMP: pl.Datetime("us"),
    Kind.TIMESTAMPTZ: pl.Datetime("us", "UTC"),
}
_ROW = ("expr", "stale")  # they look at the source row, which a table does not have any more


def contract(mapping: Path | str, entity: str) -> DataFrameSchema:
    """The contract of the rows that an entity writes. Needs pandera (`pip install 'migrate-crm[contract]'`).

    Connects to the target for the types of its columns. Raises UsageError for an entity or a table that is not there."""
    loaded = load_mapping(mapping)
    if entity not in loaded.entities:
        raise UsageError(
            f"the mapping has no entity {entity!r}", hint=f"Entities: {', '.join(loaded.entities)}."
        )
    chosen = loaded.entities[entity]
    with tempfile.TemporaryDirectory(prefix="migrate-contract-") as work:
        target = open_target(loaded.target.url, base=Path(loaded.base), work=Path(work))
        try:
            found = target.schema([chosen.into])
        finally:
            target.close()
    if chosen.into not in found.table_names:
        raise UsageError(
            f"the target has no table {chosen.into}", hint="A run with create: if_missing makes it."
        )
    return contract_of(chosen, found.table(chosen.into), datetime.now(UTC).date())


def contract_of(entity: Entity, table: Table | None, today: date) -> DataFrameSchema:
    """The same from a table as the catalogue declares it; None: types are not known, and not asked for.

    Every check is named by its rule and says its code (`error`). What a rule only warns of, or what it looks for in other
    columns of the source row, is no promise about the table; it is in the schema's metadata, under `not_promised`."""
    try:
        import pandera.polars as pa
    except ImportError:
        raise UsageError("contracts need pandera", hint="pip install 'migrate-crm[contract]'") from None

    columns: dict[str, Any] = {}
    not_promised: list[str] = []
    for name, field in entity.fields.items():
        declared = table.types.get(name) if table is not None else None
        column = table.column(name) if table is not None and declared is not None else None
        checks = []
        for rule in field.check:
            if not _promised(rule, field):
                not_promised.append(f"{name}: {rule.name}")
            elif rule.name not in ("required", "unique"):
                checks.append(
                    pa.Check(
                        _asked(rule, declared or TEXT, today),
                        name=rule.name,
                        error=rule.name,
                        ignore_na=False,
                    )
                )
        columns[name] = pa.Column(
            _DTYPES.get(declared.kind) if declared is not None else None,
            nullable=not _filled(field) and (column is None or column.nullable),
            unique=any(r.name == "unique" and _promised(r, field) for r in field.check),
            checks=checks,
            required=True,
        )
    return pa.DataFrameSchema(
        columns,
        name=entity.into,
        strict=False,
        metadata={"entity": entity.name, "not_promised": not_promised},
    )


def _filled(field: Field) -> bool:
    return any(r.name == "required" and r.on_fail in ("quarantine", "stop") for r in field.check)


def _promised(rule: Check, field: Field) -> bool:
    """Whether no row that breaks the rule gets into the table."""
    if rule.on_fail == "warn" or rule.name in _ROW or rule.columns:
        return False
    if rule.name == "required":
        return rule.on_fail in ("quarantine", "stop")
    return not (field.ref or field.find or field.list)


def _asked(rule: Check, type_: Type, today: date) -> Callable[[Any], pl.LazyFrame]:
    """A check of pandera: the rows that do not break the rule, told by the rule itself. Ways that it only warns of are
    no breach."""

    def check(data: Any) -> pl.LazyFrame:
        series = data.lazyframe.select(data.key).collect().to_series()
        values = values_of(series.to_arrow(), _type_of(series, type_))
        good = pl.Series("ok", [True] * len(series), dtype=pl.Boolean)
        for one in failing(rule, values, About(target=type_, today=today)):
            if (one.outcome or rule.on_fail) != "warn":
                good = good & ~as_series(one.mask)
        return good.alias("ok").to_frame().lazy()

    return check


def _type_of(series: pl.Series, declared: Type) -> Type:
    """The type by which the values are read: text where the column holds text, whatever is declared."""
    return TEXT if series.dtype == pl.String else declared
