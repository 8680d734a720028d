"""Which nodes a job may run on beyond their kind of device: labels, names and memory."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitoring.models import Device, Node

from .reasons import size
from .refused import JobRefused

FIELDS = ("device_name", "device_memory_bytes", "memory_bytes", "node_labels")
WORDS = {"cpu": "CPU slot", "gpu": "GPU"}


@dataclass(frozen=True)
class Wish:
    """device_name: a part of the name of each of the node's devices of the kind, whatever the case."""

    device_kind: str
    device_name: str = ""
    device_memory_bytes: int | None = None
    memory_bytes: int | None = None
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Wish":
        """values: a job's fields by name."""
        return cls(
            values["device_kind"], values["device_name"], values["device_memory_bytes"], values["memory_bytes"],
            tuple(sorted(values["node_labels"].items())) if values["node_labels"] else (),
        )  # fmt: skip

    @property
    def is_any(self) -> bool:
        return not (self.device_name or self.device_memory_bytes or self.memory_bytes or self.labels)

    def words(self) -> str:
        """ " with label zone=a and 16 GiB of memory": what is said of the node after its kind."""
        parts = [f"label {name}={value}" for name, value in self.labels]
        if self.device_name:
            parts.append(f"{WORDS[self.device_kind]}s named {self.device_name!r}")
        if self.device_memory_bytes:
            parts.append(f"{size(self.device_memory_bytes)} on each device")
        if self.memory_bytes:
            parts.append(f"{size(self.memory_bytes)} of memory")
        return f" with {' and '.join(parts)}" if parts else ""


@dataclass
class Known:
    """A node as it described itself, with its devices of one kind."""

    node: int
    name: str
    labels: Mapping[str, str]
    memory_bytes: int | None
    devices: list[tuple[str, int | None]] = field(default_factory=list)

    def suits(self, wish: Wish) -> bool:
        if any(str(self.labels.get(name)) != value for name, value in wish.labels):
            return False
        if wish.memory_bytes and (self.memory_bytes or 0) < wish.memory_bytes:
            return False
        part = wish.device_name.lower()
        return bool(self.devices) and all(
            part in name.lower() and (memory or 0) >= (wish.device_memory_bytes or 0)
            for name, memory in self.devices
        )


def known_nodes(kind: str) -> list[Known]:
    """All nodes with devices of the kind, whatever their state: a node that is away may come back."""
    found: dict[int, Known] = {}
    for pk, name, labels, system in Node.objects.order_by("name").values_list(
        "pk", "name", "labels", "system"
    ):
        memory = system.get("memory_bytes") if isinstance(system, dict) else None
        found[pk] = Known(
            pk, name, labels if isinstance(labels, dict) else {}, memory if isinstance(memory, int) else None
        )
    devices = Device.objects.filter(kind=kind, removed=False).values_list(
        "node_id", "name", "memory_total_bytes"
    )
    for node, name, memory in devices:
        found[node].devices.append((name, memory))
    return [node for node in found.values() if node.devices]


def suitable(wishes: Iterable[Wish]) -> dict[Wish, frozenset[int]]:
    """The nodes of each wish that is for more than a kind of device."""
    by_kind: dict[str, set[Wish]] = defaultdict(set)
    for wish in wishes:
        if not wish.is_any:
            by_kind[wish.device_kind].add(wish)
    return {
        wish: frozenset(node.node for node in nodes if node.suits(wish))
        for kind, asked in by_kind.items()
        for nodes in [known_nodes(kind)]
        for wish in asked
    }


def told(wish: Wish, only: Mapping[Wish, frozenset[int]]) -> tuple[frozenset[int] | None, str]:
    """(nodes, words) of a job for the placement; (None, "") where any node will do."""
    return (None, "") if wish.is_any else (only[wish], wish.words())


def check_existence(wish: Wish, least: int, max_nodes: int) -> None:
    """Raises JobRefused, with what there is, for what no node of this site has. Before the first node is known,
    anything may still come."""
    if not Node.objects.exists():
        return
    nodes = known_nodes(wish.device_kind)
    fitting = [node for node in nodes if node.suits(wish)]
    counts = sorted((len(node.devices) for node in fitting), reverse=True)
    have = sum(counts[:max_nodes])
    if have >= least:
        return
    word = WORDS[wish.device_kind]
    there = ", ".join(f"{node.name} has {len(node.devices)}" for node in nodes[:5]) or f"no node has a {word}"
    if len(nodes) > 5:
        there += f" and {len(nodes) - 5} nodes more"
    if nodes and not fitting:
        raise JobRefused(culprit(wish, nodes), f"there is no node{wish.words()}; {facts(nodes)}")
    where = "on one node" if max_nodes == 1 else f"on {max_nodes} nodes"
    asked = f"{least} {word}{'s' if least > 1 else ''}"
    other = {"gpu": "CPU slots", "cpu": "GPUs"}[wish.device_kind]
    are = "do not exist" if least > 1 else "does not exist"
    raise JobRefused(
        "min_devices",
        f"{asked}{wish.words()} {where} {are}: {there}; at most {have} together, so ask for no more"
        if have
        else f"{asked} {are}: {there}; ask for {other}, or add a node",
    )


def culprit(wish: Wish, nodes: list[Known]) -> str:
    """The field that alone rules out every node, the first where it takes several."""
    parts = {
        "node_labels": Wish(wish.device_kind, labels=wish.labels),
        "device_name": Wish(wish.device_kind, wish.device_name),
        "device_memory_bytes": Wish(wish.device_kind, device_memory_bytes=wish.device_memory_bytes),
        "memory_bytes": Wish(wish.device_kind, memory_bytes=wish.memory_bytes),
    }
    asked = [(name, part) for name, part in parts.items() if not part.is_any]
    alone = [name for name, part in asked if not any(node.suits(part) for node in nodes)]
    return (alone or [name for name, _ in asked])[0]


def facts(nodes: list[Known]) -> str:
    told = []
    for node in nodes[:5]:
        labels = ", ".join(f"{name}={value}" for name, value in node.labels.items()) or "no labels"
        device, memory = node.devices[0]
        about = [device or "devices without a name", labels]
        about += [f"{size(memory)} on each"] if memory else []
        about += [f"{size(node.memory_bytes)} of memory"] if node.memory_bytes else []
        told.append(f"{node.name} ({'; '.join(about)})")
    return ("there is " if len(nodes) == 1 else "there are ") + ", ".join(told)
