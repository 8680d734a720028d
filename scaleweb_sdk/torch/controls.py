"""The tunables that a torch training has by nature, declared for it: only those that exist in it."""

import os
from collections.abc import Callable
from typing import Any

import torch

from scaleweb_sdk.run import Run
from scaleweb_sdk.tunables import Tunable

from .feed import Feed
from .kinds import model_facts
from .precision import Precision
from .rates import Rates
from .trust import TrustRatio, family_of


class Controls:
    """The live settings of one training, by name, and how each is put into force."""

    def __init__(
        self,
        run: Run,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        rates: Rates,
        feed: Feed | None,
        precision: Precision,
        trust: TrustRatio,
        *,
        ranks: int,
        clip: float | None,
        accumulate: int,
        lr_bounds: tuple[float, float] | None,
        saved: dict[str, Any],
    ) -> None:
        """saved: values from a checkpoint, which take the place of the script's own. ranks: that share a step."""
        self.run = run
        self.optimizer = optimizer
        self.rates = rates
        self.feed = feed
        self.clip = clip
        self.accumulate = accumulate
        self.precision = precision
        self._saved = saved
        self._ranks = ranks
        self._handles: dict[str, Tunable] = {}
        self.total_steps: int | None = None  # where the training ends; None before batches() says it
        self._declared_total: int | None = None
        self.resumed_ending: dict[str, int] | None = None  # `ending` of the checkpoint that was resumed from
        self._declare_rate(model, lr_bounds, saved)
        self._declare_decay(saved)
        if clip is not None:
            self._declare(
                "gradient_clip", float(clip), self._set_clip, saved,
                low=min(1e-3, clip), high=max(1e3, clip), scale="log", role="gradient_clip",
                description="Largest norm of the whole gradient; a longer one is scaled down to it.",
            )  # fmt: skip
        self._declare(
            "accumulation", accumulate, self._set_accumulation, saved,
            low=1, high=max(1024, accumulate), scale="log", role="accumulation",
            description="Batches whose gradients are averaged into one optimiser step.",
        )  # fmt: skip
        if feed is not None:
            self._declare_feed(feed, saved)
        self._declare(
            "trust_ratio", False, trust.set, saved, role="trust_ratio",
            description="Scale each layer's step by its weights' length ("
            + ("LARS" if trust.is_lars else "LAMB") + "), for large batches.",
        )  # fmt: skip

    @property
    def values(self) -> dict[str, Any]:
        """The present values of these settings."""
        return {name: handle.value for name, handle in self._handles.items()}

    def declare_precision(self) -> None:
        """Offer the precision of the forward pass, once the script has shown that it lets the loop set it."""
        precision = self.precision
        if "precision" in self._handles or len(precision.choices) < 2:
            return
        self._declare(
            "precision", precision.value, precision.set, self._saved,
            choices=precision.choices, role="precision",
            description="Format that the forward pass computes in; weights stay as they are.",
            about={"device": precision.device_type},
        )  # fmt: skip

    def tell(self, name: str, **facts: Any) -> None:
        """Add facts to what is told about the setting, where there is such a one."""
        if name in self._handles:
            self._handles[name].tell(**facts)

    def told(self, name: str, fact: str) -> Any:
        """A fact that was told about the setting, None where it was not."""
        return self._handles[name].spec.about.get(fact) if name in self._handles else None

    def change(self, name: str, value: Any) -> None:
        """Set `name` without being asked, as a reflex does; the run is told, so that the page shows it."""
        self._handles[name].value = value

    def change_within(self, name: str, value: Any) -> None:
        """The same, with bounds that are widened where the value lies outside of them."""
        spec = self._handles[name].spec
        if spec.low is not None and spec.high is not None:
            spec.low, spec.high = min(spec.low, value), max(spec.high, value)
        self.change(name, value)

    @property
    def total_was_set(self) -> bool:
        """Whether somebody moved the end of the training from where the script put it."""
        return self.total_steps != self._declared_total

    @property
    def ending(self) -> dict[str, int] | None:
        """Where the script put the end of the training and where it is now, for checkpoints."""
        if self._declared_total is None or self.total_steps is None:
            return None
        return {"declared": self._declared_total, "value": self.total_steps}

    def declare_total(self, max_steps: int | None, max_epochs: int | None) -> None:
        """Make the end of the training a control, where the script knows one in steps."""
        steps = max_steps if max_steps is not None else self._steps_in(max_epochs)
        if steps is None or steps < 1 or steps == self._declared_total:
            return
        self._declared_total = self.total_steps = steps
        before = self.resumed_ending
        # A script that was started again with another end means that end.
        saved = {"total_steps": before["value"]} if before and before["declared"] == steps else {}
        self._declare(
            "total_steps", steps, self._set_total, saved,
            low=1, high=10 * steps, scale="log", role="total_steps",
            description="Optimiser steps after which the training ends.",
        )  # fmt: skip

    def _steps_in(self, epochs: int | None) -> int | None:
        """About how many optimiser steps so many epochs take; None where the loader does not tell its length."""
        try:
            batches = len(self.feed.loader)  # type: ignore[union-attr]
        except (AttributeError, TypeError):
            return None
        return None if epochs is None else epochs * batches // self.accumulate

    def _set_total(self, value: int) -> None:
        self.total_steps = value

    def _declare(
        self, name: str, value: Any, put: Callable[[Any], None], saved: dict[str, Any], **spec: Any
    ) -> None:
        if name in saved and saved[name] != value:
            value = saved[name]
            put(value)
        if "low" in spec:
            spec["low"], spec["high"] = min(spec["low"], value), max(spec["high"], value)
        self._handles[name] = self.run.tunable(name, value, on_change=put, **spec)
        self._handles[name].put = put

    def _declare_rate(
        self, model: torch.nn.Module, bounds: tuple[float, float] | None, saved: dict[str, Any]
    ) -> None:
        lr = self.rates.value
        if not lr > 0:
            self.run.note(f"lr={lr} cannot be put on a log scale, so the learning rate is no control here")
            return
        low, high = bounds or (min(1e-7, lr / 1e3), max(10.0, 10 * lr))
        description = "Learning rate."
        if self.rates.scheduler is not None:
            kind = type(self.rates.scheduler).__name__
            description = f"Base learning rate of {kind}: a change scales every rate that the schedule sets."
            self.run.note(
                f"the learning rate follows {kind}; the control lr is its base rate, {lr:g}, and scales it"
            )
        self._declare(
            "lr", lr, self.rates.set, saved,
            low=low, high=high, scale="log", role="learning_rate", description=description,
            about={"optimizer": type(self.optimizer).__name__, "family": family_of(self.optimizer)}
            | model_facts(model),
        )  # fmt: skip

    def _declare_decay(self, saved: dict[str, Any]) -> None:
        # Numbers, not the groups themselves: loading an optimiser's state makes new ones.
        groups = [i for i, group in enumerate(self.optimizer.param_groups) if "weight_decay" in group]
        if not groups:
            return
        # Groups without decay (biases, norms) are mostly so on purpose, and stay so.
        self._decayed = [group for group in groups if self._group(group)["weight_decay"]] or groups
        value = float(self._group(self._decayed[0])["weight_decay"])
        self._declare(
            "weight_decay", value, self._set_decay, saved,
            low=0.0, high=max(0.1, 10 * value), role="weight_decay",
            description="Pull of the weights towards zero; parameter groups without any keep none.",
        )  # fmt: skip

    def _declare_feed(self, feed: Feed, saved: dict[str, Any]) -> None:
        if feed.batch_size is not None:
            self._declare(
                "batch_size", feed.batch_size, feed.set_batch_size, saved,
                low=1, high=max(16 * feed.batch_size, 256), scale="log", role="batch_size",
                description="Samples in one batch; the loader goes on at its place."
                + ("" if self._ranks > 1 else " Gradient noise is measured while accumulation is 2 or more."),
                about={"ranks": self._ranks},
            )  # fmt: skip
        if feed.workers is not None:
            self._declare(
                "loader_workers", feed.workers, feed.set_workers, saved,
                low=0, high=max(feed.workers, cores()), role="loader_workers",
                description="Processes that prepare batches; 0 prepares them in the training process.",
                about={"cores": cores()},
            )  # fmt: skip
        if feed.prefetch is not None:
            self._declare(
                "prefetch", feed.prefetch, feed.set_prefetch, saved,
                low=1, high=max(32, feed.prefetch), scale="log", role="prefetch",
                description="Batches that each loader worker prepares ahead.",
            )  # fmt: skip

    def _set_clip(self, value: float) -> None:
        self.clip = value

    def _set_accumulation(self, value: int) -> None:
        self.accumulate = value

    def _set_decay(self, value: float) -> None:
        old = float(self._group(self._decayed[0])["weight_decay"])
        for number in self._decayed:
            group = self._group(number)
            same = old in (0, group["weight_decay"])
            group["weight_decay"] = value if same else group["weight_decay"] * (value / old)

    def _group(self, number: int) -> dict[str, Any]:
        return self.optimizer.param_groups[number]

    def reapply(self) -> None:
        """Put the settings that live in the optimiser's state into force again, after that was loaded.

        A roll back takes back weights, not orders: what a person or the controller set stays set.
        """
        values = self.values
        if "lr" in values:
            self.rates.set(values["lr"])
        if "weight_decay" in values:
            self._set_decay(values["weight_decay"])


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
