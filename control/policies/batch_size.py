"""Batch size: follow the gradient's noise, and move the learning rate by the right rule in the same decision.

Sees: the gradient noise measured in training, batch size, accumulation, ranks, the optimiser's family, memory, samples
a second, the loss.
Does: doubles the batch while the noise scale is far above it (a larger batch then loses next to nothing for each
sample) if samples then come faster; halves it where the noise scale is far below (samples are wasted). The rate
moves along: by AdaScale's gain for SGD, by the square root of the ratio for Adam and its like. Where nothing can be
measured (one micro-batch on one rank), splits the batch in two for a while: the same effective batch, as a probe.
At a batch many times that of the start it tries layer-wise trust ratios.

Sources: McCandlish et al. 2018, arXiv 1812.06162 (noise scale as the batch up to which samples are not wasted);
Smith et al. 2018, arXiv 1711.00489 (growing batches); Johnson et al. 2020, arXiv 2007.05105 (AdaScale's gain);
Malladi et al. 2022, arXiv 2205.10287 (square root for Adam); You et al. 2017 and 2019, arXiv 1708.03888 and 1904.00962.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from control.estimators.memory import TOTAL, USED, failed_before, headroom
from control.estimators.noise_scale import NoiseScale, gain, noise_scale, rate_factor
from control.proposals import (
    SPEED_ROLES,
    Alternative,
    Change,
    Expected,
    Observation,
    Proposal,
    TunableView,
)

SQUARE, VARIANCE = "_grad_square", "_grad_variance"
THROUGHPUT = "_samples_per_second"
COSTS = ("time", "steps")


class BatchSize:
    name = "batch_size"
    summary = "Lets the batch follow the gradient's noise, with the learning rate along."
    defaults: Mapping[str, Any] = {
        "enabled": True,
        "metric": "",
        "cost": "time",
        "grow_at": 4.0,
        "grow_at_when_steps_count": 1.0,
        "shrink_at": 4.0,
        "least_measurements": 20,
        "most_measurements": 200,
        "recent_steps": 2000,
        "horizon_steps": 100,
        "retry_steps": 3000,
        # Off: two halves in place of one batch took 40 % of the samples a second from a small network for 300 steps.
        "probe": False,
        "probe_steps": 300,
        "probe_after_steps": 500,
        "probe_every_steps": 2000,
        "trust_ratio_at": 8.0,
        "spare_share": 0.15,
    }
    reads = (SQUARE, VARIANCE, THROUGHPUT, USED, TOTAL)

    def propose(self, observation: Observation) -> list[Proposal]:
        metric = observation.loss_metric(str(observation.parameters["metric"]))
        seen = Batch.of(observation)
        cost = str(observation.parameters["cost"])
        if cost not in COSTS:
            raise ValueError(f"cost={cost!r}; expected one of {', '.join(COSTS)}")
        if not metric or seen is None or observation.is_open_on("learning_rate", "trust_ratio", *SPEED_ROLES):
            return []
        noise = self._noise(observation)
        if noise is None:
            found = self._probe(observation, seen, metric)
        else:
            found = (
                self._trust(observation, seen, metric)
                or self._grow(observation, seen, noise, metric)
                or self._shrink(observation, seen, noise, metric)
            )
        return [] if found is None else [found]

    def _noise(self, observation: Observation) -> NoiseScale | None:
        """From the newest measurements; those of an older state of the weights are of another training."""
        square, variance = observation.windows.get(SQUARE), observation.windows.get(VARIANCE)
        if square is None or variance is None:
            return None
        since = observation.step - int(observation.parameters["recent_steps"])
        square, variance = square.after(since), variance.after(since)
        _, first, second = np.intersect1d(square.steps, variance.steps, return_indices=True)
        least = int(observation.parameters["least_measurements"])
        newest = slice(-int(observation.parameters["most_measurements"]), None)
        return noise_scale(square.values[first][newest], variance.values[second][newest], least)

    # -- what is proposed ----------------------------------------------------------------------------

    def _grow(
        self, observation: Observation, seen: "Batch", noise: NoiseScale, metric: str
    ) -> Proposal | None:
        parameters = observation.parameters
        by_steps = str(parameters["cost"]) == "steps"
        least = parameters["grow_at_when_steps_count" if by_steps else "grow_at"]
        if noise.low < float(least) * seen.samples:
            return None
        larger = 2 * seen.size.value
        changes: tuple[Change, ...] = ()
        if self._fits(observation, seen.size, larger):
            changes = (Change("set", seen.size.name, larger),)
        elif by_steps and seen.parts is not None and in_bounds(seen.parts, 2 * seen.accumulation):
            changes = (Change("set", seen.parts.name, 2 * seen.accumulation),)
        if not changes or self._was_tried(observation, changes[0]):
            return None
        if not by_steps and THROUGHPUT not in observation.windows:
            return None
        changes += self._rate(seen, noise, 2 * seen.samples)
        lost = 1 - efficiency(noise.low, 2 * seen.samples) / efficiency(noise.low, seen.samples)
        why = (
            f"the gradient's noise scale is {noise.value:.4g} samples (at least {noise.low:.4g}), {seen.samples} are "
            f"taken: twice as many lose at most {100 * lost:.0f} % for each sample"
        )
        if by_steps:
            worth = gain(noise.low, seen.samples, 2 * seen.samples)
            # Kept unless it is worse: what a larger batch gains does not show within a noisy loss's horizon.
            return self._proposal(
                observation, seen, noise, changes, f"{why}, and a step is worth {worth:.2f} as many",
                metric, Expected(effect=-0.05, low=-0.5, high=0.0), trial=False,
            )  # fmt: skip
        expected = Expected(effect=0.3, low=0.0, high=1.0)
        kept = "kept if samples come faster"
        doubled = self._proposal(
            observation, seen, noise, changes, f"{why}; {kept}", THROUGHPUT, expected, (metric,)
        )
        four = Change("set", seen.size.name, 4 * seen.size.value)
        far = noise.low >= 2 * float(least) * seen.samples and self._fits(observation, seen.size, four.value)
        if not far or self._was_tried(observation, four):
            return doubled
        # Where the noise is further off still, twice the step: on offer, for beliefs to choose.
        changes = (four, *self._rate(seen, noise, 4 * seen.samples))
        other = self._proposal(
            observation, seen, noise, changes, f"{why}, four times as many hardly more; {kept}", THROUGHPUT,
            Expected(effect=0.5, low=0.0, high=3.0), (metric,),
        )  # fmt: skip
        if len(changes) != len(doubled.changes):
            return doubled  # the rate is at its bound
        size = Alternative(other.changes, other.reason, other.expected, other.judge_after_steps)
        return replace(doubled, alternatives=(size,))

    def _shrink(
        self, observation: Observation, seen: "Batch", noise: NoiseScale, metric: str
    ) -> Proposal | None:
        """Where a step costs what it costs whatever its batch, no batch is too large."""
        if str(observation.parameters["cost"]) == "steps" or THROUGHPUT not in observation.windows:
            return None
        if seen.samples < float(observation.parameters["shrink_at"]) * noise.high:
            return None
        if not self._sees_afterwards(observation, seen):
            return None
        if seen.parts is not None and seen.accumulation % 2 == 0:
            change = Change("set", seen.parts.name, seen.accumulation // 2)
        elif seen.size.value % 2 == 0 and in_bounds(seen.size, seen.size.value // 2):
            change = Change("set", seen.size.name, seen.size.value // 2)
        else:
            return None
        if self._was_tried(observation, change):
            return None
        half = seen.samples // 2
        saved = efficiency(noise.high, half) / efficiency(noise.high, seen.samples) - 1
        changes = (change, *self._rate(seen, noise, half))
        return self._proposal(
            observation, seen, noise, changes,
            f"the gradient's noise scale is {noise.value:.4g} samples (at most {noise.high:.4g}), {seen.samples} are "
            f"taken: half as many bring {100 * saved:.0f} % more for each sample; taken back if they come slower",
            THROUGHPUT, Expected(effect=0.0, low=-0.1, high=0.2), trial=False,
        )  # fmt: skip

    def _sees_afterwards(self, observation: Observation, seen: "Batch") -> bool:
        """Whether the noise can still be measured at half the batch, so that it can grow again.

        The noise grows while a training learns. A batch that shrank to one micro-batch on one rank, as it may after
        memory ran out, would rest for good on what was measured early.
        """
        halved = seen.accumulation // 2 if seen.accumulation % 2 == 0 else seen.accumulation
        return halved * seen.ranks > 1 or bool(observation.parameters["probe"])

    def _probe(self, observation: Observation, seen: "Batch", metric: str) -> Proposal | None:
        """Two halves in place of one batch, for as long as it takes to measure."""
        parameters = observation.parameters
        if not parameters["probe"] or seen.accumulation != 1 or seen.ranks != 1 or seen.parts is None:
            return None
        if seen.size.value % 2 or not in_bounds(seen.size, seen.size.value // 2):
            return None
        # By then the process has saved up for a dense look.
        if observation.step < int(parameters["probe_after_steps"]):
            return None
        mine = [past.at_step for past in observation.past if past.policy == self.name]
        if any(observation.step - at < int(parameters["probe_every_steps"]) for at in mine):
            return None
        half = seen.size.value // 2
        return self._proposal(
            observation, seen, None,
            (Change("set", seen.size.name, half), Change("set", seen.parts.name, 2)),
            f"with one micro-batch the gradient's noise cannot be measured; two of {half} in place of one of "
            f"{seen.size.value} for a while, the same effective batch",
            metric, Expected(effect=0.0, low=-0.05, high=0.05), horizon=int(parameters["probe_steps"]),
            # It is to bring figures, no effect: without a past of its own this is never better, and so taken back.
            judged_by=SQUARE,
        )  # fmt: skip

    def _trust(self, observation: Observation, seen: "Batch", metric: str) -> Proposal | None:
        parameters = observation.parameters
        trust = observation.with_role("trust_ratio")
        if trust is None or trust.value is not False or not isinstance(seen.size.initial, int):
            return None
        began = seen.size.initial * int(getattr(seen.parts, "initial", None) or 1) * seen.ranks
        if seen.samples < float(parameters["trust_ratio_at"]) * began:
            return None
        change = Change("set", trust.name, True)
        if self._was_tried(observation, change):
            return None
        return self._proposal(
            observation, seen, None, (change,),
            f"the batch is {seen.samples} samples, {seen.samples / began:.3g} times that of the start: steps in "
            "proportion to each layer's weights; kept if the loss falls faster",
            metric, Expected(effect=-0.05, low=-0.3, high=0.0),
        )  # fmt: skip

    # -- what it is made of --------------------------------------------------------------------------

    def _fits(self, observation: Observation, size: TunableView, larger: int) -> bool:
        if not in_bounds(size, larger):
            return False
        room = headroom(observation, size)
        if failed_before(size, larger, None if room is None else room.total_bytes):
            return False
        spare = float(observation.parameters["spare_share"])
        return room is None or room.needed_bytes(larger) <= (1 - spare) * room.total_bytes

    def _rate(self, seen: "Batch", noise: NoiseScale, samples: int) -> tuple[Change, ...]:
        rate = seen.rate
        if rate is None or not isinstance(rate.value, int | float) or not rate.value > 0:
            return ()
        family = str(rate.about.get("family") or ("sgd" if "sgd" in seen.optimiser.lower() else ""))
        # The end of the interval that moves the rate less.
        careful = noise.low if samples > seen.samples else noise.high
        value = float(rate.value) * rate_factor(family, careful, seen.samples, samples)
        if rate.low is not None:
            value = max(value, rate.low)
        if rate.high is not None:
            value = min(value, rate.high)
        value = float(f"{value:.4g}")
        return () if value == rate.value else (Change("set", rate.name, value),)

    def _was_tried(self, observation: Observation, change: Change) -> bool:
        for past in observation.past:
            same = (
                past.policy == self.name and past.tunable == change.tunable and past.new_value == change.value
            )
            recent = observation.step - past.at_step <= int(observation.parameters["retry_steps"])
            if same and recent and past.verdict != "better" and past.evidence.get("kind") != "probe":
                return True
        return False

    def _proposal(
        self,
        observation: Observation,
        seen: "Batch",
        noise: NoiseScale | None,
        changes: tuple[Change, ...],
        why: str,
        metric: str,
        expected: Expected,
        unharmed: tuple[str, ...] = (),
        trial: bool = True,
        horizon: int = 0,
        judged_by: str = "",
    ) -> Proposal:
        window = observation.windows[metric]
        evidence: dict[str, Any] = {
            "window": [int(window.steps[0]), int(window.steps[-1])],
            "batch": seen.samples,
            "kind": "probe" if noise is None and changes[0].tunable == seen.size.name else "follow",
        }
        if noise is not None:
            evidence |= {
                "noise_scale": noise.value if np.isfinite(noise.value) else None,
                "noise_scale_low": noise.low,
                "noise_scale_high": noise.high if np.isfinite(noise.high) else None,
                "measurements": noise.measurements,
            }
        told = ", ".join(f"{change.tunable} to {change.value}" for change in changes)
        return Proposal(
            policy=self.name,
            changes=changes,
            reason=f"{why}: {told}.",
            evidence=evidence,
            expected=expected,
            metric=judged_by or metric,
            judge_after_steps=(horizon or int(observation.parameters["horizon_steps"])) * window.stride,
            trial=trial,
            unharmed=unharmed,
        )


@dataclass(frozen=True)
class Batch:
    """What makes a step's batch: micro-batch, how many of them, on how many ranks."""

    size: TunableView
    parts: TunableView | None
    rate: TunableView | None
    ranks: int
    optimiser: str  # as the run's config tells, where the process tells no family

    @classmethod
    def of(cls, observation: Observation) -> "Batch | None":
        size, parts = observation.with_role("batch_size"), observation.with_role("accumulation")
        if size is None or not is_count(size.value):
            return None
        ranks = size.about.get("ranks", 1)
        parts = parts if parts is not None and is_count(parts.value) else None
        rate = observation.with_role("learning_rate")
        return cls(size, parts, rate, ranks if is_count(ranks) else 1, observation.optimiser)

    @property
    def accumulation(self) -> int:
        return 1 if self.parts is None else int(self.parts.value)

    @property
    def samples(self) -> int:
        return int(self.size.value) * self.accumulation * self.ranks


def efficiency(noise: float, batch: float) -> float:
    """Progress of a sample in a batch, against one in the smallest: a half at the noise scale."""
    if np.isinf(noise):
        return 1.0
    return noise / (noise + batch) if noise + batch > 0 else 0.0


def in_bounds(tunable: TunableView, value: int) -> bool:
    return (tunable.low is None or value >= tunable.low) and (tunable.high is None or value <= tunable.high)


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
