"""Which weights are pruned, and that they stay zero after every step, whatever momentum would make of them.

torch.nn.utils.prune itself replaces each weight by another parameter and a buffer, so that a checkpoint from before
the pruning no longer fits and the model cannot be copied after a forward pass. Here the model keeps its parameters
and their names, and the masks lie beside it: a roll back to before the pruning is a roll back like any other.
"""

from typing import Any

import torch
from torch import Tensor


class Masks:
    """The pruned weights of a model by parameter name; True where a weight is held at zero. Empty until one prunes."""

    def __init__(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.model = model
        self.optimizer = optimizer
        self.pruned: dict[str, Tensor] = {}
        self._handles: list[Any] = []

    def set(self, pruned: dict[str, Tensor]) -> None:
        """Hold these weights at zero from now on, and no others."""
        parameters = dict(self.model.named_parameters())
        for handle in self._handles:
            handle.remove()
        self.pruned = {name: mask.to(parameters[name].device) for name, mask in pruned.items()}
        # Gradients too: what cannot move must not count in the norm that is clipped and charted.
        self._handles = [
            parameters[name].register_hook(  # type: ignore[no-untyped-call]
                lambda gradient, mask=mask: gradient.masked_fill(mask, 0)
            )
            for name, mask in self.pruned.items()
            if parameters[name].requires_grad
        ]
        if self.pruned:
            self._handles.append(self.optimizer.register_step_post_hook(lambda *_: self.apply()))
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        for name, parameter in self.model.named_parameters():
            if name in self.pruned:
                parameter.masked_fill_(self.pruned[name], 0)

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.pruned)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Raises KeyError or ValueError where a mask is of another model, having changed nothing."""
        shapes = {name: parameter.shape for name, parameter in self.model.named_parameters()}
        for name, mask in state.items():
            if shapes[name] != mask.shape:
                raise ValueError(f"the mask of {name} is {tuple(mask.shape)} for {tuple(shapes[name])}")
        self.set(dict(state))
