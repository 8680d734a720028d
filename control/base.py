"""What a policy is."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from .proposals import Observation, Proposal


@runtime_checkable
class Policy(Protocol):
    """A pure function with a name: the same observation gives the same proposals.

    `defaults` are the parameters a person may set per experiment; their values' types are the types
    accepted. `propose` finds them, with the person's values in place, in `observation.parameters`. A policy may also
    have `reads`, a tuple of keys that it wants in `observation.windows` beside the usual ones.
    """

    name: str
    summary: str
    defaults: Mapping[str, Any]

    def propose(self, observation: Observation) -> list[Proposal]:
        """The changes this policy wants now, most urgent first; an empty list to let the run be."""
        ...
