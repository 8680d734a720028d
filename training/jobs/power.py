"""The power limits of a node's GPUs while a job runs on them: set where the controller asks, put back at the end.

What a limit was before is written down before it is changed, so a worker that is started again puts it back too.
"""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from monitoring.hardware.nvml import Gpus, load
from monitoring.hardware.power import LimitRefused, power_limit, set_power_limit
from monitoring.models import Device
from training.models import Attempt, RunEvent

from .processes import read_json, write_json

logger = logging.getLogger(__name__)


class PowerKeeper:
    """`keep` at each look. file: what limits were before. Without anybody who asks it never loads the driver."""

    def __init__(self, file: Path, gpus: Callable[[], Gpus] = lambda: Gpus(load())) -> None:
        self.file = file
        self._make = gpus
        self._gpus: Gpus | None = None

    @property
    def gpus(self) -> Gpus:
        if self._gpus is None:
            self._gpus = self._make()
        return self._gpus

    def keep(self, attempts: Iterable[Attempt]) -> None:
        """Set what live attempts want, and put back what is nobody's any more."""
        asked = [attempt for attempt in attempts if attempt.power_wanted_watts is not None]
        held = read_json(self.file) or {}
        if not asked and not held:
            return
        mine: set[str] = set()
        for attempt in asked:
            gpus = [
                d for d in attempt.devices.all() if d.kind == Device.Kind.GPU and d.node_id == attempt.node_id
            ]
            told = attempt.power or {}
            if told.get("problem") or not gpus:
                continue
            mine |= {str(device.index) for device in gpus}
            if told.get("wanted") != attempt.power_wanted_watts:
                self.follow(attempt, [device.index for device in gpus], held)
        self.put_back([index for index in held if index not in mine])

    def follow(self, attempt: Attempt, indices: list[int], held: dict[str, Any]) -> None:
        wanted = attempt.power_wanted_watts
        try:
            known = [power_limit(self.gpus, index) for index in indices]
            told: dict[str, Any] = {
                "wanted": wanted, "low": max(each.low_watts for each in known),
                "high": min(each.high_watts for each in known), "default": known[0].default_watts,
            }  # fmt: skip
            if wanted:
                before = {str(index): each.watts for index, each in zip(indices, known, strict=True)}
                self.file.parent.mkdir(parents=True, exist_ok=True)
                write_json(self.file, before | held)
                held |= before | held
                for index in indices:
                    set_power_limit(self.gpus, index, wanted)
        except LimitRefused as error:
            told = {"wanted": wanted, "problem": str(error)}
            RunEvent.objects.create(run=attempt.job.run, kind="note", reason=f"no power limit: {error}")
            self.put_back([str(index) for index in indices if str(index) in held])
        Attempt.objects.filter(pk=attempt.pk).update(power=told)

    def put_back(self, indices: Iterable[str]) -> None:
        for index in list(indices):
            held = read_json(self.file) or {}
            watts = held.pop(index, None)
            if watts is None:
                continue
            try:
                set_power_limit(self.gpus, int(index), float(watts))
            except LimitRefused as error:
                logger.warning("GPU %s keeps a limit that a job had: %s", index, error)
            write_json(self.file, held)
