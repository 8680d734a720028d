"""A gradient scaler, as float16 needs one, does under the loop what it does without it."""

import math

import pytest
import torch

import scaleweb_sdk.torch
from tests.trainers.small import events, local_run, loss_of, order, parts, points, same, train, weights

STEPS = 40


def scaler(**options):
    return torch.amp.GradScaler("cpu", **{"init_scale": 2.0**10, "growth_interval": 8, **options})


def attached(folder=None, run=None, **options):
    run = run or local_run()
    model, optimizer, loader = parts(momentum=0.9)
    scaling = scaler(**options)
    loop = scaleweb_sdk.torch.attach(
        run,
        model,
        optimizer,
        loader,
        clip=0.5,
        accumulate=2,
        scaler=scaling,
        checkpoint_dir=folder,
        checkpoint_every=10,
    )
    return run, loop, scaling


def test_weights_losses_and_scale_are_those_of_the_loop_by_hand():
    model, optimizer, loader = parts(momentum=0.9)
    scaling, step, gathered = scaler(), 0, 0
    while step < STEPS:
        for batch in loader:
            with torch.autocast("cpu", torch.float16):
                loss = loss_of(model, batch)
            scaling.scale(loss / 2).backward()
            gathered += 1
            if gathered < 2:
                continue
            scaling.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            scaling.step(optimizer)
            scaling.update()
            optimizer.zero_grad()
            gathered, step = 0, step + 1
            if step == STEPS:
                break
    _, loop, other = attached()
    for _, batch in loop.batches(STEPS):
        with torch.autocast("cpu", torch.float16):
            loss = loss_of(loop.model, batch)
        loop.backward(loss)
    assert same(loop.model.state_dict(), model.state_dict())
    assert other.get_scale() == scaling.get_scale() > 2.0**10


def test_a_scale_that_is_too_large_is_lowered_and_no_reflex():
    run, loop, _ = attached(init_scale=2.0**127)
    before = weights(loop.model)
    for step, batch in loop.batches(30):
        loop.backward(1000 * loss_of(loop.model, batch))
        if step == 1:
            assert same(loop.model.state_dict(), before), "no step was made of what overflowed"
    assert not events(run, "reflex")
    scales = [value for _, _, value in points(run, "loss_scale")]
    assert scales[0] == 2.0**127
    assert scales[-1] < scales[0]
    assert not same(loop.model.state_dict(), before)


def test_a_loss_that_is_not_finite_is_a_reflex_with_a_scaler_too():
    run, loop, scaling = attached()
    for step, batch in loop.batches(6):
        loop.backward(loss_of(loop.model, batch) * (math.nan if step == 3 else 1.0))
    assert [data["name"] for _, data in events(run, "reflex")] == ["non_finite"]
    assert scaling.get_scale() == 2.0**10


@pytest.mark.parametrize("how", ["resume", "roll back"])
def test_the_scale_comes_back_with_the_checkpoint(tmp_path, monkeypatch, how):
    run, loop, scaling = attached(tmp_path)
    train(loop, 20)
    then = scaling.get_scale()
    path = loop.checkpoint()
    train(loop, 40)
    assert scaling.get_scale() > then
    if how == "roll back":
        order(run, "rollback", value={"step": 20, "path": str(path)})
        run.step(step=loop.step)
        assert scaling.get_scale() == then
    else:
        monkeypatch.setenv("SCALEWEB_RESUME", str(path))
        _, again, resumed = attached(tmp_path)
        assert again.step == 20
        assert resumed.get_scale() == then
