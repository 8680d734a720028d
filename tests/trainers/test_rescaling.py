"""What each rank does after the number of ranks has changed, as values."""

import math

import pytest

from scaleweb_sdk.torch.rescaling import Share, rate_factor, reshared


@pytest.mark.parametrize(
    ("batch", "accumulation", "world", "new_world", "expected"),
    [
        (32, 1, 1, 2, (16, 1)),
        (16, 1, 2, 1, (16, 2)),
        (16, 2, 1, 2, (16, 1)),
        (32, 1, 2, 4, (16, 1)),
        (32, 4, 1, 4, (32, 1)),
        (32, 1, 4, 1, (32, 4)),
        (32, 3, 2, 3, (32, 2)),
        (32, 1, 3, 2, (24, 2)),
        (48, 1, 1, 3, (16, 1)),
    ],
)
def test_the_effective_batch_stays_and_no_micro_batch_grows(batch, accumulation, world, new_world, expected):
    share = reshared(Share(batch, accumulation), world, new_world)
    assert (share.batch, share.accumulation) == expected
    assert share.samples * new_world == batch * accumulation * world
    assert share.batch <= batch


def test_what_cannot_be_shared_evenly_is_shared_as_nearly_as_can_be():
    # 128 samples by three ranks.
    share = reshared(Share(32, 1), 4, 3)
    assert share.samples * 3 == 126
    # 43 each is a prime number: 43 micro-batches of one sample would be worse than a sample less.
    share = reshared(Share(32, 1), 43, 32)
    assert (share.batch, share.accumulation) == (22, 2)
    assert reshared(Share(1, 1), 1, 4) == Share(1, 1), "a rank has a sample at least"


def test_the_learning_rate_follows_by_the_optimisers_rule():
    assert rate_factor("adam", 500.0, 4, 64) == 2
    assert rate_factor("", None, 4, 64) == 2, "unknown ones: the careful choice"
    assert rate_factor("sgd", None, 4, 64) == 4
    assert rate_factor("sgd", math.inf, 0.5, 64) == 0.5
    assert rate_factor("sgd", 0.0, 4, 64) == 1, "no noise, no gain"
    assert rate_factor("sgd", 64.0, 2, 64) == pytest.approx(2 / 1.5)
