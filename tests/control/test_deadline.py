"""A policy that does not come back costs its own answer, and nobody else's time."""

import threading
import time

import pytest

from control.deadline import Patience, TooSlow
from control.decide import consider
from control.guards import Limits
from control.policies.divergence import Divergence
from tests.control.make import seen


class Plug:
    name = "plug"
    summary = "Somebody else's."
    defaults = {}

    def __init__(self, do):
        self.do = do

    def propose(self, observation):
        return self.do(observation)


def loops_for_ever(_):
    while True:
        pass


def clings_to_life(_):
    for _ in range(3):
        try:
            while True:
                pass
        except BaseException:
            continue


def never_ends(_):
    while True:
        yield from ()


def raises(_):
    raise KeyError("loss")


QUICK = {"seconds": 0.05, "in_all": 0.2}


@pytest.mark.parametrize("do", [loops_for_ever, clings_to_life, never_ends])
def test_a_policy_that_never_returns_is_stopped_and_the_others_are_heard(do):
    observed = seen([2.3] * 300 + [float("nan")] * 20)
    patience = Patience(["divergence"], **QUICK)
    found, problems = consider(observed, [Plug(do), Divergence()], {}, Limits(), ask=patience)
    assert [item.proposal.policy for item in found] == ["divergence"]
    assert [(p.policy, "gave no answer within 0.05 s; it was stopped" in p.message) for p in problems] == [
        ("plug", True)
    ]


def test_one_that_waits_where_nothing_reaches_it_is_left_out_until_it_comes_back():
    gate = threading.Event()
    policy = Plug(lambda _: gate.wait() and [])
    patience = Patience([], seconds=0.05, in_all=9)
    with pytest.raises(TooSlow, match="does not react"):
        patience(policy, seen([1.0]))
    began = time.monotonic()
    with pytest.raises(TooSlow, match="has not come back"):
        patience(policy, seen([1.0]))
    assert time.monotonic() - began < 0.04
    gate.set()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            assert list(patience(policy, seen([1.0]))) == []
            return
        except TooSlow:
            continue
    pytest.fail("the policy was not asked again although it had come back")


def test_a_policy_that_is_slow_for_every_run_has_so_much_of_a_tick_and_no_more():
    policy = Plug(lambda _: threading.Event().wait(0.03) or [])
    patience = Patience([], seconds=1, in_all=0.1)
    until = time.monotonic() + 5
    asked = 0
    while patience.left.get("plug", 1) > 0 and time.monotonic() < until:
        patience(policy, seen([1.0]))
        asked += 1
    with pytest.raises(TooSlow, match="used up"):
        patience(policy, seen([1.0]))
    assert 1 <= asked <= 4
    assert list(Patience([], seconds=1)(policy, seen([1.0]))) == []


def test_what_a_policy_raises_is_raised_and_its_thread_serves_on():
    policy = Plug(raises)
    patience = Patience([])
    for _ in range(2):
        with pytest.raises(KeyError):
            patience(policy, seen([1.0]))
    policy.do = lambda observation: [observation.run]
    assert list(patience(policy, seen([1.0]))) == ["abc"]


def test_the_sites_own_policies_are_asked_in_the_ticks_own_thread():
    threads = []
    policy = Plug(lambda _: threads.append(threading.current_thread()) or [])
    Patience(["plug"])(policy, seen([1.0]))
    assert threads == [threading.current_thread()]
