"""What a node is made of, as it is registered: the host, its GPUs, or CPU slots where there are none."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import data_folder, host, nvml
from .readings import DeviceInfo


def cpu_slots(count: int = 0) -> list[DeviceInfo]:
    """`count` places for jobs on the processor, one a core when 0."""
    name = host.cpu_name()
    return [
        DeviceInfo(kind="cpu", index=index, name=name) for index in range(count or host.available_cores())
    ]


def described(gpus: nvml.Gpus, slots: int, home: Path | None) -> dict[str, Any]:
    """The host. slots: CPU slots that were asked for, 0 for one a core; home: the folder that the node works in."""
    asked = {"cpu_slots": slots} if slots else {}
    driver = {"gpu_driver": gpus.driver, "gpu_count": len(gpus.handles)}
    return host.describe() | asked | data_folder.describe(home) | driver


def inventory(
    gpus: nvml.Gpus | None = None, slots: int = 0, home: Path | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(system, devices) for `monitoring.nodes.register`: the GPUs there are, and CPU slots on every node."""
    gpus = gpus or nvml.Gpus(nvml.load())
    system = described(gpus, slots, home)
    devices = [gpus.describe(index) for index in range(len(gpus.handles))] + cpu_slots(slots)
    return system, [asdict(device) for device in devices]
