"""Values of a setting at which this same run was measured to be well: going back to one is no leap into the unknown."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .estimators.health import BLOCK, Limits, find_trouble
from .proposals import Change, CheckpointView, Observation, Proposal

# Points of a loss that was well at the value, before a checkpoint proves anything: two medians of ten.
ENOUGH_POINTS = 2 * BLOCK


@dataclass(frozen=True)
class Proof:
    """The value in force when the checkpoint was written, and for how many steps of a sound loss it had been."""

    checkpoint: CheckpointView
    value: float
    steps: int

    @property
    def evidence(self) -> dict[str, float | int]:
        return {
            "checkpoint": self.checkpoint.id,
            "step": self.checkpoint.step,
            "value": self.value,
            "steps": self.steps,
        }


def proof_at(observation: Observation, name: str, checkpoint: CheckpointView) -> Proof | None:
    """What the checkpoint proves of this setting; None where its process did not tell, or the loss does not show it.

    Only points that are still seen count: what nobody can look at any more is no evidence.
    """
    told = checkpoint.settings.get(name)
    value, since = (told.get("value"), told.get("since")) if isinstance(told, Mapping) else (None, None)
    if value is None or not is_number(value) or not isinstance(since, int):
        return None
    window = observation.windows.get(observation.loss_metric())
    if window is None:
        return None
    until = window.until(checkpoint.step)
    under = until.after(since)
    if len(under) < ENOUGH_POINTS or not bool(np.isfinite(under.values).all()):
        return None
    if find_trouble(until, Limits(), since) is not None:
        return None
    return Proof(checkpoint, float(value), checkpoint.step - max(since, int(under.steps[0]) - 1))


def is_return(change: Change, proposal: Proposal, observation: Observation) -> bool:
    """Whether the proposal takes the run back to a checkpoint that proves the value which this change sets."""
    for back in proposal.changes:
        if back.verb != "rollback":
            continue
        checkpoint = next((c for c in observation.checkpoints if c.id == back.value.get("checkpoint")), None)
        proof = None if checkpoint is None else proof_at(observation, change.tunable, checkpoint)
        if (
            proof is not None
            and is_number(change.value)
            and math.isclose(proof.value, change.value, rel_tol=1e-3)
        ):
            return True
    return False


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
