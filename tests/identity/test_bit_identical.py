"""A training with the SDK attached and nobody steering is the training without it, bit by bit."""

import pytest
import torch
from torch.optim import lr_scheduler

import scaleweb_sdk
import scaleweb_sdk.torch
from tests.trainers.small import loss_of, parts, same

STEPS = 150  # two and a half epochs: the order is drawn anew at each


def constant(optimizer):
    return None


SCHEDULERS = {
    "none": constant,
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda step: 0.99**step),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 40),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.2, total_steps=STEPS + 1),
}


def without_the_sdk(schedule, clip, accumulate, **made):
    model, optimizer, loader = parts(**made)
    scheduler = schedule(optimizer)
    losses, step, gathered = [], 0, 0
    while step < STEPS:
        for batch in loader:
            loss = loss_of(model, batch)
            (loss if accumulate == 1 else loss / accumulate).backward()
            losses.append(loss.item())
            gathered += 1
            if gathered < accumulate:
                continue
            if clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            if scheduler:
                scheduler.step()
            optimizer.zero_grad()
            gathered, step = 0, step + 1
            if step == STEPS:
                break
    return model, losses


def with_the_sdk(folder, schedule, clip, accumulate, **made):
    model, optimizer, loader = parts(**made)
    losses = []
    with scaleweb_sdk.init(experiment="identity", mode="offline", dir=folder, capture=False) as run:
        loop = scaleweb_sdk.torch.attach(
            run, model, optimizer, loader,
            scheduler=schedule(optimizer), clip=clip, accumulate=accumulate,
            checkpoint_dir=folder / "checkpoints", checkpoint_every=20,
        )  # fmt: skip
        for _, batch in loop.batches(STEPS):
            loss = loss_of(model, batch)
            loop.backward(loss)
            losses.append(loss.item())
    return model, losses


@pytest.mark.parametrize("schedule", SCHEDULERS.values(), ids=SCHEDULERS)
@pytest.mark.parametrize(
    ("clip", "accumulate", "made"),
    [
        (None, 1, {"momentum": 0.9}),
        (0.5, 3, {"momentum": 0.9, "weight_decay": 1e-3}),
        (None, 1, {"optimizer": torch.optim.AdamW, "lr": 1e-2, "betas": (0.9, 0.95)}),
    ],
    ids=["plain", "clipped and accumulated", "adamw"],
)
def test_weights_and_losses_are_those_without_the_sdk(tmp_path, schedule, clip, accumulate, made):
    model, losses = without_the_sdk(schedule, clip, accumulate, **made)
    attached, attached_losses = with_the_sdk(tmp_path, schedule, clip, accumulate, **made)
    assert attached_losses == losses
    assert same(attached.state_dict(), model.state_dict())


def test_loader_workers_do_not_change_it_either(tmp_path):
    model, losses = without_the_sdk(constant, None, 1, workers=1)
    attached, attached_losses = with_the_sdk(tmp_path, constant, None, 1, workers=1)
    assert attached_losses == losses
    assert same(attached.state_dict(), model.state_dict())
