"""Loader workers and prefetching: raised where steps wait, by as much as the measured times call for."""

import numpy as np
import pytest

from control.decide import consider
from control.guards import Limits
from control.policies.input import Input
from tests.control.make import a_count, a_past, a_window, named, noisy, seen

POLICY = Input()


def run(wait_ms, compute_ms=10.0, workers=0, cores=8, prefetch=2, points=120, wait=None, **fields):
    """A run whose steps wait so long for their batch and then compute."""
    waits = noisy(np.full(points, wait_ms / 1000), 0.05) if wait is None else np.asarray(wait) / 1000
    steps = waits + compute_ms / 1000
    tunables = named(
        a_count("loader_workers", workers, low=0, high=cores, scale="linear", about={"cores": cores}),
        a_count("prefetch", prefetch, high=32),
    )
    windows = {
        "_data_wait_seconds": a_window(waits),
        "_step_seconds": a_window(steps),
        "_samples_per_second": a_window(64 / steps),
    }
    fields = {"tunables": tunables, "windows": windows} | fields
    return seen(np.ones(points), policy=POLICY, **fields)


def asked(observation):
    found = POLICY.propose(observation)
    return [(p.changes[0].tunable, p.changes[0].value) for p in found]


@pytest.mark.parametrize(
    ("wait_ms", "workers", "cores", "wanted"),
    [
        (0.5, 0, 8, []),  # 5 % of a step
        (0.5, 4, 8, []),
        (5.0, 0, 8, [1]),  # one worker prepares while the step computes
        (19.0, 0, 8, [2]),
        (200.0, 0, 8, [4]),  # at most half of the range from nothing
        (200.0, 0, 2, [1]),
        (10.0, 1, 8, [2]),  # a batch each 20 ms: two keep up with 10 ms steps
        (35.0, 2, 8, [8]),  # four times at once, and no further than the cores
        (35.0, 2, 4, [4]),
        (10.0, 4, 4, []),  # no core is left
        (10.0, 8, 4, []),
    ],
)
def test_workers_follow_the_measured_times(wait_ms, workers, cores, wanted):
    found = asked(run(wait_ms, workers=workers, cores=cores))
    assert [value for name, value in found] == wanted
    assert all(name == "loader_workers" for name, _ in found)


def test_steps_too_short_for_another_process_are_left_alone():
    """Seen: on steps of one to four milliseconds a worker took 70 to 97 % of the throughput until it was undone."""
    assert asked(run(3.0, compute_ms=1.0)) == []
    assert asked(run(5.0, compute_ms=1.0)) == [("loader_workers", 4)]


@pytest.mark.parametrize(("past", "offered"), [((), [5]), ((5,), []), ((8,), [])])
def test_half_of_the_workers_is_on_offer_where_it_was_not_tried(past, offered):
    tried = tuple(
        a_past(policy="input", tunable="loader_workers", new_value=value, verdict="same", applied_step=30)
        for value in past
    )
    found = POLICY.propose(run(35.0, workers=2, cores=8, points=200, past=tried))
    assert [other.changes[0].value for each in found for other in each.alternatives] == offered


def test_waits_in_bursts_are_met_by_preparing_further_ahead():
    bursts = np.where(np.arange(120) % 8 == 7, 40.0, 0.1)
    assert asked(run(0, workers=4, cores=4, wait=bursts)) == [("prefetch", 4)]
    assert asked(run(0, workers=4, cores=4, wait=bursts, prefetch=32)) == []
    assert asked(run(10.0, workers=4, cores=4)) == []  # even waits: workers are too slow, not too close


@pytest.mark.parametrize("verdict", ["same", "worse", "unclear"])
def test_what_brought_nothing_is_not_tried_again_for_long(verdict):
    past = a_past(
        policy="input", tunable="loader_workers", old_value=1, new_value=2, state="undone", verdict=verdict,
        decided_step=10, applied_step=10,
    )  # fmt: skip
    assert asked(run(10.0, workers=1, past=(past,))) == []
    assert asked(run(10.0, workers=1, past=(past,), step=6000)) != []
    better = a_past(**{**past.__dict__, "verdict": "better"})
    assert asked(run(10.0, workers=1, past=(better,))) != []


def test_it_waits_until_workers_have_settled_and_other_trials_of_speed_are_judged():
    assert asked(run(10.0, points=25)) == []
    tunables = named(
        a_count("loader_workers", 1, low=0, high=8, changed_step=100, about={"cores": 8}),
        a_count("batch_size", 64),
    )
    assert asked(run(10.0, tunables=tunables)) == []
    tunables = named(a_count("loader_workers", 0, low=0, high=8), a_count("batch_size", 64))
    open_trial = a_past(policy="memory", tunable="batch_size", state="applied")
    assert asked(run(10.0, tunables=tunables)) != []
    assert asked(run(10.0, tunables=tunables, past=(open_trial,))) == []


def test_it_says_what_it_saw_and_expects_and_passes_the_guards():
    observation = run(10.0, workers=1)
    (proposal,) = POLICY.propose(observation)
    assert proposal.metric == "_samples_per_second"
    assert proposal.trial
    assert "for their batch, 50 %; loader_workers from 1 to 2" in proposal.reason
    assert proposal.expected.effect == pytest.approx(1.0, abs=0.05)
    assert proposal.evidence["wait_share"] == pytest.approx(0.5, abs=0.02)
    considered, problems = consider(observation, [POLICY], {}, Limits())
    assert not problems
    assert [item.refusal for item in considered] == [None]
    assert considered[0].forecast.direction == "max"


def test_a_run_without_a_loader_of_ours_or_without_figures_is_let_be():
    assert POLICY.propose(seen(np.ones(100), policy=POLICY)) == []
    assert asked(run(10.0, windows={"loss": a_window(np.ones(120))})) == []
