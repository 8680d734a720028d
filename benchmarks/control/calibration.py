"""Did the forecasts of not acting come true, where nobody acted?"""

import math

from control.forecasts import forecast
from control.proposals import Window
from control.verify import judge

Z80_OF_Z90 = (
    1.2816 / 1.645
)  # forecasts state 90 % intervals; for a normal error the one of 80 % is so much narrower
HORIZONS = (50, 100)  # as policies ask for them


def held(window: Window) -> list[bool]:
    """For each moment and horizon: whether what was measured lay in the 80 % interval. window: a whole training."""
    found = []
    last = int(window.steps[-1]) if len(window) else 0
    for horizon in HORIZONS:
        for moment in range(100, last - horizon, 2 * horizon):
            seen = window.until(moment).last(1000)
            fixed = forecast("loss", seen, horizon)
            if fixed is None:
                continue
            told = judge(fixed, window.until(moment + horizon), moment, horizon)
            if told.measured is None or told.forecast is None or told.low is None or told.high is None:
                continue
            to_y = math.log if told.log else float
            centre = to_y(told.forecast)
            off = centre + (math.log1p(told.difference or 0.0) if told.log else told.difference or 0.0)
            low = centre + Z80_OF_Z90 * (to_y(told.low) - centre)
            high = centre + Z80_OF_Z90 * (to_y(told.high) - centre)
            found.append(low <= off <= high)
    return found
