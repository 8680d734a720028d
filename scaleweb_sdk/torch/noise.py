"""The gradient noise scale, measured in training itself from gradients that are computed anyway.

A step's gradient is the mean over its micro-batches, and over the ranks of a DistributedDataParallel model. Their own
gradients are longer than their mean, by the noise that the mean takes out. From the two lengths follow, without bias,
the squared length of the true gradient and the sum of a single sample's variances; their ratio is the batch size at
which noise and signal are equal.
Source: McCandlish et al. 2018, arXiv 1812.06162, appendix A.1.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from scaleweb_sdk import clock

from .norms import trained

# What measuring may cost of all steps, and how much of it may be saved up: a training that has not measured for long
# does so at each step once it can, so that a short look is enough.
COST_SHARE = 0.004
MOST_SAVED_SECONDS = 0.05
# The weight of a new measurement in the smoothed figures: they look back over some fifty.
NEW_WEIGHT = 0.02


class GradientNoise:
    """Catches micro-batches' gradient norms in the steps that are measured, and says what they tell.

    Nothing is measured with one micro-batch on one rank; on other ranks than the first; where the ranks' gradients
    are joined by something else than DistributedDataParallel; and where the training makes its own batches.
    """

    def __init__(
        self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, rank: int, has_samples: bool
    ) -> None:
        """has_samples: whether the loop knows how many samples a batch has."""
        self.optimizer = optimizer
        self.ranks = ranks_of(model)
        self.usable = self.ranks > 0 and rank == 0 and has_samples
        self.allowance_seconds = 0.0  # for measuring: earned by steps, spent by measurements
        self._is_warm = False
        self._measuring = False
        self._caught: list[list[torch.Tensor]] = []  # per micro-batch: each parameter's gradient norm
        self._spent = 0.0
        self.forget()

    def forget(self) -> None:
        """Another state is in place: what was averaged is not about it."""
        self._square = self._variance = self._weight = 0.0
        self._measuring = False
        self._caught.clear()

    @property
    def scale(self) -> float | None:
        """The noise scale in samples as measured so far; None while it cannot be told."""
        return self._variance / self._square if self._square > 0 and self._variance > 0 else None

    def listening(self, is_first: bool, micro_batches: int) -> AbstractContextManager[None]:
        """Around the backward pass of a micro-batch. is_first: of its step."""
        if is_first:
            self._caught.clear()
            self._spent = 0.0
            several = micro_batches * self.ranks > 1
            self._measuring = self.usable and several and self.allowance_seconds >= 0
        return self._catching() if self._measuring else nullcontext()

    @contextmanager
    def _catching(self) -> Iterator[None]:
        norms: list[torch.Tensor] = []

        def catch(gradient: torch.Tensor) -> None:
            began = clock.seconds()
            norms.append(torch.linalg.vector_norm(gradient.detach(), dtype=torch.float32))
            self._spent += clock.seconds() - began

        began = clock.seconds()
        # A hook of the parameter sees this pass's own gradient, before it is added up or averaged over ranks.
        hooks: list[RemovableHandle] = [
            parameter.register_hook(catch)  # type: ignore[no-untyped-call]
            for parameter in trained(self.optimizer)
            if parameter.requires_grad
        ]
        self._spent += clock.seconds() - began
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        self._caught.append(norms)

    def figures(
        self, sizes: Sequence[int], norm: float, step_seconds: float, loss_scale: float = 1.0
    ) -> dict[str, float]:
        """What to log of a step that went well; empty where it was not measured.

        sizes: samples in each micro-batch. norm: length of the step's whole gradient, before clipping.
        loss_scale: what a gradient scaler multiplied the losses by.
        """
        self.allowance_seconds = min(self.allowance_seconds + COST_SHARE * step_seconds, MOST_SAVED_SECONDS)
        if not self._measuring:
            return {}
        self._measuring = False
        caught, self._caught = self._caught, []
        parts = len(sizes)
        # Of unequal micro-batches the mean of means is not the samples' mean.
        if len(caught) != parts or min(sizes) < 1 or min(sizes) != max(sizes) or not all(caught):
            return {}
        began = clock.seconds()
        # Each loss was divided by the number of micro-batches, so that their sum is the mean.
        small = mean_square(caught) * (parts / loss_scale) ** 2
        if not math.isfinite(small):
            return {}
        batch = sizes[0]
        square, variance = pair_estimates(small, norm * norm, batch, batch * parts * self.ranks)
        self._average(square, variance)
        if self._is_warm:  # the first one starts up what the others find ready
            self.allowance_seconds -= self._spent + clock.seconds() - began
        self._is_warm = True
        figures = {"_grad_square": square, "_grad_variance": variance}
        if (scale := self.scale) is not None:
            figures["_grad_noise_scale"] = scale
        return figures

    def _average(self, square: float, variance: float) -> None:
        """Smoothed apart: a ratio of means is far steadier than a mean of ratios."""
        # Heavier at first, so that the first figures are plain means.
        self._weight = NEW_WEIGHT + (1 - NEW_WEIGHT) * self._weight
        share = NEW_WEIGHT / self._weight
        self._square += share * (square - self._square)
        self._variance += share * (variance - self._variance)


def pair_estimates(
    small_square: float, large_square: float, small_batch: int, large_batch: int
) -> tuple[float, float]:
    """(squared length of the true gradient, sum of one sample's variances), both without bias; each may be negative.

    small_square, large_square: squared gradient norms of batches of so many samples, the small ones part of the large.
    """
    square = (large_batch * large_square - small_batch * small_square) / (large_batch - small_batch)
    variance = (small_square - large_square) / (1 / small_batch - 1 / large_batch)
    return square, variance


def mean_square(caught: list[list[torch.Tensor]]) -> float:
    """Squared gradient length, averaged over micro-batches, from each parameter's norms."""
    device = caught[0][0].device
    norms = [norm.to(device) for norms in caught for norm in norms]
    return float(torch.stack(norms).square().sum()) / len(caught)


def ranks_of(model: torch.nn.Module) -> int:
    """How many ranks a gradient is the mean of; 0 where that is not known."""
    if isinstance(model, torch.nn.parallel.DistributedDataParallel):
        group: Any = model.process_group
        return int(group.size())
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return 0 if distributed and torch.distributed.get_world_size() > 1 else 1
