"""Why a job gets what it gets, in a sentence with figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .cluster import Job, Rules


def words(job: Job, kind: str, figures: Mapping[str, Any], best: float, rules: Rules) -> str:
    """kind: of the devices it gets. best: the greatest goodput that any of its configurations would give."""
    before, after = figures["devices_before"], figures["devices_after"]
    was, now = figures["goodput_before"], figures["goodput_after"]
    if not before and not after:
        if best <= 0:
            return "waits: no node has the kind and number of devices that it can use"
        return "waits: every device does more for jobs that are nearer to their end or gain more by it"
    if not after:
        return (
            f"gives up its {count(before, job.held.kind if job.held else '')}: they do more elsewhere; it goes on "
            f"from its checkpoint later, at a cost of {job.restart_seconds:.0f} s"
        )
    what = count(after, kind)
    if not before:
        late = job.waited_seconds >= rules.patience_seconds
        first = f", first in line after {job.waited_seconds / 3600:.1f} h" if late else ""
        return f"starts on {what}: {now:,.4g} useful samples a second{first}"
    held = job.held
    assert held is not None
    if held.kind == kind and before == after and not figures["moved"]:
        return f"keeps {what}: {now:,.4g} useful samples a second, and no change pays for its restart"
    ratio = now / was if was else 0.0
    gain = f"{was:,.4g} -> {now:,.4g} useful samples a second ({ratio:.2f} times)"
    cost = f"the restart costs {job.restart_seconds:.0f} s"
    if ratio > 1:
        cost += f", won back after {job.restart_seconds / (1 - 1 / ratio):.0f} s"
    if figures["slow_before"] > figures["slow_after"]:
        return f"moves to {what} off a node slowed {figures['slow_before']:.2g} times: {gain}; {cost}"
    if figures["moved"] and held.kind == kind:
        return f"moves to make room for a larger job: {what} as before; {cost}"
    return f"{count(before, held.kind)} -> {what}: {gain}; {cost}" + (
        "; the devices it gives up do more elsewhere" if after < before else ""
    )


def count(devices: int, kind: str) -> str:
    return f"{devices} {kind}" if devices == 1 else f"{devices} x {kind}"
