"""Trials from bad starts: each workload, factor and seed, led by one method."""

from .grid import Best
from .methods import rate_of
from .options import Options
from .trial import Outcome, Trial


def from_starts(options: Options, best: list[Best], method: str) -> list[tuple[Best, float, Outcome]]:
    """(workload's best, factor of its rate, outcome), three times the best's steps at the most."""
    asked = [(each, factor, seed) for each in best for factor in options.factors for seed in options.seeds]
    outcomes = options.run(start(each, factor, seed, method) for each, factor, seed in asked)
    return [(each, factor, outcome) for (each, factor, _), outcome in zip(asked, outcomes, strict=True)]


def start(best: Best, factor: float, seed: int, method: str) -> Trial:
    rate = rate_of(method, best.rate, best.workload.adam_rate) * factor
    return Trial(best.workload.where, seed, float(f"{rate:.4g}"), best.patience, method)


def share(found: list[tuple[Best, float, Outcome]]) -> float:
    return sum(outcome.reached is not None for _, _, outcome in found) / len(found)


def slowdowns(found: list[tuple[Best, float, Outcome]]) -> list[float]:
    """Steps to the target over the best fixed rate's typical; what did not reach it counts as all the steps it had."""
    return [(outcome.reached or outcome.trial.most) / best.typical for best, _, outcome in found]


def by_workload(found: list[tuple[Best, float, Outcome]]) -> dict[str, dict[str, str]]:
    """{workload: {factor: "reached of all, median slowdown"}}, for the eye."""
    told: dict[str, dict[str, str]] = {}
    for best in dict.fromkeys(best.workload.name for best, _, _ in found):
        for factor in dict.fromkeys(factor for _, factor, _ in found):
            mine = [each for each in found if each[0].workload.name == best and each[1] == factor]
            there = sum(outcome.reached is not None for _, _, outcome in mine)
            middle = sorted(slowdowns(mine))[len(mine) // 2]
            told.setdefault(best, {})[f"{factor:.3g}"] = f"{there}/{len(mine)} {middle:.2f}x"
    return told
