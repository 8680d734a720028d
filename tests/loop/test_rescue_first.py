"""A rescue goes first: what it makes void is closed, and says why."""

import pytest

from control.proposals import Change
from tests.loop.scripted import ScriptedRun

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]


def test_a_trial_that_a_rescue_goes_back_behind_is_closed_unjudged_and_the_rescue_is_sent_at_once(clock):
    live = ScriptedRun(clock, Change("set", "lr", 0.3), trial=True)
    live.tick()
    assert live.obey() == ["set lr 0.3"]
    live.rest()
    live.tick()
    (trial,) = live.decisions
    assert trial.state == "applied"
    live.log(40)
    back = {"checkpoint": live.checkpoint.pk, "step": 100, "path": "/c/100"}
    live.policy.changes = (Change("rollback", value=back), Change("set", "lr", 0.05))
    live.policy.fields = {"urgency": True, "broken": True}
    live.tick()
    trial.refresh_from_db()
    assert (trial.state, trial.verdict) == ("judged", "unclear")
    assert "overtaken by scripted, which goes back to before it" in trial.measured["sentence"]
    live.rest()
    told = live.obey()
    assert (told[0].split()[0], told[1]) == ("rollback", "set lr 0.05")
    live.tick()
    assert (live.last.verb, live.last.applied_step) == ("rollback", 100)
    assert live.value() == 0.05, "nobody undoes a trial that is not in force any more"
