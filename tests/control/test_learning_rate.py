"""When is a higher or a lower rate tried."""

import numpy as np
import pytest

from control.decide import consider
from control.guards import Limits
from control.learning.book import Book, Lesson
from control.learning.contexts import context_of
from control.policies.learning_rate import LearningRate
from control.policies.learning_rate.values import came, moved
from control.proposals import Goal
from control.verify import size_of
from tests.control.make import a_checkpoint, a_count, a_past, a_rate, a_window, named, noisy, seen

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
        (SLOW[:19], {}),
        (FAST, {}),
        (np.full(200, np.nan), {}),
        (np.concatenate([STALLED, np.zeros(len(STALLED))]), {}),
        (SLOW, {"tunables": {}}),
        (SLOW, {"rate": a_rate(1.0)}),
        (SLOW, {"rate": a_rate("automatic")}),
        (SLOW, {"past": (tried(state="applied"),)}),
        (SLOW, {"past": (tried(verdict="worse", state="undone", new_value=0.3),)}),
        (SLOW, {"past": (tried(verdict="same", state="undone", new_value=0.2),)}),
        (SLOW, {"past": (tried(policy="divergence", urgent=True, old_value=0.2, new_value=0.05),)}),
        (SLOW, {"rate": a_rate(0.1, changed_step=5190), "first_step": 5000}),
        (SLOW, {"rate": a_rate(0.1, changed_step=195)}),
        (STALLED, {"rate": a_rate(1e-6)}),
        (STALLED, {"rate": a_rate(0.1, changed_step=400)}),
        (noisy(np.exp(-STEPS[:500] / 1500), 0.9), {"first_step": 5000}),
    ],
    ids=[
        "nothing", "one point", "too short", "well on its way", "NaN", "at zero", "no rate", "at the upper bound",
        "not a number", "a trial is open", "3x was worse", "less was no better", "2x broke it",
        "changed just now", "search: too soon", "at the lower bound", "not stalled for long enough",
        "noise hides a fall",
    ],
)  # fmt: skip
def test_the_rate_is_kept(loss, fields):
    assert ask(loss, **fields) == []


@pytest.mark.parametrize(
    ("loss", "fields", "factor", "words"),
    [
        (SLOW, {"first_step": 5000}, 3, "falls smoothly but slowly"),
        (SLOW, {}, 3, "loss fell by 5.3 % in 200 points, where a good rate brings 21 % or more"),
        (noisy(2.3 * np.ones(200), 0.005), {}, 3, "points, where a good rate brings"),
        (STALLED, {}, 1 / 3, "stopped falling"),
        (noisy(np.linspace(0.5, 1.5, 300), 0.1), {"first_step": 5000}, 1 / 3, "rises"),
        (
            noisy(2.3 * np.exp(-STEPS[:200] / 400), 0.05),
            {"past": (tried(verdict="better"),), "first_step": 5000},
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
    assert proposal.trial != (proposal.plan == "search")
    assert not proposal.urgency
    assert proposal.expected.low <= proposal.expected.effect <= proposal.expected.high


def test_a_trial_is_clipped_to_the_bounds():
    (up,) = ask(SLOW, rate=a_rate(0.1, high=0.2))
    (down,) = ask(STALLED, rate=a_rate(0.1, low=0.05))
    assert (up.changes[0].value, down.changes[0].value) == (0.2, 0.05)


def offered(proposal):
    return [other.changes[0].value for other in proposal.alternatives]


BROKE = a_past(urgent=True, old_value=0.5, new_value=0.1, decided_step=4900, applied_step=4900)


@pytest.mark.parametrize(
    ("loss", "fields", "own", "others"),
    [
        (STALLED, {}, 0.03333, [0.04807, 0.01111]),
        (STALLED, {"rate": a_rate(0.1, low=0.05)}, 0.05, []),
        (SLOW, {"first_step": 5000}, 0.3, [0.208, 0.5196]),
        (SLOW, {"first_step": 5000, "rate": a_rate(0.1, high=0.4)}, 0.3, [0.208, 0.4]),
        (SLOW, {"first_step": 5000, "past": (BROKE,)}, 0.3, [0.208]),
        (SLOW, {}, 0.3, []),
    ],
    ids=["down", "down to the bound", "up", "up to the bound", "up below what broke it", "the sweep by the loss"],
)  # fmt: skip
def test_a_trial_offers_other_sizes_within_bounds_and_below_what_proved_too_high(loss, fields, own, others):
    (proposal,) = ask(loss, **fields)
    assert proposal.changes[0].value == own
    assert offered(proposal) == others
    assert all(
        f"to {value:.4g} from" in each.reason
        for value, each in zip(others, proposal.alternatives, strict=True)
    )


def test_beliefs_choose_the_size_of_a_decay_and_the_decision_names_the_others():
    known = Book()
    observation = seen(STALLED, policy=POLICY)
    for _ in range(20):
        known.learn(Lesson("learning_rate", "learning_rate /10", str(context_of(observation)), "better", 0.4))
        known.learn(Lesson("learning_rate", "learning_rate /3", str(context_of(observation)), "same", 0.0))
    for book, value in ((Book(), 0.03333), (known, 0.01111)):
        ((item,), problems) = consider(observation, [POLICY], {}, Limits(), book)
        assert not problems
        assert item.proposal.changes[0].value == value
        named = {other["action"] for other in item.proposal.evidence["alternatives"]}
        assert named | {item.proposal.evidence["belief"]["action"]} == {
            "learning_rate /2", "learning_rate /3", "learning_rate /10",
        }  # fmt: skip


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
    (calm,) = ask(SLOW, first_step=5000)
    (wild,) = ask(STALLED, first_step=5000)
    assert calm.judge_after_steps < wild.judge_after_steps <= 4 * calm.judge_after_steps


def test_a_loss_that_may_be_negative_is_read_in_units_of_its_spread():
    (proposal,) = ask(np.random.default_rng(0).normal(-1, 0.2, 600), first_step=5000)
    assert proposal.changes[0].value < 0.1
    assert proposal.evidence["unit"] == "spread"


def test_steps_are_counted_in_points_where_not_every_step_is_logged():
    (proposal,) = ask(SLOW, stride=10, first_step=5000)
    assert proposal.judge_after_steps == 1000
    (search,) = ask(SLOW, stride=10)
    assert search.judge_after_steps == 600


# -- the search from a start -----------------------------------------------------------------------

WELL = noisy(2.3 * np.exp(-STEPS[:300] / 100), 0.03)
OVERSHOT = np.concatenate([[2.3, 2.3, 2.3, 4.0, 9.0, 5.0], noisy(2.2 * np.ones(37), 0.05)])


def searched(**fields):
    return a_past(**{"evidence": {"plan": "search"}, "decided_step": 29, "applied_step": 29} | fields)


@pytest.mark.parametrize("points", [20, 30, 60, 120, 300])
def test_a_start_that_falls_as_a_good_rate_makes_it_is_left_alone(points):
    assert ask(WELL[:points]) == []


def test_a_slow_start_is_raised_within_twenty_points_as_a_declared_search():
    (proposal,) = ask(SLOW[:20])
    assert proposal.changes[0].value == pytest.approx(0.3)
    assert (proposal.plan, proposal.judge_after_steps) == ("search", 10)


def test_the_sweep_stops_where_the_loss_begins_to_fall_well():
    falls = np.concatenate([SLOW[:30], SLOW[29] * np.exp(-np.arange(10) / 40)])
    assert ask(falls, past=(searched(verdict="better"),), rate=a_rate(0.3, changed_step=29)) == []


def test_the_sweep_does_not_go_back_to_a_rate_that_did_harm():
    worse = searched(verdict="worse", state="undone", new_value=0.3)
    assert ask(SLOW[:60], past=(worse,)) == []


def test_a_start_that_overshot_begins_anew_at_a_tenth():
    checkpoint = a_checkpoint(0)
    (proposal,) = ask(OVERSHOT, checkpoints=(checkpoint,))
    back, change = proposal.changes
    assert (back.verb, back.value["checkpoint"]) == ("rollback", checkpoint.id)
    assert change.value == pytest.approx(0.01)


def test_an_agent_is_judged_by_its_goal_and_not_by_its_loss():
    goal = Goal("reward", "max")
    learning = a_window(20 * np.exp(np.arange(60) / 40))
    idle = a_window(20 * np.ones(60))
    assert ask(SLOW[:60], goal=goal, windows={"reward": learning}) == []
    (proposal,) = ask(WELL[:60], goal=goal, windows={"reward": idle})
    assert (proposal.metric, proposal.changes[0].value) == ("reward", pytest.approx(0.3))


@pytest.mark.parametrize(
    ("by", "log", "words"),
    [
        (-0.2744, True, "24 % lower"),
        (0.5, True, "65 % higher"),
        (1.1, True, "3 times as high"),
        (9.0, True, "8,103 times as high"),
        (-9.0, True, "99.9 % lower"),
        (0.0, True, "0 % higher"),
        (-0.3, False, "0.3 of its scatter lower"),
    ],
)
def test_how_far_a_metric_moved_is_told_as_people_count(by, log, words):
    assert moved(by, log) == words


@pytest.mark.parametrize(
    ("gain", "falls", "words"),
    [
        (0.05634, True, "loss fell by 5.5 %"), (-0.03896, True, "loss rose by 4 %"),
        (0.1, False, "loss rose by 11 %"), (-0.1, False, "loss fell by 9.5 %"), (0.0, True, "loss fell by 0 %"),
    ],
)  # fmt: skip
def test_how_far_a_start_came_is_told_by_its_direction(gain, falls, words):
    assert came("loss", gain, falls) == words


def test_of_next_to_all_never_all_is_told():
    assert [size_of(by, True) for by in (-0.9987, -0.99999, -0.54, 0.25, 4.0)] == [
        "99.8 % below", "99.9 % below", "54 % below", "25 % above", "5 times",
    ]  # fmt: skip


# -- towards the end -----------------------------------------------------------------------------


FALLING = noisy(np.exp(-STEPS[:400] / 600), 0.05)


def near_the_end(left, total=4000, past=(), rate=None, **fields):
    first = total - left - len(FALLING) + 1
    tunables = named(a_rate() if rate is None else rate, a_count("total_steps", total))
    return ask(FALLING, first_step=first, past=past, rate=rate, tunables=tunables, **fields)


def lowered_at_the_end(**fields):
    fields = {"old_value": 0.3, "new_value": 0.1, "verdict": "same", "decided_step": 3300} | fields
    return a_past(evidence={"ending": 0.19}, judge_at_step=3350, applied_step=3301, **fields)


@pytest.mark.parametrize(
    ("left", "past", "lowered"),
    [
        (801, (), False),
        (800, (), True),
        (500, (lowered_at_the_end(),), False),
        (400, (lowered_at_the_end(),), True),
        (390, (lowered_at_the_end(), lowered_at_the_end()), False),
        (400, (lowered_at_the_end(verdict="worse", state="undone"),), False),
        (49, (), False),
    ],
    ids=["not yet", "a fifth is left", "lowered once", "a tenth is left", "twice", "it did harm", "too late"],
)
def test_the_rate_is_lowered_twice_towards_the_end_of_a_declared_budget(left, past, lowered):
    found = near_the_end(left, past=past)
    ends = [p for p in found if "steps left" in p.reason]
    assert len(ends) == lowered
    if lowered:
        (proposal,) = found
        assert proposal.changes[0].value < 0.1
        assert f"loss has {100 * left / 4000:g} % of 4000 steps left" in proposal.reason
        assert not proposal.trial  # kept unless it does harm
        assert proposal.judge_after_steps <= left // 2


@pytest.mark.parametrize(
    "fields",
    [
        {"total": 499, "left": 90},
        {"windows": {"lr": a_window(np.linspace(0.1, 0.05, 400), 2801)}},
        {"rate": a_rate(1e-6)},
    ],
    ids=["a short run", "the script's own schedule falls", "at the lower bound"],
)
def test_the_end_is_left_to_the_script_where(fields):
    found = near_the_end(**{"left": 800} | fields)
    assert not [p for p in found if "steps left" in p.reason]


def test_a_short_run_is_lowered_too_once_its_search_is_over():
    (proposal,) = near_the_end(left=100, total=500)
    assert "loss has 20 % of 500 steps left" in proposal.reason


def test_a_rate_is_not_raised_any_more_towards_the_end():
    creeping = noisy(2.3 * np.exp(-STEPS[:200] / 4000), 0.01)
    there = {"tunables": named(a_rate(), a_count("total_steps", 4000)), "past": (lowered_at_the_end(),)}
    assert [p.changes[0].value > 0.1 for p in ask(creeping, first_step=2000)] == [True]
    assert ask(creeping, first_step=3301, **there) == []
