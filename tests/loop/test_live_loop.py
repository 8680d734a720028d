"""The loop through the real tables: a real small training, real commands, the store, the tick, fake time."""

import pytest

from control import actions
from control.loop import tick
from control.proposals import Change, Expected, Proposal
from control.registry import Registry
from tests.loop.live import LiveRun
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
