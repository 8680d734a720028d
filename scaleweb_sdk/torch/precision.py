"""In which floating-point format the forward pass computes, changed between two steps."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

DTYPES = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Precision:
    """`forward()` is entered by the script, `backward()` by the loop; both do nothing in float32."""

    def __init__(self, device: torch.device, initial: str, scaler: Any) -> None:
        self.device_type = device.type
        self.choices = choices_on(device, scaler)
        if initial not in self.choices:
            raise ValueError(f"precision={initial!r}; expected one of {', '.join(self.choices)} here")
        self.value = initial

    def set(self, value: str) -> None:
        self.value = value

    def forward(self) -> AbstractContextManager[Any]:
        dtype = DTYPES[self.value]
        return nullcontext() if dtype is None else torch.autocast(self.device_type, dtype=dtype)

    def backward(self) -> AbstractContextManager[Any]:
        # The gradients' formats follow those of the forward pass; autocast over them would cast once more.
        if self.value == "float32":
            return nullcontext()
        return torch.autocast(self.device_type, enabled=False)


def choices_on(device: torch.device, scaler: Any) -> list[str]:
    """float16 needs a gradient scaler, and bfloat16 a device that knows it."""
    knows = device.type != "cuda" or torch.cuda.is_bf16_supported()
    return ["float32"] + ["bfloat16"] * knows + ["float16"] * (scaler is not None)
