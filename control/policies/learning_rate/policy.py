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
from typing import Any

from control.estimators.motion import COSINE, RATIO, motion
from control.proposals import Alternative, Change, Expected, Observation, Proposal, TunableView, Window

from .climb import BEGIN_LATER
from .ending import Ending, ending
from .reading import RATE_IN_FORCE, Reading, pace_metric, read, still_setting_out
from .search import Search
from .tries import Tries, last_change
from .values import bounded, moved, percent

# Falls of log(loss) over the patience that are as good as none: where it falls beyond doubt, where noise hides that.
# Lowered wherever noise hid a fall, 5 of 16 trainings at a good rate became slower by over 5 %, this way 1 (development
# seeds 1060 to 1075).
HARDLY_FALLS, HIDDEN_FALL = 0.02, 0.05
# Other sizes of a trial, as powers of the factor: beliefs choose among them (2, 5 and 10 for a factor of 3).
OTHER_UP, OTHER_DOWN = (2 / 3, 3 / 2), (2 / 3, 2)


class LearningRate:
    name = "learning_rate"
    summary = "Tries a higher learning rate while the loss falls slowly, a lower one when it rises or stalls."
    reads = (RATIO, COSINE, RATE_IN_FORCE)
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
        # Where the start is in sight, the search has found what a raise would bring; and weights that turn every few
        # steps are not held up by too low a rate, however slowly the loss falls.
        moving = motion(observation.windows, last_change(observation, rate))
        settled = seen.is_start or (moving is not None and moving.cosine <= BEGIN_LATER)
        end = ending(observation, self.name, rate)
        if end is not None and end.is_due and not (rate.low is not None and float(rate.value) <= rate.low):
            why = f"has {percent(end.share)} of {end.total} steps left, in which a lower rate lets it settle"
            return [self._proposal(observation, metric, rate, seen, why, scale, tries, -1, end=end)]
        settled = settled or end is not None
        up = "" if settled else self._up(seen, since, scale, rate, tries, parameters)
        if up:
            return [self._proposal(observation, metric, rate, seen, up, scale, tries, direction=1)]
        down, shown = self._down(seen, since, rate, tries, parameters, scale)
        if down:
            return [
                self._proposal(observation, metric, rate, seen, down, scale, tries, direction=-1, shown=shown)
            ]
        return []

    def _up(
        self,
        seen: Reading,
        since: Window,
        scale: int,
        rate: TunableView,
        tries: Tries,
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
        seen: Reading,
        since: Window,
        rate: TunableView,
        tries: Tries,
        parameters: Mapping[str, Any],
        scale: int,
    ) -> tuple[str, Reading]:
        """Why a lower rate is due, "" when it is not, and the reading that says so."""
        if rate.low is not None and float(rate.value) <= rate.low:
            return "", seen
        # Each lower rate that brought nothing doubles the patience before the next.
        patience = int(parameters["plateau_steps"]) * scale * 2**tries.idle_downs
        rise = seen.trend.slope_low * seen.trend.steps
        if seen.trend.is_rising and rise > max(0.02, 0.5 * seen.trend.noise) and seen.trend.points >= 60:
            return f"rises, {percent(rise)} or more in {seen.trend.steps} steps", seen
        flat = read(since, since, patience, scale)
        if flat is None or flat.trend.steps < 0.9 * patience:
            return "", seen
        if flat.trend.level == 0 and flat.trend.noise == 0:
            return "", flat  # nothing is left to learn: no rate does better
        # Noise hides a fall that goes on: it is over only where the middle of what it may be is next to none.
        if flat.progress < (HARDLY_FALLS if flat.trend.is_falling else HIDDEN_FALL):
            steps = flat.trend.steps
            log = flat.unit == "log"
            low, high = moved(flat.trend.slope_low * steps, log), moved(flat.trend.slope_high * steps, log)
            return f"has stopped falling: {low} to {high} in {steps} steps", flat
        return "", seen

    def _proposal(
        self,
        observation: Observation,
        metric: str,
        rate: TunableView,
        seen: Reading,
        why: str,
        scale: int,
        tries: Tries,
        direction: int,
        shown: Reading | None = None,
        end: Ending | None = None,
    ) -> Proposal:
        """seen: what sizes and times rest on. shown: what the reason rests on, where that is another reading.

        end: given where the end of the run is the reason.
        """
        parameters = observation.parameters
        factor = float(parameters["factor"])
        # The more noise for the progress, the longer it takes for an effect to show: up to four times.
        longer = min(4, max(1, math.ceil(seen.trend.noise / max(0.1, seen.progress))))
        horizon = int(parameters["horizon_steps"]) * scale * longer
        if end is not None:
            horizon = min(horizon, end.left // 2)  # judged while it can be taken back
        verb = "raise" if direction > 0 else "lower"

        def size(value: float) -> Alternative:
            if direction > 0:
                # At most proportional to the rate; half of that is the guess, none of it the worst hoped for.
                ratio = value / float(rate.value)
                best = max(seen.progress, 0.02) * horizon / max(1, seen.trend.steps) * (ratio - 1)
                expected = Expected(effect=max(-0.5 * best, -0.95), low=-min(best, 0.95), high=0.0)
            else:
                # What SGD's noise adds to the loss shrinks with the rate; how much that is, nobody knows yet.
                expected = Expected(effect=-0.1, low=-0.5, high=0.02)
            told = f"{metric} {why}; {verb} {rate.name} to {value:.4g} from {rate.value:.4g}."
            return Alternative((Change("set", rate.name, value),), told, expected, horizon)

        powers = (1.0, *(OTHER_UP if direction > 0 else OTHER_DOWN))
        # At a bound two sizes may be one.
        values = dict.fromkeys(
            bounded(float(rate.value) * factor ** (direction * power), rate) for power in powers
        )
        own, *others = [size(value) for value in values]
        if direction > 0:
            others = [other for other in others if not tries.bars(float(other.changes[0].value))]
        told = shown or seen
        return Proposal(
            policy=self.name,
            changes=own.changes,
            reason=own.reason,
            evidence={
                "window": [told.trend.first_step, told.trend.last_step],
                "progress": round(told.progress, 5),
                "progress_low": round(-told.trend.slope_high * told.trend.steps, 5),
                "progress_high": round(-told.trend.slope_low * told.trend.steps, 5),
                "noise": round(told.trend.noise, 5),
                "points": told.trend.points,
                "unit": told.unit,
                **({} if end is None else {"ending": round(end.share, 4)}),
            },
            expected=own.expected,
            metric=metric,
            judge_after_steps=horizon,
            # At the end the lower rate stays unless it is shown to do harm: there is no time to try twice.
            trial=end is None,
            alternatives=tuple(others),
        )
