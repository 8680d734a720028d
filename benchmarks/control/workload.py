"""What a training must say of itself to be tried: one Python file, in workloads/ or anywhere (--workload FILE.py).

    NAME = "mine"
    TARGET = 0.12           # the progress to reach, such that the best fixed rate takes 500 steps or more
    DIRECTION = "min"       # of the progress: min or max
    RATES = (0.001, 1.0)    # between which the best fixed rate is looked for, on a log scale
    ADAM_RATE = 0.003       # a good rate for AdamW: where the peers that are kinds of Adam start from
    MEASURE_EVERY = 20      # steps between two measurements of progress

    def build(seed: int) -> Built: ...

All chance in a training comes from the seed: `build` is called after torch.manual_seed(seed), and again for the next
trial of the same seed.
"""

import importlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

BUILT_IN = ("digits", "gpt", "cartpole", "regression")


@dataclass(frozen=True)
class Built:
    """One training, ready to start.

    optimizer: a learning rate to the workload's own optimiser over `model`. loss: a batch of `loader` to the mean
    loss over it; without a loader it is called with None and makes its own data. progress: a figure of how far it
    is; leaves all random generators as they were.
    """

    model: torch.nn.Module
    optimizer: Callable[[float], torch.optim.Optimizer]
    loss: Callable[[Any], torch.Tensor]
    progress: Callable[[], float]
    loader: Any = None


@dataclass(frozen=True)
class Workload:
    where: str  # what `load` found it by
    name: str
    target: float
    direction: str
    rates: tuple[float, float]
    adam_rate: float
    measure_every: int
    build: Callable[[int], Built]

    def reached(self, progress: float) -> bool:
        if not math.isfinite(progress):
            return False
        return progress <= self.target if self.direction == "min" else progress >= self.target


class BadWorkload(ValueError):
    """A file that is no workload: what it lacks."""


def load(where: str) -> Workload:
    """The workload of this built-in name, or of the file at this path. Raises BadWorkload."""
    module = (
        importlib.import_module(f"{__package__}.workloads.{where}") if where in BUILT_IN else of_file(where)
    )
    missing = [name for name in ("NAME", "TARGET", "RATES", "build") if not hasattr(module, name)]
    if missing:
        raise BadWorkload(
            f"{where}: defines no {', '.join(missing)}; benchmarks/control/workload.py says what is needed"
        )
    direction = getattr(module, "DIRECTION", "min")
    if direction not in {"min", "max"}:
        raise BadWorkload(f"{where}: DIRECTION={direction!r}; expected min or max")
    low, high = module.RATES
    if not 0 < low < high:
        raise BadWorkload(f"{where}: RATES={module.RATES!r}; expected two rates, the lower first")
    return Workload(
        where, module.NAME, float(module.TARGET), direction, (float(low), float(high)),
        float(getattr(module, "ADAM_RATE", 3e-3)), int(getattr(module, "MEASURE_EVERY", 20)), module.build,
    )  # fmt: skip


def of_file(where: str) -> ModuleType:
    path = Path(where)
    if not path.is_file():
        raise BadWorkload(f"{where}: is no file, and none of {', '.join(BUILT_IN)}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Rows(torch.utils.data.Dataset[Any]):
    """Tensors of one length as a data set that a loader takes whole batches from."""

    def __init__(self, *columns: torch.Tensor) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        return [column[index] for column in self.columns]

    def __getitems__(self, indices: list[int]) -> list[torch.Tensor]:
        return [column[indices] for column in self.columns]


def batches(rows: torch.utils.data.Dataset[Any], size: int, seed: int) -> Any:
    """A loader that shuffles by a generator of its own and never ends its epochs with a smaller batch."""
    order = torch.Generator().manual_seed(seed)
    return torch.utils.data.DataLoader(
        rows, batch_size=size, shuffle=True, drop_last=True, generator=order, collate_fn=as_it_is
    )


def as_it_is(batch: Any) -> Any:
    return batch
