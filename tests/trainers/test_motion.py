"""How the weights move, measured in real trainings."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import scaleweb_sdk.torch
from scaleweb_sdk.torch import motion
from scaleweb_sdk.torch.motion import Motion, sampled
from tests.trainers.small import local_run, points


def regression(rate, steps, tmp_path=None, make=torch.optim.SGD, **fields):
    """(loop, run) of a linear regression in ten dimensions with noise, trained for so many steps."""
    torch.manual_seed(3)
    inputs = torch.randn(2048, 10)
    data = TensorDataset(inputs, inputs @ torch.randn(10, 1) + torch.randn(2048, 1))
    model = torch.nn.Linear(10, 1)
    run = local_run()
    loop = scaleweb_sdk.torch.attach(
        run, model, make(model.parameters(), lr=rate, **fields), DataLoader(data, batch_size=16, shuffle=True),
        checkpoint_dir=tmp_path,
    )  # fmt: skip
    go_on(loop, steps)
    return loop, run


def go_on(loop, steps):
    for _, (image, wanted) in loop.batches(max_steps=steps):
        loop.backward(torch.nn.functional.mse_loss(loop.model(image), wanted))


def told(run, key):
    return {step: value for _, step, value in points(run, key)}


@pytest.mark.parametrize(
    ("make", "low", "good", "fields"),
    [
        (torch.optim.SGD, 1e-4, 0.1, {}),
        (torch.optim.SGD, 1e-5, 0.01, {"momentum": 0.9}),
        (torch.optim.AdamW, 1e-4, 0.1, {}),
    ],
)
def test_weights_walk_straight_at_a_tiny_rate_and_turn_at_a_good_one(make, low, good, fields):
    slow, well = (told(regression(rate, 100, make=make, **fields)[1], "_move_cosine") for rate in (low, good))
    assert list(slow) == list(range(20, 101, 10))
    assert np.mean(list(slow.values())) > 0.8
    assert np.mean(list(well.values())[3:]) < 0.6


def test_a_move_is_told_as_a_share_of_the_weights():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(4))], lr=1.0)
    (weights,) = optimizer.param_groups[0]["params"]
    watch = Motion(optimizer, rank=0)
    found = {}
    for step in range(1, 31):
        with torch.no_grad():
            weights[0] += 0.1
        found[step] = watch.figures(step)
    assert found[10]["_move_ratio"] == pytest.approx(1.0 / np.sqrt(2.0**2 + 3), rel=1e-4)
    assert found[20] == {
        "_move_ratio": pytest.approx(1.0 / np.sqrt(3.0**2 + 3), rel=1e-4), "_move_cosine": pytest.approx(1.0),
    }  # fmt: skip
    assert not any(found[step] for step in found if step % 10)


def test_what_lies_before_a_roll_back_is_forgotten(tmp_path):
    loop, run = regression(0.01, 30, tmp_path)
    loop.restore(loop.keeper.saved[0].path)
    go_on(loop, 30)
    angles = [step for _, step, _ in points(run, "_move_cosine")]
    assert angles == [20, 30, 20, 30]


def test_large_models_are_sampled_and_unusual_ones_left_alone(monkeypatch):
    monkeypatch.setattr(motion, "SAMPLE", 100)
    layers = [torch.nn.Parameter(torch.ones(50, 20)), torch.nn.Parameter(torch.ones(30))]
    assert len(sampled(layers)) == pytest.approx(103, abs=3)
    assert sampled([]) is None
    assert sampled([*layers, torch.nn.Parameter(torch.ones(3, device="meta"))]) is None


def test_a_run_of_many_steps_is_looked_at_now_and_then():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(4))], lr=1.0)
    watch = Motion(optimizer, rank=0)
    looked = []
    for step in range(1, 801):
        with torch.no_grad():
            optimizer.param_groups[0]["params"][0] += 0.01
        if watch.figures(step):
            looked.append(step)
    assert sum(step <= 500 for step in looked) == 50
    assert [step for step in looked if step > 500] == [510, 520, 610, 620, 710, 720]
