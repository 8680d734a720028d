"""When is a loss broken for good."""

import numpy as np
import pytest

from tests.control.diverging import FALLING, SUSPECT, ask, spike
from tests.control.make import a_checkpoint, a_rate, a_window, noisy


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
