"""CPU, memory, disk and network of this host, from psutil."""

import logging
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from .readings import HostReading

logger = logging.getLogger(__name__)
T = TypeVar("T")


class Host:
    """Reads the host; keeps the last counters, because rates need two looks.

    folder: its file system is the one whose space is reported.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.clock = clock
        self.last: tuple[float, dict[str, int]] | None = None
        asked(psutil.cpu_percent)  # the first call has nothing to compare with and returns 0

    def read(self) -> HostReading:
        memory = asked(psutil.virtual_memory)
        disk = asked(lambda: psutil.disk_usage(str(self.folder)))
        percent = asked(psutil.cpu_percent)
        load = asked(os.getloadavg)
        return HostReading(
            cpu_utilisation_ratio=None if percent is None else percent / 100,
            load_1m=None if load is None else load[0],
            memory_used_bytes=None if memory is None else memory.total - memory.available,
            memory_total_bytes=None if memory is None else memory.total,
            disk_used_bytes=None if disk is None else disk.used,
            disk_total_bytes=None if disk is None else disk.total,
            **self.rates(),
        )

    def rates(self) -> dict[str, float]:
        """Bytes a second of each counter since the call before; none on the first call."""
        now, counters = self.clock(), read_counters()
        before, self.last = self.last, (now, counters)
        if before is None or now <= before[0]:
            return {}
        seconds = now - before[0]
        # A counter that went down was reset (an interface left): no rate rather than a negative one.
        return {
            f"{name}_bytes_per_second": (value - before[1][name]) / seconds
            for name, value in counters.items()
            if value >= before[1].get(name, value + 1)
        }


def read_counters() -> dict[str, int]:
    counters: dict[str, int] = {}
    # None in containers that hide the disks.
    disk = asked(psutil.disk_io_counters)
    if disk is not None:
        counters |= {"disk_read": disk.read_bytes, "disk_write": disk.write_bytes}
    interfaces = asked(lambda: psutil.net_io_counters(pernic=True)) or {}
    outside = [value for name, value in interfaces.items() if name != "lo"]
    if outside:
        counters["network_receive"] = sum(each.bytes_recv for each in outside)
        counters["network_send"] = sum(each.bytes_sent for each in outside)
    return counters


def asked(question: Callable[[], T]) -> T | None:
    """The answer, or None where this host does not give one: one sensor less, not an agent less."""
    try:
        return question()
    except (psutil.Error, OSError, RuntimeError, ValueError) as error:
        logger.debug("a sensor of the host does not answer: %s", error)
        return None


def describe() -> dict[str, object]:
    """What does not change while the host is up."""
    memory = asked(psutil.virtual_memory)
    return {
        "hostname": platform.node(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "cpu_name": cpu_name(),
        "cpu_count": available_cores(),
        "memory_bytes": None if memory is None else memory.total,
        "boot_time": asked(psutil.boot_time),
    }


def available_cores() -> int:
    """Cores this process may use: fewer than the host has, under a cpuset or `taskset`."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
