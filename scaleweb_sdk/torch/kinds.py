"""What kind of model is trained and how large it is: what runs of one site are compared by, told once and cheaply."""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

# The first that fits. A model of several kinds is called after the one that tells most of how it trains.
RECURRENT = (nn.RNNBase, nn.RNNCellBase)
CONVOLUTIONAL = nn.modules.conv._ConvNd
ATTENTION = ("attention", "attn", "transformer")
# Many write attention as a function, in modules of names of their own. Tokens and norms of layers are the trace of it.
TOKENS, LAYER_NORMS = nn.Embedding, (nn.LayerNorm, nn.RMSNorm)


def model_facts(model: nn.Module) -> dict[str, Any]:
    """{"model", "parameters", "width"} as the rate's `about` tells them; the first alone while lazy modules are unset.

    All parameters count, the frozen ones too. They are looked at where they lie: nothing is computed or copied.
    """
    facts: dict[str, Any] = {"model": kind_of(model)}
    parameters = list(model.parameters())
    if not any(is_lazy(parameter) for parameter in parameters):
        facts["parameters"] = sum(parameter.numel() for parameter in parameters)
        width = width_of([parameter for parameter in parameters if parameter.requires_grad])
        if width is not None:
            facts["width"] = round(width, 1)
    return facts


def width_of(parameters: Sequence[nn.Parameter]) -> float | None:
    """The smaller side of the trained matrices, the geometric mean over their weights; None where there is none.

    A kernel counts as the matrix of its outputs by all that each of them sees.
    """
    sides = [
        (parameter.numel(), min(parameter.shape[0], parameter.numel() // parameter.shape[0]))
        for parameter in parameters
        if parameter.dim() >= 2 and parameter.numel()
    ]
    if not sides:
        return None
    return math.exp(sum(count * math.log(side) for count, side in sides) / sum(count for count, _ in sides))


def kind_of(model: nn.Module) -> str:
    """attention, recurrent, convolutional, dense or other, by the types of its modules."""
    modules = list(model.modules())

    def has(kinds: type | tuple[type, ...]) -> bool:
        return any(isinstance(module, kinds) for module in modules)

    names = {type(module).__name__.lower() for module in modules}
    if any(word in name for name in names for word in ATTENTION):
        return "attention"
    if has(RECURRENT):
        return "recurrent"
    if has(CONVOLUTIONAL):
        return "convolutional"
    if has(TOKENS) and has(LAYER_NORMS):
        return "attention"
    return "dense" if has(nn.Linear) else "other"
