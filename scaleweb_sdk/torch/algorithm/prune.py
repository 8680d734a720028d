"""Which weights to prune: those of least magnitude in the whole model, or whole output channels of least norm.

The choice is torch.nn.utils.prune's. Sources: Han et al. 2015, arXiv 1506.02626 (magnitude, training on with the
rest); Li et al. 2017, arXiv 1608.08710 (filters of least norm).
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils import prune

from scaleweb_sdk.orders import Refused

PRUNABLE = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def choose(
    model: torch.nn.Module, amount: float, structured: bool, keep: Sequence[str], pruned: dict[str, Tensor]
) -> dict[str, Tensor]:
    """By parameter name, True where a weight is to be held at zero; what is pruned already stays so.

    amount: the share of the prunable weights (structured: of each layer's output channels) that is zero afterwards,
    that of earlier prunings included. keep: names of modules to leave alone, with all that is in them.
    Raises Refused when nothing would be pruned.
    """
    layers = list(prunable(model, keep))
    if structured:
        # Its channels are the answer itself: a class or a token without one can never be given.
        layers = layers[:-1]
    if not layers:
        kinds = ", ".join(kind.__name__ for kind in PRUNABLE)
        what = "but the last, whose channels are the output" if structured else "of them"
        raise Refused(f"there is nothing to prune: no layer {what} is one of {kinds} outside keep={keep}")
    chosen = channels(layers, amount, pruned) if structured else smallest(layers, amount, pruned)
    result = pruned | chosen
    before = sum(int(mask.sum()) for mask in pruned.values())
    if sum(int(mask.sum()) for mask in result.values()) <= before:
        raise Refused(f"amount={amount:g} prunes nothing more: {before} weights are pruned already")
    return result


def prunable(
    model: torch.nn.Module, keep: Sequence[str]
) -> Iterator[tuple[str, Tensor, str | None, Tensor | None]]:
    """(name of weight, weight, name of bias, bias) of each layer, a weight that is shared once."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    seen: set[int] = set()
    for path, module in model.named_modules():
        if not isinstance(module, PRUNABLE) or any(path == k or path.startswith(f"{k}.") for k in keep):
            continue
        weight, bias = module.weight, module.bias
        if id(weight) in seen or id(weight) not in names or not weight.requires_grad:
            continue
        seen.add(id(weight))
        yield names[id(weight)], weight.detach(), names.get(id(bias)), bias


def smallest(
    layers: list[tuple[str, Tensor, str | None, Tensor | None]], amount: float, pruned: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The weights of least magnitude over all layers together."""
    flat = torch.cat([weight.flatten() for _, weight, _, _ in layers])
    kept = torch.cat([kept_of(name, weight, pruned).flatten() for name, weight, _, _ in layers])
    method = prune.L1Unstructured(amount=float(amount))
    mask = method.compute_mask(flat * kept, kept)  # type: ignore[no-untyped-call]
    parts = mask.split([weight.numel() for _, weight, _, _ in layers])
    return {name: part.view_as(weight) == 0 for (name, weight, _, _), part in zip(layers, parts, strict=True)}


def channels(
    layers: list[tuple[str, Tensor, str | None, Tensor | None]], amount: float, pruned: dict[str, Tensor]
) -> dict[str, Tensor]:
    """In each layer the output channels of least norm, with their biases: nothing of them comes out any more."""
    found = {}
    for name, weight, bias_name, _ in layers:
        kept = kept_of(name, weight, pruned)
        # At least one channel stays: a layer without any passes nothing on.
        count = min(int(amount * len(weight)), len(weight) - 1)
        if count < 1:
            continue
        method = prune.LnStructured(amount=count, n=2, dim=0)
        mask = method.compute_mask(weight * kept, kept)  # type: ignore[no-untyped-call]
        found[name] = mask == 0
        if bias_name is not None:
            found[bias_name] = (mask == 0).flatten(1).all(1)
    return found


def kept_of(name: str, weight: Tensor, pruned: dict[str, Tensor]) -> Tensor:
    return torch.ones_like(weight) if name not in pruned else (~pruned[name]).to(weight)
