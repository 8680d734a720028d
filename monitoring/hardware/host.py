"""CPU, memory, disk and network of this host, from psutil."""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from .readings import HostReading


class Host:
    """Reads the host; keeps the last counters, because rates need two looks.

    folder: its file system is the one whose space is reported.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.clock = clock
        self.last: tuple[float, dict[str, int]] | None = None
        psutil.cpu_percent()  # the first call has nothing to compare with and returns 0

    def read(self) -> HostReading:
        memory = psutil.virtual_memory()
        disk = psutil.disk_usage(str(self.folder))
        return HostReading(
            cpu_utilisation_ratio=psutil.cpu_percent() / 100,
            load_1m=os.getloadavg()[0],
            memory_used_bytes=memory.total - memory.available,
            memory_total_bytes=memory.total,
            disk_used_bytes=disk.used,
            disk_total_bytes=disk.total,
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
    disk = psutil.disk_io_counters()
    if disk is not None:
        counters |= {"disk_read": disk.read_bytes, "disk_write": disk.write_bytes}
    interfaces = psutil.net_io_counters(pernic=True)
    outside = [value for name, value in interfaces.items() if name != "lo"]
    if outside:
        counters["network_receive"] = sum(each.bytes_recv for each in outside)
        counters["network_send"] = sum(each.bytes_sent for each in outside)
    return counters


def describe() -> dict[str, object]:
    """What does not change while the host is up."""
    return {
        "hostname": platform.node(),
        "os": platform.platform(),
        "python": platform.python_version(),
        "cpu_name": cpu_name(),
        "cpu_count": available_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "boot_time": psutil.boot_time(),
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
