"""What was on a node in a stretch of time, and what went wrong there: its attempts and its GPUs' errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from django.db.models import Q

from monitoring.models import Node
from monitoring.storage import series
from monitoring.storage.buckets import Buckets
from training.models import Attempt

WIDTH = 2000
MOST = 500
THROTTLED = 0.5
COUNTERS = {
    "xid_count": ("xid", "critical XID error of the driver"),
    "ecc_uncorrected_count": ("ecc", "memory error that ECC could not correct"),
}


@dataclass(frozen=True)
class Fault:
    """until: None for what happens at a moment. count: how many, of a counter."""

    at: datetime
    until: datetime | None
    device: str  # gpu0
    kind: str  # xid, ecc, throttle
    text: str
    count: int = 1

    def touches(self, attempt: Attempt) -> bool:
        """Whether the attempt held this device then."""
        began = attempt.started_at or attempt.created_at
        over = self.until or self.at
        named = {f"{device.kind}{device.index}" for device in attempt.devices.all()}
        return (
            self.device in named
            and began <= over
            and (attempt.ended_at is None or attempt.ended_at >= self.at)
        )


def attempts(node: Node, since: datetime, until: datetime) -> list[Attempt]:
    """Those that were on the node within the time, newest first, at most 500."""
    found = Attempt.objects.filter(node=node, created_at__lt=until)
    found = found.filter(Q(ended_at=None) | Q(ended_at__gte=since))
    found = found.select_related("job__run__experiment", "usage").prefetch_related("devices")
    return list(found.order_by("-created_at", "-id")[:MOST])


def faults(node: Node, since: datetime, until: datetime) -> list[Fault]:
    """Errors that counters tell of, and stretches of throttling, newest first, at most 500."""
    found: list[Fault] = []
    for device in node.devices.filter(kind="gpu"):
        keys = [device.key_prefix + name for name in (*COUNTERS, "throttle_ratio")]
        parts = series.read(
            node.source, keys, width=WIDTH, x="time", start=since.timestamp(), end=until.timestamp()
        )
        for part in parts:
            device_name, _, name = part.key.partition("/")
            found += (
                throttled(part, device_name) if name == "throttle_ratio" else counted(part, device_name, name)
            )
    inside = [fault for fault in found if (fault.until or fault.at) >= since and fault.at <= until]
    return sorted(inside, key=lambda fault: fault.at, reverse=True)[:MOST]


def counted(part: Buckets, device: str, name: str) -> Iterator[Fault]:
    """A fault where the counter rose. One that fell began anew with its agent or host, and counts from there."""
    times = part.columns["time"].astype(np.float64)
    values = part.columns["last"].astype(np.float64)
    kind, text = COUNTERS[name]
    for place in range(1, len(values)):
        before, now = values[place - 1], values[place]
        new = now - before if now >= before else now
        if np.isfinite(new) and new > 0:
            yield Fault(moment(times[place]), None, device, kind, text, int(new))


def throttled(part: Buckets, device: str) -> Iterator[Fault]:
    times = part.columns["time"].astype(np.float64)
    held = np.concatenate([[False], part.columns["mean"].astype(np.float64) > THROTTLED, [False]])
    edges = np.flatnonzero(np.diff(held.astype(np.int8)))
    for first, behind in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        end = times[min(behind, len(times) - 1)]
        yield Fault(
            moment(times[first]), moment(end), device, "throttle", "clocks held down by heat or power"
        )


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
