"""How the rate is led: left alone, by the controller, or by what people use instead, from the same start."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .workload import Built


class Method:
    """Optimiser and scheduler of a trial. The fixed rate; the controller too starts from it."""

    def __init__(self, built: Built, rate: float, most: int) -> None:
        self.optimizer: torch.optim.Optimizer = built.optimizer(rate)
        self.scheduler: Any = None

    def after_step(self, model: torch.nn.Module) -> None:
        """Called after each optimiser step."""

    @contextmanager
    def evaluating(self, model: torch.nn.Module) -> Iterator[None]:
        """With the weights that are to be measured."""
        model.eval()
        yield
        model.train()


class Cosine(Method):
    """Half a cosine down to nothing over all the steps there are."""

    def __init__(self, built: Built, rate: float, most: int) -> None:
        super().__init__(built, rate, most)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, most)


class Plateau(Method):
    """PyTorch's ReduceLROnPlateau on each step's loss: a tenth after 50 steps without a new low."""

    def __init__(self, built: Built, rate: float, most: int) -> None:
        super().__init__(built, rate, most)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, patience=50)


class Hypergradient(Method):
    """The rate follows the product of neighbouring gradients, relative to their lengths.

    Source: Baydin et al. 2018, arXiv 1703.04782, the multiplicative rule of section 3.1 with normalised gradients.
    """

    STEP = 0.02

    def __init__(self, built: Built, rate: float, most: int) -> None:
        super().__init__(built, rate, most)
        self.before: torch.Tensor | None = None
        self.optimizer.register_step_pre_hook(self._adapt)

    def _adapt(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        groups = optimizer.param_groups
        now = torch.cat([p.grad.flatten() for group in groups for p in group["params"] if p.grad is not None])
        if self.before is not None:
            product = float(now @ self.before) / max(1e-30, float(now.norm() * self.before.norm()))
            for group in groups:
                group["lr"] *= 1 + self.STEP * product
        self.before = now.clone()


class ScheduleFree(Method):
    """Schedule-free AdamW (Defazio et al. 2024, arXiv 2405.15682), from the same factor of a good rate for AdamW."""

    def __init__(self, built: Built, rate: float, most: int) -> None:
        import schedulefree

        self.optimizer = schedulefree.AdamWScheduleFree(built.model.parameters(), lr=rate)
        self.optimizer.train()  # type: ignore[attr-defined]
        self.scheduler = None

    @contextmanager
    def evaluating(self, model: torch.nn.Module) -> Iterator[None]:
        self.optimizer.eval()  # type: ignore[attr-defined]
        model.eval()
        yield
        model.train()
        self.optimizer.train()  # type: ignore[attr-defined]


class Prodigy(Method):
    """Prodigy (Mishchenko and Defazio 2024, arXiv 2306.06101): the start is its first guess of the distance, d0."""

    def __init__(self, built: Built, rate: float, most: int) -> None:
        import prodigyopt

        self.optimizer = prodigyopt.Prodigy(built.model.parameters(), lr=1.0, d0=rate)
        self.scheduler = None


METHODS: dict[str, type[Method]] = {
    "fixed": Method, "watched": Method, "control": Method, "schedule-free AdamW": ScheduleFree, "Prodigy": Prodigy,
    "hypergradient descent": Hypergradient, "ReduceLROnPlateau": Plateau, "cosine": Cosine,
}  # fmt: skip
PEERS = ("schedule-free AdamW", "Prodigy", "hypergradient descent", "ReduceLROnPlateau", "cosine")
PACKAGES = {"schedule-free AdamW": "schedulefree", "Prodigy": "prodigyopt"}
PRODIGY_D0 = 1e-6  # its default


def rate_of(name: str, best: float, adam: float) -> float:
    """The well-chosen start of a method: of AdamW's kind, Prodigy's own default, or the best fixed rate."""
    return {"schedule-free AdamW": adam, "Prodigy": PRODIGY_D0}.get(name, best)


def missing(name: str) -> str:
    """Why a peer cannot be run here, "" when it can."""
    package = PACKAGES.get(name)
    if package is None or importlib.util.find_spec(package) is not None:
        return ""
    return f"{package} is not installed: pip install -r benchmarks/control/requirements.txt"


def make(name: str, built: Built, rate: float, most: int) -> Method:
    return METHODS[name](built, rate, most)
