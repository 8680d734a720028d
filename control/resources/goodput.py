"""Goodput: useful samples a second, throughput times what a sample is worth at that batch size.

Source: Qiao et al. 2021 (Pollux, OSDI), section 3.1; statistical efficiency from the gradient noise scale
(McCandlish et al. 2018, arXiv 1812.06162): of a batch M, the part (noise + M0) / (noise + M) counts as much as
samples of a batch M0 did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .throughput import Floats, Throughput

BATCHES = 12  # sizes that are tried between the base batch and the largest


@dataclass(frozen=True)
class Point:
    """The best way to use so many devices."""

    devices: int
    goodput: float  # samples of the base batch's worth, a second
    throughput: float  # samples a second
    efficiency: float  # 0..1
    batch: float
    accumulation: int


@dataclass(frozen=True)
class Goodput:
    """What a job makes of devices of one kind.

    noise_scale: gradient noise scale in samples, None where it was never measured; then, and where `adapts` is
    False, the batch stays base_batch and every sample counts one. largest_batch: effective; largest_micro_batch:
    what fits on a device.
    """

    throughput: Throughput
    base_batch: float
    noise_scale: float | None = None
    largest_batch: float = 0.0
    largest_micro_batch: float = float("inf")
    adapts: bool = False

    def efficiency(self, batch: Any) -> Any:
        if self.noise_scale is None:
            return np.minimum(1.0, self.base_batch / np.asarray(batch, dtype=np.float64))
        return (self.noise_scale + self.base_batch) / (self.noise_scale + batch)

    def batches(self) -> Floats:
        top = max(self.base_batch, self.largest_batch)
        if not self.adapts or self.noise_scale is None or top <= self.base_batch * 1.001:
            return np.array([self.base_batch], dtype=np.float64)
        return np.geomspace(self.base_batch, top, BATCHES)

    def points(self, devices: Sequence[int], nodes: Sequence[int] | None = None) -> list[Point]:
        """The best Point for each number of devices, spread over `nodes` (one where not given)."""
        count = np.asarray(devices, dtype=np.float64)[:, None]
        over = np.ones_like(count) if nodes is None else np.asarray(nodes, dtype=np.float64)[:, None]
        batch = self.batches()[None, :]
        share = batch / count
        accumulation = np.maximum(1.0, np.ceil(share / self.largest_micro_batch - 1e-9))
        seconds = self.throughput.step_seconds(count, share / accumulation, accumulation, over)
        rate = batch / seconds
        worth = self.efficiency(batch) * np.ones_like(rate)
        # A batch below one sample a device leaves devices idle.
        good = np.where(share >= 1, rate * worth, 0.0)
        best = np.argmax(good, axis=1)
        return [
            Point(int(devices[i]), float(good[i, b]), float(rate[i, b]), float(worth[i, b]),
                  float(batch[0, b]), int(accumulation[i, b]))
            for i, b in enumerate(best)
        ]  # fmt: skip

    def table(self, devices: Sequence[int], nodes: Sequence[int] | None = None) -> dict[int, float]:
        """Goodput for each number of devices."""
        return {point.devices: point.goodput for point in self.points(devices, nodes)}
