"""Whether a run walks straight on: what the torch helper tells of the weights' moves (scaleweb_sdk/torch/motion.py)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from control.proposals import Window

RATIO, COSINE = "_move_ratio", "_move_cosine"
EVERY = 10  # steps of a move
MOST = 6  # the newest angles that are looked at
# The width of the models on which it was learnt what a move means: a regression by SGD, a GPT by AdamW.
NARROW_SGD, NARROW = 51.3, 24.0


@dataclass(frozen=True)
class Motion:
    """cosine: of a move of ten steps with the one before it, the mean of the newest `count`; ratio: a move's length
    over that of the weights, their median. looks: all angles that are known, whatever the rate was. breadth: how much
    further a move of that length reaches than in a narrow model."""

    cosine: float
    ratio: float
    count: int
    looks: int
    breadth: float = 1.0

    @property
    def reach(self) -> float:
        """The ratio, as that of a narrow model."""
        return self.ratio * self.breadth


def breadth_of(about: Mapping[str, Any]) -> float:
    """By what the ratios of a model are multiplied so that they mean what they mean in a narrow one.

    What a step adds to a matrix of n by n points one way, so that its spectral norm is nearly its length; random
    weights point everywhere, and theirs is their length over the root of n. So a step that changes what a layer
    does by one part is shorter by the root of n in a wide layer.
    Source: Yang, Simon and Bernstein 2023 (arXiv 2310.17813, the spectral condition). 1 where no width is told.
    """
    width = about.get("width")
    if not isinstance(width, int | float) or isinstance(width, bool) or not math.isfinite(width):
        return 1.0
    narrow = NARROW_SGD if about.get("family") == "sgd" else NARROW
    return math.sqrt(max(1.0, width / narrow))


def motion(windows: Mapping[str, Window], after_step: int, breadth: float = 1.0) -> Motion | None:
    """From what was measured at the present rate alone: both moves began after `after_step`. None with nothing."""
    angles, lengths = windows.get(COSINE), windows.get(RATIO)
    if angles is None or lengths is None:
        return None
    cosines = angles.after(after_step + 2 * EVERY - 1).last(MOST).values
    ratios = lengths.after(after_step + EVERY - 1).last(MOST).values
    cosines, ratios = cosines[np.isfinite(cosines)], ratios[np.isfinite(ratios)]
    if len(cosines) == 0 or len(ratios) == 0:
        return None
    return Motion(float(cosines.mean()), float(np.median(ratios)), len(cosines), len(angles), breadth)


def first_move(windows: Mapping[str, Window], after_step: int = -1) -> float | None:
    """How far the first ten steps after `after_step` led (the run's own first by default), over the weights' length.

    None where that is out of sight.
    """
    lengths = windows.get(RATIO)
    first = None if lengths is None else lengths.after(after_step + EVERY - 1).until(after_step + 2 * EVERY)
    if first is None or len(first) == 0 or not np.isfinite(first.values[0]):
        return None
    return float(first.values[0])
