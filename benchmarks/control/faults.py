"""What is done to a training on purpose, at the step where it hurts."""

from pathlib import Path
from typing import Any

import torch


class Fault:
    """None; the others begin at `at`, in optimiser steps done."""

    at = 200

    def __init__(self, loop: Any, folder: Path) -> None:
        self.loop, self.folder = loop, folder

    def before(self, done: int, batch: Any) -> Any:
        return batch

    def loss(self, done: int, loss: torch.Tensor) -> torch.Tensor:
        return loss


class NanLoss(Fault):
    """Five steps whose loss is not a number."""

    def loss(self, done: int, loss: torch.Tensor) -> torch.Tensor:
        return loss * float("nan") if self.at <= done < self.at + 5 else loss


class NanWeights(Fault):
    """Weights that became NaN, as after a broken kernel: every loss from then on is."""

    hit = False

    @torch.no_grad()
    def before(self, done: int, batch: Any) -> Any:
        if done >= self.at and not self.hit:
            self.hit = True
            for weights in self.loop.model.parameters():
                weights.mul_(float("nan"))
        return batch


class LostCheckpoint(NanWeights):
    """The same, and the newest checkpoint file cannot be read."""

    def before(self, done: int, batch: Any) -> Any:
        if done >= self.at and not self.hit:
            newest = max(self.folder.glob("step-*.pt"), key=lambda path: path.stat().st_mtime_ns)
            newest.write_bytes(newest.read_bytes()[:100])
        return super().before(done, batch)


class Spike(Fault):
    """Weights knocked out of place once: the loss jumps."""

    hit = False

    @torch.no_grad()
    def before(self, done: int, batch: Any) -> Any:
        if done >= self.at and not self.hit:
            self.hit = True
            dice = torch.Generator().manual_seed(done)
            for weights in self.loop.model.parameters():
                size = float(weights.std()) if weights.numel() > 1 else 0.1
                weights.add_(2 * size * torch.randn(weights.shape, generator=dice).to(weights.device))
        return batch


class BadBatches(Fault):
    """Ten steps of garbage: gradients that lead nowhere, a hundred times as long."""

    def loss(self, done: int, loss: torch.Tensor) -> torch.Tensor:
        return -100 * loss if self.at <= done < self.at + 10 else loss


class OutOfMemory(Fault):
    """From then on half a batch is the most that fits."""

    most: int | None = None

    def before(self, done: int, batch: Any) -> Any:
        size = self.loop.feed.batch_size if self.loop.feed is not None else None
        if done >= self.at and size is not None:
            self.most = self.most or size // 2
            if size > self.most:
                raise torch.OutOfMemoryError("injected: the device's memory holds no batch of this size")
        return batch


FAULTS: dict[str, type[Fault]] = {
    "": Fault, "nan_loss": NanLoss, "nan_weights": NanWeights, "lost_checkpoint": LostCheckpoint, "spike": Spike,
    "bad_batches": BadBatches, "out_of_memory": OutOfMemory,
}  # fmt: skip


def make(name: str, loop: Any, folder: Path) -> Fault:
    return FAULTS[name](loop, folder)
