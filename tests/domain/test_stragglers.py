"""Who is waited for is told by the time that ranks work alone, not by their step times."""

import pytest

from training.stragglers import stragglers


@pytest.mark.parametrize(
    ("apart", "step", "expected"),
    [
        ({}, 1.0, set()),
        ({0: 0.5}, 1.0, set()),
        ({0: 0.10, 1: 0.11}, 1.0, set()),
        ({0: 0.10, 1: 0.30}, 1.0, {1}),
        ({0: 0.10, 1: 0.11, 2: 0.40, 3: 0.09}, 1.0, {2}),
        ({0: 0.30, 1: 0.31, 2: 0.40, 3: 0.10}, 1.0, {2}),
        ({0: 0.001, 1: 0.002, 2: 0.001}, 1.0, set()),  # twice as long, and nothing of the step
        ({0: 0.001, 1: 0.002, 2: 0.001}, 0.004, {1}),
        ({0: 0.1, 1: 0.3}, None, {1}),
    ],
)
def test_the_rank_that_takes_longer_alone_holds_the_others_up(apart, step, expected):
    assert stragglers(apart, step) == expected
