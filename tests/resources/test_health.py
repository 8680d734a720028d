"""How slow a node in trouble is taken to be."""

import pytest

from control.resources.health import slow_gpus, slow_host


@pytest.mark.parametrize(
    ("readings", "slow"),
    [
        ([], 1.0),
        ([{"throttle_ratio": 0.0, "sm_clock_hertz": 345e6}], 1.0),  # idle
        (
            [
                {"throttle_ratio": 1.0, "sm_clock_hertz": 990e6},
                {"throttle_ratio": 0.0, "sm_clock_hertz": 1980e6},
            ],
            2.0,
        ),
        ([{"throttle_ratio": 1.0}], 1.0),  # a card that does not tell its clock
        ([{"throttle_ratio": 1.0, "sm_clock_hertz": 1e6}], 4.0),
        ([{"throttle_ratio": "x", "sm_clock_hertz": None}], 1.0),
    ],
)
def test_only_heat_and_power_brakes_slow_a_gpu_and_the_worst_of_a_node_counts(readings, slow):
    assert slow_gpus(readings, 1980e6) == slow


@pytest.mark.parametrize(
    ("latest", "cores", "slow"),
    [
        ({}, 8, 1.0),
        ({"load_1m": 8.5}, 8, 1.0),
        ({"load_1m": 16}, 8, 2.0),
        ({"load_1m": 1}, 0, 1.0),
        ({"load_1m": 99}, 2, 4.0),
    ],
)
def test_a_host_with_more_to_run_than_cores_is_slow(latest, cores, slow):
    assert slow_host(latest, cores) == slow
