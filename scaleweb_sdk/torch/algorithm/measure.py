"""What a change of the algorithm does, measured on copies before anything is changed: size, latency, held-back metrics.

Latencies of both copies are taken in turns, so that a machine that slows down meanwhile slows both.
"""

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from scaleweb_sdk.orders import Refused
from scaleweb_sdk.plain import plain
from scaleweb_sdk.points import as_number
from scaleweb_sdk.torch import randomness

WARM_UP = 3
LEAST_REPEATS = 5
MOST_REPEATS = 50
SECONDS = 1.0  # for both copies together, beyond the least number of repeats

Evaluate = Callable[[torch.nn.Module], Mapping[str, Any]]


@dataclass(frozen=True)
class Figures:
    """One side of a table.

    size_bytes: of a file with its weights, as torch.save writes them. packed_bytes: of its weights if zeros were left
    out and one bit each said where they are. nonzero_ratio: share of weights that are not zero. latency_seconds:
    median time of the example batch, forward, in evaluation. training_seconds: forward and backward, where that is
    what changes.
    """

    size_bytes: int
    packed_bytes: int
    nonzero_ratio: float
    latency_seconds: float
    metrics: dict[str, float]
    training_seconds: float | None = None


@dataclass(frozen=True)
class Table:
    """The measurement as it is recorded. worse: by how much the metric is worse afterwards, in its own unit."""

    verb: str
    value: dict[str, Any]
    step: int
    metric: str
    direction: str
    bound: float
    before: Figures
    after: Figures
    repeats: int
    device: str
    threads: int
    seconds: float  # for which the training stood still to measure

    @property
    def worse(self) -> float:
        difference = self.before.metrics[self.metric] - self.after.metrics[self.metric]
        return difference if self.direction == "max" else -difference

    @property
    def within(self) -> bool:
        # A metric that is no number is beyond every bound; so is any change from one that was none before.
        # The last digits: 0.95 - 0.94 is a little more than 0.01.
        return self.worse <= self.bound + 1e-9

    def as_json(self) -> dict[str, Any]:
        table: dict[str, Any] = plain(asdict(self) | {"worse": self.worse, "within": self.within})
        return table

    def __str__(self) -> str:
        a, b = self.before, self.after
        rows = [
            f"{self.metric} {a.metrics[self.metric]:.4g} → {b.metrics[self.metric]:.4g}",
            f"size {of_bytes(a.size_bytes)} → {of_bytes(b.size_bytes)}",
        ]
        if a.nonzero_ratio != b.nonzero_ratio:
            rows.append(f"packed {of_bytes(a.packed_bytes)} → {of_bytes(b.packed_bytes)}")
        rows.append(f"latency {1e3 * a.latency_seconds:.3g} → {1e3 * b.latency_seconds:.3g} ms")
        if a.training_seconds is not None and b.training_seconds is not None:
            rows.append(f"training pass {1e3 * a.training_seconds:.3g} → {1e3 * b.training_seconds:.3g} ms")
        return ", ".join(rows)


@contextmanager
def undisturbed() -> Iterator[None]:
    """What is drawn from the random generators in here is drawn from copies of them."""
    state = randomness.capture()
    try:
        yield
    finally:
        randomness.restore(state)


def copy_of(model: torch.nn.Module) -> torch.nn.Module:
    """A copy with weights and no gradients. Raises Refused where there is no memory or no way to copy it."""
    try:
        twin = copy.deepcopy(model)
    except Exception as error:
        raise Refused(f"nothing can be measured: the model cannot be copied ({plain(error):.300})") from error
    for parameter in twin.parameters():
        parameter.grad = None
    return twin


def call(model: torch.nn.Module, batch: Any) -> Any:
    """A tensor is the argument; a tuple or list holds the positional, a map the named ones."""
    if isinstance(batch, Mapping):
        return model(**batch)
    return model(*batch) if isinstance(batch, tuple | list) else model(batch)


def metrics_of(model: torch.nn.Module, evaluate: Evaluate, metric: str) -> dict[str, float]:
    """What `evaluate` says of the model. Raises Refused unless `metric` is a number in it."""
    model.eval()
    try:
        with torch.no_grad():
            told = evaluate(model)
    except Exception as error:
        raise Refused(f"evaluate(model) raised {type(error).__name__}: {plain(error):.300}") from error
    if not isinstance(told, Mapping):
        raise Refused(f"evaluate(model) gave {type(told).__name__}; expected a map of metrics to numbers")
    found = {str(name): number for name, value in told.items() if (number := as_number(value)) is not None}
    if metric not in found:
        raise Refused(
            f"evaluate(model) gave no number named {metric!r}, by which a change is judged; it gave "
            f"{', '.join(found) or 'none'}"
        )
    return found


def compare(
    before: torch.nn.Module, after: torch.nn.Module, batch: Any, training: bool
) -> tuple[list[float], list[float], int]:
    """Median seconds of the pass for [before, after] in evaluation, then in training ([] unless asked for), and how
    often each was timed."""
    for model in (before, after):
        model.eval()

    def forward(model: torch.nn.Module) -> None:
        with torch.no_grad():
            call(model, batch)

    evaluated, repeats = medians([lambda: forward(before), lambda: forward(after)], batch)
    if not training:
        return evaluated, [], repeats
    for model in (before, after):
        model.train()
    trained, _ = medians([lambda: both_ways(before, batch), lambda: both_ways(after, batch)], batch)
    return evaluated, trained, repeats


def medians(passes: Sequence[Callable[[], None]], batch: Any) -> tuple[list[float], int]:
    times: list[list[float]] = [[] for _ in passes]
    for each in passes:
        for _ in range(WARM_UP):
            each()
    wait_for_device(batch)
    end = time.perf_counter() + SECONDS
    while len(times[0]) < LEAST_REPEATS or (len(times[0]) < MOST_REPEATS and time.perf_counter() < end):
        for each, taken in zip(passes, times, strict=True):
            began = time.perf_counter()
            each()
            wait_for_device(batch)
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in times], len(times[0])


def both_ways(model: torch.nn.Module, batch: Any) -> None:
    """Forward and backward of a stand-in loss, the sum of what comes out: what a step computes but for its loss."""
    outputs = [each for each in tensors(call(model, batch)) if each.requires_grad]
    if not outputs:
        raise Refused("nothing that the model gives for the example batch can be trained on")
    torch.autograd.backward([each.float().sum() for each in outputs])


def tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from tensors(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors(each)


def wait_for_device(batch: Any) -> None:
    if any(each.is_cuda for each in tensors(batch)):
        torch.cuda.synchronize()


class Counted:
    """A file that only counts what is written to it."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: Any) -> int:
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        pass


def size_of(model: torch.nn.Module) -> int:
    file = Counted()
    torch.save(model.state_dict(), file)  # type: ignore[arg-type]
    return file.bytes


def packing_of(model: torch.nn.Module) -> tuple[int, float]:
    """(bytes if zeros were left out, share of weights that are not zero) of the parameters and buffers."""
    packed = weights = filled = 0
    for value in model.state_dict().values():
        if not isinstance(value, Tensor):
            continue
        nonzero, held = contents(value)
        whole = value.numel() * held
        # A tensor without zeros needs no map of them.
        packed += min(whole, nonzero * held + math.ceil(value.numel() / 8))
        weights += value.numel()
        filled += nonzero
    return packed, filled / weights if weights else 1.0


def contents(value: Tensor) -> tuple[int, int]:
    """(values that are not zero, bytes of one) of a tensor, a quantised one by its whole numbers."""
    inner = getattr(value, "qdata", value)
    return int(torch.count_nonzero(inner)), inner.element_size()


def of_bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"
