"""A stand-in for pynvml at the library's boundary: real constants and errors, recorded-like answers.

Figures are of the kind an H100 gives; a test changes `cards` to make a card lack a sensor or fail.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml


@dataclass
class Card:
    index: int
    used: int = 12 * 2**30
    utilisation: int = 87
    power_milliwatts: int = 310_500
    temperature: int = 61
    throttle: int = 0
    ecc: int = 0
    limit_milliwatts: int = 700_000
    pids: list[int] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)  # functions this card does not support
    broken: set[str] = field(default_factory=set)  # functions that answer "GPU is lost"


class FakeNvml:
    def __init__(self, *cards: Card) -> None:
        self.cards = list(cards)
        self.events: list[Any] = []
        self.root = False  # whether this user may set power limits
        self.silent = False  # the driver answers nothing

    def __getattr__(self, name: str) -> Any:
        # Constants and error classes are the real ones, so a misspelt name fails here as it would there.
        value = getattr(pynvml, name)
        if callable(value) and not isinstance(value, type):
            raise AssertionError(f"the fake has no {name}")
        return value

    def answer(self, name: str, card: Card, value: Any) -> Any:
        if name in card.missing:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        if name in card.broken:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return value

    def nvmlSystemGetDriverVersion(self):
        if self.silent:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)
        return "580.65.06"

    def nvmlDeviceGetCount(self):
        if self.silent:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index):
        return self.answer("handle", self.cards[index], self.cards[index])

    def nvmlDeviceGetIndex(self, card):
        return self.answer("index", card, card.index)

    def nvmlDeviceGetName(self, card):
        return self.answer("name", card, "NVIDIA H100 80GB HBM3")

    def nvmlDeviceGetUUID(self, card):
        return self.answer("uuid", card, f"GPU-{card.index:08d}")

    def nvmlDeviceGetMemoryInfo(self, card):
        return self.answer("memory", card, SimpleNamespace(used=card.used, total=80 * 2**30))

    def nvmlDeviceGetUtilizationRates(self, card):
        return self.answer("utilisation", card, SimpleNamespace(gpu=card.utilisation, memory=40))

    def nvmlDeviceGetPowerUsage(self, card):
        return self.answer("power", card, card.power_milliwatts)

    def nvmlDeviceGetEnforcedPowerLimit(self, card):
        return self.answer("limit", card, card.limit_milliwatts)

    def nvmlDeviceGetPowerManagementLimit(self, card):
        return self.answer("limit", card, card.limit_milliwatts)

    def nvmlDeviceGetPowerManagementDefaultLimit(self, card):
        return self.answer("limit", card, 700_000)

    def nvmlDeviceGetPowerManagementLimitConstraints(self, card):
        return self.answer("limit", card, (200_000, 700_000))

    def nvmlDeviceSetPowerManagementLimit(self, card, milliwatts):
        if not self.root:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)
        self.answer("set_limit", card, None)
        assert type(milliwatts) is int
        card.limit_milliwatts = milliwatts

    def nvmlDeviceGetTemperature(self, card, sensor):
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        return self.answer("temperature", card, card.temperature)

    def nvmlDeviceGetClockInfo(self, card, clock):
        return self.answer("clock", card, 1980 if clock == pynvml.NVML_CLOCK_SM else 2619)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, card):
        return self.answer("throttle", card, card.throttle)

    def nvmlDeviceGetTotalEccErrors(self, card, error, counter):
        assert (error, counter) == (pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC)
        return self.answer("ecc", card, card.ecc)

    def nvmlDeviceGetComputeRunningProcesses(self, card):
        found = [SimpleNamespace(pid=pid, usedGpuMemory=3 * 2**30) for pid in card.pids]
        return self.answer("processes", card, found)

    def nvmlEventSetCreate(self):
        return self.events

    def nvmlDeviceRegisterEvents(self, card, kinds, event_set):
        assert kinds == pynvml.nvmlEventTypeXidCriticalError
        self.answer("events", card, None)

    def nvmlEventSetWait_v2(self, event_set, milliseconds):
        assert milliseconds == 0, "the agent must not wait for events"
        if not event_set:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)
        return event_set.pop(0)

    def report_xid(self, index: int, xid: int) -> None:
        self.events.append(SimpleNamespace(device=self.cards[index], eventData=xid))
