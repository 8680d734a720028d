"""The training loop around a user's own: batches in, one optimiser step out, steered at every boundary."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from scaleweb_sdk import clock, leaving
from scaleweb_sdk.orders import Refused
from scaleweb_sdk.run import Run
from scaleweb_sdk.tunables import Tunable

from . import adoption
from .agreement import together
from .algorithm.masks import Masks
from .controls import Controls
from .current_step import CurrentStep
from .feed import Feed
from .jumps import GradientJumps
from .keeper import Keeper
from .memory import MemorySignal, meter_for
from .motion import Motion
from .noise import GradientNoise
from .rates import Rates
from .reflexes import Guard, NonFinite, shrink
from .trust import TrustRatio

if TYPE_CHECKING:
    from .algorithm.measure import Evaluate


class Loop:
    """Made by `scaleweb_sdk.torch.attach`; see there for how to use it.

    step: optimiser steps done. The first batch belongs to step 1; a checkpoint of step s holds the state
    after step s, and step 0 is the state that the training began with.
    """

    def __init__(
        self,
        run: Run,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        rates: Rates,
        feed: Feed | None,
        controls: Controls,
        keeper: Keeper,
        noise: GradientNoise,
        trust: TrustRatio,
        masks: Masks,
        jumps: GradientJumps,
        *,
        scaler: Any,
        scheduler_every: str,
        checkpoint_every: int,
        non_finite_limit: int,
    ) -> None:
        self.run = run
        self.model = model
        self.optimizer = optimizer
        self.scheduler = rates.scheduler
        self.rates = rates
        self.feed = feed
        self.controls = controls
        self.keeper = keeper
        self.agreement = keeper.agreement
        self.noise = noise
        self.motion = Motion(optimizer, run.rank)
        self.trust = trust
        self.memory = MemorySignal(meter_for(model))
        self.masks = masks
        self.jumps = jumps
        self.checkpoint_every = checkpoint_every
        self.non_finite = NonFinite(self, non_finite_limit)
        # What counts as out of memory; a test, or an accelerator with its own error, adds to it.
        self.out_of_memory_errors: tuple[type[BaseException], ...] = (torch.OutOfMemoryError,)
        self.step = 0
        self._driving = False  # inside batches() or steps(), which call the boundary themselves
        self._last_checkpoint = -1
        self._wanted = ""  # why a checkpoint is due at the next boundary
        self.current = CurrentStep(self, scaler, scheduler_every)

    # -- driving ---------------------------------------------------------------------------------

    def batches(
        self, max_steps: int | None = None, max_epochs: int | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Pairs of step number and batch until `max_steps` optimiser steps, `max_epochs` epochs or a stop.

        With accumulation, several batches share a step number. Orders are applied between two steps: a
        pause waits here, a roll back makes the next number smaller, a stop ends the iteration. A checkpoint
        is saved at the start, every `checkpoint_every` steps and at the end. Where the training ends is a control,
        `total_steps`, in force from the next boundary; once somebody set it, `max_epochs` counts no more.
        """
        if self.feed is None:
            raise ValueError("attach(…, loader=…) was not given a loader; iterate over steps() instead")
        yield from self._drive(self.feed, max_steps, max_epochs)

    def steps(self, max_steps: int | None = None) -> Iterator[int]:
        """The same for a training that makes its own batches: step numbers."""
        for step, _ in self._drive(None, max_steps, None):
            yield step

    def _drive(
        self, feed: Feed | None, max_steps: int | None, max_epochs: int | None
    ) -> Iterator[tuple[int, Any]]:
        self._driving = True
        try:
            if self._last_checkpoint < 0:
                self.save("start", pinned=True)
            self.controls.declare_total(max_steps, max_epochs)
            while True:
                if not self.current.batches:
                    self._boundary()
                    if self.run.should_stop or self._is_over(max_steps):
                        break
                began = clock.seconds()
                batch, samples = None, 0
                if feed is not None:
                    epoch = feed.epoch
                    try:
                        batch, samples = feed.next()
                        if feed.refused:
                            self._workers_refused(feed)
                    except StopIteration:
                        break
                    if feed.epoch != epoch:
                        self.current.end_epoch()
                        extended = self.controls.total_was_set
                        if max_epochs is not None and feed.epoch >= max_epochs and not extended:
                            break
                self.current.hand_over(samples, began)
                yield self.step + 1, batch
            if self.agreement is not None:
                self.agreement.end()
            if self.step > self._last_checkpoint:
                self.save("stop" if self.run.should_stop else "end")
        finally:
            self._driving = False

    def _is_over(self, max_steps: int | None) -> bool:
        total = self.controls.total_steps
        binding = max_steps is not None or self.controls.total_was_set
        return binding and total is not None and self.step >= total

    def _workers_refused(self, feed: Feed) -> None:
        """The loader goes on as the script had it; so that the page says so, too."""
        why, feed.refused = feed.refused, ""
        self.controls.change("loader_workers", feed.workers)
        self.run.reflex("workers_refused", f"{why}; the loader goes on with {feed.workers}")

    # -- one step --------------------------------------------------------------------------------

    def backward(self, loss: torch.Tensor, metrics: dict[str, float] | None = None) -> bool:
        """Backpropagate a batch's loss; on the last batch of a step also clip, step, schedule and log.

        loss: a scalar, the mean over the batch. metrics: further values to log at this step.
        True when the optimiser made its step; False while gradients gather, when the step was skipped for a
        loss or gradient that is not finite or too wild, and when memory ran out (the samples then come again).
        """
        current = self.current
        value = current.take(loss)
        # Of several ranks each takes part in the exchange of gradients: the others wait for it. What is not finite
        # on one is not finite on all of them then.
        if math.isfinite(value) or self.agreement is not None:
            parts = self.controls.accumulate
            share = loss if parts == 1 else loss / parts
            scaler = current.scaler
            try:
                with (
                    self.noise.listening(len(current.losses) == 1, parts),
                    self.controls.precision.backward(),
                ):
                    (share if scaler is None else scaler.scale(share)).backward()
            except self.out_of_memory_errors as error:
                del loss
                shrink(self, error)
                return False
        if len(current.losses) < self.controls.accumulate:
            current.wait()
            return False
        stepped = current.finish(metrics or {})
        if not self._driving:
            self._boundary()
        return stepped

    def forward(self) -> AbstractContextManager[Any]:
        """`with loop.forward():` around the forward pass and its loss: computed in the control `precision`.

        In float32, as it is until somebody sets another one, this does nothing. `backward` may be called inside
        or after it; inside, autocast is left for the time.
        """
        self.controls.declare_precision()
        return self.controls.precision.forward()

    def guard(self) -> Guard:
        """`with loop.guard():` around forward pass and backward(): out of memory in there shrinks the batch.

        The rest of the block is left out and the same samples come again in smaller batches.
        """
        return Guard(self)

    @property
    def skipped(self) -> int:
        """Steps left out because their loss or gradient was not finite."""
        return self.non_finite.skipped

    # -- boundary --------------------------------------------------------------------------------

    def _boundary(self) -> None:
        """Between two steps: save if it is time, go back if that is due, then apply what was ordered."""
        due = bool(self._wanted) or (self.checkpoint_every and self.step % self.checkpoint_every == 0)
        # A state in which the loss is not finite is not worth going back to.
        if due and self.step > self._last_checkpoint and not self.non_finite.streak:
            self.save(self._wanted or "periodic")
        if self.non_finite.due:
            self.non_finite.roll_back()
        if self.agreement is not None:
            self.agreement.boundary(self.step)
        self.run.step(step=self.step)

    def checkpoint(self, reason: str = "asked for by the script", pinned: bool = False) -> Path | None:
        """Save the state now, between two steps; its path, or None without a folder or when saving failed.

        Of several ranks the first one writes its own state: the places in the data and the random states of the
        others are in those that the loop saves itself.
        """
        return self.save(reason, pinned, together=False)

    def save(self, reason: str, pinned: bool = False, together: bool = True) -> Path | None:
        """The same by all ranks at the same step, with the state of each; the loop's own way."""
        saved = self.keeper.save(
            self.step, self.current.metrics, self.current.level, reason, pinned, self.controls.ending,
            self.noise.scale, together,
        )  # fmt: skip
        self._last_checkpoint, self._wanted = self.step, ""
        return None if saved is None else saved.path

    def checkpoint_soon(self, reason: str) -> None:
        """Save at the next boundary, after another step, whether it is time or not."""
        self._wanted = reason

    def declare_orders(self) -> None:
        """Offer what this training can do when it is ordered to."""
        self.run.on_adopt(lambda wanted: adoption.take_over(self, wanted))
        if self.keeper.folder is not None:
            self.run.on_checkpoint(self._ordered_checkpoint)
            leaving.offer(self.run, self._save_to_leave)
            self.run.on_rollback(self._ordered_roll_back)
            self.run.desk.pin = lambda path, pinned: together(
                self.agreement, lambda: self.keeper.pin(path, pinned)
            )

    def offer_algorithms(
        self,
        evaluate: "Evaluate",
        example_batch: Any,
        *,
        metric: str = "val/accuracy",
        direction: str = "max",
        bound: float = 0.01,
        keep: Sequence[str] = (),
    ) -> None:
        """Offer the verbs prune, quantise and compile: each measured on a copy before it is done.

        evaluate(model): a map of metrics on held-back data. example_batch: what the model is called with, a tensor,
        a tuple of positional or a map of named arguments; latency is measured on it. A change after which `metric` is
        worse by more than `bound`, in its own unit, is refused. keep: names of modules that are never pruned.
        Raises ValueError for arguments that cannot be.
        """
        # Not before it is wanted: most trainings do without.
        from .algorithm.verbs import Algorithms

        Algorithms(self, evaluate, example_batch, metric, direction, bound, tuple(keep)).offer()

    def _ordered_checkpoint(self, *_: Any) -> None:
        # Somebody asked for this one: the keep rule does not touch it.
        if self.save("asked for", pinned=True) is None:
            raise Refused("the checkpoint could not be written; the run's events say why")

    def _save_to_leave(self) -> None:
        if self.save("before going on with other devices") is None:
            raise Refused(
                "the checkpoint could not be written; the run's events say why, and it goes on as it is"
            )

    def _ordered_roll_back(self, checkpoint: dict[str, Any]) -> None:
        self.restore(Path(str(checkpoint["path"])))
        self.non_finite.hope()

    def went_on_with(self, state: dict[str, Any]) -> None:
        """Another run's state was put in force at this boundary; the step stays."""
        self.optimizer.zero_grad()
        self.current.recall(state)
        self.non_finite.forget()
        self.non_finite.hope()
        self.jumps.forget()
        self.motion.forget()

    def restore(self, path: Path) -> None:
        """Go back to a checkpoint of this training, as a new branch. Raises BrokenCheckpoint, or Refused by a rank."""
        state = together(self.agreement, lambda: self.keeper.read(path))
        pruned = len(self.masks.pruned)
        self.keeper.put_back(state, path)
        if pruned and not self.masks.pruned:
            self.run.note(
                f"the checkpoint of step {state['step']} is of before the pruning: nothing is pruned now"
            )
        self.controls.reapply()
        self.optimizer.zero_grad()
        # The data goes on where it is: other batches than those that led to where we come from
        # (as PaLM did it: Chowdhery et al. 2022, arXiv 2204.02311, section 5.1).
        self.step = self._last_checkpoint = int(state["step"])
        self.current.recall(state)
        self.non_finite.forget()
        self.noise.forget()
        self.motion.forget()
        self.current.clear()
        self.run.branched(self.step, "rollback")

    def resume(self, state: dict[str, Any], path: Path) -> None:
        """Continue from a checkpoint of an earlier process, bit for bit on a CPU. Raises BrokenCheckpoint."""
        self.keeper.put_back(state, path)
        self.keeper.put_back_stream(state)
        self.step = self._last_checkpoint = int(state["step"])
        self.current.recall(state)
        if state.get("compiled"):
            # A model that was compiled gives the same figures, bit for bit, only when it is compiled again.
            from .algorithm import compiled

            self.keeper.compiled = compiled.again(self.model, state["compiled"], self.run.note)
        # A fork goes on from another run's checkpoint, whose orders have numbers of their own.
        if state.get("run", self.run.code) == self.run.code:
            self.run.applied_seq = max(self.run.applied_seq, int(state["applied_seq"]))
        # Saved before the orders of its step, or after them: it says which.
        self.run.desk.resumed(int(state.get("served_step", self.step - 1)))
        self.controls.resumed_ending = state.get("ending")
        for name, value in state["settings"].items():
            tunable = self.run.tunables.get(name)
            if tunable is not None and tunable.value != value:
                self._resume_setting(tunable, value)
        self._learn_branch(int(state["branch"]))
        self.run.branched(self.step, "resume")

    def _resume_setting(self, tunable: Tunable, value: Any) -> None:
        """A tunable of the script's own, declared before attach(), gets the value it had."""
        try:
            tunable.order(value)
            tunable.value = value
        except ValueError as error:
            self.run.note(f"{tunable.name} keeps the script's value: {error}")

    def _learn_branch(self, saved: int) -> None:
        """Number the new branch after all that earlier processes made, also after this checkpoint.

        The server knows them and says so as the link comes up; a few seconds are waited for that, here alone.
        """
        link = self.run.link
        if link is not None and link.token:
            link.connected.wait(5.0)
        self.run.branch = max(self.run.branch, saved)
        if self.agreement is not None:
            # One of them may have heard of the branch that the first one makes just now.
            self.run.branch = self.agreement.from_first(self.run.branch)
