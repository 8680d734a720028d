"""A training that goes on with another number of ranks: the same batch in other shares, or the rate along with it."""

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .loop import Loop

BATCH, RATE_RULE = "batch", "rate-rule"


@dataclass(frozen=True)
class Share:
    """A rank's part of a step: `accumulation` micro-batches of `batch` samples."""

    batch: int
    accumulation: int

    @property
    def samples(self) -> int:
        return self.batch * self.accumulation


def reshared(share: Share, world: int, new_world: int) -> Share:
    """The shares of `new_world` ranks whose step has as many samples as before, or the nearest number there is.

    Micro-batches do not grow: what fitted into memory still fits.
    """
    wanted = share.samples * world / new_world
    if wanted == int(wanted):
        most = min(share.batch, int(wanted))
        batch = next(size for size in range(most, 0, -1) if wanted % size == 0)
        # Many tiny micro-batches cost more than a step of a few samples more or less.
        if 2 * batch > most:
            return Share(batch, int(wanted) // batch)
    accumulation = max(1, math.ceil(wanted / share.batch))
    return Share(max(1, round(wanted / accumulation)), accumulation)


def rate_factor(family: str, noise: float | None, ratio: float, batch: float) -> float:
    """What to multiply the learning rate by when a step's samples grow `ratio` times.

    Optimisers that divide by the gradient's own scale: the square root (Malladi et al. 2022, arXiv 2205.10287). SGD:
    the gain of AdaScale (Johnson et al. 2020, arXiv 2007.05105) at the noise scale that was measured, and the ratio
    itself where none was (Goyal et al. 2017, arXiv 1706.02677).
    """
    if family != "sgd":
        return math.sqrt(ratio)
    if noise is None or not math.isfinite(noise):
        return ratio
    return (noise / batch + 1) / (noise / (ratio * batch) + 1)


def adapt(loop: "Loop", state: dict[str, Any]) -> None:
    """After a resumption with another number of ranks than the checkpoint's: keep what the job wants to be kept."""
    world, new_world = int(state.get("world_size") or 1), loop.run.world_size
    if world == new_world:
        return
    controls = loop.controls
    values = controls.values
    share = Share(int(values.get("batch_size") or 1), int(values["accumulation"]))
    before = share.samples * world
    if os.environ.get("SCALEWEB_KEEP", BATCH) == RATE_RULE:
        told = follow_rate(loop, state, before, before * new_world / world)
    else:
        new = reshared(share, world, new_world)
        if "batch_size" not in values and new.batch != share.batch:
            # Batches that the script makes itself: only their number can follow.
            new = Share(share.batch, max(1, round(share.accumulation * world / new_world)))
        for name, value in (("batch_size", new.batch), ("accumulation", new.accumulation)):
            if name in values and values[name] != value:
                controls.change_within(name, value)
        after = new.samples * new_world
        told = f"micro-batch {new.batch}, {new.accumulation} to a step on each: {after} samples a step"
        if after != before:
            told += f" in place of {before}, which {new_world} processes cannot share evenly"
    loop.run.reflex(
        "rescaled", f"goes on at step {loop.step} with {new_world} processes in place of {world}; {told}",
        world_size=new_world, was=world,
    )  # fmt: skip


def follow_rate(loop: "Loop", state: dict[str, Any], before: float, after: float) -> str:
    rate = loop.controls.values.get("lr")
    if rate is None:
        return "its learning rate is no control, and stays"
    family = str(loop.controls.told("lr", "family") or "")
    noise = state.get("noise_scale")
    factor = rate_factor(family, noise, after / before, before)
    loop.controls.change_within("lr", rate * factor)
    return f"{after:g} samples a step in place of {before:g}, learning rate {rate:g} -> {rate * factor:g}"
