"""Two hosts with GPUs that the machine at hand does not have, described and read as a node's own worker would.

    SCALEWEB_HOME=… python -m scripts.pictures.fleet URL FOLDER

An hour of readings first, then one look a second until it is ended. The figures are made up: who has no such hosts can
only draw them; every way they take to the page is the real one.
"""

import math
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOUR = 3600
EVERY = 15
GIB = 2**30
HOSTS = (
    ("gpu-01", "NVIDIA H100 80GB HBM3", 8, 80, 700, 1),
    ("gpu-02", "NVIDIA A100-SXM4-40GB", 4, 40, 400, 2),
)


def gpu(index: int, at: float, gib: int, watts: int) -> dict[str, float]:
    """What a GPU reads: the odd ones of a host train, with a dip where an epoch ends; the others idle."""
    # the noise belongs to the moment, so that a reading is the same whenever it is taken
    noise = random.Random(f"{index} {int(at)}").uniform(-1, 1)
    busy = index % 4 != 3
    dips = math.sin(at / 97 + index) > 0.93
    use = max(0.0, min(1.0, (0.92 if busy and not dips else 0.3 if busy else 0.02) + 0.04 * noise))
    return {
        "utilisation_ratio": use,
        "memory_used_bytes": (0.62 + 0.03 * index if busy else 0.0075) * gib * GIB,
        "memory_total_bytes": float(gib * GIB),
        "power_watts": watts * (0.14 + 0.78 * use) + 4 * noise,
        "power_limit_watts": float(watts),
        "temperature_celsius": round(34 + 38 * use + index % 3 + noise),
        "sm_clock_hertz": (1980 if use > 0.5 else 345) * 1e6,
        "ecc_uncorrected_count": 0.0,
    }


def host(at: float, number: int) -> dict[str, float]:
    wave = math.sin(at / 400 + number)
    return {
        "cpu_utilisation_ratio": 0.38 + 0.12 * wave,
        "load_1m": 42 + 9 * wave,
        "memory_used_bytes": (310 + 20 * wave) * GIB,
        "memory_total_bytes": 1024.0 * GIB,
        "disk_used_bytes": 5.1e12,
        "disk_total_bytes": 7.6e12,
        "disk_read_bytes_per_second": 6.2e8 * (1 + 0.3 * wave),
        "disk_write_bytes_per_second": 4.1e7,
        "network_receive_bytes_per_second": 9.4e8 * (1 + 0.2 * wave),
        "network_send_bytes_per_second": 8.8e8 * (1 + 0.2 * wave),
    }


def described(
    place: tuple[str, str, int, int, int, int], at: float
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    name, model, count, gib, watts, number = place
    system = {
        "hostname": f"{name}.lab", "os": "Debian 12", "cpu_name": "AMD EPYC 9454", "cpu_count": 96,
        "memory_bytes": 1024 * GIB, "gpu_driver": "550.54", "gpu_count": count, "latest": host(at, number),
    }  # fmt: skip
    devices = [
        {
            "kind": "gpu",
            "index": i,
            "name": model,
            "uuid": f"GPU-{number}{i}",
            "memory_total_bytes": gib * GIB,
        }
        | {"latest": gpu(i + number, at, gib, watts)}
        for i in range(count)
    ]
    return system, devices


def columns(place: tuple[str, str, int, int, int, int], times: list[float]) -> list[Any]:
    from scaleweb_sdk.protocol import Column

    _, _, count, gib, watts, number = place
    looks: dict[str, Callable[[float], dict[str, float]]] = {"": lambda at: host(at, number)}
    for index in range(count):
        looks[f"gpu{index}/"] = lambda at, index=index: gpu(index + number, at, gib, watts)  # type: ignore[misc]
    out = []
    for prefix, look in looks.items():
        found = [look(at) for at in times]
        out += [
            Column(prefix + key, [int(at) for at in times], times, [each[key] for each in found])
            for key in found[0]
        ]
    return out


def main() -> None:
    url, folder = sys.argv[1], Path(sys.argv[2])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scaleweb.settings")
    import django

    django.setup()
    from monitoring import nodes
    from scaleweb_sdk.link import Link
    from scaleweb_sdk.protocol import Event, EventKind
    from training.models import ApiToken, TokenKind

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    now = time.time()
    links = {}
    for place in HOSTS:
        name = place[0]
        node = nodes.register(name, *described(place, now))
        token = ApiToken.issue(TokenKind.NODE, node=node)[1]
        links[name] = Link(url=url, token=token, source=f"node:{name}", role="agent", spool_dir=folder)
        links[name].send(columns=columns(place, [now - HOUR + EVERY * i for i in range(HOUR // EVERY)]))
    # One that went away: what a lost host looks like, and an alert about it.
    nodes.register("gpu-03", *described(("gpu-03", HOSTS[1][1], 2, 40, 400, 3), now))
    beat = 0
    while not stop.wait(1):
        now = time.time()
        for place in HOSTS:
            system, devices = described(place, now)
            events = (
                [Event(EventKind.DEVICES, now, None, {"system": system, "devices": devices})]
                if beat % 5 == 0
                else []
            )
            links[place[0]].send(columns=columns(place, [now]), events=events)
        beat += 1
    for link in links.values():
        link.close(timeout=2)


if __name__ == "__main__":
    main()
