"""Gradients beyond all that came before: left out, because one batch of garbage can spoil what took long.

An adaptive optimiser keeps the square of what it saw for a thousand steps, and momentum its direction for ten: a
gradient a hundred times too long does harm long after it. So a step is left out whose gradient is `factor` times as
long as the longest of the last hundred. The batch may be rare and not garbage, though, and what is left out each time
is never learnt: where they come back, they are scaled down to what is usual instead. If they keep coming, that is how
the training is now, and they are taken as they are.
Sources: batches around a spike are passed over: Chowdhery et al. 2022, arXiv 2204.02311, section 5.1; what spikes of
gradients do to Adam's averages: Huang et al. 2025 (SPAM), arXiv 2501.06842; a bound from the run's own past: Wang et
al. 2025 (AdaGC, of each tensor), arXiv 2502.11034, and Kumar et al. 2025 (ZClip, of the whole gradient), arXiv
2504.02507. All three clip; that the first ones are left out, and by the longest of the last hundred, is ours.
"""

import math
import statistics
from collections import deque
from typing import Any

from scaleweb_sdk.run import Run

REMEMBERED = 100  # norms of the steps before
READY = 50  # so many have to be known: a beginning is all jumps
MOST_IN_A_ROW = 20
# So many jumps, each of one batch or several in a row, are left out in so many steps; others are scaled down.
LEFT_OUT, WITHIN_STEPS = 2, 1000


class GradientJumps:
    """seen: steps with such a gradient, in all. factor: None to take every gradient as it is."""

    def __init__(self, run: Run, factor: float | None) -> None:
        self.run = run
        self.factor = factor
        self.seen = 0
        self._in_a_row = 0
        self._row_is_left_out = False  # the first one of a row says what becomes of it
        self._norms: deque[float] = deque(maxlen=REMEMBERED)
        self._left_out: deque[int] = deque(maxlen=LEFT_OUT)  # steps of the first ones

    def share(self, norm: float, step: int) -> float:
        """What to multiply the gradient of this step by: 1, or 0 for no step at all, or what makes it a usual one.

        norm: of all gradients together, of several ranks the same on each.
        """
        if self.factor is None or not math.isfinite(norm):
            return 1.0
        longest = max(self._norms) if len(self._norms) >= READY else math.inf
        # Where most gradients are nothing at all, none is too long.
        usual = statistics.median(self._norms) if norm > self.factor * longest else 0.0
        if not usual:
            self._norms.append(norm)
            self._in_a_row = 0
            return 1.0
        if self._in_a_row >= MOST_IN_A_ROW:
            self.run.reflex(
                "gradient_level",
                f"{self._in_a_row} gradients in a row were over {self.factor:g} times as long as all before them: "
                f"from step {step} on they are taken as they are",
            )
            self.forget()
            self._norms.append(norm)
            return 1.0
        leave_out = self._leave_out(step)
        self.seen += 1
        self._in_a_row += 1
        if self._in_a_row == 1:
            done = "left out" if leave_out else f"scaled down to their median, {usual:.4g}"
            self.run.reflex(
                "gradient_jump",
                f"gradient norm {norm:.4g} at step {step}, {norm / longest:.3g} times the greatest of the last "
                f"{len(self._norms)} steps: {done}",
                norm=norm, usual=usual, seen=self.seen,
            )  # fmt: skip
        return 0.0 if leave_out else usual / norm

    def _leave_out(self, step: int) -> bool:
        if self._in_a_row == 0:
            often = len(self._left_out) == LEFT_OUT and step - self._left_out[0] < WITHIN_STEPS
            self._row_is_left_out = not often
            if not often:
                self._left_out.append(step)
        return self._row_is_left_out

    def forget(self) -> None:
        """Another state is in place: what was seen is not about it."""
        self._norms.clear()
        self._in_a_row = 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "norms": list(self._norms), "in_a_row": self._in_a_row, "left_out": list(self._left_out),
            "row_is_left_out": self._row_is_left_out,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._norms = deque(state["norms"], maxlen=REMEMBERED)
        self._in_a_row = int(state["in_a_row"])
        self._left_out = deque(state["left_out"], maxlen=LEFT_OUT)
        self._row_is_left_out = bool(state["row_is_left_out"])
