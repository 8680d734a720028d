"""A start is raised where the weights walk straight on, and left alone where they do not."""

import numpy as np
import pytest

from control.decide import no_action
from control.estimators.motion import COSINE, RATIO, Motion, breadth_of, motion
from control.policies.learning_rate import LearningRate
from control.policies.learning_rate.climb import climb
from control.proposals import Goal
from tests.control.make import a_checkpoint, a_past, a_rate, a_window, noisy, seen

POLICY = LearningRate()
FALLS = noisy(2.3 * np.exp(-np.arange(400) / 200), 0.02)
FLAT = noisy(2.3 * np.ones(400), 0.02)


def moves(cosines, ratios):
    """The windows of a run that is looked at every ten steps: a move has a length from step 10 on, an angle from 20."""
    return {COSINE: a_window(cosines, 20, 10), RATIO: a_window(ratios, 10, 10)}


def walked(loss, cosine, ratio, **fields):
    looks = len(loss) // 10
    windows = moves(np.full(looks - 2, cosine), np.full(looks - 1, ratio)) | fields.pop("windows", {})
    return POLICY.propose(seen(loss, policy=POLICY, windows=windows, **fields))


@pytest.mark.parametrize(
    ("cosine", "ratio", "count", "looks", "last", "agent", "factor"),
    [
        (0.99, 0.005, 1, 1, 1, False, 10),  # regression, a hundredth of the best rate
        (0.84, 0.011, 3, 3, 1, False, 3),  # digits, a hundredth, momentum
        (0.90, 0.035, 4, 4, 1, False, 3),  # GPT, a tenth
        (0.58, 0.48, 4, 4, 1, False, 1),  # digits, well started
        (0.50, 0.15, 4, 4, 1, False, 1),  # GPT, well started
        (0.73, 0.017, 4, 4, 1, False, 1),  # regression, well started
        (0.88, 0.036, 2, 2, 1, True, 1),  # pole on a cart, well started
        (0.85, 0.013, 4, 4, 1, True, 3),  # pole on a cart, a tenth
        (0.78, 6.0, 1, 1, 1, False, 1),  # GPT, ten times too high
        (0.85, 0.05, 6, 30, 1, False, 1),  # a long valley, found late
        (0.74, 0.06, 2, 4, 10, False, 3),  # a climb that goes on
        (0.40, 0.012, 2, 6, 3, False, 2),  # a climb that has come to a turn
        (0.40, 0.012, 2, 6, 2, False, 1),  # and has made its last half step
    ],
)  # fmt: skip
def test_how_far_a_start_is_raised(cosine, ratio, count, looks, last, agent, factor):
    assert climb(Motion(cosine, ratio, count, looks), last, 3.0, agent) == factor


# A GPT of width 384 by AdamW (development seeds 1000 and 1001): the same moves reach four times as far as of width 24.
WIDE = {"family": "adam", "width": 384.0}


@pytest.mark.parametrize(
    ("cosine", "ratio", "count", "factor"),
    [
        (0.74, 0.0022, 2, 10),  # a tenth of the best rate
        (0.64, 0.0095, 3, 1),  # the best one: less than the hundredth that is tiny in a narrow model
        (0.93, 0.046, 1, 1),  # three times too high: straight, and not slow any more
        (0.90, 0.079, 2, 1),  # ten times
    ],
)
def test_in_a_wide_model_a_move_reaches_further_than_its_length(cosine, ratio, count, factor):
    assert climb(Motion(cosine, ratio, count, count, breadth_of(WIDE)), 1, 3.0) == factor


@pytest.mark.parametrize(
    ("about", "breadth"),
    [
        (WIDE, 4),
        ({"family": "sgd", "width": 4 * 51.3}, 2),
        ({"width": 12.0}, 1),
        ({}, 1),
        ({"width": "wide"}, 1),
        ({"width": True}, 1),
        ({"width": float("nan")}, 1),
    ],
    ids=["adam", "sgd", "narrow", "nothing told", "no number", "a bool", "nan"],
)
def test_how_much_further_a_move_reaches_in_a_wide_model(about, breadth):
    assert breadth_of(about) == pytest.approx(breadth)


def test_only_moves_that_began_at_the_present_rate_are_looked_at():
    windows = moves([0.9, 0.9, 0.9, 0.1, 0.2], np.full(6, 0.02))
    assert motion(windows, -1).count == 5
    assert motion(windows, 30) == Motion(pytest.approx(0.15), pytest.approx(0.02), 2, 5)
    assert motion(windows, 45) is None


HARMED = a_past(old_value=0.1, new_value=0.9, state="undone", verdict="worse", applied_step=0)
HELPED = a_past(evidence={"plan": "search"}, old_value=0.03, new_value=0.1, verdict="better", applied_step=0)


@pytest.mark.parametrize(
    ("cosine", "ratio", "past", "own", "others"),
    [
        (0.95, 0.005, (), 1.0, [0.3]),
        (0.95, 0.03, (), 0.3, [1.0]),
        (0.95, 0.03, (HARMED,), 0.3, [0.54]),
        (0.4, 0.012, (HELPED,), 0.2, []),
    ],
    ids=["a decade", "a step", "a step below what did harm", "the half step"],
)  # fmt: skip
def test_a_climb_offers_its_other_step_where_that_is_another(cosine, ratio, past, own, others):
    (proposal,) = walked(FLAT[:60], cosine, ratio, past=past, rate=a_rate(0.1, high=10.0))
    assert proposal.changes[0].value == own
    assert [other.changes[0].value for other in proposal.alternatives] == others


def test_a_run_whose_weights_turn_is_left_alone_however_slowly_its_loss_falls():
    assert walked(FLAT[:200], 0.4, 0.1) == []


def test_a_run_that_walks_straight_is_raised_within_thirty_points_however_well_its_loss_falls():
    (proposal,) = walked(FALLS[:31], 0.95, 0.02)
    assert (proposal.changes[0].value, proposal.plan) == (pytest.approx(0.3), "search")
    assert "in the" not in proposal.reason
    assert "at a cosine of 0.95" in proposal.reason


def test_an_agent_need_not_have_finished_a_game():
    goal = Goal("reward", "max")
    (proposal,) = walked(FLAT[:31], 0.9, 0.002, goal=goal, windows={"reward": a_window([20.0] * 7, 4, 4)})
    assert proposal.changes[0].value == pytest.approx(1.0)


@pytest.mark.parametrize(("longest", "anew"), [(0.13, False), (0.45, True)], ids=["small steps", "a leap"])
def test_an_agent_whose_reward_fell_begins_anew_only_where_a_move_was_a_leap(longest, anew):
    """On a pole the first move is 6 to 9 % of the weights at a good rate, 40 to 55 % at ten times that."""
    reward = a_window(noisy(20 * np.exp(-np.minimum(np.arange(30) / 40, 0.5)), 0.02), 0, 4)
    lengths = np.full(11, 0.05)
    lengths[0] = longest
    windows = {"reward": reward, COSINE: a_window(np.full(10, 0.5), 20, 10), RATIO: a_window(lengths, 10, 10)}
    found = POLICY.propose(
        seen(
            FLAT[:120],
            policy=POLICY,
            goal=Goal("reward", "max"),
            windows=windows,
            checkpoints=(a_checkpoint(0),),
        )
    )
    assert [change.verb for each in found for change in each.changes] == (["rollback", "set"] if anew else [])


STALLS = noisy(np.concatenate([np.linspace(4.2, 3.4, 20), np.full(60, 3.35)]), 0.02)
GETS_ON = noisy(4.2 * np.exp(-np.arange(80) / 160), 0.02)
CAME_FAR = noisy(np.concatenate([np.linspace(4.2, 1.6, 20), np.full(60, 1.55)]), 0.02)


@pytest.mark.parametrize(
    ("loss", "first", "about", "anew"),
    [
        (STALLS, 0.84, {}, True),
        (STALLS, 0.5, {}, False),
        (STALLS, None, {}, False),
        (GETS_ON, 0.84, {}, False),
        (CAME_FAR, 1.0, {}, False),
        (STALLS, 0.22, WIDE, True),
        (STALLS, 0.07, WIDE, False),
    ],
    ids=[
        "uprooted and stalls", "a long first move", "not measured", "gets on", "weights that began at zero",
        "a wide model, ten times too high", "a wide model, three times",
    ],
)  # fmt: skip
def test_a_start_whose_first_steps_left_nothing_of_its_weights_begins_anew_where_it_stalls(
    loss, first, about, anew
):
    lengths = np.full(7, 0.14)
    windows = {}
    if first is not None:
        lengths[0] = first
        windows = {COSINE: a_window(np.full(6, 0.4), 20, 10), RATIO: a_window(lengths, 10, 10)}
    rate = a_rate(0.1, about=about)
    found = POLICY.propose(
        seen(loss, policy=POLICY, rate=rate, windows=windows, checkpoints=(a_checkpoint(0),))
    )
    assert [change.verb for each in found for change in each.changes] == (["rollback", "set"] if anew else [])
    if anew:
        assert found[0].changes[1].value == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("first", "lowered"), [(0.26, False), (0.45, True), (None, True)], ids=["short", "long", "not measured"]
)
def test_a_gradient_that_doubles_is_an_overshoot_only_where_the_first_move_was_long(first, lowered):
    """A digits run at its best rate was lowered twice for it, and missed its target."""
    loss = noisy(np.concatenate([np.linspace(2.3, 1.7, 60), np.full(80, 1.7)]), 0.02)
    windows = {"grad_norm": a_window([1.0] * 5 + [2.5] * 5 + [1.0] * 130)}
    if first is not None:
        lengths = np.full(13, 0.12)
        lengths[0] = first
        windows |= {COSINE: a_window(np.full(12, 0.3), 20, 10), RATIO: a_window(lengths, 10, 10)}
    found = POLICY.propose(seen(loss, policy=POLICY, windows=windows))
    assert [change.value < 0.1 for each in found for change in each.changes] == ([True] if lowered else [])


def test_the_climb_stays_well_below_a_rate_that_did_harm():
    worse = a_past(
        state="undone", verdict="worse", evidence={"plan": "search"}, decided_step=30, applied_step=30, new_value=0.3,
    )  # fmt: skip
    (proposal,) = walked(FALLS[:80], 0.95, 0.02, past=(worse,), rate=a_rate(0.1, changed_step=50))
    assert proposal.changes[0].value == pytest.approx(0.18)


def test_a_warm_up_is_waited_for():
    warming = {"lr": a_window(np.linspace(0.001, 0.1, 60))}
    assert walked(FALLS[:60], 0.95, 0.02, windows=warming) == []
    assert walked(FALLS[:60], 0.95, 0.02, windows={"lr": a_window(np.full(60, 0.1))}) != []


def test_a_stage_is_held_against_the_one_before_it_and_not_against_the_first_steep_fall():
    steep = np.concatenate([2.3 * np.exp(-np.arange(30) / 15), np.full(30, 0.3)])
    begun = a_past(
        evidence={"plan": "search"}, decided_step=29, applied_step=29, new_value=0.1, old_value=0.03
    )
    run = seen(noisy(steep, 0.02), policy=POLICY, past=(begun,), windows=moves([0.95] * 4, [0.02] * 5))
    (proposal,) = POLICY.propose(run)
    fixed = no_action(run, proposal)
    assert float(fixed.mean[-1]) == pytest.approx(0.3, rel=0.1)


SLOW = noisy(2.3 * np.exp(-np.arange(400) / 1500), 0.02)


@pytest.mark.parametrize(
    ("cosine", "raised"), [(None, True), (0.95, True), (0.7, False), (-0.2, False)],
    ids=["not measured", "straight on", "a long valley", "to and fro"],
)  # fmt: skip
def test_late_in_a_run_a_slow_fall_is_a_reason_to_raise_only_where_the_weights_walk_straight(cosine, raised):
    windows = {}
    if cosine is not None:
        walk = np.full(38, cosine), np.full(39, 0.02)
        windows = {COSINE: a_window(walk[0], 1020, 10), RATIO: a_window(walk[1], 1010, 10)}
    found = POLICY.propose(seen(SLOW, policy=POLICY, first_step=1000, windows=windows))
    assert [change.value for each in found for change in each.changes] == ([0.3] if raised else [])
