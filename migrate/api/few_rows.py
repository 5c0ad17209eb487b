"""Some rows of some tables of a source, as the road of an entity reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from migrate.arrow import arrow_schema
from migrate.connectors.protocol import Snapshot
from migrate.model import PartRef, Schema
from migrate.parts import read_part, write_parts
from migrate.transform.source_rows import SourceRows
from migrate.transform.values import Mask
from migrate.vault.capture import table_folder

Nulls = Mapping[str, tuple[str, ...]]
Keep = Callable[[SourceRows], Mask]


@dataclass
class FewRows:
    """Of one source, inside its `snapshot`; as `migrate.transform.roads.rows.Tables`. A table has the rows that anybody
    asked for, each once; a whole one lies in `folder`."""

    snapshot: Snapshot
    folder: Path
    _kept: dict[str, tuple[npt.NDArray[np.int64], pa.Table]] = field(default_factory=dict)
    _whole: dict[str, tuple[PartRef, ...]] = field(default_factory=dict)

    @property
    def schema(self) -> Schema:
        return self.snapshot.schema

    def take(self, table: str, nulls: Nulls, keep: Keep) -> pa.Table:
        """Rows of a table, also for the road; NULL words are applied for `keep`."""
        declared = self.schema.table(table)
        places, found, first = [np.zeros(0, np.int64)], [arrow_schema(declared.columns).empty_table()], 0
        for batch in self.snapshot.read(table):
            rows = pa.Table.from_batches([batch])
            mask = keep(SourceRows(rows, declared.types, nulls))
            places.append(first + np.flatnonzero(mask))
            found.append(rows.filter(pa.array(mask)))
            first += rows.num_rows
        mine = pa.concat_tables(found).combine_chunks()
        self._kept[table] = _together(self._kept.get(table), (np.concatenate(places), mine))
        return mine

    def take_all(self, tables: Iterable[str]) -> None:
        """Whole tables, laid down on disk."""
        for table in tables:
            if table not in self._whole:
                made = write_parts(
                    self.snapshot.read(table),
                    table=table,
                    columns=self.schema.table(table).columns,
                    folder=self.folder / table_folder(table),
                    point="preview.table",
                )
                self._whole[table] = made.parts

    @property
    def parts(self) -> Mapping[str, Sequence[PartRef]]:
        few = {t: (PartRef(t, 0, "", rows.num_rows, 0, "", ""),) for t, (_, rows) in self._kept.items()}
        return {**few, **self._whole}

    def read(self, ref: PartRef) -> pa.Table:
        if ref.table in self._whole:
            return read_part(self.folder / table_folder(ref.table) / ref.path, ref)
        return self._kept[ref.table][1]


Kept = tuple[npt.NDArray[np.int64], pa.Table]


def _together(before: Kept | None, more: Kept) -> Kept:
    """Rows asked for twice, once each, in the table's order."""
    if before is None:
        return more
    places = np.concatenate([before[0], more[0]])
    unique, first = np.unique(places, return_index=True)
    return unique, pa.concat_tables([before[1], more[1]]).take(pa.array(first)).combine_chunks()
