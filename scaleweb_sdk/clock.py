"""The clock that a training's steps are timed by.

All that the policies know of speed comes from it: seconds of a step, samples a second, what measuring may cost. When
something happened is told by the time of day instead.
"""

import time


def seconds() -> float:
    """Since some moment that does not change. Replaced as a whole by whoever wants steps timed otherwise."""
    return time.perf_counter()
