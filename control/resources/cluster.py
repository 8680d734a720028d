"""What the allocation is told and what it answers: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Node:
    """A host that may be used: `devices` healthy ones of one kind; a host of two kinds is two Nodes of one number.

    slow: how much longer a step takes here than on a healthy node of the kind (1.0: as fast).
    """

    node: int
    kind: str
    devices: int
    slow: float = 1.0


@dataclass(frozen=True)
class Held:
    """What a job has: (node, devices) each."""

    kind: str
    nodes: tuple[tuple[int, int], ...]

    @property
    def devices(self) -> int:
        return sum(count for _, count in self.nodes)


@dataclass(frozen=True)
class Job:
    """A job that runs or waits.

    goodput: per kind of device, {number of devices: goodput}; the numbers are the only ones it may be given.
    remaining: what is left to do, in the goodput's unit times seconds; None where the job does not say. done: what it
    has done. restart_seconds: what a change of its devices costs it. fixed: it stays as it is, whatever is better.
    spans: whether it may run over several nodes. weight: of its priority and its project's share.
    """

    job: int
    goodput: Mapping[str, Mapping[int, float]]
    held: Held | None = None
    remaining: float | None = None
    done: float = 0.0
    waited_seconds: float = 0.0
    restart_seconds: float = 30.0
    weight: float = 1.0
    fixed: bool = False
    spans: bool = False


@dataclass(frozen=True)
class Rules:
    """What the allocation aims at.

    fairness: power of the speed-up that is summed, 0..1: 1 counts useful work alone, less spreads devices over
    more jobs. shortness: how much what is nearly done goes ahead, 0 not at all: power of the rank. patience_seconds:
    who waits longer is given its least before anybody is given more. horizon_seconds: a change must pay back within
    this. keep: how many times better a change must be than staying.
    """

    fairness: float = 0.7
    shortness: float = 0.7
    patience_seconds: float = 4 * 3600.0
    horizon_seconds: float = 1200.0
    keep: float = 1.05


@dataclass(frozen=True)
class Answer:
    """What a job should have, empty `nodes` for nothing, and why."""

    job: int
    kind: str
    nodes: tuple[tuple[int, int], ...]
    changed: bool
    why: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def devices(self) -> int:
        return sum(count for _, count in self.nodes)


@dataclass(frozen=True)
class Allocation:
    """The answers by job, and what a further device of each kind of place would be worth in weighted speed-up."""

    answers: Mapping[int, Answer]
    prices: Mapping[str, float]


def sizes(least: int, most: int, node: int, spans: bool = False) -> list[int]:
    """The numbers of devices that are tried for a job: its least, powers of two, and whole nodes beyond one.

    Powers of two pack into nodes without gaps (Sia, section 3.2, does the same).
    """
    top = most if spans else min(most, node)
    found = {least} if least <= top else set()
    size = 1
    while size <= top:
        if size >= least and size <= node:
            found.add(size)
        size *= 2
    if spans and node:
        found |= {count for count in range(node, top + 1, node) if count >= least}
    return sorted(found)
