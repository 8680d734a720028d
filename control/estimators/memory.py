"""Will a batch of another size fit into the device's memory? Pure; bytes and samples."""

from dataclasses import dataclass

import numpy as np

from control.proposals import Observation, TunableView

USED = "_memory_used_bytes"
TOTAL = "_memory_total_bytes"
# The failed size may be tried again once the device has so much more to give.
MORE_MEMORY = 1.1


@dataclass(frozen=True)
class Headroom:
    """What was measured at the present batch size, and at another one before it where there was one."""

    size: int
    used_bytes: float
    total_bytes: float
    other_size: int | None = None
    other_used_bytes: float | None = None

    def needed_bytes(self, size: int) -> float:
        """At another size: along the line through two measurements, or in proportion, which is never too little.

        Weights and the optimiser's memory do not grow with the batch; with one measurement nobody knows what they take.
        """
        whole = self.used_bytes * size / self.size
        if self.other_size is None or self.other_used_bytes is None or self.other_size == self.size:
            return whole
        each = (self.used_bytes - self.other_used_bytes) / (self.size - self.other_size)
        return min(whole, self.used_bytes + max(each, 0.0) * (size - self.size)) if each > 0 else whole


def headroom(observation: Observation, batch: TunableView) -> Headroom | None:
    """What the run told of its memory at the present batch size; None where it has told nothing since the change."""
    used, total = observation.windows.get(USED), observation.windows.get(TOTAL)
    if used is None or total is None or len(used) == 0 or len(total) == 0:
        return None
    since = batch.changed_step if batch.changed_step is not None else -1
    now = used.after(since).values
    now = now[np.isfinite(now)]
    limit = float(total.values[-1])
    if len(now) == 0 or not np.isfinite(limit):
        return None
    before = used.until(since).values
    before = before[np.isfinite(before)]
    known = len(before) > 0 and isinstance(batch.before, int)
    return Headroom(
        int(batch.value), float(now.max()), limit,
        batch.before if known else None, float(before[-1]) if known else None,
    )  # fmt: skip


def failed_before(batch: TunableView, size: int, total_bytes: float | None) -> bool:
    """Whether a batch of `size` or less ran out of memory, on a device that has not more to give by now."""
    failed, limit = batch.about.get("failed"), batch.about.get("failed_limit_bytes")
    if not isinstance(failed, int) or size < failed:
        return False
    more = total_bytes is not None and isinstance(limit, int | float) and total_bytes > MORE_MEMORY * limit
    return not more
