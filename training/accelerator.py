"""Where a built-in trainer computes: on the GPU that its job was given, else on the CPU."""

import torch

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
