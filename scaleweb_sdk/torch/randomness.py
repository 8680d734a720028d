"""Every random generator a training may draw from, as plain values that a checkpoint can hold."""

import random
import sys
from collections.abc import Sequence
from typing import Any

import torch

State = dict[str, Any]


def capture(generators: Sequence[torch.Generator] = ()) -> State:
    """The states of torch's, Python's and numpy's generators, and of `generators` in their order.

    Tensors and primitives only, so that it loads with weights_only=True. numpy is left out where nothing
    imported it. Reading a state draws nothing.
    """
    state: State = {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "generators": [generator.get_state() for generator in generators],
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state_all()
    if "numpy" in sys.modules:
        name, keys, position, has_gauss, gauss = sys.modules["numpy"].random.get_state()
        state["numpy"] = [name, keys.tolist(), int(position), int(has_gauss), float(gauss)]
    return state


def restore(state: State, generators: Sequence[torch.Generator] = ()) -> None:
    """Put all generators back to what `capture` read."""
    torch.set_rng_state(state["torch"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    for generator, saved in zip(generators, state["generators"], strict=False):
        generator.set_state(saved)
    cuda = state.get("cuda")
    if cuda and torch.cuda.is_available() and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)
    if "numpy" in state:
        import numpy

        name, keys, position, has_gauss, cached = state["numpy"]
        numpy.random.set_state((name, numpy.array(keys, dtype=numpy.uint32), position, has_gauss, cached))


def restore_apart(state: State, rank: int, generators: Sequence[torch.Generator] = ()) -> None:
    """Put the generators of a rank that the checkpoint does not know to states of its own, the same each time."""
    restore(state, generators)
    seed = int(torch.randint(2**62, ())) + rank
    torch.manual_seed(seed)
    random.seed(seed)
    if "numpy" in state:
        import numpy

        numpy.random.seed(seed % 2**32)
