"""The verbs prune, quantise and compile of a running training: measure on a copy, refuse or do, and put it on record.

All three take {"dry": true}: then the table is the answer and nothing is changed.
"""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from scaleweb_sdk.orders import Refused
from scaleweb_sdk.protocol import EventKind, TunableSpec
from scaleweb_sdk.torch.agreement import check_joined, together
from scaleweb_sdk.torch.checkpoints import BrokenCheckpoint
from scaleweb_sdk.torch.keeper import core_of
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
T = TypeVar("T")
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
        paths = {path for path, _ in core_of(loop.model).named_modules()}
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

    # Of several ranks each measures, for the script's evaluation may be a joint one; what refuses on one is refused on
    # all of them, before anything has changed.

    def prune(self, value: Value) -> Any:
        masks, core = self.loop.masks, core_of(self.loop.model)

        def prepare() -> tuple[dict[str, torch.Tensor], Table]:
            before, after = self._copies()
            chosen = choose(core, value["amount"], value["structured"], self.keep, masks.pruned)
            with torch.no_grad():
                for name, parameter in after.named_parameters():
                    if name in chosen:
                        parameter.masked_fill_(chosen[name], 0)
            return chosen, self._measure("prune", value, before, after)

        chosen, table = self._prepared(value, prepare)
        if value["dry"]:
            return self._record("prune", "measured", "", table)
        # What a roll back of the pruning goes to: without it the steps since the last checkpoint would be lost.
        saved = self.loop.save("before pruning", pinned=True)
        if saved is None and self.loop.keeper.folder is not None:
            raise Refused("no checkpoint to go back to could be written; the run's events say why")
        masks.set(self._from_first(chosen))
        self.loop.checkpoint_soon("after pruning")
        return self._record("prune", "switched", "", table)

    def quantise(self, value: Value) -> Any:
        folder = self.loop.keeper.folder

        def prepare() -> tuple[torch.nn.Module, Table]:
            quantised.check_library()
            if folder is None and not value["dry"]:
                raise Refused(
                    "there is no checkpoint folder to write to: attach(…, checkpoint_dir=…) names one"
                )
            before, after = self._copies()
            before.eval()
            after.eval()
            quantised.quantise(after, value["scheme"])
            return after, self._measure("quantise", value, before, after)

        after, table = self._prepared(value, prepare)
        if value["dry"] or folder is None:
            return self._record("quantise", "measured", "", table)

        def export() -> dict[str, Any]:
            if self.loop.run.rank:
                return {}
            try:
                saved = quantised.export(after, value["scheme"], folder, self.loop.step, self.loop.run.branch)
            except (OSError, BrokenCheckpoint) as error:
                raise Refused(f"the quantised weights could not be written: {error}") from error
            return {"path": str(saved.path), "size_bytes": saved.size_bytes, "sha256": saved.sha256}

        exported = self._from_first(together(self.loop.agreement, export))
        return self._record("quantise", "exported", "", table, exported)

    def compile(self, value: Value) -> Any:
        model, keeper = core_of(self.loop.model), self.loop.keeper
        if not value["on"]:
            if keeper.compiled is None:
                raise Refused("the model was not compiled by an order; there is nothing to go back to")
            if not value["dry"]:
                compiled.switch_off(model)
                keeper.compiled = None
            return self._record("compile", "measured" if value["dry"] else "switched", "back to eager")

        def prepare() -> tuple[None, Table]:
            if compiled.is_compiled(model):
                raise Refused("the model is compiled already")
            compiled.check_compiler(value["backend"])
            before, after = self._copies()
            with undisturbed():
                compiled.trial(after, value, self.batch)
            return None, self._measure("compile", value, before, after, training=True)

        _, table = self._prepared(value, prepare)
        if value["dry"]:
            return self._record("compile", "measured", "", table)
        how = {name: value[name] for name in ("mode", "backend")}
        compiled.switch_on(model, how)
        keeper.compiled = how
        return self._record("compile", "switched", "", table)

    # -- what they share ----------------------------------------------------------------------------

    def _prepared(self, value: Value, prepare: Callable[[], tuple[T, Table]]) -> tuple[T, Table]:
        """What was made ready and its table, where it may be done on every rank."""

        if not value["dry"]:
            check_joined(self.loop.run, self.loop.agreement)

        def checked() -> tuple[T, Table]:
            made, table = prepare()
            if not value["dry"]:
                self._check(table)
            return made, table

        return together(self.loop.agreement, checked)

    def _from_first(self, mine: T) -> T:
        agreement = self.loop.agreement
        return mine if agreement is None else agreement.from_first(mine)

    def _copies(self) -> tuple[torch.nn.Module, torch.nn.Module]:
        core = core_of(self.loop.model)
        return copy_of(core), copy_of(core)

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
