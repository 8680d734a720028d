"""Which power limit the GPUs of a running job should have, tried out on the job itself and then kept.

Only where the policy `resources` may (`may_limit_power`, in mode act) and the node's driver lets its worker. The
choice is `control.resources.power`; what each limit was worth comes from the run's pace and its cards' readings.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from monitoring.models import Device
from monitoring.storage import series
from training.models import Attempt
from training.states import RunState

from .models import ControllerSettings, Mode
from .resources.power import LEAST_SECONDS, Tried, best_limit

PARTS = 200  # an attempt's time is looked at in so many parts
SAME_WATTS = 1.0
ASK = 0.0


def tick(watched: Mapping[int, ControllerSettings], parameters: Any, now: datetime) -> int:
    """Choose for each job that may be limited. Returns how many limits were asked for anew."""
    may = {
        pk: chosen
        for pk, settings in watched.items()
        if settings.mode == Mode.ACT and (chosen := parameters(settings))["may_limit_power"]
    }
    live = Attempt.objects.filter(
        ended_at=None,
        state=Attempt.State.RUNNING,
        job__device_kind=Device.Kind.GPU,
        job__run__state=RunState.RUNNING,
    )
    changed = 0
    for attempt in live.select_related("job__run", "node").prefetch_related("devices__node", "members"):
        chosen = may.get(attempt.job.run.experiment_id)
        if chosen is None:
            # Switched off meanwhile: the node's worker puts it back.
            if attempt.power_wanted_watts is not None:
                Attempt.objects.filter(pk=attempt.pk).update(power_wanted_watts=None)
            continue
        wanted = wanted_of(attempt, float(chosen["energy_weight"]), now)
        if wanted is not None and wanted != attempt.power_wanted_watts:
            changed += Attempt.objects.filter(pk=attempt.pk, ended_at=None).update(power_wanted_watts=wanted)
    return changed


def wanted_of(attempt: Attempt, weight: float, now: datetime) -> float | None:
    """The limit to ask for, 0 to learn what there is; None to leave it. Gangs over several nodes are left alone."""
    told = attempt.power or {}
    if told.get("problem") or attempt.members.all():
        return None
    if "low" not in told or "high" not in told:
        return ASK
    return best_limit(tried_of(attempt, now), told["low"], told["high"], min(max(weight, 0.0), 1.0)).watts


def tried_of(attempt: Attempt, now: datetime) -> list[Tried]:
    """What the attempt was measured at under each limit that it ran under."""
    assert attempt.started_at is not None
    start, end = attempt.started_at.timestamp(), now.timestamp()
    indices = sorted(device.index for device in attempt.devices.all())
    names = [f"gpu{index}/{what}" for index in indices for what in ("power_watts", "power_limit_watts")]
    node = columns(attempt.node.source, names, start, end)
    pace = columns(attempt.job.run.source, ["_samples_per_second"], start, end).get("_samples_per_second")
    if pace is None or len(node) < len(names):
        return []
    width = max((end - start) / PARTS, 1.0)
    places = np.floor((pace[0] - start) / width)
    found: dict[float, list[tuple[float, float]]] = defaultdict(list)
    for place in np.unique(places):
        low, high = start + place * width, start + (place + 1) * width
        within = {name: values[(times >= low) & (times < high)] for name, (times, values) in node.items()}
        if any(not len(values) for values in within.values()):
            continue
        caps = np.concatenate([within[name] for name in names if name.endswith("limit_watts")])
        if np.ptp(caps) > SAME_WATTS:
            continue  # it was changed in this part
        watts = float(np.mean([within[name].mean() for name in names if name.endswith("/power_watts")]))
        found[round(float(caps.mean()))].append((float(np.median(pace[1][places == place])), watts))
    return [
        Tried(
            limit,
            float(np.median([rate for rate, _ in seen])),
            float(np.mean([w for _, w in seen])),
            len(seen) * width,
        )
        for limit, seen in found.items()
        if len(seen) * width >= LEAST_SECONDS and all(rate > 0 and w > 0 for rate, w in seen)
    ]


def columns(source: str, keys: list[str], start: float, end: float) -> dict[str, Any]:
    """{key: (times, values)}, finite ones only."""
    found: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
    for part in series.read(source, keys, width=10 * PARTS, x="time", start=start, end=end):
        times = np.asarray(part.columns["time"], dtype=np.float64)
        values = np.asarray(part.columns["mean"], dtype=np.float64)
        good = np.isfinite(values)
        found[part.key].append((times[good], values[good]))
    return {
        key: (np.concatenate([t for t, _ in parts]), np.concatenate([v for _, v in parts]))
        for key, parts in found.items()
        if math.fsum(len(t) for t, _ in parts)
    }
