"""Whether the devices that a job was given are there, asked of the driver right before it starts.

What a node tells of its devices may be old or wrong: a card fell off the bus, a container was started without it.
"""

from collections.abc import Callable, Iterable
from typing import Any

from monitoring import nodes
from monitoring.hardware.nvml import there
from monitoring.models import Device


class NotThere(Exception):
    """A job cannot start: a device of its own is missing; the message says which, and what is there."""


def look_for(devices: Iterable[Device], driver: Callable[[], Any]) -> None:
    """driver: loads pynvml, or None where there is no driver. Raises NotThere, and gives the device up: nothing more is
    placed on it."""
    wanted = [device for device in devices if device.kind == Device.Kind.GPU]
    if not wanted:
        return
    cards = there(driver())
    for device in wanted:
        if device.uuid in cards.values() if device.uuid else device.index in cards:
            continue
        what = f"GPU {device.index}" + (f" ({device.uuid})" if device.uuid else "")
        listed = ", ".join(f"{index} ({uuid})" for index, uuid in cards.items())
        reason = (
            f"{what} of {device.node.name} was not found as a job was to start there: the driver has "
            + (f"the GPUs {listed}" if listed else "no GPU")
        )
        nodes.not_found(device, f"{reason}; mend it, then start the node's worker again")
        raise NotThere(reason)
