"""The loop through the real tables: a real small training, real commands, the store, the tick, fake time."""

import gc
import threading
from datetime import timedelta

import pytest
from django.db import connections

from control import actions
from control.loop import (
    collector_at_rest,
    is_due,
    take_lease,
    tick,
    tick_in_turn,
    tick_starts,
    tick_starts_until_the_next_beat,
)
from control.models import Decision, TickLease
from control.proposals import Change, Expected, Proposal
from control.registry import Registry, available
from control.replay import replay
from monitoring.live import publish
from monitoring.live.channels import WATCH_KEY
from tests.loop.live import STEP_SECONDS, LiveRun
from tests.support.domain import a_user
from training.commands import issue
from training.models import Command, Run, Tunable

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]


def test_a_run_with_far_too_high_a_rate_is_rescued_and_the_story_is_told(clock, published):
    live = LiveRun(clock, 5.0, 11).live(1600)
    assert live.training.recent_loss() < 0.7
    first = live.decisions[0]
    assert (first.policy, first.verb, first.state, first.verdict) == (
        "divergence", "rollback", "judged", "better",
    )  # fmt: skip
    assert first.old_value == 5.0
    assert first.new_value == 0.5
    assert [c["verb"] for c in first.changes] == ["rollback", "set"]
    assert first.command.verb == "rollback"
    assert first.command.asked_by == "controller:divergence"
    assert first.command.origin == f"decision:{first.pk}"
    assert not first.command.by_person
    assert first.applied_step == 0
    assert "against a forecast of" in first.measured["sentence"]
    assert live.tunable.value == live.training.lr < 5


def test_a_run_with_far_too_low_a_rate_is_raised_step_by_step(clock):
    live = LiveRun(clock, 0.0003, 12).live(1120)
    raised = [d for d in live.decisions if d.verdict == "better"]
    assert len(raised) >= 2
    assert live.training.lr >= 0.0027
    for decision in raised:
        assert decision.applied_step > decision.decided_step - 1
        assert decision.judge_at_step == decision.applied_step + decision.judge_after_steps
        assert decision.forecast["mean"]


def test_observe_records_and_changes_nothing(clock):
    live = LiveRun(clock, 0.0003, 12, mode="observe").live(960)
    assert {d.state for d in live.decisions} == {"recorded"}
    assert Command.objects.count() == 0
    assert live.training.lr == 0.0003
    # One of a kind for each horizon, not one a tick.
    assert 1 <= len(live.decisions) <= 6


def test_off_decides_nothing_at_all(clock):
    live = LiveRun(clock, 5.0, 11, mode="off").live(320)
    assert live.decisions == []
    assert tick(clock.now).runs == 0


def test_advise_waits_for_a_person_who_may_approve(clock):
    live = LiveRun(clock, 0.0003, 12, mode="advise").live(320)
    (decision,) = live.decisions
    assert decision.state == "proposed"
    assert Command.objects.count() == 0
    ada = a_user("ada")
    actions.approve(decision, ada)
    assert decision.state == "sent"
    assert decision.decided_by == ada
    assert (decision.command.user, decision.command.by_person) == (ada, False)
    with pytest.raises(actions.TooLate, match="sent"):
        actions.approve(decision, ada)
    with pytest.raises(actions.TooLate):
        actions.reject(decision, ada)
    live.live(320)
    decision.refresh_from_db()
    # A step of the search is judged early; that it stands is what the next step needs.
    assert decision.state == "judged"
    assert decision.verdict in {"better", "same"}
    # The forecast begins where the change came into force, not where it was proposed.
    assert decision.forecast["steps"][0] == decision.applied_step > decision.decided_step


def test_advise_waits_for_a_person_who_may_refuse_and_is_not_asked_again_soon(clock):
    live = LiveRun(clock, 0.0003, 12, mode="advise").live(160)
    actions.reject(live.decisions[0], a_user("ada"))
    live.live(480)
    assert [d.state for d in live.decisions] == ["rejected"]
    assert "ada" in live.decisions[0].blocked_by


def test_advice_that_nobody_answers_expires(clock):
    live = LiveRun(clock, 0.0003, 12, mode="advise").live(480)
    assert [d.state for d in live.decisions] == ["proposed"]
    clock.pass_seconds(601)
    tick(clock.now)
    assert live.decisions[0].state == "expired"
    assert "nobody answered" in live.decisions[0].blocked_by


def test_advice_on_a_value_that_has_changed_cannot_be_approved(clock):
    live = LiveRun(clock, 0.0003, 12, mode="advise").live(160)
    Tunable.objects.filter(run=live.run).update(value=0.01)
    with pytest.raises(actions.TooLate, match=r"0\.01 now"):
        actions.approve(live.decisions[0], a_user("ada"))


def test_a_trial_that_is_worse_is_undone_by_itself(clock):
    live = LiveRun(clock, 0.05, 11)
    live.live(480)
    # A person with a heavy hand, through a decision of the controller's own making.
    registry = Registry((Reckless(),))
    live.train(160)
    tick(clock.now, registry)
    decision = live.decisions[-1]
    assert (decision.policy, decision.state) == ("reckless", "sent")
    for _ in range(3):
        live.train(160)
        tick(clock.now, Registry(()))
    decision.refresh_from_db()
    assert (decision.state, decision.verdict) == ("undone", "worse")
    assert decision.undo_command.asked_by == "controller:reckless"
    assert decision.undo_command.state == "applied"
    assert live.training.lr == decision.old_value
    assert "worse" in decision.measured["undo"]


class Reckless:
    name = "reckless"
    summary = "Ten times the rate, whatever happens."
    defaults = {"enabled": True}

    def propose(self, observation):
        from control.proposals import Change, Expected, Proposal

        rate = observation.tunables["lr"]
        change = Change("set", "lr", rate.value * 9)
        return [Proposal("reckless", (change,), "Faster.", {}, Expected(-0.5, -0.9, 0), "loss", 100)]


def test_a_persons_hand_wins_over_an_open_decision(clock):
    live = LiveRun(clock, 0.0003, 12).live(160)
    live.train(40)
    tick(clock.now)
    assert live.decisions[0].state == "applied"
    issue(live.run, "set", tunable="lr", value=0.002, asked_by="ada", by_person=True)
    live.train(40)
    tick(clock.now)
    decision = live.decisions[0]
    assert (decision.state, decision.verdict) == ("judged", "unclear")
    assert "a person set lr" in decision.measured["sentence"]
    assert live.training.lr == 0.002
    # And keeps it for a while, which is said once.
    live.live(800, every=160)
    later = live.decisions[1:]
    assert {d.state for d in later} <= {"blocked"}
    assert all("person" in d.blocked_by for d in later)
    assert live.training.lr == 0.002


def test_a_person_takes_a_change_back(clock):
    live = LiveRun(clock, 0.0003, 12).live(160)
    live.train(40)
    tick(clock.now)
    ada = a_user("ada")
    actions.undo(live.decisions[0], ada)
    decision = live.decisions[0]
    assert (decision.state, decision.verdict) == ("undone", "unclear")
    assert (decision.undo_command.by_person, decision.undo_command.user) == (True, ada)
    live.train(10)
    assert live.training.lr == 0.0003
    with pytest.raises(actions.TooLate, match="undone"):
        actions.undo(decision, ada)


def test_a_paused_run_is_left_alone_and_an_ended_one_closes_its_decisions(clock):
    live = LiveRun(clock, 0.0003, 12).live(160)
    Run.objects.filter(pk=live.run.pk).update(state="paused")
    live.train(160)
    tick(clock.now)
    assert len(live.decisions) == 1
    Run.objects.filter(pk=live.run.pk).update(state="finished")
    tick(clock.now)
    assert live.decisions[0].state in {"expired", "judged"}
    assert tick(clock.now).runs == 0


def test_a_command_that_the_run_refuses_ends_the_decision_with_its_reason(clock):
    live = LiveRun(clock, 0.0003, 12).live(160)
    command = live.decisions[0].command
    Command.objects.filter(pk=command.pk).update(state="rejected", message="the optimiser has no groups")
    tick(clock.now)
    decision = live.decisions[0]
    assert decision.state == "rejected"
    assert "the optimiser has no groups" in decision.blocked_by


def test_switching_off_closes_what_is_open_and_sends_nothing_more(clock):
    live = LiveRun(clock, 0.0003, 12).live(160)
    live.settings.mode = "off"
    live.settings.save()
    live.live(320)
    assert [d.state for d in live.decisions] == ["expired"]
    assert Command.objects.count() == 1


def test_a_broken_policy_is_noted_on_the_page_and_the_others_go_on(clock):
    class Broken:
        name = "broken"
        summary = "Fails."
        defaults = {}

        def propose(self, observation):
            return 1 / 0

    from control.policies.learning_rate import LearningRate

    live = LiveRun(clock, 0.0003, 12)
    live.train(160)
    report = tick(clock.now, Registry((Broken(), LearningRate())))
    assert (report.problems, report.decided) == (1, 1)
    live.settings.refresh_from_db()
    assert live.settings.problems == {"broken": "ZeroDivisionError: division by zero"}
    tick(clock.now, Registry((LearningRate(),)))
    live.settings.refresh_from_db()
    assert live.settings.problems == {}


def test_a_tick_repeated_at_the_same_moment_changes_nothing(clock):
    live = LiveRun(clock, 0.0003, 12).live(480)
    before = [(d.pk, d.state, d.verdict) for d in live.decisions], Command.objects.count()
    for _ in range(3):
        tick(clock.now)
    assert ([(d.pk, d.state, d.verdict) for d in live.decisions], Command.objects.count()) == before


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_two_ticks_at_once_decide_once(clock):
    live = LiveRun(clock, 0.0003, 12)
    live.train(160)
    TickLease.objects.create(name="tick", until=clock.now)
    barrier = threading.Barrier(4)
    failures = []

    def race():
        try:
            barrier.wait()
            tick(clock.now)
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert Decision.objects.count() == Command.objects.count() == 1


def test_a_lease_whose_holder_died_is_taken_over(clock):
    live = LiveRun(clock, 0.0003, 12)
    live.train(160)
    TickLease.objects.create(name="tick", holder="dead", until=clock.now)
    assert tick(clock.now).skipped
    clock.pass_seconds(61)
    assert tick(clock.now).decided == 1


def test_viewers_are_told_of_every_step_of_a_decision(clock, published, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        live = LiveRun(clock, 0.0003, 12).live(480)
    told = [
        m["data"] for channel, m in published
        if m.get("what") == "decision" and channel.endswith(f"run:{live.run.code}")
    ]  # fmt: skip
    first = [data["state"] for data in told if data["id"] == live.decisions[0].pk]
    assert first == ["sent", "applied", "judged"]
    assert told[-1]["run"] == live.run.code


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


def test_the_search_for_cycles_goes_on_after_a_tick_that_failed():
    asked = []

    @collector_at_rest()
    def failing():
        asked.append(gc.isenabled())
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError):
        failing()
    assert (asked, gc.isenabled()) == ([False], True)


# -- more often at first -----------------------------------------------------------------------------


def test_a_quick_start_is_looked_at_between_two_rounds_and_rescued_by_that(clock):
    """Of steps of 10 ms, 500 are done between two rounds over all runs: the search would never begin."""
    live = LiveRun(clock, 0.0003, 12)
    Run.objects.filter(pk=live.run.pk).update(started_at=clock.now)
    for _ in range(4):
        live.train(100)
        assert tick_starts(clock.now).runs == 1
    assert live.training.lr >= 0.0027
    assert {d.policy for d in live.decisions} == {"learning_rate"}


def test_a_replay_looks_at_a_start_as_often_as_the_site_would_have(clock):
    live = LiveRun(clock, 0.0003, 12, mode="off").live(400, every=100)

    def first_change() -> int:
        return replay(Run.objects.get(pk=live.run.pk)).decisions[0]["decided_step"]

    steps_of_a_round = 5 / STEP_SECONDS
    assert first_change() >= steps_of_a_round - 1, "it never started: no start to look at"
    Run.objects.filter(pk=live.run.pk).update(started_at=live.run.created_at)
    assert first_change() < steps_of_a_round / 2


def test_without_it_a_first_look_after_500_steps_finds_the_search_over(clock):
    live = LiveRun(clock, 0.0003, 12).live(500, every=500)
    assert live.decisions == []


@pytest.mark.parametrize(
    ("change", "mode"),
    [
        ({"last_step": 1000}, "act"),
        ({"started_at": None}, "act"),
        ({"state": "paused"}, "act"),
        ({"state": "finished"}, "act"),
        ({}, "off"),
    ],
    ids=["past its first steps", "never started", "paused", "over", "not steered"],
)
def test_only_steered_runs_in_their_first_steps_are_looked_at_more_often(clock, change, mode):
    live = LiveRun(clock, 0.0003, 12, mode=mode)
    Run.objects.filter(pk=live.run.pk).update(**{"started_at": clock.now, "last_step": 10} | change)
    assert tick_starts(clock.now).runs == 0


def test_who_sets_out_quickly_is_looked_at_between_two_beats_and_flushes_as_for_a_viewer(clock, broker):
    live = LiveRun(clock, 0.0003, 12)
    live.train(100)
    Run.objects.filter(pk=live.run.pk).update(started_at=clock.now - timedelta(seconds=1))
    source = f"run:{live.run.code}"
    assert publish.client().get(WATCH_KEY + source) is None
    assert tick_starts_until_the_next_beat() >= 2
    assert publish.client().ttl(WATCH_KEY + source) > 0
    assert [d.policy for d in live.decisions] == ["learning_rate"]
    Run.objects.filter(pk=live.run.pk).update(last_step=1000)
    assert tick_starts_until_the_next_beat() == 0


def test_a_start_of_slow_steps_is_looked_at_each_second_and_no_more_often(clock, broker):
    live = LiveRun(clock, 0.0003, 12)
    live.train(100)
    Run.objects.filter(pk=live.run.pk).update(started_at=clock.now - timedelta(seconds=10))
    assert tick_starts_until_the_next_beat() == 0
    assert tick_starts(clock.now).runs == 1


def test_a_run_that_began_long_ago_is_looked_at_in_the_ordinary_rounds(clock):
    live = LiveRun(clock, 0.0003, 12)
    Run.objects.filter(pk=live.run.pk).update(started_at=clock.now, last_step=10)
    assert tick_starts(clock.now).runs == 1
    clock.pass_seconds(301)
    assert tick_starts(clock.now).runs == 0
    assert tick(clock.now).runs == 1


def test_a_round_over_all_runs_is_due_every_five_seconds_and_to_one_asker_alone(clock):
    asked = []
    for _ in range(11):
        asked.append((is_due(clock.now), is_due(clock.now)))
        clock.pass_seconds(1)
    assert [first for first, _ in asked] == [number % 5 == 0 for number in range(11)]
    assert not any(second for _, second in asked)


def test_a_round_that_found_another_at_work_is_made_by_the_next_beat(clock):
    live = LiveRun(clock, 0.0003, 12)
    Run.objects.filter(pk=live.run.pk).update(started_at=clock.now, last_step=2000)
    assert take_lease("another", clock.now)
    assert tick_in_turn(clock.now).skipped
    TickLease.objects.filter(name="tick").update(holder="")
    clock.pass_seconds(1)
    assert tick_in_turn(clock.now).runs == 1
    clock.pass_seconds(1)
    assert tick_in_turn(clock.now).runs == 0
