"""What was tried before, and what it taught."""

from dataclasses import dataclass

from control.proposals import ACTED_STATES, Observation, TunableView

from .values import number

# What was only recorded, or a person refused, is not asked for again at once either.
ANSWERED = ACTED_STATES | {"rejected", "recorded", "expired"}


@dataclass(frozen=True)
class Tries:
    """What earlier trials taught: rates that proved too high, and lower rates that brought nothing."""

    too_high: float | None
    idle_downs: int
    is_ascending: bool  # the last trial was a higher rate, and it was better

    @classmethod
    def of(cls, policy: str, observation: Observation, rate: TunableView, retry_steps: int) -> "Tries":
        too_high: list[float] = []
        idle = 0
        ascending = False
        for past in observation.past:
            if past.tunable != rate.name or past.state not in ANSWERED:
                continue
            # Steps left behind by a roll back stay a lesson: the rate that broke the run broke it.
            age = observation.step - past.at_step
            recent = age <= retry_steps
            # What was not shown to be worse may be asked again sooner.
            soon = age <= retry_steps // 4 or (past.verdict == "worse" and recent)
            old, new = number(past.old_value), number(past.new_value)
            if old is None or new is None:
                continue
            raised = new > old
            if raised and past.policy == policy and past.verdict != "better" and soon:
                too_high.append(new)
            elif not raised and recent and (past.urgent or past.verdict == "better"):
                too_high.append(old)
            if past.policy == policy and not raised:
                idle = 0 if past.verdict == "better" else idle + 1
            ascending = raised and past.verdict == "better"
        return cls(min(too_high, default=None), min(idle, 6), ascending)

    def bars(self, value: float) -> bool:
        """Whether `value` comes within a tenth of a rate that proved too high."""
        return self.too_high is not None and value > 0.9 * self.too_high


def last_change(observation: Observation, rate: TunableView) -> int:
    """The last step at which the rate was changed or the run rolled back, on this branch; -1 for never."""
    steps = [-1]
    if rate.changed_step is not None and rate.changed_step <= observation.step:
        steps.append(rate.changed_step)
    for past in observation.past:
        touches = past.sets(rate.name) or past.verb == "rollback"
        if touches and past.state in ACTED_STATES and observation.on_this_branch(past):
            steps.append(past.at_step)
    return max(steps)
