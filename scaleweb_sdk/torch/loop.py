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
from .feed import Feed
from .jumps import GradientJumps
from .keeper import Keeper
from .memory import MemorySignal, meter_for
from .motion import Motion
from .noise import GradientNoise
from .norms import total_norm, trained
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
        self.scaler = scaler
        self.scheduler_every = scheduler_every
        self.checkpoint_every = checkpoint_every
        self.non_finite = NonFinite(self, non_finite_limit)
        # What counts as out of memory; a test, or an accelerator with its own error, adds to it.
        self.out_of_memory_errors: tuple[type[BaseException], ...] = (torch.OutOfMemoryError,)
        self.step = 0
        self._driving = False  # inside batches() or steps(), which call the boundary themselves
        self._last_checkpoint = -1
        self._wanted = ""  # why a checkpoint is due at the next boundary
        self._last_metrics: dict[str, float] = {}
        self._level = math.nan
        self._epoch_losses: list[float] = []
        self._losses: list[float] = []  # of the batches of the step so far
        self.batches_in_step = 0
        self._sizes: list[int] = []  # samples in them
        self._memory_batch = None if feed is None else feed.batch_size
        self._waited = self._computed = self._apart = 0.0
        self._began = self._handed_over = clock.seconds()

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
                if not self.batches_in_step:
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
                        self._end_epoch()
                        extended = self.controls.total_was_set
                        if max_epochs is not None and feed.epoch >= max_epochs and not extended:
                            break
                now = clock.seconds()
                if not self.batches_in_step:
                    self._began = began
                self._waited += now - began
                self._handed_over = now
                self._sizes.append(samples)
                self.batches_in_step += 1
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

    def _end_epoch(self) -> None:
        if self.scheduler is not None and self.scheduler_every == "epoch" and self._epoch_losses:
            self._step_scheduler(math.fsum(self._epoch_losses) / len(self._epoch_losses))
        self._epoch_losses.clear()

    # -- one step --------------------------------------------------------------------------------

    def backward(self, loss: torch.Tensor, metrics: dict[str, float] | None = None) -> bool:
        """Backpropagate a batch's loss; on the last batch of a step also clip, step, schedule and log.

        loss: a scalar, the mean over the batch. metrics: further values to log at this step.
        True when the optimiser made its step; False while gradients gather, when the step was skipped for a
        loss or gradient that is not finite or too wild, and when memory ran out (the samples then come again).
        """
        self.batches_in_step = max(1, self.batches_in_step)
        self._apart += clock.seconds() - self._handed_over
        value = float(loss.detach())
        self._losses.append(value)
        # Of several ranks each takes part in the exchange of gradients: the others wait for it. What is not finite
        # on one is not finite on all of them then.
        if math.isfinite(value) or self.agreement is not None:
            parts = self.controls.accumulate
            share = loss if parts == 1 else loss / parts
            try:
                with self.noise.listening(len(self._losses) == 1, parts), self.controls.precision.backward():
                    (share if self.scaler is None else self.scaler.scale(share)).backward()
            except self.out_of_memory_errors as error:
                del loss
                shrink(self, error)
                return False
        if len(self._losses) < self.controls.accumulate:
            self._computed += clock.seconds() - self._handed_over
            return False
        stepped = self._finish_step(metrics or {})
        if not self._driving:
            self._boundary()
        return stepped

    def _finish_step(self, metrics: dict[str, float]) -> bool:
        loss = math.fsum(self._losses) / len(self._losses) if _finite(self._losses) else math.nan
        scale = None if self.scaler is None else float(self.scaler.get_scale())
        if self.scaler is not None and (math.isfinite(loss) or self.agreement is not None):
            self.scaler.unscale_(self.optimizer)
        ranks = self.agreement is not None
        norm, left = self._clipped_norm() if math.isfinite(loss) or ranks else (math.nan, math.nan)
        rate = self.rates.now
        # Of several ranks all must answer alike: by the gradient, which is the same on each.
        finite = math.isfinite(norm) and (ranks or math.isfinite(loss))
        wild = finite and self._hold(left)
        good = finite and not wild
        if self.scaler is not None and (math.isfinite(loss) or ranks):
            # It makes no step itself where a gradient is not finite, and lowers its scale then.
            if not wild:
                self.trust.before()
                self.scaler.step(self.optimizer)
                self.trust.after()
            self.scaler.update()
        elif good:
            self.trust.before()
            self.optimizer.step()
            self.trust.after()
        if good and self.scheduler is not None and self.scheduler_every == "step":
            self._step_scheduler(loss)
        self.optimizer.zero_grad()
        self.step += 1
        now = clock.seconds()
        seconds = now - self._began
        # A loss that is not finite is logged as it came: NaN and inf say different things.
        shown = loss if math.isfinite(loss) else next(v for v in self._losses if not math.isfinite(v))
        figures = {"loss": shown, "lr": rate, "grad_norm": norm, **metrics}
        figures |= {
            "_step_seconds": seconds,
            "_data_wait_seconds": self._waited,
            "_compute_seconds": self._computed + now - self._handed_over,
        }
        samples = sum(self._sizes) * (1 if self.agreement is None else self.agreement.world_size)
        if samples and seconds > 0:
            figures["_samples_per_second"] = samples / seconds
        if good:
            figures |= self.noise.figures(self._sizes, norm, seconds, 1.0 if scale is None else scale)
            figures |= self._memory_figures()
            figures |= self.motion.figures(self.step)
        if scale is not None:
            figures["loss_scale"] = scale
        if ranks:
            figures[f"_apart_seconds/rank{self.run.rank}"] = self._waited + self._apart
        if self.run.rank == 0:
            self.run.log(figures, step=self.step)
        else:
            # The run's figures are the first rank's; of the others it has their pace.
            own = {name: each for name, each in figures.items() if name.endswith(f"/rank{self.run.rank}")}
            self.run.log(own, step=self.step)
        self._last_metrics = {"loss": shown, "grad_norm": norm}
        if math.isfinite(shown):
            # One batch's loss scatters: which checkpoint is the best is asked of its running mean.
            self._level = shown if math.isnan(self._level) else 0.95 * self._level + 0.05 * shown
        self._epoch_losses.append(shown)
        # A scale above 1 that was too large: its scaler looks for a smaller one, and no checkpoint would help.
        overflowed = scale is not None and scale > 1 and math.isfinite(loss) and not finite
        if not overflowed:
            self.non_finite.count(finite, shown, norm)
        self.clear_step()
        return good

    def _clipped_norm(self) -> tuple[float, float]:
        """The gradient's length as it came, and what clipping left of it."""
        parameters = [p for p in trained(self.optimizer) if p.grad is not None]
        if self.controls.clip is not None:
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.controls.clip))
            return norm, min(norm, self.controls.clip)
        norm = total_norm([p.grad for p in parameters if p.grad is not None])
        return norm, norm

    def _hold(self, left: float) -> bool:
        """Whether the gradient, `left` long, is too wild for a step; one that is held is made shorter."""
        share = self.jumps.share(left, self.step + 1)
        if 0 < share < 1:
            with torch.no_grad():
                for parameter in trained(self.optimizer):
                    if parameter.grad is not None:
                        parameter.grad.mul_(share)
        return share == 0

    def _memory_figures(self) -> dict[str, float]:
        """After a step that went well: what it took, and whether a batch fits by now that did not."""
        size = None if self.feed is None else self.feed.batch_size
        if size != self._memory_batch:
            self._memory_batch = size
            self.memory.changed()
            return {}  # the peak from the next step on is this batch's own
        figures = self.memory.figures()
        failed = self.controls.told("batch_size", "failed")
        if failed is not None and size is not None and size >= failed:
            self.controls.tell("batch_size", failed=None, failed_limit_bytes=None)
        return figures

    def _step_scheduler(self, loss: float) -> None:
        assert self.scheduler is not None
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(loss)
        else:
            self.scheduler.step()

    def clear_step(self) -> None:
        """Forget what has gathered for the step that was begun."""
        self._losses = []
        self.batches_in_step = 0
        self._sizes = []
        self._waited = self._computed = self._apart = 0.0
        self._began = self._handed_over = clock.seconds()

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
            self.step, self._last_metrics, self._level, reason, pinned, self.controls.ending, self.noise.scale,
            together,
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
        self._last_metrics, self._level = dict(state["metrics"]), float(state.get("level", math.nan))
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
        self._last_metrics, self._level = dict(state["metrics"]), float(state.get("level", math.nan))
        self.non_finite.forget()
        self.noise.forget()
        self.motion.forget()
        self.clear_step()
        self.run.branched(self.step, "rollback")

    def resume(self, state: dict[str, Any], path: Path) -> None:
        """Continue from a checkpoint of an earlier process, bit for bit on a CPU. Raises BrokenCheckpoint."""
        self.keeper.put_back(state, path)
        self.keeper.put_back_stream(state)
        self.step = self._last_checkpoint = int(state["step"])
        self._last_metrics, self._level = dict(state["metrics"]), float(state.get("level", math.nan))
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


def _finite(values: list[float]) -> bool:
    return all(math.isfinite(value) for value in values)
