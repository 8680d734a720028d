"""When is a higher or a lower rate tried."""

import numpy as np
import pytest

from control.policies.learning_rate import LearningRate
from tests.control.make import a_past, a_rate, noisy, seen

POLICY = LearningRate()
STEPS = np.arange(600)
SLOW = noisy(2.3 * np.exp(-STEPS[:200] / 4000), 0.01)
FAST = noisy(2.3 * np.exp(-STEPS[:200] / 100), 0.05)
STALLED = noisy(np.maximum(2.3 * np.exp(-STEPS / 20), 0.5), 0.2)


def ask(loss, **fields):
    return POLICY.propose(seen(loss, policy=POLICY, **fields))


def tried(**fields):
    return a_past(decided_step=10, judge_at_step=20, applied_step=10, **fields)


@pytest.mark.parametrize(
    ("loss", "fields"),
    [
        ([], {}),
        ([2.3], {}),
        (SLOW[:20], {}),
        (FAST, {}),
        (np.full(200, np.nan), {}),
        (SLOW, {"tunables": {}}),
        (SLOW, {"rate": a_rate(1.0)}),
        (SLOW, {"rate": a_rate("automatic")}),
        (SLOW, {"past": (tried(state="applied"),)}),
        (SLOW, {"past": (tried(verdict="worse", state="undone", new_value=0.3),)}),
        (SLOW, {"past": (tried(verdict="same", state="undone", new_value=0.2),)}),
        (SLOW, {"past": (tried(policy="divergence", urgent=True, old_value=0.2, new_value=0.05),)}),
        (SLOW, {"rate": a_rate(0.1, changed_step=150)}),
        (STALLED, {"rate": a_rate(1e-6)}),
        (STALLED, {"rate": a_rate(0.1, changed_step=400)}),
    ],
    ids=[
        "nothing", "one point", "too short", "well on its way", "NaN", "no rate", "at the upper bound",
        "not a number", "a trial is open", "3x was worse", "less was no better", "2x broke it",
        "changed just now", "at the lower bound", "not stalled for long enough",
    ],
)  # fmt: skip
def test_the_rate_is_kept(loss, fields):
    assert ask(loss, **fields) == []


@pytest.mark.parametrize(
    ("loss", "fields", "factor", "words"),
    [
        (SLOW, {}, 3, "falls smoothly but slowly"),
        (noisy(2.3 * np.ones(200), 0.005), {}, 3, "hardly moved"),
        (STALLED, {}, 1 / 3, "stopped falling"),
        (noisy(np.linspace(0.5, 1.5, 300), 0.1), {}, 1 / 3, "rises"),
        (
            noisy(2.3 * np.exp(-STEPS[:200] / 400), 0.05),
            {"past": (tried(verdict="better"),)},
            3,
            "raise helped",
        ),
        (noisy(np.exp(-STEPS / 4000), 0.2), {"first_step": 5000}, 3, "falls slowly"),
    ],
)
def test_the_rate_is_tried(loss, fields, factor, words):
    (proposal,) = ask(loss, **fields)
    (change,) = proposal.changes
    assert (change.verb, change.tunable) == ("set", "lr")
    assert change.value == pytest.approx(0.1 * factor, rel=0.01)
    assert words in proposal.reason
    assert proposal.trial
    assert not proposal.urgency
    assert proposal.expected.low <= proposal.expected.effect <= proposal.expected.high


def test_a_trial_is_clipped_to_the_bounds():
    (up,) = ask(SLOW, rate=a_rate(0.1, high=0.2))
    (down,) = ask(STALLED, rate=a_rate(0.1, low=0.05))
    assert (up.changes[0].value, down.changes[0].value) == (0.2, 0.05)


def test_each_lower_rate_that_brought_nothing_doubles_the_patience():
    idle = tried(verdict="unclear", state="undone", new_value=0.033)
    assert ask(STALLED) != []
    assert ask(STALLED, past=(idle,)) == []
    longer = noisy(np.maximum(2.3 * np.exp(-np.arange(950) / 20), 0.5), 0.2)
    assert ask(longer, past=(idle,)) != []


def test_a_rate_that_proved_too_high_is_tried_again_when_the_run_has_moved_on():
    worse = tried(verdict="worse", state="undone", new_value=0.3)
    assert ask(SLOW, first_step=5000, past=(worse,)) != []


def test_the_noisier_the_loss_the_longer_the_trial():
    (calm,) = ask(SLOW)
    (wild,) = ask(STALLED)
    assert calm.judge_after_steps < wild.judge_after_steps <= 4 * calm.judge_after_steps


def test_a_loss_that_may_be_negative_is_read_in_units_of_its_spread():
    (proposal,) = ask(np.random.default_rng(0).normal(-1, 0.2, 600), first_step=5000)
    assert proposal.changes[0].value < 0.1
    assert proposal.evidence["unit"] == "spread"


def test_steps_are_counted_in_points_where_not_every_step_is_logged():
    (proposal,) = ask(SLOW, stride=10)
    assert proposal.judge_after_steps == 1000
