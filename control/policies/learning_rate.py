"""Learning rate: raise it while trials prove that the run learns faster, lower it where noise rules.

Sees: the training loss since the last change, the learning rate, its own past decisions with verdicts.
Does: one short trial at a time, each judged against the forecast of not acting. Up, by a factor, while
the loss falls smoothly but slowly; a trial that is not better is taken back. Down, by a factor, when the
loss rises, or has stopped falling: too high a rate (noise rules) and a plateau look alike, and both want
a lower one.

Sources: raise while it helps, cut when it does not: Vogl et al. 1988, Biol. Cybern. 59, and Battiti 1989,
Complex Systems 3 ("bold driver"); factors of about 3 on a log scale: Bengio 2012, arXiv 1206.5533, 3.1.1;
a lower rate once SGD has become stationary: Yaida 2018, arXiv 1810.00004.
Limit: short trials favour low rates (Wu et al. 2018, arXiv 1803.02021), so the rate is never lowered to gain
speed, only where there is no progress left to lose.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from control.estimators.median import median, row_medians
from control.estimators.pace import STAGE, Pace, pace
from control.estimators.trend import Trend, robust_sigma, robust_trend
from control.proposals import (
    ACTED_STATES,
    Change,
    Expected,
    Floats,
    Observation,
    PastDecision,
    Proposal,
    TunableView,
    Window,
)

# What was only recorded, or a person refused, is not asked for again at once either.
ANSWERED = ACTED_STATES | {"rejected", "recorded", "expired"}


class LearningRate:
    name = "learning_rate"
    summary = "Tries a higher learning rate while the loss falls slowly, a lower one when it rises or stalls."
    defaults: Mapping[str, Any] = {
        "enabled": True,
        "metric": "",
        "gradient_metric": "grad_norm",
        "factor": 3.0,
        "horizon_steps": 100,
        "window_steps": 120,
        "plateau_steps": 400,
        "slow_progress": 0.2,
        "smooth_noise": 0.15,
        "retry_steps": 3000,
        "search_steps": 300,
    }

    def propose(self, observation: Observation) -> list[Proposal]:
        parameters = observation.parameters
        metric = observation.loss_metric(str(parameters["metric"]))
        rate = observation.with_role("learning_rate")
        if rate is not None and isinstance(rate.value, int | float) and rate.value > 0:
            found = Search(self.name, observation, rate).step()
            if found is not None:
                return [found]
        if observation.direction_of(pace_metric(observation, str(parameters["metric"]))) == "max":
            return []  # what an agent's loss does later says nothing
        if not metric or rate is None or not isinstance(rate.value, int | float) or not rate.value > 0:
            return []
        if still_setting_out(observation, metric, int(parameters["search_steps"])):
            return []
        if any(past.is_open and (past.sets(rate.name) or not past.tunable) for past in observation.past):
            return []
        window = observation.windows[metric]
        since = window.after(last_change(observation, rate))
        scale = window.stride
        seen = read(since, window, int(parameters["window_steps"]), scale)
        if seen is None:
            return []
        tries = Tries.of(self.name, observation, rate, int(parameters["retry_steps"]) * scale)
        # Where the start is in sight, the search has found what a raise would bring.
        up = "" if seen.is_start else self._up(seen, since, scale, rate, tries, parameters)
        if up:
            return [self._proposal(observation, metric, rate, seen, up, scale, direction=1)]
        down = self._down(seen, since, rate, tries, parameters, scale)
        if down:
            return [self._proposal(observation, metric, rate, seen, down, scale, direction=-1)]
        return []

    def _up(
        self,
        seen: "Reading",
        since: Window,
        scale: int,
        rate: TunableView,
        tries: "Tries",
        parameters: Mapping[str, Any],
    ) -> str:
        """Why a higher rate is worth a trial; "" when it is not."""
        target = float(rate.value) * float(parameters["factor"])
        if tries.bars(target) or (rate.high is not None and float(rate.value) >= rate.high):
            return ""
        trend = seen.trend
        # Above its start or its best: whatever is wrong, too low a rate is not it.
        if seen.above_best > max(3 * trend.noise, 0.3) or (seen.is_start and not seen.calm_start):
            return ""
        slow = float(parameters["slow_progress"])
        smooth = trend.noise < float(parameters["smooth_noise"])
        if tries.is_ascending and seen.progress < (3 * slow if smooth else slow / 2) and not trend.is_rising:
            return f"still falls {percent(seen.progress)} in {trend.steps} steps after the last raise helped"
        if not smooth:
            return self._up_in_noise(since, slow, parameters, scale)
        if trend.is_falling and seen.progress < slow:
            return f"falls smoothly but slowly, {percent(seen.progress)} in {trend.steps} steps"
        idle = not trend.is_rising and abs(seen.moved) < max(slow / 2, 2 * trend.noise) and seen.is_start
        if idle and seen.calm_start:
            return f"has hardly moved since the start, {percent(seen.moved)} in {trend.last_step} steps"
        return ""

    def _up_in_noise(self, since: Window, slow: float, parameters: Mapping[str, Any], scale: int) -> str:
        """The same question to a noisy loss, which takes four times as long to answer."""
        base = int(parameters["window_steps"])
        far = read(since, since, 4 * base, scale)
        if far is None or far.trend.steps < 0.9 * 4 * base * scale:
            return ""
        if far.trend.is_falling and 0.02 < far.progress < slow:
            return f"falls slowly, {percent(far.progress)} in {far.trend.steps} steps"
        return ""

    def _down(
        self,
        seen: "Reading",
        since: Window,
        rate: TunableView,
        tries: "Tries",
        parameters: Mapping[str, Any],
        scale: int,
    ) -> str:
        """Why a lower rate is due; "" when it is not."""
        if rate.low is not None and float(rate.value) <= rate.low:
            return ""
        # Each lower rate that brought nothing doubles the patience before the next.
        patience = int(parameters["plateau_steps"]) * scale * 2**tries.idle_downs
        rise = seen.trend.slope_low * seen.trend.steps
        if seen.trend.is_rising and rise > max(0.02, 0.5 * seen.trend.noise) and seen.trend.points >= 60:
            return f"rises, {percent(rise)} or more in {seen.trend.steps} steps"
        flat = read(since, since, patience, scale)
        if flat is None or flat.trend.steps < 0.9 * patience:
            return ""
        if not flat.trend.is_falling or flat.progress < 0.02:
            low, high = 100 * flat.trend.slope_low, 100 * flat.trend.slope_high
            steps = flat.trend.steps
            return f"has stopped falling: {low * steps:+.2g} % to {high * steps:+.2g} % in {steps} steps"
        return ""

    def _proposal(
        self,
        observation: Observation,
        metric: str,
        rate: TunableView,
        seen: "Reading",
        why: str,
        scale: int,
        direction: int,
    ) -> Proposal:
        parameters = observation.parameters
        factor = float(parameters["factor"])
        value = bounded(float(rate.value) * factor**direction, rate)
        # The more noise for the progress, the longer it takes for an effect to show: up to four times.
        longer = min(4, max(1, math.ceil(seen.trend.noise / max(0.1, seen.progress))))
        horizon = int(parameters["horizon_steps"]) * scale * longer
        ratio = value / float(rate.value)
        if direction > 0:
            # At most proportional to the rate; half of that is the guess, none of it the worst hoped for.
            best = max(seen.progress, 0.02) * horizon / max(1, seen.trend.steps) * (ratio - 1)
            expected = Expected(effect=-0.5 * best, low=-min(best, 0.95), high=0.0)
            verb = "raise"
        else:
            # What SGD's noise adds to the loss shrinks with the rate; how much that is, nobody knows yet.
            expected = Expected(effect=-0.1, low=-0.5, high=0.02)
            verb = "lower"
        expected = Expected(max(expected.effect, -0.95), expected.low, expected.high)
        return Proposal(
            policy=self.name,
            changes=(Change("set", rate.name, value),),
            reason=f"{metric} {why}; {verb} {rate.name} to {value:.4g} from {rate.value:.4g}.",
            evidence={
                "window": [seen.trend.first_step, seen.trend.last_step],
                "progress": round(seen.progress, 5),
                "progress_low": round(-seen.trend.slope_high * seen.trend.steps, 5),
                "progress_high": round(-seen.trend.slope_low * seen.trend.steps, 5),
                "noise": round(seen.trend.noise, 5),
                "points": seen.trend.points,
                "unit": seen.unit,
            },
            expected=expected,
            metric=metric,
            judge_after_steps=horizon,
            trial=True,
        )


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
        if not self.metric:
            return None
        window = self.observation.windows[self.metric]
        if self.is_open:
            return None
        changed = last_change(self.observation, self.rate)
        # An agent's gradients jump from one game to the next, whatever its rate.
        of_loss = self.metric != self.observation.goal.metric or self.observation.goal.direction == "min"
        gradient = self.observation.windows.get(str(self.parameters["gradient_metric"])) if of_loss else None
        seen = pace(window, gradient, self.observation.direction_of(self.metric), changed)
        if seen is None:
            return None
        late = seen.points > int(self.parameters["search_steps"])
        if late and not (self._has_raised() and seen.fall < seen.expected):
            return None  # a sweep that was begun is carried on where looks are far apart
        fresh = len(window.after(changed))
        if seen.has_risen:
            return self._start_again(window, seen, "is further off than where it began")
        if seen.flat and seen.points >= 15 * STAGE and self._raise_was_idle():
            return self._start_again(window, seen, "has not moved, and higher rates did not help")
        if seen.wild and not self._has_raised():
            calmed = self._times_calmed()
            down = self._down(window, seen, changed) if calmed < 3 else None
            if down is not None or not calmed:
                return down
        if seen.is_slow and fresh >= STAGE and seen.above_best < max(0.1, 3 * seen.error):
            # Where looks are far apart, more is seen before the next one, and the verdict may rest on more.
            return self._up(
                window,
                seen,
                2 * STAGE if seen.fall >= seen.expected else min(6 * STAGE, max(STAGE, fresh // 2)),
            )
        return None

    def _has_raised(self) -> bool:
        return any(past.new_value > past.old_value for past in self.tries if past.policy == self.policy)

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

    def _up(self, window: Window, seen: Pace, points: int) -> Proposal | None:
        value = bounded(float(self.rate.value) * float(self.parameters["factor"]), self.rate)
        if value <= float(self.rate.value) or any(too_high(past) <= 1.1 * value for past in self.tries):
            return None
        speed = max(seen.recent, 0.0)
        why = (
            f"{self.metric} has come {came(seen.fall)} in {seen.points} points, where a good rate brings "
            f"{percent(seen.expected)} or more"
        )
        return self._proposal(window, seen, value, why, -min(0.9, max(0.01, speed)), points)

    def _down(self, window: Window, seen: Pace, changed: int) -> Proposal | None:
        if seen.is_slow and seen.fall < 0.1:
            why = f"has come {came(seen.fall)} in {seen.points} points, and the first steps overshot"
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
            return self._start_again(window, seen, f"{what}, and the first steps overshot")
        lower = bounded(0.15 * float(self.rate.value), self.rate)
        return self._proposal(
            window, seen, lower, f"{self.metric} {what} after an overshoot", -0.1, 3 * STAGE
        )

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
        return self._proposal(window, seen, value, f"{self.metric} {why}", -0.1, 2 * STAGE, restart=True)

    def _proposal(
        self,
        window: Window,
        seen: Pace,
        value: float,
        why: str,
        effect: float,
        points: int,
        restart: bool = False,
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
            evidence={
                "window": [int(window.steps[0]), int(window.steps[-1])],
                "fall": round(seen.fall, 5),
                "expected_fall": round(seen.expected, 5),
                "recent": round(seen.recent, 5),
                "error": round(seen.error, 5),
                "overshot": seen.wild,
            },
            expected=Expected(effect=effect, low=max(-0.95, 3 * effect), high=0.05),
            metric=self.metric,
            judge_after_steps=points * window.stride,
            plan=self.PLAN,
        )


def too_high(past: PastDecision) -> float:
    """The least rate that this decision showed to be too high; infinite where it showed none."""
    old, new = number(past.old_value), number(past.new_value)
    if old is None or new is None:
        return math.inf
    if new > old:
        return new if past.verdict == "worse" or past.state == "undone" else math.inf
    # What broke a run did so by some margin.
    return old / 3 if past.urgent else old


def pace_metric(observation: Observation, preferred: str) -> str:
    """What shows a run's pace: its goal where that is to grow and is often logged, else the loss.

    The loss of an agent says nothing of how well it does.
    """
    loss = observation.loss_metric(preferred)
    goal = observation.windows.get(observation.goal.metric)
    if preferred or goal is None or observation.goal.direction != "max":
        return loss
    often = not loss or goal.stride <= 10 * observation.windows[loss].stride
    return observation.goal.metric if often else loss


def still_setting_out(observation: Observation, metric: str, search_steps: int) -> bool:
    """Whether the run is so young that only the search may act on its rate."""
    window = observation.windows[metric]
    young = 0 < len(window) <= search_steps and int(window.steps[0]) <= 5 * window.stride
    return young and pace(window, None, "min") is not None


@dataclass(frozen=True)
class Reading:
    """Progress since the last change: `progress` is the fall of log(loss) over the trend's window."""

    trend: Trend
    progress: float
    moved: float  # fall of log(loss) since the start of what is known
    above_best: float  # how far the level is above the lowest seen before
    is_start: bool  # the window reaches back to the run's first steps
    calm_start: bool  # the loss never was far above its start
    unit: str  # "log" or "spread"


def read(since: Window, whole: Window, window_steps: int, scale: int) -> Reading | None:
    """The trend of the newest `window_steps * scale` steps of `since`; None with too few finite points."""
    if len(since) == 0:
        return None
    recent = since.after(int(since.steps[-1]) - window_steps * scale)
    good = np.isfinite(recent.values)
    if good.sum() < max(24, 0.5 * window_steps) or good.mean() < 0.9:
        return None
    finite = whole.values[np.isfinite(whole.values)]
    positive = bool(finite.min() > 0)
    spread = 1.0 if positive else max(robust_sigma(finite), 1e-12)

    def to_y(values: Floats) -> Floats:
        return np.log(values) if positive else values / spread

    trend = robust_trend(recent.steps[good], to_y(recent.values[good]))
    everything: Floats = to_y(finite)
    start = median(everything[:5])
    blocks = everything[: len(everything) // 20 * 20].reshape(-1, 20)
    best = float(row_medians(blocks).min()) if len(blocks) else trend.level
    return Reading(
        trend=trend,
        progress=-trend.slope * trend.steps,
        moved=start - trend.level,
        above_best=trend.level - best,
        is_start=int(whole.steps[0]) <= 5 * scale,
        calm_start=positive and float(everything.max()) < start + np.log(1.5),
        unit="log" if positive else "spread",
    )


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


def number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def bounded(value: float, rate: TunableView) -> float:
    if rate.low is not None:
        value = max(value, rate.low)
    if rate.high is not None:
        value = min(value, rate.high)
    return float(f"{value:.4g}")


def came(fall: float) -> str:
    return f"{100 * fall:.2g} %"


def percent(fall: float) -> str:
    return f"{100 * abs(fall):.2g} %"
