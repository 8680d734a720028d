"""The forecasts of not acting, held against trainings in which nobody acted."""

from collections.abc import Iterator

from benchmarks.control.grid import best_fixed
from benchmarks.control.options import Options
from benchmarks.control.report import Row
from benchmarks.control.trial import Trial

QUESTION = "how often did the 80 % interval of a forecast hold?"


def rows(options: Options) -> Iterator[Row]:
    best = best_fixed(options)
    outcomes = options.run(
        Trial(each.workload.where, seed, float(f"{each.rate * factor:.4g}"), 600, "watched")
        for each in best
        for factor in (0.3, 1.0)
        for seed in options.seeds
    )
    held = [one for outcome in outcomes for one in outcome.held]
    share = {
        each.workload.name: round(100 * sum(mine) / max(1, len(mine)), 1)
        for each in best
        if (mine := [h for o in outcomes if o.trial.workload == each.workload.where for h in o.held])
    }
    yield Row(
        "forecast intervals of 80 % that held",
        100 * sum(held) / len(held) if held else None,
        "%",
        at_least=75,
        at_most=85,
        told={"forecasts": len(held), "by_workload": share},
    )
