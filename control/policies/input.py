"""Input: more loader workers, or batches prepared further ahead, where the training waits for its data.

Sees: how long each step waited for its batch, how long it took, loader workers, prefetching, the machine's cores.
Does: where waiting is more than `wait_share` of the steps, raises the workers to what the measured times call for,
up to the cores; where workers are at their end and the waits come in bursts, prepares further ahead. One trial at a
time, kept only if samples come faster.

Source: an input pipeline is tuned by what it is measured to hold up, one knob at a time: Murray et al. 2021, tf.data,
arXiv 2101.12127; how many workers: a queue keeps up once its servers' rate is the consumer's.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from control.proposals import (
    ACTED_STATES,
    SPEED_ROLES,
    Alternative,
    Change,
    Expected,
    Observation,
    Proposal,
    TunableView,
)

WAIT = "_data_wait_seconds"
STEP = "_step_seconds"
THROUGHPUT = "_samples_per_second"
# New workers start, and the queue fills: no step of these says how it will be.
SETTLING_POINTS = 10


class Input:
    name = "input"
    summary = "Raises loader workers and prefetching where steps wait for data, if samples then come faster."
    defaults: Mapping[str, Any] = {
        "enabled": True,
        "wait_share": 0.1,
        # A batch that comes from another process costs some milliseconds of handing over: less is not to be gained.
        "least_wait_seconds": 0.004,
        "points": 100,
        "horizon_steps": 100,
        "most_at_once": 4.0,
        "retry_steps": 5000,
    }
    reads = (WAIT, STEP, THROUGHPUT)

    def propose(self, observation: Observation) -> list[Proposal]:
        workers, ahead = observation.with_role("loader_workers"), observation.with_role("prefetch")
        if workers is None or not isinstance(workers.value, int) or THROUGHPUT not in observation.windows:
            return []
        knobs = [each for each in (workers, ahead) if each is not None]
        if observation.is_open_on(*SPEED_ROLES):
            return []
        seen = read(observation, knobs, int(observation.parameters["points"]))
        if seen is None or seen.share < float(observation.parameters["wait_share"]):
            return []
        if seen.wait_seconds < float(observation.parameters["least_wait_seconds"]):
            return []
        wanted = self._workers(observation, workers, seen)
        if wanted is not None:
            trial = self._trial(observation, workers, wanted, seen, seen.gain(workers.value, wanted))
            fewer = (int(workers.value) + wanted) // 2
            if fewer in (int(workers.value), wanted) or self._was_tried(observation, workers, fewer):
                return [trial]
            # Each worker holds a copy of the data set: half of the way may do.
            half = self._trial(observation, workers, fewer, seen, seen.gain(workers.value, fewer))
            other = Alternative(half.changes, half.reason, half.expected, half.judge_after_steps)
            return [replace(trial, alternatives=(other,))]
        further = self._ahead(observation, workers, ahead, seen)
        if further is not None and ahead is not None:
            return [self._trial(observation, ahead, further, seen, 0.5 * seen.share)]
        return []

    def _workers(self, observation: Observation, workers: TunableView, seen: "Waits") -> int | None:
        """So many as keep up with the steps, or None where there is no more to be tried."""
        now = int(workers.value)
        cores = workers.about.get("cores", workers.high)
        most = int(min(each for each in (cores, workers.high, math.inf) if each is not None and each >= 0))
        # A tenth of a worker that is missing is not worth another one.
        enough = seen.preparing(now) / max(seen.compute_seconds, 1e-9) - 0.1
        wanted = max(now + 1, math.ceil(enough))
        wanted = min(wanted, most, int(max(1, now) * float(observation.parameters["most_at_once"])))
        if now == 0 and workers.high is not None:
            wanted = min(wanted, max(1, int(workers.high / 2)))  # the guards' largest step from nothing
        return None if wanted <= now or self._was_tried(observation, workers, wanted) else wanted

    def _ahead(
        self, observation: Observation, workers: TunableView, ahead: TunableView | None, seen: "Waits"
    ) -> int | None:
        """Twice as far ahead, where workers keep up on the whole and some batches take longer."""
        if ahead is None or not isinstance(ahead.value, int) or workers.value < 1 or not seen.in_bursts:
            return None
        wanted = 2 * ahead.value
        if (ahead.high is not None and wanted > ahead.high) or self._was_tried(observation, ahead, wanted):
            return None
        return wanted

    def _was_tried(self, observation: Observation, knob: TunableView, value: int) -> bool:
        """Whether as much, or more, brought nothing not long ago."""
        for past in observation.past:
            mine = past.policy == self.name and past.tunable == knob.name
            recent = observation.step - past.at_step <= int(observation.parameters["retry_steps"])
            if mine and recent and past.verdict != "better" and number(past.new_value) >= value:
                return True
        return False

    def _trial(
        self, observation: Observation, knob: TunableView, value: int, seen: "Waits", gain: float
    ) -> Proposal:
        return Proposal(
            policy=self.name,
            changes=(Change("set", knob.name, value),),
            reason=f"steps wait {1000 * seen.wait_seconds:.3g} ms of {1000 * seen.step_seconds:.3g} ms for their "
            f"batch, {100 * seen.share:.0f} %; {knob.name} from {knob.value} to {value}. Kept if samples come "
            "faster.",
            evidence={
                "window": [seen.first_step, seen.last_step],
                "wait_share": round(seen.share, 4),
                "wait_seconds": seen.wait_seconds,
                "step_seconds": seen.step_seconds,
                "in_bursts": seen.in_bursts,
            },
            expected=Expected(effect=gain, low=0.0, high=max(2 * gain, 0.1)),
            metric=THROUGHPUT,
            judge_after_steps=int(observation.parameters["horizon_steps"])
            * observation.windows[THROUGHPUT].stride,
            trial=True,
        )


@dataclass(frozen=True)
class Waits:
    """Means over the newest steps since the loader was changed."""

    wait_seconds: float
    step_seconds: float
    in_bursts: bool
    first_step: int
    last_step: int

    @property
    def share(self) -> float:
        return self.wait_seconds / self.step_seconds

    @property
    def compute_seconds(self) -> float:
        return self.step_seconds - self.wait_seconds

    def preparing(self, workers: int) -> float:
        """Seconds of one worker's time that a step's batches take.

        Without workers all of it is waited for; with them the steps come as fast as all of them deliver.
        """
        return self.wait_seconds if workers == 0 else workers * self.step_seconds

    def gain(self, workers: int, wanted: int) -> float:
        """By how much samples should come faster, 0.5 for half as fast again."""
        step = max(self.compute_seconds, self.preparing(workers) / wanted)
        return self.step_seconds / step - 1 if step > 0 else 0.0


def read(observation: Observation, knobs: list[TunableView], points: int) -> Waits | None:
    """What steps waited for since the loader was last changed; None with too few of them."""
    wait, step = observation.windows.get(WAIT), observation.windows.get(STEP)
    if wait is None or step is None:
        return None
    changed = [-1]
    names = {each.name for each in knobs}
    changed += [each.changed_step for each in knobs if each.changed_step is not None]
    changed += [
        past.at_step
        for past in observation.past
        if past.state in ACTED_STATES and any(past.sets(name) for name in names)
    ]
    since = max(at for at in changed if at <= observation.step)
    both, first, second = np.intersect1d(
        wait.after(since).steps, step.after(since).steps, return_indices=True
    )
    waits, steps = wait.after(since).values[first], step.after(since).values[second]
    good = np.isfinite(waits) & np.isfinite(steps) & (steps > 0)
    kept = np.flatnonzero(good)[SETTLING_POINTS:][-points:]
    if len(kept) < max(20, points // 4):
        return None
    mean = float(waits[kept].mean())
    return Waits(
        wait_seconds=mean,
        step_seconds=float(steps[kept].mean()),
        in_bursts=float(np.median(waits[kept])) < 0.5 * mean,
        first_step=int(both[kept[0]]),
        last_step=int(both[kept[-1]]),
    )


def number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.inf
