"""How the weights move: how far in ten steps, and whether the next ten go on in the same direction.

A run whose learning rate is far too low walks straight on, ten steps after ten steps, because nothing changes under
its feet; one whose rate is about right turns, by the noise of its batches and from wall to wall of the valley it is in.
Measured on the weights themselves, so it holds for every optimiser, with a scheduler or without.

Source of the thought: walks that are straight call for longer steps in Jacobs 1988 (Neural Networks 1, delta-bar-delta)
and, by the distance from the start, in Ivgi et al. 2023 (arXiv 2302.12022).
"""

import math
from collections.abc import Sequence

import torch

from .norms import trained

EVERY = 10  # steps from one look to the next
OPENING = 500  # steps in which each look is taken; later three in every hundred steps, enough for one answer
# Of larger models every n-th weight is looked at: so many are plenty for a length and an angle.
SAMPLE = 1 << 15


class Motion:
    def __init__(self, optimizer: torch.optim.Optimizer, rank: int) -> None:
        """rank: other ranks than the first hold the same weights, and do not look."""
        self.optimizer = optimizer
        self.usable = rank == 0
        self.forget()

    def forget(self) -> None:
        """Another state is in place: what was seen before did not lead to it."""
        self._looked = -1  # step of the last look
        self._weights: torch.Tensor | None = None
        self._move: torch.Tensor | None = None
        self._square = 0.0  # the move's squared length

    @torch.no_grad()
    def figures(self, step: int) -> dict[str, float]:
        """What to log of a step that went well; empty between two looks."""
        if not self.usable or (self._weights is not None and step % EVERY):
            return {}
        if step > OPENING and step % 100 > 2 * EVERY:
            return {}
        now = sampled(trained(self.optimizer))
        if now is None:
            self.usable = False
            return {}
        before, last, since = self._weights, self._move, step - self._looked
        self._weights, self._looked, self._move = now, step, None
        # The first look is taken when there is none, at whatever step.
        if before is None or before.shape != now.shape or not EVERY // 2 <= since <= EVERY:
            return {}
        move = self._move = now - before
        wanted = [move @ move, now @ now] + ([] if last is None else [move @ last])
        # One answer for all, since a device may have to be waited for.
        square, length, *along = torch.stack(wanted).tolist()
        before_square, self._square = self._square, square
        if not (math.isfinite(square) and length > 0):
            return {}
        figures = {"_move_ratio": math.sqrt(square / length) * EVERY / since}
        if along and square * before_square > 0:
            figures["_move_cosine"] = along[0] / math.sqrt(square * before_square)
        return figures


def sampled(parameters: Sequence[torch.Tensor]) -> torch.Tensor | None:
    """Every n-th weight of all as one float32 vector; None where they do not lie plainly on one device."""
    plain = all(isinstance(p, torch.nn.Parameter) and p.layout == torch.strided for p in parameters)
    if not parameters or not plain or len({p.device for p in parameters}) > 1:
        return None
    # A parameter of a class of its own (DTensor, say) is a part of something, and its length not the whole one's.
    if any(type(p.data) is not torch.Tensor for p in parameters):
        return None
    stride = max(1, sum(p.numel() for p in parameters) // SAMPLE)
    return torch.cat([p.detach().reshape(-1)[::stride].float() for p in parameters])
