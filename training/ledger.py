"""Counts what attempts use: device time, joules from their devices' power readings, money from a rate.

live attempts: added to at each tick, a little behind the clock
ended ones: counted once more as a whole when their last readings are in, then settled for good
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from monitoring.live.publish import publish_change
from monitoring.models import Device
from monitoring.storage import series
from training.energy import GAP_SECONDS, Drawn, drawn
from training.models import Attempt, Run, Usage
from training.states import ENDED

logger = logging.getLogger(__name__)
# Readings of the last seconds may still be on their way.
LAG = timedelta(seconds=20)
SETTLE_AFTER = timedelta(seconds=60)
# An agent that was cut off sends what it kept once it is back; after so long nothing is waited for.
SETTLE_AT_LAST = timedelta(minutes=10)
WHOLE = 0.99
LEAST_SECONDS = 30.0  # to count at once
LIMIT_SECONDS = 5.0
# What a run's summary says when it is over, beside its own figures.
SUMMARY = {"device_seconds": "_device_seconds", "energy_joules": "_energy_joules", "cost": "_cost"}


def tick(now: datetime | None = None, limit_seconds: float = LIMIT_SECONDS) -> int:
    """Count what was used since the last tick, those first that waited longest. Returns how many attempts."""
    now = now or timezone.now()
    began = time.monotonic()
    open_new()
    counted = 0
    runs: set[int] = set()
    due = Usage.objects.filter(settled=False).filter(
        Q(counted_until__lt=now - LAG - timedelta(seconds=LEAST_SECONDS)) | Q(attempt__ended_at__isnull=False)
    )
    for usage in due.select_related("attempt__job").order_by("counted_until"):
        if time.monotonic() - began > limit_seconds:
            break
        if count(usage, now):
            counted += 1
            runs.add(usage.attempt.job.run_id)
    for run in runs:
        total(run)
    return counted


def open_new() -> None:
    """Make a row for each attempt that has none; one that lives after all is counted on."""
    Usage.objects.filter(settled=True, attempt__ended_at=None).update(settled=False)
    new = Attempt.objects.filter(usage=None).select_related("node").prefetch_related("devices__node")
    Usage.objects.bulk_create(
        (opened(attempt) for attempt in new.iterator(chunk_size=500)), ignore_conflicts=True
    )


def opened(attempt: Attempt) -> Usage:
    devices = list(attempt.devices.all())
    rates = [rate_of(device) for device in devices]
    known = [rate for rate in rates if rate is not None]
    return Usage(
        attempt=attempt,
        node=attempt.node.name,
        devices=[
            {"device": f"{d.kind}{d.index}", "name": d.name}
            | ({"node": d.node.name} if d.node_id != attempt.node_id else {})
            for d in devices
        ],
        rate_per_hour=sum(known) if len(known) == len(rates) and rates else None,
        currency=settings.CURRENCY,
        counted_until=attempt.created_at,
    )


def rate_of(device: Device) -> float | None:
    """Price of a device hour: the longest name of the rates that the device's name holds, else that of its kind."""
    name = device.name.lower()
    fitting = [key for key in settings.DEVICE_RATES if key in name and key not in Device.Kind.values]
    key = max(fitting, key=len, default=device.kind)
    return settings.DEVICE_RATES.get(key)


def count(usage: Usage, now: datetime) -> bool:
    """Bring one row up to date. False where there is nothing to count yet, or another tick did."""
    attempt, before = usage.attempt, usage.counted_until
    ended = attempt.ended_at
    until = now - LAG if ended is None else ended
    if ended is not None and now - ended < SETTLE_AFTER:
        return False
    start = attempt.created_at
    if until > before:
        part = energy(usage, before, until)
        usage.counted_until = until
        add(usage, part)
    usage.device_seconds = len(usage.devices) * max(0.0, (until - start).total_seconds())
    if ended is not None:
        finish(usage, start, ended, now)
    if usage.rate_per_hour is not None and usage.devices:
        usage.cost = usage.rate_per_hour * usage.device_seconds / len(usage.devices) / 3600
    fields = ("device_seconds", "joules", "power_seconds", "cost", "counted_until", "settled")
    won = Usage.objects.filter(pk=usage.pk, counted_until=before, settled=False).update(
        **{field: getattr(usage, field) for field in fields}
    )
    return bool(won)


def finish(usage: Usage, start: datetime, ended: datetime, now: datetime) -> None:
    """Settle an ended attempt, or leave it for a later tick where readings may still come."""
    if usage.power_seconds < WHOLE * usage.device_seconds and tells_power(usage):
        # What came late is between what was counted: once more over all of it. What has gone by age since counts.
        whole = energy(usage, start, ended)
        if whole.covered_seconds > usage.power_seconds:
            usage.power_seconds, usage.joules = whole.covered_seconds, whole.joules
    whole_enough = usage.power_seconds >= WHOLE * usage.device_seconds or not tells_power(usage)
    usage.settled = whole_enough or now - ended >= SETTLE_AT_LAST


def add(usage: Usage, part: Drawn) -> None:
    if part.covered_seconds:
        usage.joules = (usage.joules or 0.0) + part.joules
        usage.power_seconds += part.covered_seconds


def tells_power(usage: Usage) -> bool:
    """A processor's slots have no reading of their own."""
    return any(item["device"].startswith("gpu") for item in usage.devices)


def energy(usage: Usage, start: datetime, end: datetime) -> Drawn:
    """What its GPUs drew by their readings in the store."""
    keys: dict[str, list[str]] = defaultdict(list)
    for item in usage.devices:
        if item["device"].startswith("gpu"):
            keys[item.get("node", usage.node)].append(f"{item['device']}/power_watts")
    since, until = start.timestamp(), end.timestamp()
    low, high = int(since - GAP_SECONDS), int(until + GAP_SECONDS) + 1
    parts: Iterable[Drawn] = (
        drawn(column.times, column.values, since, until)
        for node, wanted in keys.items()
        for column in series.raw(f"node:{node}", wanted, start=max(0, low), end=high)
    )
    return sum(parts, Drawn())


def total(run: int) -> None:
    """The sums over a run's attempts, on its row; in its summary too once it is over."""
    rows = list(Usage.objects.filter(attempt__job__run=run))
    with transaction.atomic():
        row = Run.objects.select_for_update().filter(pk=run).first()
        if row is None:
            return
        row.usage = summed(rows)
        fields = ["usage"]
        if row.state in ENDED and all(usage.settled for usage in rows):
            # While it lives, the link writes its summary from memory, and would write over this.
            told = {key: row.usage[name] for name, key in SUMMARY.items() if row.usage[name] is not None}
            row.summary = {**row.summary, **told}
            fields.append("summary")
        row.save(update_fields=fields)
    publish_change(f"run:{row.code}", "run", {"code": row.code, "usage": row.usage})


def summed(rows: list[Usage]) -> dict[str, Any]:
    """{"device_seconds", "energy_joules", "energy_covered_ratio", "cost", "currency", "settled"}; None is unknown."""
    seconds = sum(usage.device_seconds for usage in rows)
    joules = [usage.joules for usage in rows if usage.joules is not None]
    costs = [usage.cost for usage in rows if usage.cost is not None]
    return {
        "device_seconds": seconds,
        "energy_joules": sum(joules) if joules else None,
        "energy_covered_ratio": sum(usage.power_seconds for usage in rows) / seconds if seconds else 0.0,
        # Of a run half of whose attempts have a price, the sum would be read as the whole.
        "cost": sum(costs) if costs and len(costs) == len(rows) else None,
        "currency": next((usage.currency for usage in rows), ""),
        "settled": all(usage.settled for usage in rows),
    }
