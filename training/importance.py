"""Which settings of an experiment's runs matter for a metric: rank correlation, and what a forest loses without each.

Importance is permutation importance (Breiman 2001, "Random Forests", section 10; scikit-learn's implementation): a
random forest predicts the metric's rank from the settings, and a setting's importance is by how much the share of
explained variance falls on runs that the forest has not seen when that setting is shuffled among them. It is had by
three-fold cross-validation, so that a setting which the forest has merely learnt by heart counts nothing. Ranks in
place of values: one run that ran away would else be all that is explained.

scikit-learn is imported where it is used: the site starts without it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MOST_RUNS = 1000  # of those given, the first
MOST_SETTINGS = 40  # that the forest looks at, those of the strongest correlation first
FEWEST_RUNS = 12  # below that a forest says nothing that correlation does not
MOST_CATEGORIES = 30  # of a setting in words: more are names of runs rather than choices
FOLDS, TREES, REPEATS, SEED = 3, 60, 5, 0


@dataclass(frozen=True)
class Setting:
    """correlation: Spearman's, None for words. importance: lost share of explained variance, None without forest."""

    name: str
    kind: str  # number or words
    values: int
    runs: int
    correlation: float | None
    importance: float | None
    spread: float | None


@dataclass(frozen=True)
class Found:
    """runs: how many had the metric. explained: the forest's R² on runs it had not seen, None without forest."""

    runs: int
    explained: float | None
    settings: tuple[Setting, ...]


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by dotted path, as the columns of the list of runs name them; lists are left out."""
    out: dict[str, Any] = {}
    for name, value in config.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            out |= flat(value, f"{path}.")
        elif isinstance(value, str | bool | int | float) and not (
            isinstance(value, float) and not math.isfinite(value)
        ):
            out[path] = value
    return out


def importance(runs: Sequence[tuple[Mapping[str, Any], float]]) -> Found:
    """Settings of (config, value of the metric), the most important first. Values have to be finite."""
    some = list(runs)[:MOST_RUNS]
    configs = [flat(config) for config, _ in some]
    target = ranks(np.array([value for _, value in some], np.float64))
    columns = [
        column
        for name in sorted({name for config in configs for name in config})
        if (column := column_of(name, [config.get(name) for config in configs], target)) is not None
    ]
    columns.sort(key=lambda column: -abs(column.correlation or 0))
    looked, rest = columns[:MOST_SETTINGS], columns[MOST_SETTINGS:]
    explained: float | None = None
    scores: list[tuple[float | None, float | None]] = [(None, None)] * len(looked)
    if len(some) >= FEWEST_RUNS and looked:
        explained, scores = forest(np.stack([column.codes for column in looked], axis=1), target)
    settings = [
        Setting(column.name, column.kind, column.values, column.runs, column.correlation, *score)
        for column, score in zip([*looked, *rest], [*scores, *[(None, None)] * len(rest)], strict=True)
    ]
    settings.sort(key=lambda each: (-(each.importance or 0), -abs(each.correlation or 0), each.name))
    return Found(len(some), explained, tuple(settings))


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    values: int
    runs: int
    correlation: float | None
    codes: Floats


def column_of(name: str, values: list[Any], target: Floats) -> Column | None:
    """A setting as numbers, or None where it does not differ, or differs in every run without being a number."""
    has = np.array([value is not None for value in values])
    given = [value for value in values if value is not None]
    distinct = len({str(value) for value in given})
    if distinct < 2:
        return None
    if all(isinstance(value, int | float) for value in given):
        numbers = np.array([float(value) for value in given])
        codes = np.full(len(values), float(np.median(numbers)))  # a run without the setting pulls neither way
        codes[has] = numbers
        return Column(
            name, "number", distinct, len(given), correlation(ranks(numbers), ranks(target[has])), codes
        )
    if distinct > MOST_CATEGORIES:
        return None
    words = {word: float(place) for place, word in enumerate(sorted({str(value) for value in given}), 1)}
    codes = np.array([0.0 if value is None else words[str(value)] for value in values])
    return Column(name, "words", distinct, len(given), None, codes)


def ranks(values: Floats) -> Floats:
    """0 for the least; equal values share the mean of their places."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - counts + ends - 1) / 2, np.float64)[places]


def correlation(a: Floats, b: Floats) -> float | None:
    """Pearson's of two columns of ranks, which is Spearman's; None where one of them is constant."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def forest(codes: Floats, target: Floats) -> tuple[float, list[tuple[float | None, float | None]]]:
    """The share explained on unseen runs, and per column what of it is lost by shuffling, with its deviation."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    explained, lost = [], []
    for seen, unseen in KFold(FOLDS, shuffle=True, random_state=SEED).split(codes):
        model = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=SEED, n_jobs=1)
        model.fit(codes[seen], target[seen])
        explained.append(float(model.score(codes[unseen], target[unseen])))
        shuffled = permutation_importance(
            model, codes[unseen], target[unseen], n_repeats=REPEATS, random_state=SEED, n_jobs=1
        )
        lost.append(shuffled.importances)
    every = np.concatenate(lost, axis=1)
    scores = [(max(0.0, float(row.mean())), float(row.std())) for row in every]
    return float(np.mean(explained)), list(scores)
