"""The best of a grid of 27: at what share of the cost of training all of them?

Two ways: to train all and to stop most of them early, or to begin with a few, drawn by chance, and to lead each to
where it learns well. The second may end better than any of the grid, whose settings stay as they are.
"""

import itertools
import json
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.control.many import Setting, curves
from benchmarks.control.options import Options
from benchmarks.control.report import Row
from benchmarks.control.search import Found, by_population, by_stopping, drawn, of_a_few
from benchmarks.control.single import steered
from benchmarks.control.trial import Outcome
from benchmarks.peers.environments import python_of, ready

QUESTION = "the best of a 27-point grid: found with what share of the grid's total budget?"
GRID = [
    Setting(float(rate), momentum, 1e-4)
    for rate in np.geomspace(0.0003, 3, 9)
    for momentum in (0.0, 0.5, 0.9)
]
STEPS, EVERY = 600, 6
# Chosen on seeds 1000 to 1005: of six pairs the one whose pick was best, for our asha and Optuna's pruners alike.
FIRST, FACTOR = 12, 4
BUDGET: dict[str, dict[str, Any]] = {
    "budget": {"may_stop": True, "first_look": 0.05, "least_steps": 12},
    "asha": {"enabled": False},
}
HALVING: dict[str, dict[str, Any]] = {
    "budget": {"enabled": False},
    "asha": {"enabled": True, "may_stop": True, "first_steps": FIRST, "reduction": float(FACTOR)},
}
POPULATION = 4
STEERED = (2, 4)
NEAR, EQUAL = 1.05, 1 + 1e-5  # the same training by another order of sums differs by 1e-6


def rows(options: Options) -> Iterator[Row]:
    losses: dict[int, np.ndarray] = {}
    for seed in options.seeds:
        steps, losses[seed] = curves(GRID, seed, STEPS, EVERY)
    by_forecast = {seed: by_stopping(steps, found, BUDGET) for seed, found in losses.items()}
    yield told("ours (budget)", losses, by_forecast, 15)
    by_rungs = {seed: by_stopping(steps, found, HALVING) for seed, found in losses.items()}
    # It misses the best too often for its share to count as reached.
    yield told("ours (asha)", losses, by_rungs)
    yield from steering(options, losses)
    yield from optuna(steps, losses)
    live = {seed: by_population(GRID, seed, POPULATION, STEPS, 5 * EVERY) for seed in losses}
    yield told(f"population based training, {POPULATION} nets", losses, live)


def steering(options: Options, losses: dict[int, np.ndarray]) -> Iterator[Row]:
    """A few settings drawn by chance: led by the controller, and, beside it, left alone."""
    most = max(STEERED)
    chosen = {seed: drawn(len(GRID), most, seed) for seed in losses}
    outcomes = options.pool.map(steer, [(GRID[number], seed) for seed in losses for number in chosen[seed]])
    ends = {seed: [outcome.curve[-1][1] for outcome in itertools.islice(outcomes, most)] for seed in losses}
    for count in STEERED:
        led = {seed: of_a_few(chosen[seed][:count], ends[seed][:count], STEPS) for seed in losses}
        # Fewer find the best less often: theirs is told for what it costs.
        yield told(f"ours (steering {count} drawn by chance)", losses, led, 15 if count == most else None)
    alone = {
        seed: of_a_few(chosen[seed], rows[chosen[seed], -1].tolist(), STEPS) for seed, rows in losses.items()
    }
    yield told(f"{most} drawn by chance and left alone", losses, alone)


def steer(asked: tuple[Setting, int]) -> Outcome:
    setting, seed = asked
    return steered(setting, seed, STEPS, EVERY)


def told(
    name: str, losses: dict[int, np.ndarray], found: dict[int, Found], at_most: float | None = None
) -> Row:
    """The share of the budget, and how good what was picked is beside the grid's best."""
    best = {seed: float(np.nanmin(rows[:, -1])) for seed, rows in losses.items()}
    ratios = [found[seed].loss / best[seed] for seed in losses]
    share = statistics.mean(found[seed].steps for seed in losses) / (len(GRID) * STEPS)
    return Row(
        f"best of 27: share of the budget, {name}", 100 * share, "%", at_most=at_most,
        told={
            "seeds": len(losses),
            "found_the_best": sum(ratio <= EQUAL for ratio in ratios),
            "within_5_percent": sum(ratio <= NEAR for ratio in ratios),
            "loss_against_best": round(float(np.exp(np.mean(np.log(ratios)))), 4),
        },
    )  # fmt: skip


def optuna(steps: np.ndarray, losses: dict[int, np.ndarray]) -> Iterator[Row]:
    problem = ready("optuna")
    names = {"asha": "ASHA of Optuna", "hyperband": "Hyperband of Optuna"}
    if problem:
        for name in names.values():
            yield Row(f"best of 27: share of the budget, {name}", None, "%", told={"note": problem})
        return
    given = {
        "steps": steps.tolist(), "first": FIRST, "factor": FACTOR,
        "rows": {str(seed): np.nan_to_num(rows, nan=1e9, posinf=1e9).tolist() for seed, rows in losses.items()},
    }  # fmt: skip
    script = Path(__file__).parents[1] / "optuna_replay.py"
    done = subprocess.run(
        [str(python_of("optuna")), str(script)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
    )
    for key, answer in json.loads(done.stdout).items():
        found = {
            seed: Found(
                answer[str(seed)]["steps"],
                answer[str(seed)]["pick"],
                float(rows[answer[str(seed)]["pick"], -1]),
            )
            for seed, rows in losses.items()
        }
        yield told(names[key], losses, found)
