"""One net of many.py by itself, through the SDK's loop: of the same setting and seed it learns the same."""

import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from .many import BATCH, HELD_OUT, HIDDEN, NOISE, Setting
from .trial import Outcome, Trial, led
from .workload import Built, Workload


def steered(setting: Setting, seed: int, steps: int, every: int, method: str = "control") -> Outcome:
    """The training of so many steps that begins with the setting; its held-out loss is measured every `every` steps."""
    trial = Trial("hidden layer", seed, setting.rate, steps, method, says_its_end=True)
    return led(trial, workload(setting, every))


def workload(setting: Setting, every: int) -> Workload:
    """Without a target: it trains for all the steps it is given."""

    def build(seed: int) -> Built:
        # The draws of `Many`, in its order.
        generator = torch.Generator().manual_seed(seed)
        data = load_digits()
        order = torch.randperm(len(data.target), generator=generator)
        images_BF = torch.tensor(data.data, dtype=torch.float32)[order] / 16
        labels_B = torch.tensor(data.target)[order]
        first, last = torch.nn.Linear(64, HIDDEN), torch.nn.Linear(HIDDEN, 10)
        model = torch.nn.Sequential(first, torch.nn.ReLU(), last)
        with torch.no_grad():
            for layer in (first, last):
                rows, columns = layer.in_features, layer.out_features
                layer.weight.copy_((torch.randn(rows, columns, generator=generator) * (2 / rows) ** 0.5).T)
                layer.bias.zero_()

        def loss(_: None) -> torch.Tensor:
            rows = HELD_OUT + torch.randint(0, len(images_BF) - HELD_OUT, (BATCH,), generator=generator)
            noisy = images_BF[rows]
            noisy = noisy + NOISE * torch.randn(noisy.shape, generator=generator)
            return F.cross_entropy(model(noisy), labels_B[rows])

        @torch.no_grad()
        def progress() -> float:
            return float(F.cross_entropy(model(images_BF[:HELD_OUT]), labels_B[:HELD_OUT]))

        return Built(
            model=model,
            optimizer=lambda rate: torch.optim.SGD(
                model.parameters(), lr=rate, momentum=setting.momentum, weight_decay=setting.decay
            ),
            loss=loss,
            progress=progress,
        )

    return Workload("hidden layer", "hidden layer", 0.0, "min", (1e-4, 10.0), 3e-3, every, build)
