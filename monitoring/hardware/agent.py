"""The hardware agent of a node: one reading a second over the link.

    python -m monitoring.hardware.agent

Started by the node worker with SCALEWEB_URL, SCALEWEB_TOKEN (a node token), SCALEWEB_NODE and
SCALEWEB_SPOOL_DIR; SCALEWEB_CPU_SLOTS overrides the number of CPU slots, SCALEWEB_HOME is that worker's data
folder. No Django, no broker, no database.
Server away: the spool keeps the readings, and they are sent when it is back.
"""

import logging
import os
import signal
import sys
import threading
import time
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

from monitoring.claims import BadInventory, check_name
from scaleweb_sdk.link import Link
from scaleweb_sdk.protocol import Column, Event, EventKind

from . import host, nvml
from .inventory import cpu_slots, described
from .readings import present

logger = logging.getLogger(__name__)
READ_EVERY_SECONDS = 1.0
# The register's latest figures, health and processes; series points go with every reading.
DESCRIBE_EVERY_SECONDS = 5.0


class Agent:
    """Takes readings and hands them to the link; `clock` gives seconds since the epoch."""

    def __init__(
        self,
        link: Any,
        machine: host.Host,
        gpus: nvml.Gpus,
        slots: int = 0,
        clock: Any = time.time,
        home: Path | None = None,
    ):
        self.link = link
        self.machine = machine
        self.gpus = gpus
        self.slots = cpu_slots(slots)
        self.clock = clock
        self.system = described(gpus, slots, home)
        self.described_at = float("-inf")

    def look(self) -> None:
        """One reading of everything, sent; and every few seconds the description of the node."""
        now = self.clock()
        self.gpus.poll_xids()
        host_figures = present(self.machine.read())
        readings = [self.gpus.read(index) for index in range(len(self.gpus.handles))]
        figures = dict(host_figures)
        for index, reading in enumerate(readings):
            figures |= present(reading, f"gpu{index}/")
        columns = [Column(key, [int(now)], [now], [value]) for key, value in figures.items()]
        events = []
        if now - self.described_at >= DESCRIBE_EVERY_SECONDS:
            self.described_at = now
            events.append(Event(EventKind.DEVICES, now, None, self.description(host_figures, readings)))
        self.link.send(columns=columns, events=events)

    def description(self, host_figures: dict[str, float], readings: list[Any]) -> dict[str, Any]:
        devices = [
            asdict(self.gpus.describe(index, reading)) | {"latest": present(reading)}
            for index, reading in enumerate(readings)
        ]
        devices += [asdict(slot) for slot in self.slots]
        return {"system": self.system | {"latest": host_figures}, "devices": devices}


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    missing = [
        name for name in ("SCALEWEB_URL", "SCALEWEB_TOKEN", "SCALEWEB_NODE") if not os.environ.get(name)
    ]
    if missing:
        print(
            f"the agent needs {', '.join(missing)} in its environment; the node worker sets them",
            file=sys.stderr,
        )
        return 2
    try:
        check_name(os.environ["SCALEWEB_NODE"])
    except BadInventory as error:
        print(f"SCALEWEB_NODE: {error}", file=sys.stderr)
        return 2
    folder = Path(os.environ.get("SCALEWEB_SPOOL_DIR") or ".")
    link = Link(
        url=os.environ["SCALEWEB_URL"],
        token=os.environ["SCALEWEB_TOKEN"],
        source=f"node:{os.environ['SCALEWEB_NODE']}",
        role="agent",
        session=uuid.uuid4().hex,
        spool_dir=folder,
    )
    slots = int(os.environ.get("SCALEWEB_CPU_SLOTS") or 0)
    home = Path(os.environ["SCALEWEB_HOME"]) if os.environ.get("SCALEWEB_HOME") else None
    agent = Agent(link, host.Host(folder), nvml.Gpus(nvml.load()), slots, home=home)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    parent = os.getppid()
    due = time.monotonic()
    # A worker that was killed outright cannot stop its agent: an orphan ends by itself.
    while not stop.is_set() and os.getppid() == parent:
        agent.look()
        # A fixed grid, so that readings do not drift by the time they take; missed ticks are skipped.
        due = max(due + READ_EVERY_SECONDS, time.monotonic())
        stop.wait(due - time.monotonic())
    link.close(timeout=2)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
