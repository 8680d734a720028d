"""A small network learns a function of four numbers with noise, plain SGD."""

import torch
from torch.nn import functional as F

from benchmarks.control.workload import Built, Rows, batches

NAME = "regression"
TARGET = 0.012
RATES = (0.003, 3.0)
ADAM_RATE = 0.01


def build(seed: int) -> Built:
    dice = torch.Generator().manual_seed(seed)
    inputs = torch.rand(4096, 4, generator=dice) * 2 - 1
    a, b, c, d = inputs.T
    clean = torch.sin(2 * a) + b**2 - c * d
    outputs = (clean + 0.1 * torch.randn(4096, generator=dice))[:, None]
    clean = clean[:, None]
    train, held = slice(0, 3072), slice(3072, None)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 64),
        torch.nn.Tanh(),
        torch.nn.Linear(64, 64),
        torch.nn.Tanh(),
        torch.nn.Linear(64, 1),
    )

    def loss(batch: list[torch.Tensor]) -> torch.Tensor:
        return F.mse_loss(model(batch[0]), batch[1])

    @torch.no_grad()
    def progress() -> float:
        return float(F.mse_loss(model(inputs[held]), clean[held]))

    return Built(
        model=model,
        optimizer=lambda rate: torch.optim.SGD(model.parameters(), lr=rate),
        loss=loss,
        progress=progress,
        loader=batches(Rows(inputs[train], outputs[train]), 64, seed),
    )
