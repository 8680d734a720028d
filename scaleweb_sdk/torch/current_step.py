"""The optimiser step that is being made: what gathers for it, batch by batch, and how it ends."""

import math
from typing import TYPE_CHECKING, Any

import torch

from scaleweb_sdk import clock

from .norms import total_norm, trained

if TYPE_CHECKING:
    from .loop import Loop


class CurrentStep:
    """Gathers batches until the step has all of them; then clips, steps, schedules and logs.

    losses, sizes: of its batches so far, and the samples in them. batches: how many were handed over. metrics: loss and
    gradient norm of the last step that ended, and level, the running mean of the loss: which checkpoint is the best is
    asked of that, for one batch's loss scatters. scaler: a torch.amp.GradScaler or None.
    """

    def __init__(self, loop: "Loop", scaler: Any, scheduler_every: str) -> None:
        self.loop = loop
        self.scaler = scaler
        self.scheduler = loop.rates.scheduler
        self.scheduler_every = scheduler_every
        self.metrics: dict[str, float] = {}
        self.level = math.nan
        self._epoch_losses: list[float] = []
        self._memory_batch = None if loop.feed is None else loop.feed.batch_size
        self.clear()

    def clear(self) -> None:
        """Forget what has gathered for the step that was begun."""
        self.losses: list[float] = []
        self.batches = 0
        self.sizes: list[int] = []
        self._waited = self._computed = self._apart = 0.0
        self._began = self._handed_over = clock.seconds()

    def recall(self, state: dict[str, Any]) -> None:
        """What a checkpoint says of the step that it was saved after."""
        self.metrics, self.level = dict(state["metrics"]), float(state.get("level", math.nan))

    # -- gathering -------------------------------------------------------------------------------

    def hand_over(self, samples: int, began: float) -> None:
        """A batch goes to the script, which had to wait for it since `began`."""
        now = clock.seconds()
        if not self.batches:
            self._began = began
        self._waited += now - began
        self._handed_over = now
        self.sizes.append(samples)
        self.batches += 1

    def take(self, loss: torch.Tensor) -> float:
        """A batch's loss comes back from the script. Returns its value."""
        self.batches = max(1, self.batches)
        self._apart += clock.seconds() - self._handed_over
        value = float(loss.detach())
        self.losses.append(value)
        return value

    def wait(self) -> None:
        """Further batches belong to it."""
        self._computed += clock.seconds() - self._handed_over

    # -- its end ---------------------------------------------------------------------------------

    def finish(self, metrics: dict[str, float]) -> bool:
        """Clip, step, schedule and log. metrics: further values to log. False when the step was left out."""
        loop, scaler, trust = self.loop, self.scaler, self.loop.trust
        sound = all(map(math.isfinite, self.losses))
        loss = math.fsum(self.losses) / len(self.losses) if sound else math.nan
        # Of several ranks all must answer alike: by the gradient, which is the same on each.
        asked = sound or loop.agreement is not None
        scale = None if scaler is None else float(scaler.get_scale())
        if scaler is not None and asked:
            scaler.unscale_(loop.optimizer)
        norm, left = self._clipped_norm() if asked else (math.nan, math.nan)
        rate = loop.rates.now
        finite = asked and math.isfinite(norm)
        wild = finite and self._hold(left)
        good = finite and not wild
        if scaler is not None and asked:
            # It makes no step itself where a gradient is not finite, and lowers its scale then.
            if not wild:
                trust.before()
                scaler.step(loop.optimizer)
                trust.after()
            scaler.update()
        elif good:
            trust.before()
            loop.optimizer.step()
            trust.after()
        if good and self.scheduler is not None and self.scheduler_every == "step":
            self._step_scheduler(loss)
        loop.optimizer.zero_grad()
        loop.step += 1
        # A loss that is not finite is logged as it came: NaN and inf say different things.
        shown = loss if sound else next(v for v in self.losses if not math.isfinite(v))
        self._log({"loss": shown, "lr": rate, "grad_norm": norm, **metrics}, good, scale)
        self.metrics = {"loss": shown, "grad_norm": norm}
        if sound:
            self.level = shown if math.isnan(self.level) else 0.95 * self.level + 0.05 * shown
        self._epoch_losses.append(shown)
        # A scale above 1 that was too large: its scaler looks for a smaller one, and no checkpoint would help.
        overflowed = scale is not None and scale > 1 and sound and not finite
        if not overflowed:
            loop.non_finite.count(finite, shown, norm)
        self.clear()
        return good

    def _log(self, figures: dict[str, float], good: bool, scale: float | None) -> None:
        """Log the step's figures with what it took and, where it was made, what the gradient and the weights say."""
        loop, rank = self.loop, self.loop.run.rank
        now = clock.seconds()
        seconds = now - self._began
        figures |= {
            "_step_seconds": seconds,
            "_data_wait_seconds": self._waited,
            "_compute_seconds": self._computed + now - self._handed_over,
        }
        samples = sum(self.sizes) * (1 if loop.agreement is None else loop.agreement.world_size)
        if samples and seconds > 0:
            figures["_samples_per_second"] = samples / seconds
        if good:
            norm = figures["grad_norm"]
            figures |= loop.noise.figures(self.sizes, norm, seconds, 1.0 if scale is None else scale)
            figures |= self._memory_figures()
            figures |= loop.motion.figures(loop.step)
        if scale is not None:
            figures["loss_scale"] = scale
        if loop.agreement is not None:
            figures[f"_apart_seconds/rank{rank}"] = self._waited + self._apart
        if rank:
            # The run's figures are the first rank's; of the others it has their pace.
            figures = {name: each for name, each in figures.items() if name.endswith(f"/rank{rank}")}
        loop.run.log(figures, step=loop.step)

    def _clipped_norm(self) -> tuple[float, float]:
        """The gradient's length as it came, and what clipping left of it."""
        clip = self.loop.controls.clip
        parameters = [p for p in trained(self.loop.optimizer) if p.grad is not None]
        if clip is not None:
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, clip))
            return norm, min(norm, clip)
        norm = total_norm([p.grad for p in parameters if p.grad is not None])
        return norm, norm

    def _hold(self, left: float) -> bool:
        """Whether the gradient, `left` long, is too wild for a step; one that is held is made shorter."""
        share = self.loop.jumps.share(left, self.loop.step + 1)
        if 0 < share < 1:
            with torch.no_grad():
                for parameter in trained(self.loop.optimizer):
                    if parameter.grad is not None:
                        parameter.grad.mul_(share)
        return share == 0

    def _memory_figures(self) -> dict[str, float]:
        """After a step that went well: what it took, and whether a batch fits by now that did not."""
        loop = self.loop
        size = None if loop.feed is None else loop.feed.batch_size
        if size != self._memory_batch:
            self._memory_batch = size
            loop.memory.changed()
            return {}  # the peak from the next step on is this batch's own
        figures = loop.memory.figures()
        failed = loop.controls.told("batch_size", "failed")
        if failed is not None and size is not None and size >= failed:
            loop.controls.tell("batch_size", failed=None, failed_limit_bytes=None)
        return figures

    def end_epoch(self) -> None:
        if self.scheduler is not None and self.scheduler_every == "epoch" and self._epoch_losses:
            self._step_scheduler(math.fsum(self._epoch_losses) / len(self._epoch_losses))
        self._epoch_losses.clear()

    def _step_scheduler(self, loss: float) -> None:
        assert self.scheduler is not None
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(loss)
        else:
            self.scheduler.step()
