"""Layer-wise trust ratios on the user's own optimiser: LARS where it is SGD, LAMB where it is Adam or its like.

Each weight matrix moves by a step in proportion to its own length, whatever its gradient's is, so that at a large
batch and rate no layer is thrown far. Biases and the scales of norms, of one dimension, keep their steps.
Sources: LARS: You et al. 2017, arXiv 1708.03888; LAMB: You et al. 2019, arXiv 1904.00962.

The coefficient before the ratios is not a constant as there: it is measured over the first steps so that the step's
length over all layers stays what it was. The learning rate then keeps its meaning when the ratios are switched on.
"""

import math
from typing import Any

import torch

CALIBRATION_STEPS = 10
# No layer's step becomes longer or shorter by more.
LARGEST_FACTOR = 100.0

ADAM_LIKE = (
    "adam",
    "lamb",
    "rmsprop",
    "adagrad",
    "adadelta",
    "adafactor",
    "lion",
    "muon",
    "adopt",
    "prodigy",
)


def family_of(optimizer: torch.optim.Optimizer) -> str:
    """ "adam" for optimisers that divide by the gradient's own scale, "sgd" for those that do not, "" if unknown."""
    for kind in type(optimizer).__mro__:
        name = kind.__name__.lower()
        if any(word in name for word in ADAM_LIKE):
            return "adam"
        if "sgd" in name or "lars" in name:
            return "sgd"
    return ""


class TrustRatio:
    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.is_lars = family_of(optimizer) == "sgd"
        self.on = False
        self._restart()

    def _restart(self) -> None:
        self._seen = 0
        self._log_coefficient = 0.0  # summed over the calibration's steps
        self._before: list[torch.Tensor] = []

    def set(self, on: bool) -> None:
        if on != self.on:
            self._restart()
        self.on = on

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self._seen, "log_coefficient": self._log_coefficient}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._restart()
        self._seen, self._log_coefficient = int(state["seen"]), float(state["log_coefficient"])

    # -- around the optimiser's step -----------------------------------------------------------------

    @torch.no_grad()
    def before(self) -> None:
        """After clipping, ahead of optimizer.step()."""
        if not self.on:
            return
        if not self.is_lars:
            self._before = [weight.clone() for _, weight in self._matrices()]
            return
        pairs = self._matrices()
        if not pairs:
            return
        weights = [weight for _, weight in pairs]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        decays = [float(group.get("weight_decay", 0.0)) for group, _ in pairs]
        # The decay that SGD will add belongs to the step that is scaled, so it is added here and taken out again.
        pulls = torch._foreach_mul(weights, decays)
        torch._foreach_add_(gradients, pulls)
        factors = self._factors(weights, gradients)
        if factors is not None:
            torch._foreach_mul_(gradients, factors)
        torch._foreach_sub_(gradients, pulls)

    @torch.no_grad()
    def after(self) -> None:
        """Behind optimizer.step()."""
        if not self.on or self.is_lars or not self._before:
            return
        pairs = self._matrices()
        old, self._before = self._before, []
        rates = [1 / max(float(group["lr"]), 1e-30) for group, _ in pairs]
        weights = [weight for _, weight in pairs]
        moves = torch._foreach_sub(weights, old)
        factors = self._factors(old, torch._foreach_mul(moves, rates))
        if factors is None:
            return
        torch._foreach_mul_(moves, factors)
        torch._foreach_copy_(weights, torch._foreach_add(old, moves))

    def _matrices(self) -> list[tuple[dict[str, Any], torch.Tensor]]:
        """(parameter group, weight) of everything with two dimensions or more and a gradient."""
        return [
            (group, weight)
            for group in self.optimizer.param_groups
            for weight in group["params"]
            if weight.grad is not None and weight.dim() > 1
        ]

    def _factors(
        self, weights: list[torch.Tensor], updates: list[torch.Tensor] | tuple[torch.Tensor, ...]
    ) -> list[torch.Tensor] | None:
        """What to multiply each layer's step by; None while the coefficient is being measured."""
        lengths = torch.stack(torch._foreach_norm(weights)).float()
        moved = torch.stack(torch._foreach_norm(updates)).float()
        if self._seen < CALIBRATION_STEPS:
            ratio = float(moved.norm() / lengths.norm())
            if ratio > 0 and math.isfinite(ratio):
                self._seen += 1
                self._log_coefficient += math.log(ratio)
            return None
        coefficient = math.exp(self._log_coefficient / self._seen)
        factors = (coefficient * lengths / moved).clamp(1 / LARGEST_FACTOR, LARGEST_FACTOR)
        # A layer of zeros, as residual branches begin, has no length to go by; nor has a step of nothing.
        factors = torch.where((lengths > 0) & (moved > 0), factors, torch.ones_like(factors))
        return list(factors)
