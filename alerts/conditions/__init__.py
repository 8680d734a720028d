"""Everything a rule can watch for: {name: (what it looks at, its parameters, one sentence)}."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from .base import Span, Track, held
from .non_finite import NonFinite
from .of_records import Controller, IdleDevice, NodeState, QueueWait, RunState
from .plateau import Plateau
from .stalled import Stalled
from .threshold import Threshold

__all__ = ["CONDITIONS", "BadParameters", "Kind", "Span", "Stalled", "Track", "held", "parameters_of"]


@dataclass(frozen=True)
class Kind:
    name: str
    looks_at: Literal["run", "node", "device", "job"]
    parameters: type[msgspec.Struct]
    title: str
    told: str


CONDITIONS = {
    kind.name: kind
    for kind in (
        Kind(
            "run_figure",
            "run",
            Threshold,
            "A run's figure",
            "A metric or signal of a run above or below a limit.",
        ),
        Kind(
            "node_figure",
            "node",
            Threshold,
            "A node's figure",
            "A reading of a node or its devices above or below a limit; * stands for any index.",
        ),
        Kind("non_finite", "run", NonFinite, "NaN or infinity", "A metric that is no number any more."),
        Kind("plateau", "run", Plateau, "Plateau", "A metric that no longer improves."),
        Kind("stalled", "run", Stalled, "Stalled run", "A running training that sends no points."),
        Kind(
            "run_state",
            "run",
            RunState,
            "A run's end",
            "A run that failed, was lost, or came into another state.",
        ),
        Kind("node_silent", "node", NodeState, "Silent node", "A node that is not heard of."),
        Kind(
            "idle_device", "device", IdleDevice, "Idle device", "A device that a job holds and hardly uses."
        ),
        Kind("queue_wait", "job", QueueWait, "Long wait", "A job that waits for a place."),
        Kind(
            "controller",
            "run",
            Controller,
            "Controller",
            "The controller waits for a word, acted, or took something back.",
        ),
    )
}


class BadParameters(ValueError):
    """The parameters do not fit the condition; the message says which and what would do."""


def parameters_of(condition: str, given: Any) -> Any:
    """The condition's struct, checked. Raises BadParameters."""
    kind = CONDITIONS.get(condition)
    if kind is None:
        raise BadParameters(f"{condition!r:.60} is no condition; there are {', '.join(CONDITIONS)}")
    try:
        return msgspec.convert(given, kind.parameters)
    except msgspec.ValidationError as error:
        takes = ", ".join(field.encode_name for field in msgspec.structs.fields(kind.parameters))
        raise BadParameters(f"{in_words(str(error))}; {condition} takes {takes}") from None


PLACE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?", re.DOTALL)
KINDS = {
    "float": "a number", "int": "a whole number", "str": "text", "bool": "true or false", "array": "a list",
    "object": "a map", "null": "nothing",
}  # fmt: skip


def in_words(error: str) -> str:
    """What msgspec says, as one says it of a form: "limit: Expected a number, got text"."""
    found = PLACE.fullmatch(error)
    said, place = (error, None) if found is None else found.groups()
    said = re.sub(r"`(\w+)`", lambda kind: KINDS.get(kind[1], kind[0]), said)
    return f"{place}: {said}" if place else said
