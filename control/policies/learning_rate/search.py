"""The search: from a start that is slow to a rate that is not, as one declared plan of short judged stages."""

import math
from dataclasses import replace

from control.estimators.motion import EVERY, Motion, breadth_of, first_move, motion
from control.estimators.pace import STAGE, Pace, pace
from control.proposals import (
    Alternative,
    Change,
    Expected,
    Observation,
    PastDecision,
    Proposal,
    TunableView,
    Window,
)

from .climb import DECADE, FAR, LARGE, UPROOTED, climb, words
from .reading import pace_metric, read, schedule_rises
from .tries import ANSWERED, last_change
from .values import bounded, came, number, percent, share


class Search:
    """From a start that is slow to a rate that is not: a range sweep in short stages, as one declared plan.

    Up, while nothing has overshot and the run does not fall as one does at a good rate; the first stage that makes
    things worse ends it, and its change is taken back. Down where the first steps overshot, and back to the first
    state where nothing was gained since.
    Source: the range test of Smith 2017 (arXiv 1506.01186), with every step judged and none kept that did harm.
    """

    PLAN = "search"

    def __init__(self, policy: str, observation: Observation, rate: TunableView) -> None:
        self.policy, self.observation, self.rate = policy, observation, rate
        self.parameters = observation.parameters
        self.metric = pace_metric(observation, str(self.parameters["metric"]))
        touched = [p for p in observation.past if p.sets(rate.name) or not p.tunable]
        self.is_open = any(past.is_open for past in touched)
        self.breadth = breadth_of(rate.about)
        self.has_motion = motion(observation.windows, -1) is not None
        self.tries = [
            p
            for p in touched
            if p.sets(rate.name)
            and p.state in ANSWERED
            and number(p.old_value) is not None
            and number(p.new_value) is not None
        ]

    def step(self) -> Proposal | None:
        """The next step of the search, None where there is none to make."""
        if not self.metric or self.is_open:
            return None
        window = self.observation.windows[self.metric]
        changed = last_change(self.observation, self.rate)
        # An agent's gradients jump from one game to the next, whatever its rate.
        gradient = self.observation.windows.get(str(self.parameters["gradient_metric"]))
        first = self._first_move()
        # And a training's norm doubles at a good rate too, when it finds its way: a short first move was no overshoot.
        if not self._of_loss or (first is not None and first < FAR):
            gradient = None
        seen = pace(window, gradient, self.observation.direction_of(self.metric), changed)
        moving = motion(self.observation.windows, changed, self.breadth)
        if seen is not None:
            # Weights that begin at zero are uprooted at any rate: there it comes far all the same.
            uprooted = first is not None and first > UPROOTED and seen.fall < 0.5
            seen = replace(seen, uprooted=uprooted)
            late = seen.points > int(self.parameters["search_steps"])
            if late and not (self._has_raised() and seen.fall < seen.expected):
                return None  # a sweep that was begun is carried on where looks are far apart
            if seen.has_risen and self._may_be_too_high(changed):
                return self._start_again(window, seen, f"{self.metric} is further off than where it began")
            stuck = seen.flat and (not self.has_motion or (moving is not None and moving.reach > LARGE))
            if stuck and seen.points >= 15 * STAGE and self._raise_was_idle():
                return self._start_again(
                    window, seen, f"{self.metric} has not moved, and higher rates did not help"
                )
            if seen.wild and not self._has_raised() and self._may_be_too_high(changed):
                calmed = self._times_calmed()
                down = self._down(window, seen, changed) if calmed < 3 else None
                if down is not None or not calmed:
                    return down
        if schedule_rises(self.observation, changed):
            return None  # what is low on purpose becomes higher by itself
        if self.has_motion:
            return None if moving is None else self._climb(window, seen, moving)
        return None if seen is None else self._sweep(window, seen, len(window.after(changed)))

    def _climb(self, window: Window, seen: Pace | None, moving: Motion) -> Proposal | None:
        """Up by what the weights' walk says, where it is measured; the verdict takes back what did harm."""
        # A climb that was begun is carried on where looks are far apart.
        most = int(self.parameters["search_steps"]) * (3 if self._has_raised() else 1)
        young = int(window.steps[0]) <= 5 * window.stride and self.observation.step <= most
        if not young or (seen is not None and seen.above_best > max(0.3, 3 * seen.error)):
            return None
        factor = float(self.parameters["factor"])
        wanted = climb(moving, self._last_factor(), factor, not self._of_loss)
        effect = -0.1 if seen is None else -min(0.9, max(0.01, seen.recent))

        def step(by: float) -> Proposal | None:
            # Where a rate did harm before, the one well below it is as far as this goes.
            value = min([by * float(self.rate.value), *(0.6 * too_high(past) for past in self.tries)])
            value = bounded(value, self.rate)
            if value < 1.3 * float(self.rate.value):
                return None
            return self._proposal(window, seen, value, words(moving), effect, 2 * EVERY, moving=moving)

        found = step(wanted)
        # The ordinary step and the decade stand in for each other; the half step ends a climb and has one size.
        other = step({factor: DECADE, DECADE: factor}.get(wanted, 1.0))
        if found is None or other is None or other.changes == found.changes:
            return found
        size = Alternative(other.changes, other.reason, other.expected, other.judge_after_steps)
        return replace(found, alternatives=(size,))

    @property
    def _of_loss(self) -> bool:
        """Whether the pace is that of a loss, and not of an agent's reward."""
        return self.metric != self.observation.goal.metric or self.observation.goal.direction == "min"

    def _may_be_too_high(self, changed: int) -> bool:
        """Whether the rate can be what threw the run back.

        An agent's reward falls by a third in its first games at a good rate too. Where that is all there is against the
        rate, and its first ten steps did not move the weights far, it is the games.
        """
        moved = None if self._of_loss else self._first_move(changed)
        return moved is None or moved > LARGE

    def _sweep(self, window: Window, seen: Pace, fresh: int) -> Proposal | None:
        """Up by the loss alone, where nothing is known of the weights."""
        if not seen.is_slow or fresh < STAGE or seen.above_best >= max(0.1, 3 * seen.error):
            return None
        # Where looks are far apart, more is seen before the next one, and the verdict may rest on more.
        points = 2 * STAGE if seen.fall >= seen.expected else min(6 * STAGE, max(STAGE, fresh // 2))
        return self._up(window, seen, points * window.stride)

    def _first_move(self, after_step: int = -1) -> float | None:
        """How far the first ten steps reached, as in a narrow model."""
        found = first_move(self.observation.windows, after_step)
        return None if found is None else self.breadth * found

    def _has_raised(self) -> bool:
        return any(past.new_value > past.old_value for past in self.tries if past.policy == self.policy)

    def _last_factor(self) -> float:
        """By what the last change of the rate raised it, 1 where that was no kept step of this search."""
        last = self.tries[-1] if self.tries else None
        if last is None or last.policy != self.policy or last.plan != self.PLAN or last.state == "undone":
            return 1.0
        return max(1.0, float(last.new_value) / float(last.old_value))

    def _raise_was_idle(self) -> bool:
        """Whether raises of this search helped nothing, until one did a little harm.

        At the edge of what a run bears a raise breaks it; far beyond the edge one changes little.
        """
        raised: list[PastDecision] = []
        for past in self.tries:
            if past.plan == self.PLAN and past.policy == self.policy and past.new_value > past.old_value:
                raised.append(past)
            else:
                raised.clear()  # from then on it is another rate's story
        idle = all(past.verdict != "better" and (past.effect is None or past.effect < 0.3) for past in raised)
        return bool(raised) and raised[-1].verdict == "worse" and idle

    def _times_calmed(self) -> int:
        """How often the rate that overshot was lowered on the way, the run's state kept."""
        return sum(
            past.plan == self.PLAN and past.verb == "set" and past.new_value < past.old_value
            for past in self.tries
        )

    def _up(self, window: Window, seen: Pace, steps: int) -> Proposal | None:
        value = bounded(float(self.rate.value) * float(self.parameters["factor"]), self.rate)
        if value <= float(self.rate.value) or any(too_high(past) <= 1.1 * value for past in self.tries):
            return None
        speed = max(seen.recent, 0.0)
        why = (
            f"{self._came(seen)} in {seen.points} points, where a good rate brings "
            f"{percent(share(-seen.expected if self._falls else seen.expected))} or more"
        )
        return self._proposal(window, seen, value, why, -min(0.9, max(0.01, speed)), steps)

    def _down(self, window: Window, seen: Pace, changed: int) -> Proposal | None:
        if seen.is_slow and seen.fall < 0.1:
            why = f"{self._came(seen)} in {seen.points} points, and the first steps overshot"
            return self._start_again(window, seen, why)
        since = window.after(changed + STAGE * window.stride)
        newest = read(since, window, 12 * STAGE, window.stride) if len(since) >= 4 * STAGE else None
        if newest is None:
            return None
        # Not even the steepest line through the points is that of a run that gets on.
        stalled = -newest.trend.slope_low * 4 * STAGE * window.stride < 0.08
        risen = seen.above_best > max(0.2, 3 * seen.error)
        if not stalled and not risen:
            return None
        what = "rises again" if risen else "has stopped falling"
        if seen.points <= 12 * STAGE:
            # A state that overshot is worth little, and its moments less: the first one is the better start.
            return self._start_again(window, seen, f"{self.metric} {what}, and the first steps overshot")
        lower = bounded(0.15 * float(self.rate.value), self.rate)
        return self._proposal(
            window, seen, lower, f"{self.metric} {what} after an overshoot", -0.1, 3 * STAGE * window.stride
        )

    def _came(self, seen: Pace) -> str:
        return came(self.metric, seen.fall, self._falls)

    @property
    def _falls(self) -> bool:
        return self.observation.direction_of(self.metric) == "min"

    def _start_again(self, window: Window, seen: Pace, why: str) -> Proposal | None:
        """From the first state at a tenth of the rate that the run began with, while little is lost by that."""
        if seen.points > 25 * STAGE:
            return None
        value = float(self.rate.value)
        mine = [p for p in self.tries if p.plan == self.PLAN and p.policy == self.policy and p.at_step > 0]
        began = min(
            [value, *(float(past.old_value) for past in mine if self.observation.on_this_branch(past))]
        )
        # No more than a decade at once, the guards' largest step by default, also where raises came before.
        value = bounded(max(0.1 * began, 0.1 * value), self.rate)
        steps = 2 * STAGE * window.stride
        return self._proposal(window, seen, value, why, -0.1, steps, restart=True)

    def _proposal(
        self,
        window: Window,
        seen: Pace | None,
        value: float,
        why: str,
        effect: float,
        steps: int,
        restart: bool = False,
        moving: Motion | None = None,
    ) -> Proposal | None:
        old = float(self.rate.value)
        if value == old:
            return None
        changes = [Change("set", self.rate.name, value)]
        back = ""
        first = min(self.observation.checkpoints, key=lambda c: (c.step, c.id), default=None)
        if restart and first is not None and first.step <= 5 * window.stride:
            target = {"checkpoint": first.id, "step": first.step, "path": first.path}
            changes.insert(0, Change("rollback", value=target))
            back = f", from the state of step {first.step} on"
        verb = "raise" if value > old else "lower"
        return Proposal(
            policy=self.policy,
            changes=tuple(changes),
            reason=f"{why}; {verb} {self.rate.name} to {value:.4g} from {old:.4g}{back}.",
            evidence={"window": [int(window.steps[0]), int(window.steps[-1])], **figures(seen, moving)},
            expected=Expected(effect=effect, low=max(-0.95, 3 * effect), high=0.05),
            metric=self.metric,
            judge_after_steps=steps,
            plan=self.PLAN,
        )


def figures(seen: Pace | None, moving: Motion | None) -> dict[str, float | bool]:
    """What a step of the search rests on, as its decision keeps it."""
    found: dict[str, float | bool] = {}
    if moving is not None:
        found |= {"move": round(moving.ratio, 5), "cosine": round(moving.cosine, 4), "cosines": moving.count}
        if moving.breadth > 1:
            found["breadth"] = round(moving.breadth, 3)
    if seen is not None:
        found |= {
            "fall": round(seen.fall, 5),
            "expected_fall": round(seen.expected, 5),
            "recent": round(seen.recent, 5),
            "error": round(seen.error, 5),
            "overshot": seen.wild,
        }
    return found


def too_high(past: PastDecision) -> float:
    """The least rate that this decision showed to be too high; infinite where it showed none."""
    old, new = number(past.old_value), number(past.new_value)
    if old is None or new is None:
        return math.inf
    if new > old:
        return new if past.verdict == "worse" or past.state == "undone" else math.inf
    # What broke a run did so by some margin.
    return old / 3 if past.urgent else old
