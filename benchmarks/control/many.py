"""Many small trainings at once: one hidden layer on scikit-learn's digits, a net for each setting, in the same tensors.

Each net has its own rate, momentum and weight decay, and can take over another's weights; all see the same batches.
What is measured is each net's loss on 450 held-out images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits

HIDDEN, BATCH, HELD_OUT, NOISE = 64, 64, 450, 0.3


@dataclass(frozen=True)
class Setting:
    rate: float
    momentum: float
    decay: float


class Many:
    """Nets of the same beginning, one for each setting. Shapes: K nets, B samples, F features, H hidden, C classes."""

    def __init__(self, settings: Sequence[Setting], seed: int) -> None:
        torch.set_num_threads(1)
        self.generator = torch.Generator().manual_seed(seed)
        data = load_digits()
        order = torch.randperm(len(data.target), generator=self.generator)
        images, labels = (
            torch.tensor(data.data, dtype=torch.float32)[order] / 16,
            torch.tensor(data.target)[order],
        )
        self.images_BF, self.labels_B = images[HELD_OUT:], labels[HELD_OUT:]
        self.held_images, self.held_labels = images[:HELD_OUT], labels[:HELD_OUT]
        first = [self._drawn(64, HIDDEN), torch.zeros(1, HIDDEN), self._drawn(HIDDEN, 10), torch.zeros(1, 10)]
        self.weights = [each.repeat(len(settings), 1, 1).requires_grad_() for each in first]
        self.memory = [torch.zeros_like(each) for each in self.weights]
        self.step = 0
        self.losses: list[np.ndarray] = []  # of the batches, shape (nets,) each
        self.set(settings)

    def _drawn(self, rows: int, columns: int) -> torch.Tensor:
        return torch.randn(rows, columns, generator=self.generator) * (2 / rows) ** 0.5

    def set(self, settings: Sequence[Setting]) -> None:
        self.settings = list(settings)
        shape = (len(self.settings), 1, 1)
        self.rate_K = torch.tensor([s.rate for s in self.settings]).reshape(shape)
        self.momentum_K = torch.tensor([s.momentum for s in self.settings]).reshape(shape)
        self.decay_K = torch.tensor([s.decay for s in self.settings]).reshape(shape)

    def _losses(self, images_BF: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        w1, b1, w2, b2 = self.weights
        logits_KBC = torch.relu(images_BF @ w1 + b1) @ w2 + b2
        flat = logits_KBC.reshape(-1, 10)
        labels = labels_B.repeat(len(self.settings))
        return (
            torch.nn.functional.cross_entropy(flat, labels, reduction="none")
            .reshape(len(self.settings), -1)
            .mean(1)
        )

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.step += 1
            rows = torch.randint(0, len(self.images_BF), (BATCH,), generator=self.generator)
            images_BF = self.images_BF[rows]
            images_BF = images_BF + NOISE * torch.randn(images_BF.shape, generator=self.generator)
            losses_K = self._losses(images_BF, self.labels_B[rows])
            losses_K.sum().backward()
            self.losses.append(losses_K.detach().double().numpy())
            with torch.no_grad():
                for weight, memory in zip(self.weights, self.memory, strict=True):
                    assert weight.grad is not None
                    memory.mul_(self.momentum_K).add_(weight.grad + self.decay_K * weight)
                    weight -= self.rate_K * memory
                    weight.grad = None

    def held_out(self) -> np.ndarray:
        """Each net's loss on the held-out images, shape (nets,)."""
        with torch.no_grad():
            return self._losses(self.held_images, self.held_labels).double().numpy()

    def adopt(self, taker: int, giver: int) -> None:
        """The taker goes on with the giver's weights and momentum."""
        with torch.no_grad():
            for part in (*self.weights, *self.memory):
                part[taker] = part[giver].clone()


def curves(settings: Sequence[Setting], seed: int, steps: int, every: int) -> tuple[np.ndarray, np.ndarray]:
    """(steps, losses) measured every `every` steps: shapes (points,) and (nets, points)."""
    nets = Many(settings, seed)
    measured = []
    for _ in range(0, steps, every):
        nets.train(every)
        measured.append(nets.held_out())
    return np.arange(every, steps + 1, every), np.stack(measured, axis=1)
