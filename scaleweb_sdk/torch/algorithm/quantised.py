"""Quantised copies of the weights: written beside the checkpoints, for use after training, which goes on unquantised.

Linear layers get whole numbers of 8 bits, a scale for each output channel; other layers stay as they are.
"int8-weight-only" keeps activations as they are, "int8-dynamic" rounds them too, on the fly. Done by torchao.
"""

import importlib.util
from pathlib import Path
from typing import Any

import torch

from scaleweb_sdk.orders import Refused
from scaleweb_sdk.torch.checkpoints import BrokenCheckpoint, CheckpointFolder, Saved

FORMAT = "scaleweb-quantised-1"
SCHEMES = ("int8-dynamic", "int8-weight-only")


def check_library() -> None:
    """Raise Refused where torchao is not installed."""
    if importlib.util.find_spec("torchao") is None:
        raise Refused("quantising needs torchao, which is not installed here: pip install torchao==0.18.0")


def quantise(model: torch.nn.Module, scheme: str) -> None:
    """Quantise `model`, a copy, in place. Raises Refused where it has nothing to quantise."""
    check_library()
    # Not before it is wanted: it takes two seconds to load.
    from torchao.quantization import (
        Int8DynamicActivationInt8WeightConfig,
        Int8WeightOnlyConfig,
        quantize_,
    )

    if not any(isinstance(module, torch.nn.Linear) for module in model.modules()):
        raise Refused("there is nothing to quantise: the model has no torch.nn.Linear")
    configs = {
        "int8-dynamic": Int8DynamicActivationInt8WeightConfig,
        "int8-weight-only": Int8WeightOnlyConfig,
    }
    quantize_(model, configs[scheme]())


def export(model: torch.nn.Module, scheme: str, folder: CheckpointFolder, step: int, branch: int) -> Saved:
    """Write the quantised weights. Raises OSError."""
    name = f"quantised-{scheme}-step-{step:010d}-b{branch}.pt"
    state = {"format": FORMAT, "scheme": scheme, "step": step, "model": model.state_dict()}
    return folder.write(name, state, step, prove=True)


def load_quantised(path: str | Path, model: torch.nn.Module) -> torch.nn.Module:
    """`model`, made as for training, with the quantised weights of this file in place. Raises BrokenCheckpoint."""
    check_library()
    import torchao.quantization  # noqa: F401  so that its kinds of tensors are known to torch.load

    state: Any = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise BrokenCheckpoint(f"{path}: holds no {FORMAT}")
    model.load_state_dict(state["model"], assign=True)
    return model.eval()
