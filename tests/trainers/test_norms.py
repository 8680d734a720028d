"""The gradient's length as the loop logs it."""

import math

import pytest
import torch

import scaleweb_sdk.torch
from scaleweb_sdk.torch.norms import total_norm

from .small import local_run, parts, points, train


@pytest.mark.parametrize(
    "gradients",
    [
        [torch.arange(15.0).view(3, 5), torch.tensor(2.0)],
        [torch.ones(4, 6).t(), torch.ones(7, dtype=torch.bfloat16), torch.ones(2, dtype=torch.float64)],
        [],
    ],
)
def test_it_is_as_long_as_torch_says(gradients):
    assert total_norm(gradients) == pytest.approx(float(torch.nn.utils.get_total_norm(gradients)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_it_is_not_finite_where_one_number_is_not(bad):
    assert not math.isfinite(total_norm([torch.ones(3), torch.tensor([1.0, bad])]))


def test_parameters_that_the_optimiser_does_not_train_do_not_count():
    model, _, loader = parts()
    head = model[3]
    run = local_run()
    # The body's gradients are computed too, and nobody ever clears them.
    loop = scaleweb_sdk.torch.attach(run, model, torch.optim.SGD(head.parameters(), lr=1e-9), loader)
    seen = []
    head.weight.register_hook(lambda gradient: seen.append(gradient.square().sum()))
    head.bias.register_hook(lambda gradient: seen.append(gradient.square().sum()))
    train(loop, 5)
    lengths = [math.sqrt(float(seen[i] + seen[i + 1])) for i in range(0, 10, 2)]
    assert [value for _, _, value in points(run, "grad_norm")] == pytest.approx(lengths)
