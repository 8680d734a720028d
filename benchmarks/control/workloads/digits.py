"""Handwritten digits (scikit-learn's 1,797 of 8 x 8) by a small convolutional network, SGD with momentum."""

import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from benchmarks.control.workload import Built, Rows, batches

NAME = "digits"
TARGET = 0.10
RATES = (0.003, 3.0)
ADAM_RATE = 0.003
NOISE = 0.3  # added to each image anew: 1,400 images alone would be learnt by heart


def build(seed: int) -> Built:
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    labels = torch.tensor(data.target)
    # Every fifth is held back: the last ones are by other hands.
    held = torch.arange(len(labels)) % 5 == 0
    train = ~held
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(16 * 9, 10),
    )  # fmt: skip
    noise = torch.Generator().manual_seed(seed)

    def loss(batch: list[torch.Tensor]) -> torch.Tensor:
        image, label = batch
        return F.cross_entropy(model(image + NOISE * torch.randn(image.shape, generator=noise)), label)

    @torch.no_grad()
    def progress() -> float:
        return float(F.cross_entropy(model(images[held]), labels[held]))

    return Built(
        model=model,
        optimizer=lambda rate: torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9),
        loss=loss,
        progress=progress,
        loader=batches(Rows(images[train], labels[train]), 32, seed),
    )
