"""When is a loss broken for good, and what is done about it."""

import numpy as np
import pytest

from control.guards import Limits as GuardLimits
from control.guards import check
from control.policies.divergence import Divergence
from control.proposals import Goal
from tests.control.make import a_checkpoint, a_past, a_rate, a_window, noisy, seen

POLICY = Divergence()
FALLING = noisy(2.3 * np.exp(-np.arange(300) / 150), 0.05)
CHECKPOINTS = tuple(a_checkpoint(step) for step in (0, 100, 200))
# A rate that was set not long ago is suspect, whatever it was before.
SUSPECT = a_rate(changed_step=10)


def ask(loss, **fields):
    fields = {"checkpoints": CHECKPOINTS} | fields
    return POLICY.propose(seen(loss, policy=POLICY, **fields))


def spike(height, length, after=60):
    return np.concatenate(
        [FALLING, FALLING[-1] * height * np.ones(length), noisy(0.3 * np.ones(after), 0.05)]
    )


@pytest.mark.parametrize(
    "loss",
    [
        [],
        [2.3],
        [float("nan")],
        FALLING,
        FALLING[:30],
        np.append(FALLING, np.nan),
        spike(20, 5),
        spike(20, 15),
        np.insert(FALLING, 250, [np.nan] * 10),
        noisy(0.02 * np.ones(600), 0.8),
        noisy(np.linspace(0.3, 0.36, 400), 0.1),
        -FALLING,
        np.concatenate([FALLING, 5 * np.exp(-np.arange(60) / 20) + 0.3]),
    ],
    ids=[
        "nothing", "one point", "one NaN", "falling", "short", "a last NaN", "a short spike", "a longer spike",
        "NaNs that healed", "wild noise", "a slow rise", "negative", "healing",
    ],
)  # fmt: skip
def test_what_is_healthy_or_heals_by_itself_is_left_alone(loss):
    assert ask(loss) == []


@pytest.mark.parametrize(
    ("loss", "kind", "onset", "goes_back_to"),
    [
        (np.append(FALLING, [np.nan] * 5), "non-finite", 300, 200),
        (np.append(FALLING, [np.inf] * 5), "non-finite", 300, 200),
        (np.append(FALLING[:150], [np.nan] * 900), "non-finite", 150, 100),
        (np.concatenate([FALLING, 5 + np.zeros(40)]), "explosion", 300, 200),
        (np.concatenate([FALLING, noisy(np.exp(np.arange(60) / 10), 0.1)]), "explosion", 310, 200),
        (np.concatenate([FALLING[:205], 5 * np.ones(60), [np.nan] * 5]), "non-finite", 205, 100),
        (np.concatenate([[2.3, 2.3], 40 * np.ones(80)]), "ruined start", 2, 0),
        (np.concatenate([[2.3, 5, 60], noisy(2.31 * np.ones(90), 0.01)]), "ruined start", 1, 0),
    ],
    ids=[
        "NaN", "inf", "NaN for long", "jump", "runaway", "jump, then NaN", "never below its start", "dead",
    ],
)  # fmt: skip
def test_trouble_that_stays_is_rolled_back_to_before_it(loss, kind, onset, goes_back_to):
    (proposal,) = ask(loss, rate=SUSPECT)
    assert proposal.evidence["kind"] == kind
    # Explosions are dated by blocks of ten points.
    assert abs(proposal.evidence["onset_step"] - onset) <= 10
    back, lower = proposal.changes
    assert (back.verb, back.value["step"]) == ("rollback", goes_back_to)
    assert (lower.verb, lower.tunable) == ("set", "lr")
    assert lower.value < 0.1
    assert proposal.urgency
    assert proposal.broken
    assert f"step {goes_back_to}" in proposal.reason
    assert "lr from 0.1" in proposal.reason


def test_a_rate_that_never_was_healthy_is_cut_by_a_decade_and_one_that_was_by_half_of_one():
    (never,) = ask(np.concatenate([[2.3, 2.3], 40 * np.ones(80)]))
    (once,) = ask(np.append(FALLING, [np.nan] * 5), rate=SUSPECT)
    assert never.changes[1].value == pytest.approx(0.01)
    assert once.changes[1].value == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("checkpoints", "step"),
    [
        ([a_checkpoint(100), a_checkpoint(290)], 290),
        ([a_checkpoint(100), a_checkpoint(296)], 100),
        ([a_checkpoint(296)], 296),
        ([a_checkpoint(100), a_checkpoint(310)], 100),
        ([a_checkpoint(100), a_checkpoint(200, metrics={"loss": "NaN"})], 100),
        ([a_checkpoint(100), a_checkpoint(200, metrics={"accuracy": float("nan")})], 100),
        ([a_checkpoint(100), a_checkpoint(200, metrics={"loss": 80.0})], 100),
        ([a_checkpoint(100), a_checkpoint(200, metrics={"loss": 0.7, "note": "fine"})], 200),
    ],
)
def test_the_checkpoint_is_the_newest_sane_one_from_well_before_the_trouble(checkpoints, step):
    (proposal,) = ask(np.concatenate([FALLING, 5 + np.zeros(40)]), checkpoints=tuple(checkpoints))
    assert proposal.changes[0].value["step"] == step


RESCUED = {"policy": "divergence", "verb": "rollback", "verdict": "better", "urgent": True}


@pytest.mark.parametrize(
    ("loss", "fields", "rate"),
    [
        (np.append(FALLING, [np.nan] * 5), {}, None),
        (np.append(FALLING, [np.nan] * 5), {"rate": a_rate(changed_step=0)}, None),
        (np.append(FALLING, [np.nan] * 5), {"rate": a_rate(changed_step=150, before=0.05)}, 0.03),
        (np.append(FALLING, [np.nan] * 5), {"past": (a_past(**RESCUED, applied_step=200),)}, 0.03),
        (np.append(FALLING[:60], [np.nan] * 5), {}, 0.03),
        (np.concatenate([[2.3, 2.3], 40 * np.ones(80)]), {}, 0.01),
    ],
    ids=["well for long", "set at the start", "changed lately", "rescued lately", "young", "never well"],
)
def test_the_rate_stays_where_the_run_had_been_well_at_it_for_long(loss, fields, rate):
    """What broke it then is a batch, or a bit; a rate that is lowered for it costs more steps than the rescue."""
    (proposal,) = ask(loss, **fields)
    assert proposal.changes[0].verb == "rollback"
    assert [change.value for change in proposal.changes[1:]] == (
        [] if rate is None else [pytest.approx(rate)]
    )


def test_a_rescue_offers_the_sizes_that_it_would_stand_behind_too():
    def sizes(proposal):
        alternatives = [other.changes for other in proposal.alternatives]
        return [[change.value for change in changes[1:]] for changes in (proposal.changes, *alternatives)]

    (proven,) = ask(np.append(FALLING, [np.nan] * 5))
    (suspect,) = ask(np.append(FALLING, [np.nan] * 5), rate=SUSPECT)
    (never,) = ask(np.concatenate([[2.3, 2.3], 40 * np.ones(80)]))
    assert sizes(proven) == [[], [0.03], [0.01]]
    assert sizes(suspect) == [[0.03], [0.01]]
    assert sizes(never) == [[0.01], [0.03]]
    assert {change.verb for change in never.alternatives[0].changes} == {"rollback", "set"}


def test_what_was_well_and_then_shot_above_its_start_is_measured_by_how_well_it_was():
    """A rate set forty times too high kills the network: the loss stays a little above where it began."""
    loss = np.concatenate([FALLING, [9, 40, 6], noisy(2.36 * np.ones(90), 0.01)])
    for points in (330, 393):
        (proposal,) = ask(loss[:points], rate=a_rate(2.0, changed_step=299, before=0.05))
        assert proposal.evidence["kind"] == "explosion"
        assert proposal.evidence["healthy_level"] < 0.5
        assert proposal.expected.effect < -0.5
        assert proposal.changes[1].value == pytest.approx(0.2)
        assert "on the way to the 0.05 that it was before it was changed at step 299" in proposal.reason
    (proposal,) = ask(loss, rate=a_rate(0.2, changed_step=299, before=0.05))
    assert proposal.changes[1].value == pytest.approx(0.05)
    assert "to 0.05, what it was before it was changed at step 299" in proposal.reason
    assert (proposal.evidence["changed_step"], proposal.evidence["value_before"]) == (299, 0.05)


def test_a_jump_that_stays_is_trouble_though_it_is_no_explosion_and_a_slow_rise_is_none():
    before = noisy(2.6 * np.exp(-np.arange(300) / 2000), 0.02)
    jumped = np.concatenate([before, noisy(2.9 * np.ones(120), 0.02)])
    (proposal,) = ask(jumped)
    assert proposal.evidence["kind"] == "jump"
    assert abs(proposal.evidence["onset_step"] - 300) <= 10
    assert ask(jumped[:360]) == []
    assert ask(np.concatenate([before, noisy(np.linspace(2.25, 2.9, 400), 0.02)])) == []
    assert ask(jumped, rate=a_rate(changed_step=300, before=0.03)) == []


def test_what_creeps_back_has_a_hundred_points_for_it():
    """After the first fall it slows down, and would be foretold to be well again soon for ever."""
    since = np.arange(130)
    knocked = np.concatenate(
        [FALLING, noisy(0.3 + 5 * np.exp(-since / 8) + 0.6 * np.exp(-since / 100), 0.05)]
    )
    assert [ask(knocked[: 300 + seen_points]) for seen_points in (20, 40, 60, 80)] == [[]] * 4
    (proposal,) = ask(knocked[:420])
    assert proposal.evidence["kind"] == "jump"
    assert abs(proposal.evidence["onset_step"] - 300) <= 10


def reward(*parts):
    """An agent's reward every fourth step, beside a loss that says nothing."""
    values = np.concatenate(parts)
    loss = noisy(np.ones(4 * len(values)), 0.3)
    return {"loss": loss, "goal": Goal("reward", "max"), "windows": {"reward": a_window(values, stride=4)}}


GROWS = noisy(20 * np.exp(np.arange(100) / 100), 0.1)


def test_an_agent_whose_reward_collapses_goes_back_to_before_it():
    (proposal,) = ask(**reward(GROWS, noisy(np.linspace(50, 8, 12), 0.1), noisy(8 * np.ones(31), 0.1)))
    assert proposal.evidence["kind"] == "collapse"
    assert proposal.metric == "reward"
    assert proposal.expected.effect > 1
    assert proposal.changes[0].value["step"] == 200
    assert "reward fell from" in proposal.reason


@pytest.mark.parametrize(
    "after",
    [
        noisy(30 * np.ones(40), 0.1),
        noisy(12 * np.ones(12), 0.1),
        noisy(np.linspace(10, 60, 40), 0.1),
        [0.0] * 40,
    ],
    ids=["wanders", "not for long", "comes back", "knows zero"],
)
def test_a_reward_that_wanders_is_left_alone(after):
    assert ask(**reward(GROWS, after)) == []


def test_an_agents_loss_that_rises_with_its_reward_is_no_trouble():
    rises = np.concatenate([noisy(np.ones(300), 0.05), noisy(5 * np.ones(100), 0.05)])
    fields = {"goal": Goal("reward", "max")}
    better = {"reward": a_window(noisy(20 * np.exp(np.arange(100) / 50), 0.05), stride=4)}
    fallen = {"reward": a_window(noisy(np.repeat([60.0, 30.0], [75, 25]), 0.05), stride=4)}
    assert ask(rises, windows=better, **fields) == []
    assert len(ask(rises, windows=fallen, **fields)) == 1


def test_without_a_checkpoint_the_rate_is_lowered_and_once_is_enough_for_a_nan():
    loss = np.append(FALLING, [np.nan] * 50)
    (proposal,) = ask(loss, checkpoints=())
    assert [change.verb for change in proposal.changes] == ["set"]
    assert "no checkpoint" in proposal.reason
    tried = a_past(policy="divergence", state="judged", verdict="same", applied_step=310, urgent=True)
    assert ask(loss, checkpoints=(), past=(tried,)) == []


def test_without_a_learning_rate_it_still_rolls_back_and_says_so():
    (proposal,) = ask(np.append(FALLING, [np.nan] * 5), tunables={})
    assert [change.verb for change in proposal.changes] == ["rollback"]
    assert "learning_rate" in proposal.reason


def test_at_the_lowest_rate_it_only_rolls_back():
    (proposal,) = ask(np.append(FALLING, [np.nan] * 5), rate=a_rate(1e-6))
    assert [change.verb for change in proposal.changes] == ["rollback"]


def test_a_rescue_that_did_not_help_is_followed_by_one_further_back():
    failed = a_past(
        policy="divergence", verb="rollback", verdict="same", decided_step=350, applied_step=200, urgent=True
    )
    loss = np.concatenate([FALLING[:201], 5 + np.zeros(40)])
    (proposal,) = ask(loss, past=(failed,))
    assert proposal.changes[0].value["step"] == 100


@pytest.mark.parametrize("parameters", [{}, {"metric": "reward"}])
def test_a_reward_that_shoots_up_is_no_trouble(parameters):
    """What is to grow is never read as a loss, not even where it is named as the metric or called one."""
    up = np.concatenate([noisy(np.ones(300), 0.05), noisy(50 * np.ones(60), 0.05)])
    goal = Goal("reward", "max")
    fields = {"goal": goal, "windows": {"reward": a_window(up)}, "parameters": parameters}
    assert ask(noisy(np.ones(360), 0.05), **fields) == []
    assert ask(up, goal=Goal("loss", "max"), parameters={"gradient_metric": ""}) == []


def test_it_waits_while_its_own_last_decision_is_open():
    open_one = a_past(policy="divergence", verb="rollback", state="applied", applied_step=200)
    assert ask(np.append(FALLING, [np.nan] * 50), past=(open_one,)) == []


def test_an_exploded_gradient_counts_where_the_loss_suffers_too():
    gradient = a_window(np.concatenate([noisy(np.ones(300), 0.1), noisy(100 * np.ones(40), 0.1)]))
    rising = np.concatenate([noisy(np.ones(300), 0.05), noisy(1.35 * np.ones(40), 0.02)])
    steep = np.concatenate([noisy(np.ones(300), 0.05), noisy(0.9 * np.ones(40), 0.02)])
    (proposal,) = ask(rising, windows={"grad_norm": gradient})
    assert proposal.evidence["cause"] == "grad_norm"
    assert ask(steep, windows={"grad_norm": gradient}) == []


def test_gradients_that_are_not_finite_count_by_themselves():
    gradient = a_window(np.append(np.ones(297), [np.nan] * 3))
    (proposal,) = ask(FALLING, windows={"grad_norm": gradient})
    assert "grad_norm" in proposal.reason


def test_a_loss_logged_every_tenth_step_is_read_the_same():
    (proposal,) = ask(np.append(FALLING, [np.nan] * 5), stride=10, checkpoints=(a_checkpoint(2000),))
    assert proposal.evidence["onset_step"] == 3000
    assert proposal.judge_after_steps == 1000


BROKEN = np.concatenate([FALLING, 1.5 + np.zeros(60)])


@pytest.mark.parametrize(
    ("rate", "wanted"),
    [
        (a_rate(2.0, high=10.0, changed_step=300, before=0.5), 0.5),
        (a_rate(2.0, high=10.0, changed_step=292, before=0.5), 0.5),
        (a_rate(2.0, high=10.0, changed_step=300, before=0.01), 0.2),
        (a_rate(2.0, high=10.0, changed_step=300, before=5.0), 0.6),
        (a_rate(2.0, high=10.0, changed_step=100, before=0.5), 0.6),
        (a_rate(2.0, high=10.0, changed_step=300), 0.6),
        (a_rate(2.0, high=10.0, before=0.5, changed_step=20), 0.6),
    ],
    ids=[
        "raised",
        "raised a moment before",
        "raised by far",
        "lowered",
        "raised long before",
        "unknown",
        "set early on",
    ],
)
def test_where_a_raised_rate_began_it_the_rate_from_before_comes_back(rate, wanted):
    """A person's slip at the slider: back to before it, weights and rate, within what one change may do."""
    (proposal,) = ask(BROKEN, rate=rate)
    assert [change.verb for change in proposal.changes] == ["rollback", "set"]
    assert proposal.changes[1].value == wanted
    assert f"to {wanted:.4g}" in proposal.reason


def held_back(**fields):
    (proposal,) = ask(BROKEN)
    fields = {
        "id": 7, "policy": "divergence", "state": "blocked", "verb": "rollback", "evidence": proposal.evidence,
        "decided_step": 359, "judge_at_step": 459, "applied_step": None, "blocked_rule": "a person's hand",
    } | fields  # fmt: skip
    return a_past(**fields)


LONG_AFTER = noisy(1.5 * np.ones(600), 0.02)


def test_a_rescue_that_was_held_back_comes_again_when_the_healthy_past_is_out_of_sight():
    """A person's hand protects a setting for thousands of steps of a fast training."""
    assert ask(LONG_AFTER, first_step=400) == []
    (proposal,) = ask(LONG_AFTER, first_step=400, past=(held_back(),))
    assert proposal.changes[0].value["step"] == 200
    assert proposal.evidence["onset_step"] == held_back().evidence["onset_step"]


@pytest.mark.parametrize(
    ("loss", "past"),
    [
        (np.concatenate([LONG_AFTER, noisy(0.3 * np.ones(100), 0.05)]), [held_back()]),
        (LONG_AFTER, [held_back(state="judged", verdict="better")]),
        (LONG_AFTER, [held_back(), held_back(id=8, state="judged", decided_step=380, applied_step=200)]),
        (LONG_AFTER[:15], [held_back()]),
        (LONG_AFTER, [held_back(evidence={"kind": "explosion"})]),
    ],
    ids=["healed", "was done", "was done since", "too little seen", "without figures"],
)
def test_it_does_not_come_again_where_it_is_over(loss, past):
    assert ask(loss, first_step=400, past=tuple(past)) == []


def held(value, since=0, name="lr"):
    return {name: {"value": value, "since": since}}


def at_200(settings, **fields):
    return {"checkpoints": (a_checkpoint(200, settings=settings),), **fields}


@pytest.mark.parametrize(
    ("settings", "rate", "wanted", "steps"),
    [
        (held(0.01), a_rate(2.0, high=10.0, changed_step=300, before=0.01), 0.01, 200),
        (held(0.01, since=150), a_rate(2.0, high=10.0, changed_step=300, before=0.01), 0.01, 50),
        (held(0.01), a_rate(2.0, high=10.0, changed_step=300, before=1.0), 0.01, 200),
        (held(0.01), a_rate(2.0, high=10.0, changed_step=400, before=0.01), 0.01, 200),
        (held(0.01, since=185), a_rate(2.0, high=10.0, changed_step=300, before=0.01), 0.2, None),
        (held(3.0), a_rate(2.0, high=10.0, changed_step=300, before=0.01), 0.2, None),
        (held("?"), a_rate(2.0, high=10.0, changed_step=300, before=0.01), 0.2, None),
        ({}, a_rate(2.0, high=10.0, changed_step=300, before=0.01), 0.2, None),
        (held(0.01), a_rate(2.0, high=10.0, changed_step=220, before=0.01), 0.6, None),
    ],
    ids=[
        "200 times too high",
        "set a while before",
        "raised twice",
        "the process went back by itself since",
        "held for too short a time",
        "higher there",
        "no figure",
        "not told",
        "the rate is not what broke it",
    ],
)
def test_after_a_slip_the_rate_that_was_proven_at_the_checkpoint_comes_back(settings, rate, wanted, steps):
    (proposal,) = ask(BROKEN, rate=rate, **at_200(settings))
    assert proposal.changes[1].value == wanted
    assert check(proposal, seen(BROKEN, rate=rate, **at_200(settings)), GuardLimits()) is None
    proof = proposal.evidence.get("proven")
    if steps is None:
        assert proof is None
    else:
        assert proof == {"checkpoint": 201, "step": 200, "value": wanted, "steps": steps}
        assert f"at which it had been well for {steps} steps there" in proposal.reason


def test_a_rate_that_a_judged_trial_set_on_the_way_comes_back_and_not_the_one_before_it():
    """A climb whose last step was one too many goes one step down, not to where it began."""
    kept = a_past(verdict="better", old_value=0.05, new_value=0.5, decided_step=250, applied_step=250)
    rate = a_rate(2.0, high=10.0, changed_step=300, before=0.5)
    (proposal,) = ask(BROKEN, rate=rate, past=(kept,), **at_200(held(0.05)))
    assert proposal.changes[1].value == 0.5


def test_what_was_broken_under_a_rate_proves_nothing_for_it():
    spoilt = np.concatenate([FALLING[:180], [np.nan], FALLING[181:], 1.5 + np.zeros(60)])
    rate = a_rate(2.0, high=10.0, changed_step=300, before=0.01)
    (proposal,) = ask(spoilt, rate=rate, **at_200(held(0.01)))
    assert proposal.changes[1].value == 0.2


def test_a_run_that_was_well_for_long_is_not_taken_for_a_ruined_start_because_its_first_steps_rose():
    """Its first steps shot up as well, long ago; then it came to half of where it began, until weights were hurt."""
    loss = np.concatenate(
        [[0.2, 0.28, 0.3, 0.26], noisy(np.geomspace(0.22, 0.08, 210), 0.15), np.full(40, 1e9)]
    )
    (proposal,) = ask(loss, checkpoints=(a_checkpoint(0), a_checkpoint(200)))
    assert proposal.evidence["kind"] == "explosion"
    assert [change.value["step"] for change in proposal.changes] == [200]


# A decoder's loss: it moves slowly and scatters little.
SLOW = noisy(2.6 * np.exp(-np.arange(200) / 1500), 0.02)


def thrown(height, decay, after, level=SLOW[-1]):
    """SLOW, then thrown to `height` times its level, from where it comes back with this time constant."""
    return np.concatenate(
        [SLOW, noisy(level * (1 + (height - 1) * np.exp(-np.arange(after) / decay)), 0.02, 1)]
    )


@pytest.mark.parametrize(
    ("loss", "checkpoint", "rate"),
    [
        (thrown(1.3, 15, 60), 150, a_rate()),
        (thrown(1.3, 80, 40), 150, a_rate()),
        (thrown(1.3, 80, 80), 100, a_rate()),
        (thrown(1.08, 80, 60), 150, a_rate()),
        (thrown(1.3, 80, 60), 150, a_rate(changed_step=200, before=0.05)),
        (thrown(1.3, 80, 60), None, a_rate()),
        (noisy(np.concatenate([SLOW, np.linspace(2.2, 2.7, 100)]), 0.02), 150, a_rate()),
    ],
    ids=[
        "healed", "not yet as long as going back costs", "further to go back", "a small one",
        "the rate was raised there", "nowhere to go back to", "a slow rise",
    ],
)  # fmt: skip
def test_a_spike_is_left_to_heal_for_as_long_as_going_back_would_cost(loss, checkpoint, rate):
    checkpoints = () if checkpoint is None else (a_checkpoint(checkpoint),)
    assert ask(loss, checkpoints=checkpoints, rate=rate) == []


def test_a_spike_that_heals_more_slowly_than_going_back_is_gone_back_from_at_the_same_rate():
    (proposal,) = ask(thrown(1.3, 80, 60), checkpoints=(a_checkpoint(0), a_checkpoint(150)))
    assert proposal.evidence["kind"] == "spike"
    assert [(c.verb, c.value["step"]) for c in proposal.changes] == [("rollback", 150)]
    assert "after as long as going back costs" in proposal.reason
