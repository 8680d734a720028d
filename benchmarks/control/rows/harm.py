"""Runs that needed no help: are they left alone?"""

from collections.abc import Iterator

from benchmarks.control.grid import Best, best_fixed, geometric_mean
from benchmarks.control.options import Options
from benchmarks.control.report import Row
from benchmarks.control.trial import Trial

QUESTION = "started well: who is slowed?"
SLOWED = 1.05


def rows(options: Options) -> Iterator[Row]:
    best = best_fixed(options)
    pairs = [(each, seed) for each in best for seed in options.seeds]
    led = options.run(started_well(each, seed) for each, seed in pairs)
    ratios = [
        (outcome.reached or outcome.trial.most) / each.steps[seed]
        for (each, seed), outcome in zip(pairs, led, strict=True)
    ]
    slowed = sum(ratio > SLOWED for ratio in ratios) / len(ratios)
    yield Row(
        "started at the best fixed rate, slowed by over 5 %", 100 * slowed, "%", at_most=2,
        told={
            "runs": len(ratios),
            "against_itself": round(geometric_mean(ratios), 3),
            "ratios": {
                each.workload.name: sorted(
                    round(r, 2) for (b, _), r in zip(pairs, ratios, strict=True) if b is each
                )
                for each in best
            },
        },
    )  # fmt: skip


def started_well(best: Best, seed: int) -> Trial:
    return Trial(best.workload.where, seed, best.rate, 3 * best.steps[seed], "control")
