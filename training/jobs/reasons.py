"""Why a job waits, in words: pure."""

from collections.abc import Sequence

from .giving_way import Leaving
from .turns import Quota, Waiting

UNITS = ((2**50, "PiB"), (2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"))


def size(count: float) -> str:
    """ "1.5 TiB", "16 GiB", "512 MiB"."""
    unit, name = next((each for each in UNITS if count >= each[0]), UNITS[-1])
    return f"{count / unit:.4g} {name}"


def what(kind: str, count: int) -> str:
    """ "1 GPU", "4 CPU slots"."""
    word = {"cpu": "CPU slot", "gpu": "GPU"}.get(kind, kind)
    return f"{count} {word}{'' if count == 1 else 's'}"


def waits(job: Waiting, most: int, largest: int, kept_for: int | None) -> str:
    """most: free on the node with most. largest: devices of the largest open nodes of the kind, as many as it may span.
    kept_for: how many the job needs for whom a node with room is kept; None where none is.
    """
    wanted = what(job.kind, job.min_devices)
    if job.nodes is not None:
        wanted += f" on a node{job.asked}"
    if largest == 0:
        and_that = " and that" if job.asked else ""
        return f"waits for {wanted}: no open node has a healthy {what(job.kind, 1)[2:]}{and_that}"
    if job.nodes is not None:
        return f"waits for {wanted}: {left(most, f'of {len(job.nodes)} such')}"
    if job.max_nodes > 1:
        few = f"waits for {wanted} on up to {job.max_nodes} nodes"
        if largest < job.min_devices:
            return f"{few}: the largest open nodes have {largest} together"
        return f"{few}: {left(most, 'of them')}"
    if largest < job.min_devices:
        return f"waits for {wanted} on one node: the largest open node has {largest}"
    if kept_for is not None:
        return f"waits for {wanted}: what is free is kept for a job ahead of it that needs {kept_for}"
    return f"waits for {wanted}: {left(most, 'node')}"


def left(most: int, where: str) -> str:
    """ "none is free", "at most 2 are free on one node"."""
    return f"at most {most} {'is' if most == 1 else 'are'} free on one {where}" if most else "none is free"


def over_quota(job: Waiting, held: int, quota: Quota) -> str:
    may = f"may borrow {quota.borrow or 'none'}"
    own = (
        f"{held} of its {what(job.kind, quota.devices)},"
        if quota.devices
        else f"{held}, has none of its own,"
    )
    return (
        f"waits for {what(job.kind, job.min_devices)}: its project uses {own} and {may}; "
        "one of its own has to end"
    )


def memory(job: Waiting, left: float) -> str:
    """left: bytes that nothing has reserved, at most, on a node whose devices would do."""
    wanted = what(job.kind, job.min_devices)
    return (
        f"waits for {wanted} on a node{job.asked}: where enough are free, jobs that run have reserved the memory, and "
        f"at most {size(left)} are left"
    )


def left_for(job: Waiting, giving: Sequence[Leaving]) -> str:
    whole = sum(each.whole for each in giving)
    fewer = len(giving) - whole
    who = []
    if whole:
        who.append("1 running job leaves" if whole == 1 else f"{whole} running jobs leave")
    if fewer:
        word = "1 goes on" if fewer == 1 else f"{fewer} go on"
        word = word if whole else ("1 running job goes on" if fewer == 1 else f"{fewer} running jobs go on")
        who.append(f"{word} with fewer devices")
    return f"waits for {what(job.kind, job.min_devices)}: {' and '.join(who)} for it at a checkpoint"
