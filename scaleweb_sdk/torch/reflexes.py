"""What cannot wait for anybody: steps that are not finite, and memory that ran out."""

import math
from types import TracebackType
from typing import TYPE_CHECKING

import torch

from scaleweb_sdk.orders import Refused

from .checkpoints import BrokenCheckpoint

if TYPE_CHECKING:
    from .loop import Loop


class NonFinite:
    """Skips steps whose loss or gradient is no number, and goes back to a checkpoint when that does not end.

    skipped: such steps in all. streak: in a row, up to now. due: going back is due at the next boundary.
    """

    def __init__(self, loop: "Loop", limit: int) -> None:
        self.loop = loop
        self.limit = limit
        self.skipped = 0
        self.streak = 0
        self.due = False
        self._good_steps = 0
        self._fruitless: list[int] = []  # steps gone back to since the last good stretch
        self._gave_up = False  # no checkpoint helped: not tried again before the next good stretch

    def count(self, good: bool, loss: float, norm: float) -> None:
        if good:
            self.streak = 0
            self._good_steps += 1
            if self._good_steps >= 10 * self.limit:
                self.hope()
            return
        self._good_steps = 0
        self.streak += 1
        self.skipped += 1
        if self.streak == 1 or self.streak % 100 == 0:
            what = f"loss {loss}" if not math.isfinite(loss) else f"gradient norm {norm}"
            self.loop.run.reflex(
                "non_finite", f"{what} at step {self.loop.step}: the optimiser's step was skipped",
                skipped=self.skipped, in_a_row=self.streak,
            )  # fmt: skip
        self.due = self.streak % self.limit == 0 and not self._gave_up

    def hope(self) -> None:
        """All checkpoints may be gone back to again: what failed after them is over."""
        self._fruitless.clear()
        self._gave_up = False

    def forget(self) -> None:
        """Another state is in place: what was counted is not about it."""
        self.streak = self._good_steps = 0
        self.due = False

    def roll_back(self) -> None:
        """To the newest checkpoint that is older than those that did not help since the last good stretch."""
        self.due = False
        loop = self.loop
        limit = min(self._fruitless, default=loop.step)
        for saved in sorted(loop.keeper.saved, key=lambda saved: saved.step, reverse=True):
            # The same state would fail again where it failed; step 0 is the last resort, and is tried once.
            if saved.step >= limit:
                continue
            try:
                loop.restore(saved.path)
            except (BrokenCheckpoint, Refused) as error:
                loop.run.note(str(error))
                continue
            self._fruitless.append(saved.step)
            loop.run.reflex(
                "rolled_back",
                f"{self.limit} steps in a row were not finite: back to the checkpoint of step {saved.step}",
                to_step=saved.step, skipped=self.skipped,
            )  # fmt: skip
            return
        self._gave_up = True
        loop.run.reflex(
            "no_way_back",
            f"{self.streak} steps in a row were not finite and no further checkpoint is left to go back "
            "to; steps are skipped until the loss is finite again",
            skipped=self.skipped,
        )


def shrink(loop: "Loop", error: BaseException) -> None:
    """A smaller micro-batch and as many more of them: the same effective batch. Raises `error` if it
    cannot be smaller."""
    feed = loop.feed
    size = None if feed is None else feed.batch_size
    # Of several ranks one cannot shrink alone: the others wait for it in the exchange of gradients.
    if feed is None or size is None or size < 2 or loop.agreement is not None:
        raise error
    # The smallest prime factor, 2 for an even size: the effective batch stays exactly what it was.
    factor = next((f for f in range(2, math.isqrt(size) + 1) if size % f == 0), size)
    loop.optimizer.zero_grad()
    again = feed.give_back(loop.current.batches)
    accumulation = loop.controls.accumulate * factor
    use = None if loop.memory.meter is None else loop.memory.meter.read()
    loop.controls.tell("batch_size", failed=size, failed_limit_bytes=None if use is None else use.limit_bytes)
    loop.controls.change("batch_size", size // factor)
    loop.controls.change("accumulation", accumulation)
    loop.current.clear()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    loop.run.reflex(
        "out_of_memory",
        f"out of memory at step {loop.step + 1}: batches of {size // factor} in place of {size}, "
        f"{accumulation} of them to a step" + ("" if again else "; the samples of this step are passed over"),
        batch_size=size // factor, accumulation=accumulation,
        effective_batch=size // factor * accumulation,
    )  # fmt: skip


class Guard:
    """Made by `Loop.guard`: out of memory inside it shrinks the batch."""

    def __init__(self, loop: "Loop") -> None:
        self._loop = loop

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, self._loop.out_of_memory_errors):
            return False
        # The traceback keeps the forward pass's tensors alive, and with them the memory.
        error.__traceback__ = None
        shrink(self._loop, error)
        return True
