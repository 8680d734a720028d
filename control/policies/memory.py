"""Memory: larger micro-batches again where what was measured leaves room, and a lower precision where it is faster.

Sees: memory used and to be had, batch size and accumulation, the size that ran out of memory, samples a second.
Does: after the process's own reflex has halved the micro-batch, or where a script accumulates more than the device
asks for, multiplies the micro-batch and divides the accumulation: the effective batch stays exactly what it was. Tries
bfloat16 once on a device that may gain by it. Both are trials: kept only if samples come faster, and the loss is
not worse.

Sources: gradient accumulation as a remedy for memory, Ott et al. 2018, arXiv 1806.00187; bfloat16 without loss
scaling, Kalamkar et al. 2019, arXiv 1905.12322. That memory is a constant and a part for each sample is a
measurement here, not a model's promise.
"""

from collections.abc import Mapping
from typing import Any

from control.estimators.memory import TOTAL, USED, failed_before, headroom
from control.proposals import SPEED_ROLES, Change, Expected, Observation, Proposal, TunableView

THROUGHPUT = "_samples_per_second"
GIB = 2**30


class Memory:
    name = "memory"
    summary = "Grows micro-batches again where memory allows, and tries bfloat16 where it may be faster."
    defaults: Mapping[str, Any] = {
        "enabled": True,
        "metric": "",
        "horizon_steps": 100,
        "spare_share": 0.15,
        "retry_steps": 3000,
        "try_precision": True,
        "precision_devices": "cuda xpu mps",
    }
    reads = (USED, TOTAL, THROUGHPUT)

    def propose(self, observation: Observation) -> list[Proposal]:
        if THROUGHPUT not in observation.windows or observation.is_open_on(*SPEED_ROLES):
            return []
        proposal = self._grow(observation) or self._precision(observation)
        return [] if proposal is None else [proposal]

    def _grow(self, observation: Observation) -> Proposal | None:
        batch, parts = observation.with_role("batch_size"), observation.with_role("accumulation")
        if batch is None or parts is None or not is_count(batch.value) or not is_count(parts.value):
            return None
        if parts.value < 2:
            return None
        factor = next(f for f in range(2, parts.value + 1) if parts.value % f == 0)
        size = batch.value * factor
        room = headroom(observation, batch)
        if room is None or (batch.high is not None and size > batch.high):
            return None
        needed, limit = room.needed_bytes(size), room.total_bytes
        spare = float(observation.parameters["spare_share"])
        if failed_before(batch, size, limit) or needed > (1 - spare) * limit:
            return None
        if self._was_tried(observation, batch, size):
            return None
        return self._trial(
            observation,
            (Change("set", batch.name, size), Change("set", parts.name, parts.value // factor)),
            f"batches of {batch.value} take {room.used_bytes / GIB:.2f} of {limit / GIB:.2f} GiB, {size} would "
            f"take about {needed / GIB:.2f}; {size} in place of {batch.value}, {parts.value // factor} of them to "
            "a step, the same effective batch.",
            {
                "used_bytes": room.used_bytes,
                "total_bytes": limit,
                "needed_bytes": needed,
                "failed_size": batch.about.get("failed"),
            },
            Expected(effect=0.15, low=0.0, high=factor - 1.0),
        )

    def _precision(self, observation: Observation) -> Proposal | None:
        parameters = observation.parameters
        precision = observation.with_role("precision")
        if not parameters["try_precision"] or precision is None or precision.value != "float32":
            return None
        device = str(precision.about.get("device", ""))
        if "bfloat16" not in precision.choices or device not in str(parameters["precision_devices"]).split():
            return None
        # Once in a run: what the hardware does does not change.
        tried = any(past.policy == self.name and past.sets(precision.name) for past in observation.past)
        if tried or observation.step < int(parameters["horizon_steps"]):
            return None
        return self._trial(
            observation,
            (Change("set", precision.name, "bfloat16"),),
            f"the forward pass computes in float32 on {device}; bfloat16 may be faster there and takes half the "
            "memory. Kept if samples come faster and the loss is not worse.",
            {"device": device},
            Expected(effect=0.3, low=0.0, high=2.0),
        )

    def _trial(
        self,
        observation: Observation,
        changes: tuple[Change, ...],
        reason: str,
        evidence: Mapping[str, Any],
        expected: Expected,
    ) -> Proposal:
        speed = observation.windows[THROUGHPUT]
        loss = observation.loss_metric(str(observation.parameters["metric"]))
        return Proposal(
            policy=self.name,
            changes=changes,
            reason=reason,
            evidence={"window": [int(speed.steps[0]), int(speed.steps[-1])], **evidence},
            expected=expected,
            metric=THROUGHPUT,
            judge_after_steps=int(observation.parameters["horizon_steps"]) * speed.stride,
            trial=True,
            unharmed=(loss,) if loss else (),
        )

    def _was_tried(self, observation: Observation, batch: TunableView, size: int) -> bool:
        """Whether this size brought nothing, not long ago."""
        for past in observation.past:
            tried = past.policy == self.name and past.tunable == batch.name and past.new_value == size
            recent = observation.step - past.at_step <= int(observation.parameters["retry_steps"])
            if tried and recent and past.verdict != "better":
                return True
        return False


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
