"""The site's own functions: placement alone, and placement's cluster shared out by `control.resources`."""

from __future__ import annotations

from benchmarks.cluster.engine import Live, Places
from benchmarks.cluster.workload import Cluster
from control.resources.allocate import allocate
from control.resources.cluster import Held, Job, Node, Rules
from training.jobs.placement import place
from training.jobs.rooms import Free
from training.jobs.turns import Waiting

from .room import Room

Given = dict[int, tuple[str, Places]]


class PlacementAlone:
    """`training.jobs.placement.place`: what the site does by itself. Nobody is interrupted; a gang is on one node."""

    name = "placement alone"

    def decide(self, now: float, live: list[Live], cluster: Cluster) -> Given:
        room = Room(cluster)
        given: Given = {}
        held: dict[tuple[int, str], int] = {}
        for one in live:
            if room.stay(one):
                given[one.job.number] = one.kind, one.places
                holder = one.job.project, "gpu"
                held[holder] = held.get(holder, 0) + one.devices
        free = [
            Free(node * 1000 + index, node, "gpu", index)
            for node, count in room.free.items()
            for index in range(count)
        ]
        # One node is the most that the site gives a job; who asked for more gets a whole one.
        most = cluster.node_devices
        waiting = [
            Waiting(one.job.number, one.job.project, "gpu", min(one.job.asked, most), min(one.job.asked, most),
                    waited_seconds=now - one.waits_since)
            for one in live
            if one.job.number not in given
        ]  # fmt: skip
        capacity = {(node, "gpu"): count for node, _, count in cluster.nodes}
        for assignment in place(waiting, free, held, capacity).assigned:
            given[assignment.job] = (
                room.kinds[assignment.node], ((assignment.node, len(assignment.devices)),)
            )  # fmt: skip
        return given


class Ours:
    """`control.resources.allocate` over all jobs, from their measurements."""

    name = "ours"

    def __init__(self, rules: Rules = Rules(), declared: bool = True) -> None:  # noqa: B008  frozen
        self.rules, self.declared = rules, declared

    def decide(self, now: float, live: list[Live], cluster: Cluster) -> Given:
        nodes = [Node(number, kind, devices) for number, kind, devices in cluster.nodes]
        jobs = [self.seen(one, now, cluster) for one in live]
        answers = allocate(jobs, nodes, self.rules).answers
        return {number: (answer.kind, answer.nodes) for number, answer in answers.items() if answer.devices}

    def seen(self, one: Live, now: float, cluster: Cluster) -> Job:
        known = bool(one.measured)
        says = self.declared and one.job.declares and known
        return Job(
            one.job.number,
            one.estimate(cluster),
            Held(one.kind, one.places) if one.places else None,
            remaining=one.remaining if says else None,
            done=one.done if known else 0.0,
            waited_seconds=now - one.waits_since,
            restart_seconds=one.job.restart_seconds,
            spans=True,
        )
