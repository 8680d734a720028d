"""A gradient beyond all that came before is left out, so that one batch of garbage spoils nothing."""

import math

import pytest
import torch

import scaleweb_sdk.torch
from scaleweb_sdk.torch.jumps import MOST_IN_A_ROW, READY, GradientJumps
from tests.trainers.small import events, local_run, loss_of, parts, points, weights


def training(tmp_path=None, **options):
    run = local_run()
    model, optimizer, loader = parts(momentum=0.0)
    model[2].p = 0.0
    loop = scaleweb_sdk.torch.attach(
        run, model, optimizer, loader, checkpoint_dir=tmp_path, checkpoint_every=10, **options
    )
    return run, loop


def moved(loop, steps, factor_of):
    """Train; `factor_of(step)` multiplies the loss. By how far each step moved the weights."""
    moves = {}
    for step, batch in loop.batches(steps):
        before = weights(loop.model)
        loop.backward(factor_of(step) * loss_of(loop.model, batch))
        after = weights(loop.model)
        moves[step] = math.sqrt(sum(float((after[name] - before[name]).pow(2).sum()) for name in after))
    return moves


def reflexes(run):
    return [(step, data["name"]) for step, data in events(run, "reflex")]


def at(*steps, factor=1000.0):
    return lambda step: factor if step in steps else 1.0


def test_a_gradient_that_jumps_is_left_out():
    run, loop = training()
    moves = moved(loop, 80, at(70, 71))
    assert moves[70] == moves[71] == 0
    assert moves[72] > 0
    ((step, data),) = events(run, "reflex")  # one row for jumps in a row
    assert (step, data["name"]) == (69, "gradient_jump")  # between its step and the one before
    assert " at step 70, " in data["reason"]
    assert data["norm"] / data["usual"] > 100
    assert data["reason"].endswith("times the greatest of the last 69 steps: left out")
    assert (loop.jumps.seen, loop.skipped) == (2, 0)


def test_what_comes_back_may_be_rare_and_is_a_usual_step():
    run, loop = training()
    moves = moved(loop, 100, at(60, 70, 80, 90, 91))
    assert moves[60] == moves[70] == 0
    usual = sorted(moves[step] for step in range(1, 60))[29]
    for step in (80, 90, 91):
        assert 0.3 * usual < moves[step] < 3 * usual
    said = [data["reason"].partition("steps: ")[2][:11] for _, data in events(run, "reflex")]
    assert said == ["left out", "left out", "scaled down", "scaled down"]


def test_the_norm_is_logged_as_it_came():
    run, loop = training()
    moved(loop, 80, at(70))
    norms = {step: norm for _, step, norm in points(run, "grad_norm")}
    assert norms[70] > 50 * norms[69]


def test_what_is_no_jump_is_left_alone():
    for factor_of, options in (
        (at(70, factor=5.0), {}),  # five times is no jump
        (at(READY - 1), {}),  # nor anything at the beginning
        (at(70), {"gradient_jump": None}),
    ):
        run, loop = training(**options)
        moves = moved(loop, 75, factor_of)
        assert not events(run, "reflex")
        (jump,) = [step for step in range(1, 76) if factor_of(step) > 1]
        assert moves[jump] > 1.5 * moves[jump - 1]


def test_a_level_that_stays_is_taken_as_it_is():
    run, loop = training()
    moves = moved(loop, 110, lambda step: 1.0 if step < 60 else 1000.0)
    assert reflexes(run) == [(59, "gradient_jump"), (59 + MOST_IN_A_ROW, "gradient_level")]
    assert moves[60 + MOST_IN_A_ROW - 1] == 0
    assert moves[60 + MOST_IN_A_ROW] > 10 * moves[59]


def test_what_clipping_left_is_what_counts():
    run, loop = training(clip=1e-3)
    moved(loop, 75, at(70))
    assert not events(run, "reflex")


def test_gradients_that_are_mostly_nothing_are_no_measure():
    run = local_run()
    jumps = GradientJumps(run, 10.0)
    for step in range(1, 100):
        assert jumps.share(2.0 if step % 10 == 0 else 0.0, step) == 1
    assert jumps.share(1e6, 100) == 1


def test_going_back_brings_back_the_norms_of_then(tmp_path):
    _, loop = training(tmp_path)
    moved(loop, 60, at())
    before = loop.jumps.state_dict()
    path = loop.checkpoint()
    moved(loop, 70, at())
    assert loop.jumps.state_dict() != before
    loop.restore(path)
    assert loop.jumps.state_dict() == before


@pytest.mark.parametrize("factor", [1, 0, -3.0, math.nan])
def test_a_factor_that_cannot_be_is_refused(factor):
    with pytest.raises(ValueError, match="expected a factor above 1, or None"):
        training(gradient_jump=factor)


def test_a_step_under_a_scaler_is_left_out_too_and_its_scale_goes_on():
    run = local_run()
    model, optimizer, loader = parts()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**4, growth_interval=10_000)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, scaler=scaler)
    moves = moved(loop, 80, at(70))
    assert [step for step, move in moves.items() if move == 0] == [70]
    assert [data["name"] for _, data in events(run, "reflex")] == ["gradient_jump"]
    assert scaler.get_scale() == 2.0**4
