"""Does the controller get better with use?"""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.control.options import Options
from benchmarks.control.report import Row
from benchmarks.control.stream import Record, stream

QUESTION = "what does it cost to choose less than the best, after 100 trainings against the first 20?"
RUNS, PART = 100, 20


def rows(options: Options) -> Iterator[Row]:
    runs = 40 if options.quick else RUNS
    learning = list(options.pool.map(learner, options.seeds, [runs] * len(options.seeds)))
    fixed = list(options.pool.map(unlearning, options.seeds, [runs] * len(options.seeds)))
    first, last = mean_regret(learning, slice(0, PART)), mean_regret(learning, slice(-PART, None))
    yield Row(
        f"regret of trainings {runs - PART + 1} to {runs} against the first {PART}", last / first, "ratio", at_most=0.5,
        told={
            "regret_first": round(first, 4),
            "regret_last": round(last, 4),
            "by_seed": [
                round(mean_regret([each], slice(-PART, None)) / mean_regret([each], slice(0, PART)), 2)
                for each in learning
            ],
            "acted_share_last": round(acted(learning, slice(-PART, None)), 3),
            "without_learning": round(
                mean_regret(fixed, slice(-PART, None)) / mean_regret(fixed, slice(0, PART)), 3
            ),
            "regret_without_learning": round(mean_regret(fixed, slice(-PART, None)), 4),
            "note": "simulated trainings, where the best choice is known",
        },
    )  # fmt: skip


def learner(seed: int, runs: int) -> list[Record]:
    return stream(seed, runs)


def unlearning(seed: int, runs: int) -> list[Record]:
    return stream(seed, runs, learns=False)


def mean_regret(streams: Sequence[Sequence[Record]], part: slice) -> float:
    return float(np.mean([regret for each in streams for record in each[part] for regret in record.regrets]))


def acted(streams: Sequence[Sequence[Record]], part: slice) -> float:
    """The share of decisions that were acted on."""
    records = [record for each in streams for record in each[part]]
    return sum(record.acted for record in records) / sum(len(record.regrets) for record in records)
