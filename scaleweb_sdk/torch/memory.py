"""How much of an accelerator's memory a training needs, and how much it could have."""

import time
from dataclasses import dataclass
from typing import Protocol

import torch

# Reading the driver takes a hundred microseconds or less: twice a second is nothing of a step.
EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class MemoryUse:
    """used_bytes: the most that tensors took at once since the last `fresh`. limit_bytes: what they could have."""

    used_bytes: int
    limit_bytes: int


class MemoryMeter(Protocol):
    def read(self) -> MemoryUse: ...

    def fresh(self) -> None:
        """Measure the peak anew: the batch is another one."""


class CudaMemory:
    def __init__(self, device: torch.device) -> None:
        self.device = device

    def read(self) -> MemoryUse:
        free, total = torch.cuda.mem_get_info(self.device)
        # What other processes hold is not to be had; what torch keeps for itself is.
        limit = min(free + torch.cuda.memory_reserved(self.device), self._allowed(total))
        return MemoryUse(torch.cuda.max_memory_allocated(self.device), limit)

    def _allowed(self, total: int) -> int:
        fraction = getattr(torch.cuda, "get_per_process_memory_fraction", None)
        return total if fraction is None else int(total * fraction(self.device))

    def fresh(self) -> None:
        # Only after a change of the batch: a script that reads the peak itself is not disturbed till then.
        torch.cuda.reset_peak_memory_stats(self.device)


class MemorySignal:
    """Figures to log now and then, at once after the batch has changed."""

    def __init__(self, meter: MemoryMeter | None) -> None:
        self.meter = meter
        self._read_at = float("-inf")

    def changed(self) -> None:
        if self.meter is not None:
            self.meter.fresh()
            self._read_at = float("-inf")

    def figures(self) -> dict[str, float]:
        now = time.monotonic()
        if self.meter is None or now - self._read_at < EVERY_SECONDS:
            return {}
        self._read_at = now
        use = self.meter.read()
        return {"_memory_used_bytes": float(use.used_bytes), "_memory_total_bytes": float(use.limit_bytes)}


def meter_for(model: torch.nn.Module) -> MemoryMeter | None:
    """The meter of the device that the model computes on; None on a CPU."""
    device = device_of(model)
    return CudaMemory(device) if device.type == "cuda" else None


def device_of(model: torch.nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
