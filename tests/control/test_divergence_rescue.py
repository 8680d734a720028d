"""What is done about a loss that is broken: which checkpoint, which rate."""

import numpy as np
import pytest

from control.guards import Limits as GuardLimits
from control.guards import check
from tests.control.diverging import BROKEN, FALLING, SUSPECT, ask
from tests.control.make import a_checkpoint, a_past, a_rate, seen


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
