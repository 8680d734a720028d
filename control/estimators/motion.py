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


def farthest(windows: Mapping[str, Window], after_step: int) -> float | None:
    """The longest move that began after `after_step`, over the weights' length. None where none was measured."""
    lengths = windows.get(RATIO)
    if lengths is None:
        return None
    ratios = lengths.after(after_step + EVERY - 1).values
    ratios = ratios[np.isfinite(ratios)]
    return float(ratios.max()) if len(ratios) else None


def first_move(windows: Mapping[str, Window]) -> float | None:
    """The length of the run's first ten steps over the weights' length. None where they are out of sight."""
    lengths = windows.get(RATIO)
    if lengths is None or len(lengths) == 0 or int(lengths.steps[0]) > EVERY + 1:
        return None
    first = float(lengths.values[0])
    return first if np.isfinite(first) else None
