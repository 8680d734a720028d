"""From bad starts: how many get there, and how soon?"""

from collections.abc import Iterator

from benchmarks.control.grid import best_fixed, geometric_mean
from benchmarks.control.options import Options
from benchmarks.control.report import Row
from benchmarks.control.starts import by_workload, from_starts, share, slowdowns

QUESTION = "started 10, 30, 100 times too high or low: who reaches the target, and how soon?"


def rows(options: Options) -> Iterator[Row]:
    best = best_fixed(options)
    for each in best:
        yield Row(
            f"{each.workload.name}: steps of the best fixed rate", each.typical, "steps", at_least=500,
            told={
                "rate": each.rate,
                "runs_that_reached": sum(outcome.reached is not None for outcome in each.outcomes.values()),
                "tried": {f"{rate:g}": round(steps) for rate, steps in each.tried.items()},
            },
        )  # fmt: skip
    alone = from_starts(options, best, "fixed")
    led = from_starts(options, best, "control")
    yield Row(
        "reach the target within 3x the steps of the best fixed rate", 100 * share(led), "%", at_least=95,
        told={"runs": len(led), "by_workload": by_workload(led)},
    )  # fmt: skip
    yield Row(
        "the same without the controller", 100 * share(alone), "%", told={"by_workload": by_workload(alone)}
    )
    yield Row(
        "time to target against the best fixed rate", geometric_mean(slowdowns(led)), "x", at_most=1.5,
        told={"note": "geometric mean; a run that did not reach it counts as 3x"},
    )  # fmt: skip
    yield Row("the same without the controller", geometric_mean(slowdowns(alone)), "x")
