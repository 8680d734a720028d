"""What a replay of a run decides is what the controller decided."""

import pytest

from control.models import Decision
from control.proposals import Change, Expected, Proposal
from control.registry import Registry, available
from control.replay import replay
from tests.loop.live import STEP_SECONDS, LiveRun
from training.models import Command, Run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]


class Once:
    """A policy that is new to the run: it would stop it, once."""

    name, summary, defaults = "once", "", {"enabled": True}

    def propose(self, observation):
        if any(past.policy == self.name for past in observation.past):
            return []
        return [Proposal(self.name, (Change("stop"),), "Once.", {}, Expected(0.0, 0.0, 0.0), "loss", 10)]


@pytest.mark.parametrize(("lr", "seed"), [(0.0003, 12), (5.0, 11)])
def test_a_replay_of_the_run_decides_as_the_controller_did(clock, lr, seed):
    live = LiveRun(clock, lr, seed)
    # A replay knows no beliefs: those that stood at each moment are not kept, and they choose among a policy's sizes.
    live.settings.learning = "teach"
    live.settings.save()
    live.live(1120)
    made = [d for d in live.decisions if d.state != "blocked"]
    assert len(made) >= 2
    replayed = {(d["decided_step"], d["policy"], d["created_at"]): d for d in replay(live.run).decisions}
    for decision in made:
        twin = replayed[decision.decided_step, decision.policy, decision.created_at.isoformat()]
        assert twin["changes"] == decision.changes
        assert twin["reason"] == decision.reason
        assert twin["forecast"] == decision.forecast
        assert twin["id"] is None
    assert Command.objects.count() == sum(len(d.changes) for d in made) + sum(
        d.undo_command_id is not None for d in made
    )
    beside = Registry((*available().policies, Once()))
    of_new = [d["decided_step"] for d in replay(live.run, registry=beside).decisions if d["policy"] == "once"]
    assert len(of_new) == 1, "it remembers what it has thought of, also where the others decided live"


def test_a_replay_tells_what_would_have_been_done_to_an_unwatched_run(clock):
    live = LiveRun(clock, 5.0, 11, mode="off").live(640)
    result = replay(live.run)
    assert result.decisions[0]["policy"] == "divergence"
    assert result.decisions[0]["decided_step"] < 250
    only = replay(live.run, ["learning_rate"])
    assert {d["policy"] for d in only.decisions} <= {"learning_rate"}
    assert Decision.objects.count() == 0


def test_a_replay_looks_at_a_start_as_often_as_the_site_would_have(clock):
    live = LiveRun(clock, 0.0003, 12, mode="off").live(400, every=100)

    def first_change() -> int:
        return replay(Run.objects.get(pk=live.run.pk)).decisions[0]["decided_step"]

    steps_of_a_round = 5 / STEP_SECONDS
    assert first_change() >= steps_of_a_round - 1, "it never started: no start to look at"
    Run.objects.filter(pk=live.run.pk).update(started_at=live.run.created_at)
    assert first_change() < steps_of_a_round / 2
