"""A group policy replayed on a stored run says what it would have done to it, and when."""

import pytest

from control.groups import Group, stop
from control.registry import Registry
from control.replay import replay
from tests.loop.scripted import ScriptedRun
from training.models import Experiment, Run

pytestmark = pytest.mark.django_db(databases="__all__")


class StopsTheWorst:
    name = "stops_the_worst"
    summary = "Ends the run that is behind once it has 300 steps."
    defaults = {"enabled": True}

    def __init__(self):
        self.seen: list[Group] = []

    def propose_group(self, group):
        self.seen.append(group)
        worst = group.ranked()[-1]
        if worst.step < 300 or not worst.is_running:
            return []
        return [stop(self.name, group, worst, f"It is last of {len(group.members)}.", {})]


def test_a_group_policy_is_replayed_with_the_runs_as_they_stood(clock, monkeypatch):
    monkeypatch.setattr("control.replay.EVERY_SECONDS", 0.5)
    behind, ahead = ScriptedRun(clock, mode="observe"), None
    Experiment.objects.update(goal_metric="loss")
    behind.settings.delete()
    ahead = ScriptedRun(clock, mode="observe")
    for _ in range(4):
        behind.log(100, 2.0)
        ahead.log(100, 0.5)
    policy = StopsTheWorst()
    told = replay(Run.objects.get(pk=behind.run.pk), registry=Registry((policy,)))
    assert told.problems == {}
    stops = [d for d in told.decisions if d["verb"] == "stop"]
    assert stops
    assert stops[0]["reason"] == "It is last of 2."
    assert stops[0]["decided_step"] >= 300
    assert all(member.step <= 600 for group in policy.seen for member in group.members)
    assert policy.seen[0].members[0].step < policy.seen[-1].members[0].step
    other = replay(Run.objects.get(pk=ahead.run.pk), registry=Registry((policy,)))
    assert [d for d in other.decisions if d["verb"] == "stop"] == []
