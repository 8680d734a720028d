"""Where a built-in trainer computes: on the GPU that its job was given, else on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from scaleweb_sdk.torch.loop import Loop

CHOICES = ("auto", "cpu", "cuda")


class NoSuchDevice(ValueError):
    """The device asked for is not here; the message says what is."""


def device_named(name: str) -> torch.device:
    """The device of a `--device` argument: auto takes the first GPU this process may see. Raises NoSuchDevice.

    A CPU job sees no GPU (CUDA_VISIBLE_DEVICES is empty), a GPU job sees its own.
    """
    if name == "cuda" and not torch.cuda.is_available():
        why = "this PyTorch was built without CUDA" if torch.version.cuda is None else "no GPU can be seen"
        raise NoSuchDevice(f"--device cuda: {why}; expected auto or cpu here")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def passes(loop: Loop, device: torch.device) -> Iterator[None]:
    """Around both passes of a step: out of memory makes the batch smaller, a GPU computes in the control `precision`.

    On a CPU no precision is offered: few gain by bfloat16, and the trial that finds it out costs time.
    """
    with loop.guard(), loop.forward() if device.type == "cuda" else nullcontext():
        yield
