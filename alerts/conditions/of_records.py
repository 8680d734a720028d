"""Parameters of the conditions over what the site records beside series; alerts.records looks them up."""

from typing import Annotated, Literal

import msgspec

States = Annotated[
    tuple[Literal["failed", "lost", "stopped", "finished", "paused"], ...], msgspec.Meta(min_length=1)
]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=30 * 86_400)]


class RunState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run came into one of these states, and has not left it."""

    states: States = ("failed", "lost")


class NodeState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A node has not been heard of for so long."""

    seconds: Annotated[float, msgspec.Meta(ge=5, le=30 * 86_400)] = 60.0


class IdleDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device that a job holds and hardly uses."""

    below: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05
    kind: Literal["gpu", "cpu"] = "gpu"


class QueueWait(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job has waited for a place for so long."""

    seconds: Seconds = 1800.0


class Controller(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The controller waits for a person's word, or did something: its policy's name or part of it."""

    when: Literal["waits", "acted", "undone"] = "waits"
    policy: Annotated[str, msgspec.Meta(max_length=100)] = ""
