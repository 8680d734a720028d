"""The verbs prune, quantise and compile of a running training: measure on a copy, refuse or do, and put it on record.

All three take {"dry": true}: then the table is the answer and nothing is changed.
"""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from scaleweb_sdk.orders import Refused
from scaleweb_sdk.protocol import EventKind, TunableSpec
from scaleweb_sdk.torch.checkpoints import BrokenCheckpoint
from scaleweb_sdk.tunables import declare

from . import compiled, quantised
from .measure import (
    Evaluate,
    Figures,
    Table,
    compare,
    copy_of,
    metrics_of,
    packing_of,
    size_of,
    undisturbed,
)
from .prune import choose

if TYPE_CHECKING:
    from scaleweb_sdk.torch.loop import Loop

Value = dict[str, Any]
DRY = ("dry", False, "Measure and change nothing.")


class Beyond(Refused):
    """A change after which the metric would be worse than the bound allows."""

    def __init__(self, message: str, table: Table) -> None:
        super().__init__(message)
        self.table = table


class Algorithms:
    """What one training offers; see `Loop.offer_algorithms` for the arguments."""

    def __init__(
        self,
        loop: "Loop",
        evaluate: Evaluate,
        example_batch: Any,
        metric: str,
        direction: str,
        bound: float,
        keep: tuple[str, ...],
    ) -> None:
        if direction not in {"max", "min"}:
            raise ValueError(f"direction={direction!r}; expected max or min")
        if not 0 <= bound < math.inf:
            raise ValueError(f"bound={bound!r}; expected a number of at least 0, in the unit of {metric}")
        paths = {path for path, _ in loop.model.named_modules()}
        unknown = [name for name in keep if name not in paths]
        if unknown:
            raise ValueError(f"keep={keep}: the model has no module {', '.join(unknown)}")
        self.loop = loop
        self.evaluate = evaluate
        self.metric, self.direction, self.bound = metric, direction, float(bound)
        self.keep = keep
        device = next((parameter.device for parameter in loop.model.parameters()), torch.device("cpu"))
        self.device = device
        self.batch = on_device(example_batch, device)

    def offer(self) -> None:
        judged = f"Refused where {self.metric} is worse by more than {self.bound:g} on a copy."
        self._offer(
            "prune", self.prune, f"Hold the least weights at zero from here on. {judged}",
            declare("amount", 0.3, low=0.0, high=0.99, description="Share of weights or channels that is zero then."),
            declare("structured", False, description="Whole output channels instead of single weights."),
        )  # fmt: skip
        self._offer(
            "quantise", self.quantise, f"Write a copy with weights of 8 bits beside the checkpoints. {judged}",
            declare("scheme", quantised.SCHEMES[0], choices=list(quantised.SCHEMES)),
        )  # fmt: skip
        self._offer(
            "compile", self.compile, f"Let torch.compile build the model's passes, or go back. {judged}",
            declare("on", True, description="False goes back to how the script calls the model."),
            declare("mode", "default", choices=list(compiled.MODES)),
            declare("backend", "inductor", choices=["inductor", "aot_eager", "eager"]),
        )  # fmt: skip

    def _offer(
        self, verb: str, follow: Callable[[Value], Any], description: str, *parameters: TunableSpec
    ) -> None:
        name, default, text = DRY

        def recorded(value: Value) -> Any:
            try:
                return follow(value)
            except Refused as error:
                self._record(verb, "refused", str(error), getattr(error, "table", None))
                raise

        specs = [*parameters, declare(name, default, description=text)]
        self.loop.run.offer(verb, recorded, description, specs)

    # -- the three ----------------------------------------------------------------------------------

    def prune(self, value: Value) -> Any:
        masks = self.loop.masks
        self._alone(value)
        before, after = self._copies()
        chosen = choose(self.loop.model, value["amount"], value["structured"], self.keep, masks.pruned)
        with torch.no_grad():
            for name, parameter in after.named_parameters():
                if name in chosen:
                    parameter.masked_fill_(chosen[name], 0)
        table = self._measure("prune", value, before, after)
        if value["dry"]:
            return self._record("prune", "measured", "", table)
        self._check(table)
        # What a roll back of the pruning goes to: without it the steps since the last checkpoint would be lost.
        saved = self.loop.checkpoint("before pruning", pinned=True)
        if saved is None and self.loop.keeper.folder is not None:
            raise Refused("no checkpoint to go back to could be written; the run's events say why")
        masks.set(chosen)
        self.loop.checkpoint_soon("after pruning")
        return self._record("prune", "switched", "", table)

    def quantise(self, value: Value) -> Any:
        quantised.check_library()
        folder = self.loop.keeper.folder
        if folder is None and not value["dry"]:
            raise Refused("there is no checkpoint folder to write to: attach(…, checkpoint_dir=…) names one")
        before, after = self._copies()
        before.eval()
        after.eval()
        quantised.quantise(after, value["scheme"])
        table = self._measure("quantise", value, before, after)
        if value["dry"] or folder is None:
            return self._record("quantise", "measured", "", table)
        self._check(table)
        try:
            saved = quantised.export(after, value["scheme"], folder, self.loop.step, self.loop.run.branch)
        except (OSError, BrokenCheckpoint) as error:
            raise Refused(f"the quantised weights could not be written: {error}") from error
        export = {"path": str(saved.path), "size_bytes": saved.size_bytes, "sha256": saved.sha256}
        return self._record("quantise", "exported", "", table, export)

    def compile(self, value: Value) -> Any:
        model, keeper = self.loop.model, self.loop.keeper
        if not value["on"]:
            if keeper.compiled is None:
                raise Refused("the model was not compiled by an order; there is nothing to go back to")
            if not value["dry"]:
                compiled.switch_off(model)
                keeper.compiled = None
            return self._record("compile", "measured" if value["dry"] else "switched", "back to eager")
        if compiled.is_compiled(model):
            raise Refused("the model is compiled already")
        self._alone(value)
        compiled.check_compiler(value["backend"])
        before, after = self._copies()
        with undisturbed():
            compiled.trial(after, value, self.batch)
        table = self._measure("compile", value, before, after, training=True)
        if value["dry"]:
            return self._record("compile", "measured", "", table)
        self._check(table)
        how = {name: value[name] for name in ("mode", "backend")}
        compiled.switch_on(model, how)
        keeper.compiled = how
        return self._record("compile", "switched", "", table)

    # -- what they share ----------------------------------------------------------------------------

    def _alone(self, value: Value) -> None:
        ranks = self.loop.run.world_size
        if ranks > 1 and not value["dry"]:
            raise Refused(
                f"this training has {ranks} processes, and each would have to be changed at the same step; "
                'only {"dry": true} is possible'
            )

    def _copies(self) -> tuple[torch.nn.Module, torch.nn.Module]:
        return copy_of(self.loop.model), copy_of(self.loop.model)

    def _measure(
        self, verb: str, value: Value, before: torch.nn.Module, after: torch.nn.Module, training: bool = False
    ) -> Table:
        began = time.perf_counter()
        with undisturbed():
            metrics = [metrics_of(model, self.evaluate, self.metric) for model in (before, after)]
            with self.loop.controls.precision.forward():
                evaluated, trained, repeats = compare(before, after, self.batch, training)
        sides = []
        for number, model in enumerate((before, after)):
            packed, nonzero = packing_of(model)
            passed = trained[number] if trained else None
            sides.append(Figures(size_of(model), packed, nonzero, evaluated[number], metrics[number], passed))
        asked = {name: each for name, each in value.items() if name != "dry"}
        return Table(
            verb, asked, self.loop.step, self.metric, self.direction, self.bound, sides[0], sides[1],
            repeats, str(self.device), torch.get_num_threads(), round(time.perf_counter() - began, 3),
        )  # fmt: skip

    def _check(self, table: Table) -> None:
        if table.within:
            return
        raise Beyond(
            f"{table.metric} would be worse by {table.worse:.4g}, beyond the bound of {table.bound:g}; "
            f"measured on a copy at step {table.step}: {table}",
            table,
        )

    def _record(
        self,
        verb: str,
        outcome: str,
        reason: str = "",
        table: Table | None = None,
        export: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Put it on the run's record; the same goes back as the answer to the order."""
        data: dict[str, Any] = {"verb": verb, "outcome": outcome, "reason": reason or str(table or "")}
        if table is not None:
            data["table"] = table.as_json()
        if export is not None:
            data["export"] = export
        if self.loop.run.rank == 0:
            self.loop.run.event(EventKind.ALGORITHM, data, self.loop.step)
        return {name: each for name, each in data.items() if name != "verb"}


def on_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().to(device)
    if isinstance(value, dict):
        return {name: on_device(each, device) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(on_device(each, device) for each in value)
    return value
