"""A loss that was thrown up from one block to the next and is on its way down again: since when, and is it back?"""

import math

import numpy as np

from control.proposals import Floats, Window

from .health import BLOCK, Kind, Trouble, block_medians
from .median import differences, median
from .trend import robust_sigma, tame

PAST_BLOCKS = 6  # before the throw, to know what is usual
LEAST_RISE, LEAST_LEFT = float(np.log(1.15)), float(np.log(1.05))
SEEN_BLOCKS = 10  # since the throw; what stays longer is a jump (health.py)


def find_spike(window: Window, after_step: int | None, spreads: float) -> Trouble | None:
    """The throw that the loss has not come back from, None where there is none; of positive losses only.

    It rose at once, by 15 % and by `spreads` times what medians of ten points scatter, and every median since lies
    above the level from before by half as much. after_step: only what began above it counts.
    """
    finite = window.finite
    values = tame(finite.values)
    if len(values) < (PAST_BLOCKS + 2) * BLOCK or not bool(values.min() > 0):
        return None
    steps, y = finite.steps, np.log(values)
    medians = block_medians(y)
    offset = len(y) - len(medians) * BLOCK
    for first in range(max(PAST_BLOCKS, len(medians) - SEEN_BLOCKS), len(medians) - 1):
        began = offset + first * BLOCK
        if after_step is not None and steps[began] <= after_step:
            continue
        level = median(medians[first - 3 : first])
        risen = float(medians[first : first + 2].max()) - level
        # What scatters is dear to know, and nearly always the rise is none whatever scatters.
        if not risen > LEAST_RISE:
            continue
        spread = scatter_of(y[:began], medians[:first])
        threshold = level + max(LEAST_LEFT, 0.5 * spreads * spread)
        if risen > max(LEAST_RISE, spreads * spread) and bool((medians[first + 1 :] > threshold).all()):
            # The throw may fall within a block, the first points of which are of the old kind.
            thrown = began + int(np.argmax(y[began:] > level + risen / 2))
            now = median(y[-2 * BLOCK :])
            unit = [float(np.exp(each)) for each in (level, now, threshold)]
            return Trouble(Kind.SPIKE, int(steps[thrown]), int(window.steps[-1]), *unit)
    return None


def scatter_of(y: Floats, medians: Floats) -> float:
    """The standard deviation of a block's median, by its neighbours or by its points, whichever is more."""
    by_medians = robust_sigma(differences(medians)) / math.sqrt(2)
    by_points = 1.2533 * robust_sigma(differences(y)) / math.sqrt(2 * BLOCK)
    return max(by_medians, by_points)
