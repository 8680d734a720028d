"""How the rate is led: left alone, by the controller, or by what people use instead, from the same start."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .workload import Built


class Method:
    """Optimiser and scheduler of a trial. The fixed rate; the controller too starts from it."""

    def __init__(self, built: Built, rate: float, most: int) -> None:
        self.optimizer: torch.optim.Optimizer = built.optimizer(rate)
        self.scheduler: Any = None

    def after_step(self, model: torch.nn.Module) -> None:
        """Called after each optimiser step."""

    @contextmanager
    def evaluating(self, model: torch.nn.Module) -> Iterator[None]:
        """With the weights that are to be measured."""
        model.eval()
        yield
        model.train()


class Cosine(Method):
    """Half a cosine down to nothing over all the steps there are."""

    def __init__(self, built: Built, rate: float, most: int) -> None:
        super().__init__(built, rate, most)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, most)


METHODS: dict[str, type[Method]] = {"fixed": Method, "control": Method, "cosine": Cosine}


def make(name: str, built: Built, rate: float, most: int) -> Method:
    return METHODS[name](built, rate, most)
