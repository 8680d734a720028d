"""Which devices something may be placed on, and which of them are free."""

from collections import Counter
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from monitoring.models import Device, Node

from .rooms import Free
from .turns import Place


def usable_devices() -> QuerySet[Device]:
    """Healthy devices (their node tells of faults, ECC errors and heat) of nodes that are heard of, not cordoned and
    not passed over."""
    return Device.objects.filter(usable())


def usable(device: str = "") -> Q:
    """device: the way from the rows to their device, "device__" from a lease."""
    wanted = {"removed": False, "healthy": True, "node__state": Node.State.ONLINE, "node__cordoned": False}
    until = f"{device}node__passed_over_until"
    passed_by = Q(**{until: None}) | Q(**{f"{until}__lte": Now()})
    return Q(**{f"{device}{name}": value for name, value in wanted.items()}) & passed_by


def free_devices() -> list[Free]:
    """Those that nothing holds and that are not too hot, with what they were measured to be used by others."""
    return cool_and_hot()[0]


def cool_and_hot() -> tuple[list[Free], Counter[Place]]:
    """The free devices, and how many of each node are free and too hot to be given out."""
    free = usable_devices().filter(lease=None)
    found: list[Free] = []
    hot: Counter[Place] = Counter()
    columns = ("pk", "node_id", "kind", "index", "latest", "node__latest")
    for pk, node, kind, index, latest, host in free.values_list(*columns):
        if is_hot(latest):
            hot[node, kind] += 1
        else:
            found.append(Free(pk, node, kind, index, load_of(kind, latest, host)))
    return found, hot


def is_hot(latest: dict[str, Any]) -> bool:
    """Whether a device that nothing trains on is hotter than one should be that trains: its cooling has failed."""
    degrees = figure(latest, "temperature_celsius")
    return degrees is not None and degrees >= settings.HOT_CELSIUS


def load_of(kind: str, latest: dict[str, Any], host: dict[str, Any]) -> float:
    """How much of a free device is used, 0..1: of a GPU its own figure, of a CPU slot its host's."""
    found = (
        figure(latest, "utilisation_ratio")
        if kind == Device.Kind.GPU
        else figure(host, "cpu_utilisation_ratio")
    )
    return 0.0 if found is None else min(1.0, max(0.0, found))


def figure(latest: Any, key: str) -> float | None:
    value = latest.get(key) if isinstance(latest, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
