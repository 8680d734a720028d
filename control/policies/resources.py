"""How many devices a job should have: what a person may set of it. What it decides is decided for all jobs together.

It proposes nothing for a run by itself: once a minute `control.rescale` shares the cluster out (`control.resources`),
and a run's part in that becomes a decision of this policy. Sources: docs/policies/resources.md.
"""

from collections.abc import Mapping
from typing import Any

from control.proposals import Observation, Proposal


class Resources:
    name = "resources"
    summary = "Gives elastic jobs the devices that they make most of, and moves them off slowed nodes."
    defaults: Mapping[str, Any] = {
        # In mode act: rescale by itself, verify, take back. Without it every change waits for a person.
        "may_rescale": False,
        # Steady training that is compared after a change, against as much before it.
        "judge_after_seconds": 120.0,
        # Limits the power of GPUs that a job has to itself: the one that costs least by the weight of energy, 0 (time
        # alone) to 1 (energy alone). The node's worker sets it and puts it back.
        "may_limit_power": False,
        "energy_weight": 0.5,
    }

    def propose(self, observation: Observation) -> list[Proposal]:
        return []
