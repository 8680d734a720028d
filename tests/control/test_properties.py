"""What holds for every observation, however odd."""

import json

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.base import Policy
from control.decide import consider
from control.guards import Limits
from control.policies.divergence import Divergence
from control.policies.learning_rate import LearningRate
from control.proposals import Change, Expected, Goal, Observation, Proposal, TunableView
from tests.control.make import a_checkpoint, a_past, a_window

FINITE = st.floats(-1e6, 1e6, allow_subnormal=False)
LOSSES = st.one_of(
    st.lists(st.floats(allow_subnormal=False), max_size=80),
    st.lists(FINITE, min_size=1, max_size=6).flatmap(
        lambda levels: st.integers(1, 80).map(lambda n: [v for v in levels for _ in range(n)])
    ),
    st.tuples(st.floats(1e-6, 1e6), st.floats(-0.1, 0.1), st.floats(0, 2), st.integers(0, 600)).map(
        lambda p: list(
            p[0] * np.exp(p[1] * np.arange(p[3]) + p[2] * np.random.default_rng(0).standard_normal(p[3]))
        )
    ),
)
BOUNDS = st.tuples(st.floats(1e-9, 1e3), st.floats(1e-9, 1e3), st.floats(1e-9, 1e3)).map(sorted)
PAST = st.lists(
    st.builds(
        a_past,
        policy=st.sampled_from(["divergence", "learning_rate"]),
        state=st.sampled_from(["judged", "undone", "applied", "recorded", "blocked", "proposed", "rejected"]),
        verb=st.sampled_from(["set", "rollback"]),
        verdict=st.sampled_from(["", "better", "same", "worse", "unclear"]),
        old_value=st.sampled_from([0.1, 1e-5, None, "odd"]),
        new_value=st.sampled_from([0.3, 1e-6, None, True]),
        decided_step=st.integers(0, 2000),
        applied_step=st.one_of(st.none(), st.integers(0, 2000)),
    ),
    max_size=5,
)


@st.composite
def observations(draw):
    low, value, high = draw(BOUNDS)
    loss = draw(LOSSES)
    window = a_window(loss, draw(st.sampled_from([0, 7, 5000])), draw(st.sampled_from([1, 10])))
    rate = TunableView("lr", "float", value, value, low, high, "log", role="learning_rate")
    return Observation(
        run="abc",
        step=int(window.steps[-1]) if len(window) else 0,
        goal=Goal("loss", draw(st.sampled_from(["min", "max"]))),
        windows={"loss": window, "grad_norm": window} if len(window) else {},
        tunables={"lr": rate},
        checkpoints=tuple(a_checkpoint(step) for step in draw(st.lists(st.integers(0, 6000), max_size=4))),
        past=tuple(draw(PAST)),
    )


POLICIES = (Divergence(), LearningRate())
QUIET = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUIET
@given(observations())
def test_proposals_that_pass_keep_the_bounds_and_can_be_stored(observation):
    considered, problems = consider(observation, POLICIES, {}, Limits())
    assert problems == []
    rate = observation.tunables["lr"]
    for item in considered:
        for change in item.proposal.changes:
            if change.verb == "set" and item.refusal is None:
                # Four significant digits are what a value is rounded to.
                assert rate.low <= change.value <= rate.high
                assert max(change.value / rate.value, rate.value / change.value) <= 10.01
        assert json.dumps(item.forecast.as_json() if item.forecast else {})
        assert item.proposal.reason.endswith(".")
        expected = item.proposal.expected
        assert expected.low <= expected.effect <= expected.high


@QUIET
@given(observations())
def test_a_policy_is_pure(observation):
    def asked():
        return [i.proposal for i in consider(observation, POLICIES, {}, Limits())[0]]

    assert asked() == asked()


@QUIET
@given(
    observations(),
    st.one_of(st.floats(allow_nan=True), st.integers(), st.text(max_size=3), st.booleans(), st.none()),
    st.booleans(),
)
def test_no_guard_is_passed_by_a_wild_policy(observation, value, urgency):
    class Wild:
        name = "wild"
        summary = "anything"
        defaults = {}

        def propose(self, observation):
            change = Change("set", "lr", value)
            return [Proposal("wild", (change,), "r.", {}, Expected(0, 0, 0), "loss", 10, urgency=urgency)]

    assert isinstance(Wild(), Policy)
    rate = observation.tunables["lr"]
    for item in consider(observation, [Wild()], {}, Limits())[0]:
        if item.refusal is None:
            assert isinstance(value, int | float)
            assert rate.low <= value <= rate.high
            assert max(value / rate.value, rate.value / value) <= 10.02
