"""Which policies there are: the built-in ones, and those that installed packages bring.

A package brings a policy by an entry point of the group `scaleweb.policies` that names its class:

    [project.entry-points."scaleweb.policies"]
    warm_down = "my_package.policies:WarmDown"
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .base import AnyPolicy, GroupPolicy
from .policies.algorithm import Algorithm
from .policies.asha import Asha
from .policies.batch_size import BatchSize
from .policies.budget import Budget
from .policies.divergence import Divergence
from .policies.input import Input
from .policies.learning_rate import LearningRate
from .policies.median_stopping import MedianStopping
from .policies.memory import Memory
from .policies.population import Population
from .policies.resources import Resources

logger = logging.getLogger(__name__)
GROUP = "scaleweb.policies"
BUILT_IN: dict[str, type] = {
    Divergence.name: Divergence,
    LearningRate.name: LearningRate,
    Memory.name: Memory,
    Input.name: Input,
    BatchSize.name: BatchSize,
    Algorithm.name: Algorithm,
    Budget.name: Budget,
    Asha.name: Asha,
    MedianStopping.name: MedianStopping,
    Population.name: Population,
    Resources.name: Resources,
}


@dataclass(frozen=True)
class Registry:
    """The usable policies in order of asking, and in words what is wrong with the others."""

    policies: tuple[AnyPolicy, ...]
    problems: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def grouped(self) -> tuple[GroupPolicy, ...]:
        """Those that look at all runs of an experiment at once."""
        return tuple(policy for policy in self.policies if isinstance(policy, GroupPolicy))

    def named(self, name: str) -> AnyPolicy | None:
        return next((policy for policy in self.policies if policy.name == name), None)


@cache
def available() -> Registry:
    """The registry of this process: entry points are read once."""
    return build(tuple(entry_points(group=GROUP)))


def build(plug_ins: tuple[EntryPoint, ...]) -> Registry:
    """The built-in policies and the plug-ins that load; a plug-in never takes a built-in's name."""
    policies: list[AnyPolicy] = [make() for make in BUILT_IN.values()]
    problems: dict[str, str] = {}
    for point in plug_ins:
        try:
            policy = point.load()()
            problem = fault(policy, {known.name for known in policies})
        except (Exception, SystemExit) as error:  # noqa: BLE001  importing somebody else's package may raise anything
            problem = f"could not be loaded from {point.value}: {type(error).__name__}: {error}"
        if problem:
            problems[point.name] = problem
            logger.warning("policy %s is not used: %s", point.name, problem)
        else:
            policies.append(policy)
    return Registry(tuple(policies), problems)


def fault(policy: Any, taken: set[str]) -> str:
    """What keeps an object from being a policy, "" when nothing does."""
    name = getattr(policy, "name", None)
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        return f"its name must be a text of 1 to 100 characters, got {name!r:.80}"
    if name in taken:
        return f"the name {name!r} is taken"
    if not isinstance(getattr(policy, "summary", None), str):
        return "its summary must be a text"
    if not isinstance(getattr(policy, "defaults", None), Mapping):
        return "its defaults must be a map of parameters"
    reads = getattr(policy, "reads", ())
    if not isinstance(reads, tuple | list) or not all(isinstance(key, str) and key for key in reads):
        return f"its reads must be a tuple of keys that runs log, got {reads!r:.80}"
    if not any(callable(getattr(policy, name, None)) for name in ("propose", "propose_group")):
        return "it has no method propose(observation), nor propose_group(group)"
    return ""
