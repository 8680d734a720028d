"""Main memory that running jobs have reserved: each asked for so much on each of its nodes.

The operating system and what runs without a job are not counted: a node has what it says it has.
"""

from collections import Counter
from collections.abc import Collection
from datetime import datetime

from monitoring.models import Node
from training.models import Attempt, Job, Member

from .reasons import size


def left_by_node(nodes: Collection[int] | None = None) -> dict[int, int]:
    """Bytes that nothing has reserved, of these nodes or of all; those that do not tell their memory are left out."""
    rows = Node.objects.values_list("pk", "system")
    if nodes is not None:
        rows = rows.filter(pk__in=nodes)
    total = {pk: system.get("memory_bytes") for pk, system in rows if isinstance(system, dict)}
    held = reserved()
    return {pk: count - held[pk] for pk, count in total.items() if isinstance(count, int)}


def reserved() -> Counter[int]:
    """Bytes by node."""
    held: Counter[int] = Counter()
    for node, count, _, _ in reservations():
        held[node] += count
    return held


def reservations() -> list[tuple[int, int, datetime | None, str]]:
    """(node, bytes, when they will be given back, by what that is known) of each part of what runs."""
    columns = ("job__memory_bytes", "expected_end_at", "expected_by")
    live = Attempt.objects.filter(job__memory_bytes__isnull=False, ended_at=None)
    parts = Member.objects.filter(attempt__in=live)
    return [
        *live.values_list("node_id", *columns),
        *parts.values_list("node_id", *(f"attempt__{name}" for name in columns)),
    ]


def missing_for(job: Job, nodes: Collection[int]) -> str:
    """What a job misses on these nodes, in words; "" where it has its memory. Call within a transaction.

    Two ticks at once see the same memory free, where the second finds the devices taken: the nodes' rows are locked.
    """
    if not job.memory_bytes:
        return ""
    names = dict(
        Node.objects.select_for_update().filter(pk__in=nodes).order_by("pk").values_list("pk", "name")
    )
    short = {pk: left for pk, left in left_by_node(nodes).items() if left < job.memory_bytes}
    return ", ".join(
        f"{names[pk]} has {size(max(0, left))} of memory left and {size(job.memory_bytes)} are asked for"
        for pk, left in short.items()
    )
