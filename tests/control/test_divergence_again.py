"""When a broken run is rescued once more, and when not."""

import numpy as np
import pytest

from tests.control.diverging import BROKEN, FALLING, ask
from tests.control.make import a_past, noisy


def test_a_rescue_that_did_not_help_is_followed_by_one_further_back():
    failed = a_past(
        policy="divergence", verb="rollback", verdict="same", decided_step=350, applied_step=200, urgent=True
    )
    loss = np.concatenate([FALLING[:201], 5 + np.zeros(40)])
    (proposal,) = ask(loss, past=(failed,))
    assert proposal.changes[0].value["step"] == 100


def test_it_waits_while_its_own_last_decision_is_open():
    open_one = a_past(policy="divergence", verb="rollback", state="applied", applied_step=200)
    assert ask(np.append(FALLING, [np.nan] * 50), past=(open_one,)) == []


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
