"""Similarity by Splink (Fellegi and Sunter's model), trained on the rows themselves, with fixed seeds.

https://moj-analytical-services.github.io/splink/ · the weights that come of it are kept, and given back they decide the
same again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from migrate.duck import count
from migrate.errors import UsageError
from migrate.rules.matching.blocking import Blocking, BlockingKey, training_candidates
from migrate.rules.matching.comparisons import OF_WORDS, Compared, comparison, levels, words_shared

SEED = 20_261_101
_U_PAIRS = 1e6 + 1  # of exactly 1e6 Splink warns
_EM_PAIRS = 3e5
_RARE = 0.01  # two strangers have it alike less often than that
_ROUNDS = 30  # of the share of duplicates among all pairs; it settles in a few
Model = dict[str, Any]


def score(
    db: duckdb.DuckDBPyConnection,
    compared: Sequence[Compared],
    blocking: Blocking,
    *,
    two_sides: bool,
    review_above: float,
    model: Model | None = None,
) -> Model:
    """Table `alike(a, b, p, levels, nearness, strange)` of the pairs of table `clean` at least as probable as
    `review_above`, and the model that says so: the given one, or one trained here.

    `levels`: a level per compared column, the highest is equal, 0 different, -1 where one is empty. `nearness` tells
    equally probable pairs apart. `strange`: a name differs, and nothing that belongs to one person alone is equal:
    family and neighbours share address and phone. Raises UsageError where Splink is not installed."""
    linker = _linker(db, compared, blocking, two_sides, model)
    if model is None:
        _train(db, linker, compared, blocking, two_sides)
    trained: Model = linker.misc.save_model_to_json()
    scored = linker.inference.predict(threshold_match_weight=-5.0, warning_mode="never").physical_name
    share: float = model["share"] if model is not None else _share(db, scored, trained, blocking.possible)
    shift = _odds(share) - _odds(float(trained["probability_two_random_records_match"]))
    gammas = ", ".join(f'"gamma_{one.place}"' for one in compared)
    db.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE alike AS
        SELECT least("rid_l", "rid_r") AS a, greatest("rid_l", "rid_r") AS b,
          1 / (1 + pow(2, -(match_weight + {shift!r}))) AS p, [{gammas}] AS levels,
          {_nearness(compared)} AS nearness, {_strange(compared, trained)} AS strange
        FROM {scored} WHERE match_weight + {shift!r} >= {_odds(review_above)!r}
        """
    )
    return trained | {"share": share}


def _nearness(compared: Sequence[Compared]) -> str:
    texts = [one for one in compared if one.kind in OF_WORDS]
    tries = [f'coalesce(jaro_winkler_similarity("{o.place}_l", "{o.place}_r"), 0)' for o in texts]
    return " + ".join([*tries, *(f"coalesce({words_shared(o)}, 0)" for o in texts)]) or "0"


def _strange(compared: Sequence[Compared], model: Model) -> str:
    names = [f'"gamma_{one.place}" = 0' for one in compared if one.kind == "name"]
    if not names:
        return "FALSE"
    own = []
    for one, trained in zip(compared, model["comparisons"], strict=True):
        best = next(level for level in trained["comparison_levels"] if not level.get("is_null_level"))
        if one.kind in ("date", "email", "exact") and float(best.get("u_probability") or 1) < _RARE:
            own.append(f'"gamma_{one.place}" < {len(levels(one, compared))}')
    return " AND ".join([f"({' OR '.join(names)})", *own])


def _linker(
    db: duckdb.DuckDBPyConnection,
    compared: Sequence[Compared],
    blocking: Blocking,
    two_sides: bool,
    model: Model | None,
) -> Any:
    try:
        from splink import DuckDBAPI, Linker
    except ImportError as error:
        raise UsageError(
            "`similar` needs Splink, which is not installed",
            kept="Nothing was read or changed.",
            hint="pip install 'migrate-crm[match]'; or state exact keys only (`same`), which need nothing more.",
        ) from error
    logging.getLogger("splink").setLevel(logging.ERROR)  # its messages hold values
    rules = [key.sql for key in blocking.keys] or ["1=1"]
    settings: dict[str, Any] = {
        "link_type": "link_only" if two_sides else "dedupe_only",
        "unique_id_column_name": "rid",
        "linker_uid": "matching",  # else a random one, and no two models are equal
        "comparisons": [comparison(one, compared) for one in compared],
        "blocking_rules_to_generate_predictions": rules,
        "retain_matching_columns": True,
        "retain_intermediate_calculation_columns": False,
        "probability_two_random_records_match": _first_share(db, blocking),
    }
    if model is not None:
        settings = {k: v for k, v in model.items() if k != "share"}
        settings["blocking_rules_to_generate_predictions"] = rules
    api = DuckDBAPI(connection=db)
    columns = ", ".join(["rid", *(column for one in compared for column in _columns(one))])
    frames = []
    for side in (0, 1) if two_sides else (None,):
        name = f"side{side}" if side is not None else "every"
        where = f"WHERE side = {side}" if side is not None else ""
        db.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT {columns} FROM clean {where} ORDER BY rid")
        frames.append(api.register(name, dataset_display_name=name))
    return Linker(frames if two_sides else frames[0], settings, log_level=None)


def _columns(one: Compared) -> list[str]:
    words = f'list_distinct(string_split("{one.place}", \' \')) AS "{one.words}"'
    return [f'"{one.place}"', *([words] if one.kind in OF_WORDS else [])]


def _first_share(db: duckdb.DuckDBPyConnection, blocking: Blocking) -> float:
    """Before anything is known: about one row in five has a duplicate."""
    rows = count(db, "SELECT count(*) FROM clean")
    return min(0.05, max(1e-9, rows / 5 / max(1, blocking.possible)))


def _train(
    db: duckdb.DuckDBPyConnection,
    linker: Any,
    compared: Sequence[Compared],
    blocking: Blocking,
    two_sides: bool,
) -> None:
    from splink.internals.exceptions import EMTrainingException  # wanted only where Splink is

    linker.training.estimate_u_using_random_sampling(max_pairs=_U_PAIRS, seed=SEED, num_chunks=1)
    for key in training_keys(db, compared, blocking, two_sides):
        # A session leaves the columns of its key out of the model, and puts them back only where it ends well.
        before = linker._settings_obj.core_model_settings.copy()
        try:
            linker.training.estimate_parameters_using_expectation_maximisation(
                key.sql, max_pairs=_EM_PAIRS, estimate_without_term_frequencies=True
            )
        except (EMTrainingException, ValueError) as error:
            # The key has no pairs, or all of them agree so well that a probability comes out as 0, which Splink refuses.
            # It teaches nothing then, the other keys do. What befalls the machine (memory, disk) is an error: what a
            # model has learned must depend on the rows alone.
            linker._settings_obj.core_model_settings = before
            logging.getLogger(__name__).debug("a training key taught nothing: %s", type(error).__name__)


def training_keys(
    db: duckdb.DuckDBPyConnection, compared: Sequence[Compared], blocking: Blocking, two_sides: bool
) -> list[BlockingKey]:
    """Keys to learn from, so that every column is left out of at least one of them."""
    pool = training_candidates(db, compared, two_sides)
    chosen: list[BlockingKey] = []
    for key in sorted(pool, key=lambda k: (k.pairs, k.parts)):
        if all(not (key.columns & other.columns) for other in chosen):
            chosen.append(key)
        if len(chosen) == 3:
            break
    return chosen


def _share(db: duckdb.DuckDBPyConnection, scored: str, trained: Mapping[str, Any], possible: int) -> float:
    """The share of duplicates among all pairs that agrees with what the scores say of them: found by going round."""
    start = _odds(float(trained["probability_two_random_records_match"]))
    weights = db.execute(
        f"SELECT round(match_weight, 1) AS w, count(*) FROM {scored} GROUP BY w ORDER BY w"
    ).fetchall()
    share = float(trained["probability_two_random_records_match"])
    for _ in range(_ROUNDS):
        shift = _odds(share) - start
        expected: float = sum(n / (1 + 2.0 ** -max(-1000.0, min(1000.0, w + shift))) for w, n in weights)
        new: float = min(0.5, max(0.5 / max(1, possible), expected / max(1, possible)))
        if abs(math.log(new / share)) < 1e-3:
            return float(new)
        share = new
    return share


def _odds(probability: float) -> float:
    p = min(1 - 1e-12, max(1e-12, probability))
    return float(math.log2(p / (1 - p)))
