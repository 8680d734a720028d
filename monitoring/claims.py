"""What a node may say of itself: pure checks of what cannot be true, each told in one sentence."""

import re
from typing import Any

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,59}")  # of a node: it is part of addresses, folders and queues
DEVICE_KINDS = ("cpu", "gpu")
DEVICE_FIELDS = ("name", "uuid", "memory_total_bytes", "healthy", "health_reason", "processes", "latest")
LONGEST = {"name": 200, "uuid": 100, "health_reason": 500}
SHAPES: dict[str, tuple[type, str]] = {
    "healthy": (bool, "true or false"),
    "processes": (list, "a list"),
    "latest": (dict, "a map"),
}
DEVICES_A_KIND = 1024
# Beyond any host or card that is built, and within what both databases hold.
MOST_CORES = 2**16
MOST_HOST_BYTES = 2**50
MOST_DEVICE_BYTES = 2**44

Place = tuple[str, int]  # kind and index


class BadInventory(ValueError):
    """A node described itself or its devices in a way that cannot be true; the message says which."""


def checked(system: dict[str, Any], devices: list[dict[str, Any]]) -> dict[Place, dict[str, Any]]:
    """What is to be written of each device. Raises BadInventory: who is wrong about one is not believed the others."""
    count(system, "cpu_count", MOST_CORES, "cores")
    count(system, "memory_bytes", MOST_HOST_BYTES, "bytes of main memory")
    wanted: dict[Place, dict[str, Any]] = {}
    owners: dict[str, Place] = {}
    for device in devices:
        kind, index = device.get("kind"), device.get("index")
        if (
            kind not in DEVICE_KINDS
            or not isinstance(index, int)
            or isinstance(index, bool)
            or not 0 <= index < DEVICES_A_KIND
        ):
            raise BadInventory(
                f"device kind={kind!r} index={index!r}: expected cpu or gpu, and 0..{DEVICES_A_KIND - 1}"
            )
        place = (str(kind), index)
        if place in wanted:
            raise BadInventory(f"device {kind}{index} is listed twice")
        wanted[place] = fields = of_device(f"{kind}{index}", device)
        uuid = fields.get("uuid")
        if uuid and uuid in owners:
            raise BadInventory(
                f"{named(owners[uuid])} and {kind}{index} have one UUID, {uuid}: a device has its own"
            )
        if uuid:
            owners[uuid] = place
    slots(system, sum(kind == "cpu" for kind, _ in wanted))
    return wanted


def check_name(name: str) -> None:
    """Raises BadInventory for a name that no node can have."""
    if not NAME.fullmatch(name):
        raise BadInventory(
            f"{name[:80]!r} cannot be a node's name: expected 1 to 60 letters, digits, dots and dashes, such as gpu-07"
        )


def of_device(name: str, device: dict[str, Any]) -> dict[str, Any]:
    fields = {key: device[key] for key in DEVICE_FIELDS if key in device}
    if isinstance(fields.get("processes"), tuple):  # of a worker, in whose memory no JSON was made of it
        fields["processes"] = list(fields["processes"])
    count(fields, "memory_total_bytes", MOST_DEVICE_BYTES, f"bytes of memory on {name}")
    for key, (kind, expected) in SHAPES.items():
        if key in fields and not isinstance(fields[key], kind):
            raise BadInventory(f"{key} of {name} is {str(fields[key])[:80]!r}; expected {expected}")
    if not all(isinstance(process, dict) for process in fields.get("processes", ())):
        raise BadInventory(f"processes of {name} holds something else than maps of pid, memory and run")
    for key, longest in LONGEST.items():
        if key in fields:
            fields[key] = str(fields[key])[:longest]
    return fields


def count(said: dict[str, Any], key: str, most: int, of_what: str) -> None:
    value = said.get(key)
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise BadInventory(
            f"{key}={str(value)[:40]!r}: expected 1 to {most} {of_what}, or nothing where it is unknown"
        )


def slots(system: dict[str, Any], listed: int) -> None:
    """A host whose operator wants another number of CPU slots than it has cores says so (`cpu_slots`)."""
    cores, asked = system.get("cpu_count"), system.get("cpu_slots")
    if cores is not None and listed > cores and asked != listed:
        raise BadInventory(
            f"it lists {listed} CPU slots and says that it has {cores} cores; more slots than cores are taken from a "
            "host that says they were asked for (SCALEWEB_CPU_SLOTS)"
        )


def named(place: Place) -> str:
    return f"{place[0]}{place[1]}"
