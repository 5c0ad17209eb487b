"""A value map made ready: many texts looked up at once, whatever the size of the map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from migrate.mapping.model import ValueMap
from migrate.transform.distinct import by_distinct
from migrate.transform.values import Mask, as_series, mask_of, scattered

_SEEDS = 16


class Lookup:
    """The keys lie sorted by their hash, once: a batch pays for its own rows, not for a million keys."""

    def __init__(self, keys: pl.Series, results: pl.Series, *, ignore_case: bool = False) -> None:
        """`keys`: texts, each once, and `results`, as long, NULL empties. Under `ignore_case` keys that are one without
        their case have one result."""
        self.ignore_case = ignore_case
        if ignore_case:
            first = folded(keys).arg_unique()
            keys, results = folded(keys).gather(first), results.gather(first)
        self._seed, hashes = _unique_hashes(keys)
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._keys, self._results = hashes[order], keys.gather(order), results.gather(order)

    @classmethod
    def of(cls, values: Mapping[str, str | None], *, ignore_case: bool = False) -> Lookup:
        keys = pl.Series("", list(values), dtype=pl.String)
        return cls(keys, pl.Series("", list(values.values()), dtype=pl.String), ignore_case=ignore_case)

    @classmethod
    def of_map(cls, value_map: ValueMap) -> Lookup:
        """Of a map that holds its values itself."""
        return cls.of(value_map.values, ignore_case=value_map.ignore == "case")

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, texts: pl.Series) -> tuple[pl.Series, Mask]:
        """Mapped texts (NULL where unknown, and where the map empties), and which texts the map names."""
        if not len(self) or not len(texts):
            return pl.Series("", [None] * len(texts), dtype=pl.String), np.zeros(len(texts), dtype=np.bool_)
        wanted = folded(texts) if self.ignore_case else texts
        places = np.searchsorted(self._hashes, _hashes(wanted, self._seed))
        places[places == len(self)] = 0
        known = mask_of(self._keys.gather(places) == wanted)
        return self._results.gather(places).zip_with(as_series(known), _NOTHING), known


_NOTHING = pl.Series("", [None], dtype=pl.String)


def folded(texts: pl.Series) -> pl.Series:
    """Texts without their case, by Unicode's case folding: Straße and STRASSE are one."""
    lowered = texts.str.to_lowercase()
    wide = mask_of(texts.str.len_bytes() != texts.str.len_chars())
    if not wide.any():
        return lowered
    some, _ = by_distinct(texts.filter(as_series(wide)), str.casefold, pl.String)
    return scattered(lowered, wide, some)


def _hashes(texts: pl.Series, seed: int) -> npt.NDArray[np.uint64]:
    hashes: Any = texts.hash(seed).to_numpy()
    return np.asarray(hashes, dtype=np.uint64)


def _unique_hashes(keys: pl.Series) -> tuple[int, npt.NDArray[np.uint64]]:
    """A seed under which no two keys have the same hash."""
    for seed in range(_SEEDS):
        hashes = _hashes(keys, seed)
        if len(np.unique(hashes)) == len(hashes):
            return seed, hashes
    raise RuntimeError("a value map has the same key twice")
