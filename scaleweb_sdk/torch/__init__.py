"""A PyTorch training that is seen and steered live, with the loop still the user's own.

A complete training script:

    import torch
    import scaleweb_sdk
    import scaleweb_sdk.torch

    images, labels = torch.randn(1000, 64), torch.randint(10, (1000,))
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(images, labels), batch_size=32, shuffle=True
    )
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    with scaleweb_sdk.init(experiment="example") as run:
        loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader=loader, clip=1.0)
        for step, (image, label) in loop.batches(max_steps=1000):
            loop.backward(torch.nn.functional.cross_entropy(model(image), label))

That logs loss, lr, grad_norm, samples a second, where the time of a step goes, how the weights move, and memory and
gradient noise where they can be measured; declares lr, weight_decay, gradient_clip, batch_size, accumulation,
loader_workers, prefetch and trust_ratio as controls; saves checkpoints, resumes from them and rolls back to them;
pauses and stops on request; skips steps whose loss or gradient is not finite and goes back when they do not end, and
leaves out one whose gradient is beyond all that came before. With nobody steering and nothing of that kind, the weights
come out bit for bit as without it.

To survive running out of GPU memory in the forward pass too, put both passes in a guard:

        for step, (image, label) in loop.batches(max_steps=1000):
            with loop.guard():
                loop.backward(torch.nn.functional.cross_entropy(model(image), label))

The forward pass in `with loop.forward():` computes in the control `precision`: float32 until somebody sets bfloat16.

What it does not do: optimisers that need a closure (LBFGS), and saving the random state inside loader workers (what
they augment after a resumption differs; the order of samples does not).
"""

import os
from pathlib import Path
from typing import Any

import torch

from scaleweb_sdk.run import Run

from . import rescaling
from .agreement import agreement_of
from .algorithm.masks import Masks
from .checkpoints import BrokenCheckpoint, CheckpointFolder
from .controls import Controls
from .feed import feed_for
from .jumps import GradientJumps
from .keeper import Keeper, core_of
from .loop import Loop
from .memory import device_of
from .noise import GradientNoise
from .precision import Precision
from .rates import Rates
from .trust import TrustRatio

__all__ = ["BrokenCheckpoint", "Loop", "attach"]


def attach(
    run: Run,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loader: Any = None,
    *,
    scheduler: Any = None,
    scheduler_every: str = "step",
    clip: float | None = None,
    accumulate: int = 1,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 500,
    keep: int = 5,
    best: str | None = None,
    best_direction: str = "min",
    non_finite_limit: int = 5,
    gradient_jump: float | None = 10.0,
    lr_bounds: tuple[float, float] | None = None,
    scaler: Any = None,
    precision: str = "float32",
    extra: dict[str, Any] | None = None,
) -> Loop:
    """A loop over `loader` that trains `model` under `run`.

    run: from `scaleweb_sdk.init`. loader: a DataLoader, any other iterable of batches, or None for a training
    that makes its own batches and iterates over `loop.steps()`.
    scheduler: a learning-rate scheduler of this optimiser. The loop steps it after each optimiser step
    (scheduler_every="step"), after each epoch ("epoch"), or leaves that to the script ("script");
    ReduceLROnPlateau gets the step's loss or the epoch's mean loss. The control `lr` is then its base rate
    and scales all it sets.
    clip: largest gradient norm, None for no clipping. accumulate: batches in one optimiser step.
    checkpoint_dir: where checkpoints go; by default the folder that the job names
    (SCALEWEB_CHECKPOINT_DIR), and none at all outside a job. checkpoint_every: steps between two, 0 for only
    the first and the last. keep: how many of the newest stay, beside the first, the best and those that were asked for
    or pinned. best: the key of the metric that names the best, min or max by best_direction; by default the goal's
    metric of the job's experiment. The one with the least loss stays, too.
    non_finite_limit: steps with a loss or gradient that is not finite, in a row, before it goes back to a
    checkpoint by itself. gradient_jump: a step whose gradient is so many times as long as the longest of the last
    hundred is left out, and where that comes back, scaled down to their median; None for never.
    lr_bounds: lowest and highest rate of the control.
    scaler: a torch.amp.GradScaler, as float16 autocast needs one (bfloat16 needs none): the loop scales, unscales
    before it clips, steps and updates it. A gradient that overflows its scale is its business, not a reflex's.
    precision: what `with loop.forward():` computes in at first: float32, bfloat16, or float16 with a scaler.
    extra: further objects with state_dict and load_state_dict to save and restore, by name.

    In a process that was started to resume (SCALEWEB_RESUME) it continues from that checkpoint, the next
    older one where the file is broken; tunables of the script's own that were declared before attach() get
    their values back, too. Raises ValueError for arguments that cannot be.
    """
    if scheduler_every not in {"step", "epoch", "script"}:
        raise ValueError(f"scheduler_every={scheduler_every!r}; expected step, epoch or script")
    for name, value, least in (
        ("accumulate", accumulate, 1),
        ("checkpoint_every", checkpoint_every, 0),
        ("keep", keep, 1),
        ("non_finite_limit", non_finite_limit, 1),
    ):
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name}={value!r}; expected a whole number of at least {least}")
    if best_direction not in {"min", "max"}:
        raise ValueError(f"best_direction={best_direction!r}; expected min or max")
    if clip is not None and not clip > 0:
        raise ValueError(f"clip={clip}; expected a norm above 0, or None for no clipping")
    if gradient_jump is not None and not gradient_jump > 1:
        raise ValueError(
            f"gradient_jump={gradient_jump}; expected a factor above 1, or None to leave gradients alone"
        )

    place = checkpoint_dir or os.environ.get("SCALEWEB_CHECKPOINT_DIR")
    folder = CheckpointFolder(Path(place).resolve(), keep) if place else None
    feed = None if loader is None else feed_for(loader)
    rates = Rates(optimizer, scheduler)
    scaler = scaler if scaler is not None and scaler.is_enabled() else None
    trust = TrustRatio(optimizer)
    noise = GradientNoise(model, optimizer, run.rank, feed is not None)
    core = core_of(model)
    masks = Masks(core, optimizer)
    jumps = GradientJumps(run, gradient_jump)
    agreement = agreement_of(run)
    keeper = Keeper(
        run, core, optimizer, rates, feed,
        {"masks": masks} | ({"scaler": scaler} if scaler else {}), extra or {},
        {"trust_ratio": trust, "gradient_jumps": jumps}, folder,
        agreement,
    )  # fmt: skip
    if best is None and (goal := os.environ.get("SCALEWEB_GOAL_METRIC")):
        best, best_direction = goal, os.environ.get("SCALEWEB_GOAL_DIRECTION", "min")
    if best:
        keeper.best_of = (best, best_direction)
        run.watch(best)
    wanted = os.environ.get("SCALEWEB_RESUME")
    found = keeper.find_resumable(Path(wanted)) if wanted else None
    if agreement is not None and wanted:
        # All go on from what the first one could read; a rank that cannot ends here, and says which file.
        chosen = agreement.from_first(None if found is None else found[1])
        if chosen is None or found is None or found[1] != chosen:
            found = None if chosen is None else (keeper.read(chosen), chosen)
    saved: dict[str, Any] = {} if found is None else found[0]["settings"]
    controls = Controls(
        run, model, optimizer, rates, feed, Precision(device_of(model), precision, scaler), trust,
        ranks=max(1, noise.ranks), clip=clip, accumulate=accumulate, lr_bounds=lr_bounds, saved=saved,
    )  # fmt: skip
    loop = Loop(
        run, model, optimizer, rates, feed, controls, keeper, noise, trust, masks, jumps,
        scaler=scaler, scheduler_every=scheduler_every, checkpoint_every=checkpoint_every,
        non_finite_limit=non_finite_limit,
    )  # fmt: skip
    if found is not None:
        loop.resume(*found)
        rescaling.adapt(loop, found[0])
    loop.declare_orders()
    return loop
