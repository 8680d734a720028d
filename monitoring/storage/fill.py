"""Makes a big store, to try things on: trainings' curves straight into chunks, the same for the same seed."""

from collections.abc import Iterator

import numpy as np

from . import compact, figures
from .batches import Floats, Points
from .series import keys as known_keys

SECONDS_A_STEP = 0.05
BEGAN = 1.75e9


def fill(runs: int, keys: int, points: int, seed: int = 1) -> Iterator[str]:
    """Store `points` points under each of `keys` keys of each run; the source of each run once it is stored.

    Sources are named run:fill-<seed>-<number>; one that has points already is left as it is.
    """
    for number in range(runs):
        source = f"run:fill-{seed}-{number:05}"
        if not known_keys(source):
            fill_run(source, keys, points, np.random.default_rng([seed, number]))
        yield source


def fill_run(source: str, keys: int, points: int, dice: np.random.Generator) -> None:
    for first in range(0, points, compact.CHUNK_POINTS):
        steps = np.arange(first, min(first + compact.CHUNK_POINTS, points))
        times = BEGAN + steps * SECONDS_A_STEP + dice.normal(0, 0.001, len(steps))
        plan = compact.Plan(source, [])
        made = []
        for at in range(keys):
            key, column = f"group{at // 10}/key{at}", Points(steps, times, curve(at, steps, dice))
            plan.infos[key] = figures.of_points(key, 0, column)
            made.append((key, column))
        compact.plan_chunks(plan, 0, made)
        compact.commit(plan)


def curve(kind: int, steps: np.ndarray, dice: np.random.Generator) -> Floats:
    """What trainings log, in turn: a noisy loss and a norm of float32, a rate, an accuracy, seconds in full digits."""
    loss = 2.3 * np.exp(-steps / 40_000) + 0.1 + dice.normal(0, 0.05, len(steps))
    if kind % 5 == 0:
        return loss.astype(np.float32).astype(np.float64)
    if kind % 5 == 1:
        return np.round(0.05 * (1 + np.cos(steps / 50_000)), 6)
    if kind % 5 == 2:
        return np.abs(dice.normal(1, 0.3, len(steps))).astype(np.float32).astype(np.float64)
    if kind % 5 == 3:
        return np.round(np.clip(1 - loss / 3, 0, 1) * 128) / 128
    return SECONDS_A_STEP + np.abs(dice.normal(0, 0.001, len(steps)))
