"""torch.compile on a running training: proved on a copy, switched in place, and back to eager when it fails.

The model stays the object that it is, with the same parameters and names: only its calls go through the compiler.
"""

import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo.eval_frame

from scaleweb_sdk.orders import Refused
from scaleweb_sdk.plain import plain

from .measure import both_ways, call

# What torch's own compiler looks for to build its kernels.
COMPILERS = ("g++", "clang++", "c++", "gcc", "clang", "cl")
MODES = ("default", "reduce-overhead", "max-autotune")


def check_compiler(backend: str) -> None:
    """Raise Refused where the backend needs a compiler and this machine has none."""
    if backend != "inductor":
        return
    wanted = [os.environ.get("CXX", ""), *COMPILERS]
    if not any(shutil.which(name) for name in wanted if name):
        raise Refused(
            f"torch.compile builds its kernels with a C++ compiler, and none of {', '.join(COMPILERS)} is in "
            "PATH; on Debian: apt install g++, then start the training again"
        )


def is_compiled(model: torch.nn.Module) -> bool:
    return model._compiled_call_impl is not None or hasattr(model, "_orig_mod")


def switch_on(model: torch.nn.Module, how: dict[str, Any]) -> None:
    """Compile at the model's next call. What the compiler cannot do, and fails at, runs as it did before."""
    torch._dynamo.config.suppress_errors = True
    route(model, how)


def again(model: torch.nn.Module, how: dict[str, Any], note: Callable[[str], None]) -> dict[str, Any] | None:
    """Compile as an earlier process did; `how`, or None with a note where that cannot be here."""
    try:
        check_compiler(how["backend"])
    except Refused as error:
        note(f"the model was compiled and is not any more: {error}")
        return None
    switch_on(model, how)
    return how


def route(model: torch.nn.Module, how: dict[str, Any]) -> Callable[..., Any]:
    """Lead the model's calls through the compiler, as Module.compile does; of torch's own containers, such as
    Sequential, that one compiles nothing, without a word (seen with torch 2.13)."""

    def calls(*args: Any, **kwargs: Any) -> Any:
        return model._call_impl(*args, **kwargs)  # type: ignore[no-untyped-call]

    given: dict[str, Any] = {"backend": how["backend"]}
    if how["backend"] == "inductor" and how["mode"] != "default":
        given["mode"] = how["mode"]
    model._compiled_call_impl = torch.compile(calls, **given)
    return calls


def switch_off(model: torch.nn.Module) -> None:
    model._compiled_call_impl = None


def trial(model: torch.nn.Module, how: dict[str, Any], batch: Any) -> None:
    """Compile `model`, a copy, and run it both ways, as training and evaluation will. Raises Refused."""
    try:
        with torch._dynamo.config.patch(suppress_errors=False):
            calls = route(model, how)
            model.train()
            both_ways(model, batch)
            model.eval()
            with torch.no_grad():
                call(model, batch)
    except Refused:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(plain(str(error))).splitlines() if line.strip()]
        raise Refused(
            f"torch.compile failed on a copy, {type(error).__name__}: {' '.join(lines)[:1000]}; "
            "the training goes on as it was"
        ) from error
    # Kept for the function's code, and used again for the model itself where it has the same form.
    if not torch._dynamo.eval_frame._debug_get_cache_entry_list(calls.__code__):
        raise Refused("torch.compile found nothing in the model that it can compile")
