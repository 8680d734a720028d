"""The cluster's devices shared out anew: for each job its nodes, and why.

    weights -> worth of each configuration -> choose -> pack -> words

Source: Pollux (OSDI 2021): goodput, speed-ups, restart cost in the objective; Sia (SOSP 2023): several kinds. What is
maximised is the sum of speed-ups, each to the power `fairness` and weighted by what a second's work on it is worth to
the sum of all completion times (heSRPT: Berg, Vesilo, Harchol-Balter 2020, arXiv 2011.09676). Where a job does not say
how much is left, as much is expected as it has done: the mean rest of a heavy-tailed length (Pareto, index 2).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .choose import NEVER, Matrix, choose
from .cluster import Allocation, Answer, Job, Node, Rules
from .pack import Packing, Places
from .why import words

# A job that says nothing and has done nothing is taken to need at least so long on its least devices.
LEAST_LENGTH_SECONDS = 300.0
SLOW_STEPS = 0.1  # nodes whose slowness differs by less are of one class
# Above this a node counts as one to be left, not merely as noise.
SLOW_FROM = 1.1


@dataclass
class Option:
    """One configuration of one job."""

    place: int
    devices: int
    goodput: float
    worth: float


@dataclass
class Plan:
    """A job's options, the first of which is to have nothing."""

    job: Job
    options: list[Option] = field(default_factory=list)
    reference: float = 0.0
    weight: float = 0.0
    class_held: int = -1
    slow_held: float = 1.0


Class = tuple[str, float]  # kind, slowness


def allocate(jobs: Sequence[Job], nodes: Sequence[Node], rules: Rules = Rules()) -> Allocation:  # noqa: B008  frozen
    """Share the nodes' devices out among the jobs. The same input gives the same answer; nothing is held beyond it."""
    jobs = sorted(jobs, key=lambda job: job.job)
    classes = sorted({class_of(node) for node in nodes})
    index = {found: number for number, found in enumerate(classes)}
    sizes: list[dict[int, int]] = [{} for _ in classes]
    at: dict[tuple[str, int], int] = {}
    for node in sorted(nodes, key=lambda node: node.node):
        place = index[class_of(node)]
        sizes[place][node.node] = node.devices
        at[node.kind, node.node] = place
    packings = [Packing(dict(size), size) for size in sizes]
    fixed = [job for job in jobs if job.fixed and job.held is not None]
    for job in fixed:
        reserve(job, at, packings)
    free = [job for job in jobs if not (job.fixed and job.held is not None)]
    urgencies = urgency(free, rules)
    plans = [plan_of(job, urgencies[job.job], classes, at, packings, rules) for job in free]
    if not plans or not classes:
        nothing = {job.job: Answer(job.job, "", (), False, "waits: no node is open") for job in free}
        return Allocation(nothing | {job.job: stays_fixed(job) for job in fixed}, {})
    matrix = matrix_of(plans, np.array([sum(p.free.values()) for p in packings], dtype=np.int64))
    chosen, prices = choose(matrix)
    wanted = [plan.options[column] for plan, column in zip(plans, chosen, strict=True)]
    given = put(plans, wanted, packings)
    answers = {job.job: stays_fixed(job) for job in fixed}
    for plan, option in zip(plans, given, strict=True):
        places = packings[option.place].put.get(plan.job.job, ()) if option.devices else ()
        answers[plan.job.job] = answer_of(plan, option, places, classes, prices, rules)
    named = {name_of(found): float(price) for found, price in zip(classes, prices, strict=True)}
    return Allocation(answers, named)


def class_of(node: Node) -> Class:
    """Slowed nodes are a kind of their own: so a job leaves one for the same reasons as an older kind of device."""
    slow = round(max(1.0, node.slow) / SLOW_STEPS) * SLOW_STEPS if node.slow >= SLOW_FROM else 1.0
    return node.kind, round(slow, 3)


def name_of(found: Class) -> str:
    return found[0] if found[1] == 1 else f"{found[0]}, slowed {found[1]:g} times"


def reserve(job: Job, at: Mapping[tuple[str, int], int], packings: list[Packing]) -> None:
    """Take what a fixed job holds out of what can be shared out; what is gone from its nodes is nobody's."""
    assert job.held is not None
    for node, count in job.held.nodes:
        place = at.get((job.held.kind, node))
        if place is not None:
            packings[place].free[node] = max(0, packings[place].free[node] - count)


def urgency(jobs: Sequence[Job], rules: Rules) -> dict[int, float]:
    """What a second's work on one device is worth to each job: its rank by what is left, the longest lowest.

    With speed-ups k^p on k devices and no further arrivals, the least sum of completion times falls by (rank / jobs)^p
    a second of work done, the longest job having rank 1 (heSRPT).
    """
    left = {job.job: remaining_seconds(job, reference_of(job)) for job in jobs}
    ordered = sorted(-value for value in left.values())
    # Who has equally much left has one rank, the middle of theirs.
    return {
        job: ((bisect_left(ordered, -value) + bisect_right(ordered, -value) + 1) / 2 / len(ordered))
        ** rules.shortness
        for job, value in left.items()
    }


def reference_of(job: Job) -> float:
    """Goodput of a device where the job makes the most of one: what its speed-ups are counted from."""
    least = [(min(table), table[min(table)]) for table in job.goodput.values() if table]
    return max((good / count for count, good in least if good > 0), default=0.0)


def plan_of(
    job: Job, urgency: float, classes: list[Class], at: Mapping[tuple[str, int], int],
    packings: list[Packing], rules: Rules,
) -> Plan:  # fmt: skip
    plan = Plan(job, [Option(0, 0, 0.0, 0.0)])
    held = job.held
    if held is not None:
        places = {at[held.kind, node] for node, _ in held.nodes if (held.kind, node) in at}
        # A gang goes at the pace of its slowest node; what no node offers any more is held no more.
        if places and all((held.kind, node) in at for node, _ in held.nodes):
            plan.class_held = max(places, key=lambda place: classes[place][1])
            plan.slow_held = classes[plan.class_held][1]
    plan.reference = reference_of(job)
    if plan.reference <= 0:
        return plan
    left = remaining_seconds(job, plan.reference)
    plan.weight = job.weight * urgency
    late = job.held is None and job.waited_seconds >= rules.patience_seconds
    for place, (kind, slow) in enumerate(classes):
        largest = max(packings[place].size.values(), default=0)
        for count, good in sorted(job.goodput.get(kind, {}).items()):
            if good <= 0 or (count > largest and not job.spans):
                continue
            good = good / slow
            worth = plan.weight * (good / plan.reference) ** rules.fairness
            if held is not None and plan.class_held >= 0:
                stays = place == plan.class_held and count == held.devices
                worth *= rules.keep if stays else pays_back(job, good, left * plan.reference, rules)
            if late:
                # Ahead of everybody who is not late, the longest wait first; each device beyond the least
                # counts as it did.
                worth += 1e6 * plan.weight + job.waited_seconds
            plan.options.append(Option(place, count, good, worth))
    return plan


def remaining_seconds(job: Job, reference: float) -> float:
    """Time that the job needs on one device's goodput."""
    if reference <= 0:
        return float("inf")
    left = job.done if job.remaining is None else job.remaining
    least = LEAST_LENGTH_SECONDS if job.remaining is None else 1.0
    return max(left / reference, least)


def pays_back(job: Job, goodput: float, remaining: float, rules: Rules) -> float:
    """The part of the horizon that is left once the restart is over: a change is worth only that."""
    horizon = min(rules.horizon_seconds, max(remaining / goodput, job.restart_seconds))
    return max(0.0, 1 - job.restart_seconds / horizon) if horizon > 0 else 0.0


def matrix_of(plans: list[Plan], capacity: np.ndarray) -> Matrix:
    width = max((len(plan.options) for plan in plans), default=1)
    worth = np.full((len(plans), width), NEVER)
    devices = np.zeros((len(plans), width), dtype=np.int64)
    place = np.zeros((len(plans), width), dtype=np.int64)
    for row, plan in enumerate(plans):
        size = len(plan.options)
        worth[row, :size] = [option.worth for option in plan.options]
        devices[row, :size] = [option.devices for option in plan.options]
        place[row, :size] = [option.place for option in plan.options]
    return Matrix(worth, devices, place, capacity)


def put(plans: list[Plan], wanted: list[Option], packings: list[Packing]) -> list[Option]:
    """Find nodes for what was chosen; what finds none becomes the next smaller that does. Returns what it became."""
    given = list(wanted)
    stayed: list[set[int]] = [set() for _ in packings]
    rest: list[int] = []
    for row, (plan, option) in enumerate(zip(plans, wanted, strict=True)):
        if not option.devices:
            continue
        held = plan.job.held
        same = held is not None and plan.class_held == option.place and held.devices == option.devices
        if same and held is not None and packings[option.place].stay(plan.job.job, held.nodes):
            stayed[option.place].add(plan.job.job)
        else:
            rest.append(row)
    sizes = {plan.job.job: option.devices for plan, option in zip(plans, wanted, strict=True)}
    for row in list(rest):
        plan, option = plans[row], wanted[row]
        held = plan.job.held
        if held is None or plan.class_held != option.place or held.devices < option.devices:
            continue
        if packings[option.place].shrink(plan.job.job, held.nodes, option.devices):
            rest.remove(row)
    for row in sorted(rest, key=lambda row: (-wanted[row].devices, plans[row].job.job)):
        given[row] = settle(plans[row], wanted[row], packings, sizes)
    return given


def settle(plan: Plan, option: Option, packings: list[Packing], sizes: Mapping[int, int]) -> Option:
    """Put one job somewhere, with the option or the best one below it that finds room."""
    job = plan.job
    near = [node for node, _ in job.held.nodes] if job.held is not None else []
    below = sorted(
        (
            other
            for other in plan.options
            if other.devices and other.worth <= option.worth and other is not option
        ),
        key=lambda other: (-other.worth, other.devices),
    )
    for tried in [option, *below]:
        packing = packings[tried.place]
        if packing.fit(job.job, tried.devices, job.spans, near):
            return tried
        if tried is option:
            movable = {other: sizes[other] for other in packing.put if other in sizes}
            if packing.make_room(tried.devices, movable) and packing.fit(job.job, tried.devices, False, near):
                return tried
    return plan.options[0]


def stays_fixed(job: Job) -> Answer:
    assert job.held is not None
    return Answer(
        job.job, job.held.kind, job.held.nodes, False, "keeps what it has: it cannot be changed", {}
    )


def answer_of(
    plan: Plan, option: Option, places: Places, classes: list[Class], prices: np.ndarray, rules: Rules
) -> Answer:
    held = plan.job.held
    kind = classes[option.place][0] if option.devices else ""
    before = held.nodes if held is not None else ()
    changed = sorted(before) != sorted(places) or bool(held is not None and places and held.kind != kind)
    now = 0.0
    if held is not None and plan.class_held >= 0:
        now = plan.job.goodput.get(held.kind, {}).get(held.devices, 0.0) / plan.slow_held
    left = plan.job.remaining
    figures = {
        "devices_before": held.devices if held is not None else 0,
        "devices_after": option.devices,
        "goodput_before": now,
        "goodput_after": option.goodput,
        "speedup": option.goodput / now if now else None,
        "restart_seconds": plan.job.restart_seconds,
        "remaining_seconds_before": left / now if left is not None and now else None,
        "remaining_seconds_after": left / option.goodput if left is not None and option.goodput else None,
        "price": float(prices[option.place]) if option.devices else 0.0,
        "slow_before": plan.slow_held,
        "slow_after": classes[option.place][1] if option.devices else 1.0,
        "moved": bool(held is not None and held.devices == option.devices and changed),
    }
    best = max((o.goodput for o in plan.options), default=0.0)
    why = words(plan.job, kind, figures, best, rules)
    return Answer(plan.job.job, kind, places, changed, why, figures)
