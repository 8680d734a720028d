"""What came of a person's change is measured as the controller's own changes are, whatever the controller's mode."""

import pytest

from control.loop import tick
from control.models import ChangeEffect
from training.changes import change_together
from training.commands import issue
from training.models import Tunable

from .live import Clock, LiveRun

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


@pytest.fixture
def live():
    return LiveRun(Clock(), lr=0.3, seed=0, mode="off")


def effects():
    return list(ChangeEffect.objects.order_by("id"))


def test_a_ruinous_hand_is_judged_worse_with_figure_and_interval_and_left_standing(live):
    live.train(300)
    issue(live.run, "set", tunable="lr", value=9.0, asked_by="ada")
    live.train(20)
    tick(live.clock.now)
    (effect,) = effects()
    assert (effect.metric, effect.verdict) == ("loss", "")
    assert effect.forecast["mean"]
    assert effect.judge_at_step == effect.applied_step + 100
    live.train(160)
    tick(live.clock.now)
    effect.refresh_from_db()
    assert effect.verdict == "worse", effect.measured
    assert effect.measured["sentence"]
    assert live.tunable.value == 9.0
    tick(live.clock.now)
    assert len(effects()) == 1


def test_a_change_that_another_follows_at_once_is_not_judged_and_a_group_is_judged_once(live):
    Tunable.objects.create(run=live.run, name="clip", kind="float", value=1.0, initial=1.0)
    live.train(200)
    change_together(live.run, {"lr": 0.2, "clip": 2.0}, asked_by="ada")
    live.train(30)
    tick(live.clock.now)
    issue(live.run, "set", tunable="lr", value=0.1, asked_by="ada")
    live.train(120)
    tick(live.clock.now)
    first, second = effects()
    assert first.verdict == "unclear"
    assert "lr was changed at step" in first.measured["sentence"]
    assert second.command.tunable == "lr"
    live.train(60)
    tick(live.clock.now)
    second.refresh_from_db()
    assert second.verdict
    assert second.measured["low"] is not None
