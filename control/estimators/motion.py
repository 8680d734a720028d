"""Whether a run walks straight on: what the torch helper tells of the weights' moves (scaleweb_sdk/torch/motion.py)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from control.proposals import Window

RATIO, COSINE = "_move_ratio", "_move_cosine"
EVERY = 10  # steps of a move
MOST = 6  # the newest angles that are looked at


@dataclass(frozen=True)
class Motion:
    """cosine: of a move of ten steps with the one before it, the mean of the newest `count`; ratio: a move's length
    over that of the weights, their median. looks: all angles that are known, whatever the rate was."""

    cosine: float
    ratio: float
    count: int
    looks: int


def motion(windows: Mapping[str, Window], after_step: int) -> Motion | None:
    """From what was measured at the present rate alone: both moves began after `after_step`. None with nothing."""
    angles, lengths = windows.get(COSINE), windows.get(RATIO)
    if angles is None or lengths is None:
        return None
    cosines = angles.after(after_step + 2 * EVERY - 1).last(MOST).values
    ratios = lengths.after(after_step + EVERY - 1).last(MOST).values
    cosines, ratios = cosines[np.isfinite(cosines)], ratios[np.isfinite(ratios)]
    if len(cosines) == 0 or len(ratios) == 0:
        return None
    return Motion(float(cosines.mean()), float(np.median(ratios)), len(cosines), len(angles))


def first_move(windows: Mapping[str, Window], after_step: int = -1) -> float | None:
    """How far the first ten steps after `after_step` led (the run's own first by default), over the weights' length.

    None where that is out of sight.
    """
    lengths = windows.get(RATIO)
    first = None if lengths is None else lengths.after(after_step + EVERY - 1).until(after_step + 2 * EVERY)
    if first is None or len(first) == 0 or not np.isfinite(first.values[0]):
        return None
    return float(first.values[0])
