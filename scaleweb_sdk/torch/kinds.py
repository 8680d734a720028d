"""What kind of model is trained and how large it is: what runs of one site are compared by, told once and cheaply."""

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
    """{"model", "parameters"} as the rate's `about` tells them; no count while lazy modules have not seen a batch.

    All parameters count, the frozen ones too. They are looked at where they lie: nothing is computed or copied.
    """
    facts: dict[str, Any] = {"model": kind_of(model)}
    parameters = list(model.parameters())
    if not any(is_lazy(parameter) for parameter in parameters):
        facts["parameters"] = sum(parameter.numel() for parameter in parameters)
    return facts


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
