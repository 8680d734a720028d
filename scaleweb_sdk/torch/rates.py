"""One control for the learning rate, with a scheduler or without.

A scheduler writes the rate anew at each of its steps, so setting the optimiser's rate alone would last one
step. The control therefore scales everything that the scheduler starts from: what the optimiser has now,
the base, peak and floor rates kept in its parameter groups, and those in the scheduler itself. The schedule
keeps its shape and every rate of it is multiplied by the same factor.
"""

from typing import Any

import torch

# Rates that schedulers keep in the optimiser's groups (initial_lr: all; max_lr, min_lr: OneCycleLR) …
GROUP_RATES = ("lr", "initial_lr", "max_lr", "min_lr")
# … and in themselves: one number, or a list with one for each group.
SCHEDULER_RATES = ("base_lrs", "max_lrs", "min_lrs", "eta_min", "_last_lr", "default_min_lr")


class Rates:
    """The learning rates of an optimiser under one number: the base rate of its first group."""

    def __init__(self, optimizer: torch.optim.Optimizer, scheduler: Any = None) -> None:
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.value = self._base()

    def _base(self) -> float:
        group = self.optimizer.param_groups[0]
        # OneCycleLR starts at max_lr / div_factor: its peak is what a person calls its rate.
        name = next((name for name in ("max_lr", "initial_lr") if name in group), "lr")
        return float(group[name if self.scheduler is not None else "lr"])

    @property
    def now(self) -> float:
        """The rate in force in the first group."""
        return float(self.optimizer.param_groups[0]["lr"])

    def set(self, value: float) -> None:
        """Make `value` the base rate and scale every other rate alike. Raises ValueError unless value > 0."""
        if not value > 0:
            raise ValueError(f"a learning rate of {value} cannot be scaled back; expected more than 0")
        old, self.value = self.value, value
        if old == value:
            return

        def scaled(rate: Any) -> Any:
            # Exactly `value` where the rate was the base: old * (value / old) may be one bit off.
            return value if float(rate) == old else rate * (value / old)

        for group in self.optimizer.param_groups:
            for name in GROUP_RATES:
                if name not in group:
                    continue
                if isinstance(group[name], torch.Tensor):
                    group[name].fill_(scaled(float(group[name])))  # captured by a graph: keep the tensor
                else:
                    group[name] = scaled(group[name])
        for scheduler in flatten(self.scheduler):
            for name in SCHEDULER_RATES:
                held = getattr(scheduler, name, None)
                if isinstance(held, list):
                    setattr(scheduler, name, [scaled(rate) for rate in held])
                elif isinstance(held, float) or (isinstance(held, int) and not isinstance(held, bool)):
                    setattr(scheduler, name, scaled(held))

    def restored(self, value: float) -> None:
        """Optimiser and scheduler were loaded from a checkpoint that was saved under base rate `value`."""
        self.value = value


def flatten(scheduler: Any) -> list[Any]:
    """The scheduler and, for SequentialLR and ChainedScheduler, those inside it."""
    if scheduler is None:
        return []
    inner = getattr(scheduler, "_schedulers", [])
    return [scheduler, *(leaf for part in inner for leaf in flatten(part))]
