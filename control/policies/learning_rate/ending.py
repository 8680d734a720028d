"""Towards the end of a budget that the run declares: a lower rate, so that what is left is spent on settling.

While the rate is high, the noise of its steps keeps the loss above what the weights could give; a lower rate takes that
off, and is best left to the end. Source: the decay in the last tenth of a warmup-stable-decay schedule, Hu et al. 2024
(arXiv 2404.06395); by steps, as here, He et al. 2016 (arXiv 1512.03385).
"""

from dataclasses import dataclass

from control.proposals import Observation, TunableView

from .reading import schedule_falls
from .tries import ANSWERED, last_change

SHARES = (0.2, 0.1)  # of the budget, with which left the rate is lowered
LEAST_STEPS = 500  # of a budget: the end of a shorter one lies in its search
LEAST_LEFT = 50  # steps in which a lower rate can show what it brings


@dataclass(frozen=True)
class Ending:
    """left, total: steps. is_due: whether the rate is to be lowered now, and not only never raised any more."""

    left: int
    total: int
    is_due: bool

    @property
    def share(self) -> float:
        return self.left / self.total


def ending(observation: Observation, policy: str, rate: TunableView) -> Ending | None:
    """None where no end is declared, or it is not in sight."""
    total = observation.with_role("total_steps")
    if total is None or not isinstance(total.value, int) or total.value < LEAST_STEPS:
        return None
    left = total.value - observation.step
    if not 0 < left <= SHARES[0] * total.value:
        return None
    done = [
        past
        for past in observation.past
        if past.policy == policy
        and "ending" in past.evidence
        and past.state in ANSWERED
        and observation.on_this_branch(past)
    ]
    wanted = sum(left <= share * total.value for share in SHARES)
    # What did not help once is left alone: the run is not held up by its noise.
    helped = all(past.state != "undone" and past.verdict != "worse" for past in done)
    due = left >= LEAST_LEFT and len(done) < wanted and helped
    return Ending(left, total.value, due and not schedule_falls(observation, last_change(observation, rate)))
