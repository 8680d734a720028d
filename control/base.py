"""What a policy is."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard, runtime_checkable

from .proposals import Observation, Proposal

if TYPE_CHECKING:
    from .groups import Group


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


@runtime_checkable
class GroupPolicy(Protocol):
    """The same over all runs of an experiment at once; each proposal names the `run` it is for.

    One object may be both. What it proposes passes the guards and the arbiter of each run as any other.
    """

    name: str
    summary: str
    defaults: Mapping[str, Any]

    def propose_group(self, group: "Group") -> list[Proposal]:
        """The changes this policy wants now in running members of the group; its parameters are in `group`."""
        ...


AnyPolicy: TypeAlias = Policy | GroupPolicy


def looks_at_one_run(policy: AnyPolicy) -> TypeGuard[Policy]:
    """Whether the policy is asked of single runs. isinstance with a protocol walks all its members at each call: of
    a tick over many runs that took an eighth."""
    return callable(getattr(policy, "propose", None))
