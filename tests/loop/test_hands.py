"""A person's hand wins, whenever it moves: while the tick thinks, before delivery, before the undoing."""

from datetime import timedelta

import pytest

from control import actions, history, loop
from control.deadline import Patience
from control.learning.book import Book
from control.loop import tick
from control.models import ControllerSettings, Decision
from control.policies.divergence import Divergence
from control.proposals import Change
from control.registry import Registry
from control.replay import replay
from control.report import TickReport
from control.rounds import Round
from tests.loop.scripted import ScriptedRun
from tests.support.domain import a_user
from training.commands import issue, record_outcome
from training.models import Command, Run

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]
RAISE = Change("set", "lr", 0.3)


def by_hand(live, value=0.5, name="lr"):
    return issue(live.run, "set", tunable=name, value=value, asked_by="ada", by_person=True)


@pytest.fixture
def between(monkeypatch):
    """Something that happens after the tick has read the rows and before it acts on them."""
    watch = history.watch

    def arrange(action):
        def watch_then(policies, **which):
            found = watch(policies, **which)
            monkeypatch.setattr(history, "watch", watch)
            action()
            return found

        monkeypatch.setattr(history, "watch", watch_then)

    return arrange


@pytest.mark.parametrize("delivered", [False, True])
def test_what_a_person_sets_while_the_tick_decides_is_not_overridden(clock, between, delivered):
    live = ScriptedRun(clock, RAISE)

    def hand():
        by_hand(live)
        if delivered:
            assert live.obey() == ["set lr 0.5"]

    between(hand)
    live.tick()
    assert (live.last.state, live.last.command) == ("blocked", None)
    assert live.last.blocked_by.startswith("a person's hand: ada set lr to 0.5 meanwhile")
    live.obey()
    assert live.value() == 0.5
    assert Command.objects.count() == 1


def test_what_a_person_sets_before_delivery_takes_the_place_of_the_order(clock):
    live = ScriptedRun(clock, RAISE)
    live.tick()
    by_hand(live)
    live.rest()
    assert live.obey() == ["set lr 0.5"]
    live.tick()
    assert live.last.state == "rejected"
    assert "superseded" in live.last.blocked_by


def test_what_a_person_sets_on_another_tunable_is_no_obstacle(clock, between):
    live = ScriptedRun(clock, RAISE)
    between(lambda: by_hand(live, name="clip"))
    live.tick()
    assert live.last.state == "sent"


def worse(live):
    """The change is in force and does harm; the next tick would take it back."""
    live.tick()
    live.rest()
    assert live.obey() == ["set lr 0.3"]
    live.log(110, level=1.8)


def test_an_undoing_does_not_override_what_a_person_sets_at_that_moment(clock, between):
    live = ScriptedRun(clock, RAISE)
    worse(live)
    between(lambda: by_hand(live))
    live.tick()
    assert (live.last.state, live.last.verdict) == ("judged", "worse")
    assert "It could not be taken back: ada set lr to 0.5" in live.last.measured["undo"]
    assert live.obey() == ["set lr 0.5"]


def test_an_undoing_that_the_run_refuses_is_not_called_one(clock):
    live = ScriptedRun(clock, RAISE)
    worse(live)
    live.tick()
    assert live.last.state == "undone"
    record_outcome(
        live.run, 0, live.step, {"seq": live.last.undo_command.seq, "ok": False, "message": "no groups"}
    )
    live.tick()
    assert (live.last.state, live.last.verdict) == ("judged", "worse")
    assert live.last.measured["undo"] == "It could not be taken back: no groups."
    assert live.value() == 0.3


def test_a_controller_that_is_switched_off_while_the_tick_decides_sends_nothing(clock, between):
    live = ScriptedRun(clock, RAISE)
    between(lambda: ControllerSettings.objects.update(mode="off"))
    live.tick()
    assert not Decision.objects.exists()
    assert not Command.objects.exists()


def test_switching_off_calls_back_what_no_process_has_seen(clock):
    live = ScriptedRun(clock, RAISE)
    live.tick()
    ControllerSettings.objects.update(mode="off")
    live.tick()
    assert live.last.state == "expired"
    assert live.obey() == []
    assert live.value() == 0.1


def test_what_the_process_has_already_is_followed_to_its_end_after_switching_off(clock):
    live = ScriptedRun(clock, RAISE)
    live.tick()
    Command.objects.update(state="sent")
    ControllerSettings.objects.update(mode="off")
    live.tick()
    assert live.last.state == "sent"
    live.obey()
    live.tick()
    assert (live.last.state, live.last.applied_step) == ("expired", 199)


def test_a_person_who_rolls_back_ends_the_judging(clock):
    live = ScriptedRun(clock, RAISE)
    worse(live)
    # The tick would take it back, but the person is faster.
    issue(live.run, "rollback", asked_by="ada", by_person=True)
    live.tick()
    assert (live.last.state, live.last.verdict) == ("judged", "unclear")
    assert "a person rolled the run back" in live.last.measured["sentence"]


def test_what_the_controller_rolls_back_is_no_persons_hand(clock):
    live = ScriptedRun(clock, RAISE)
    worse(live)
    issue(live.run, "rollback", asked_by="controller:x", by_person=False)
    live.tick()
    assert live.last.verdict == "worse"


# Approving.


def test_approval_loses_to_a_person_whose_value_is_still_on_its_way(clock):
    live = ScriptedRun(clock, RAISE, mode="advise")
    live.tick()
    clock.pass_seconds(1)
    by_hand(live)
    with pytest.raises(actions.TooLate, match=r"ada set lr to 0\.5"):
        actions.approve(live.last, a_user("bob"))
    assert live.last.state == "proposed"
    live.tick()
    assert live.last.state == "expired"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda live: live.clock.pass_seconds(601), "more than 10 minutes ago"),
        (lambda live: ControllerSettings.objects.update(mode="off"), "switched off"),
        (lambda live: ControllerSettings.objects.update(guards={"max_changes": 0}), "budget of 0 changes"),
        (lambda live: Run.objects.update(state="finished"), "the run has ended"),
    ],
)
def test_a_proposal_that_has_outlived_its_time_cannot_be_approved_before_a_tick_closes_it(
    clock, change, words
):
    live = ScriptedRun(clock, RAISE, mode="advise")
    live.tick()
    change(live)
    with pytest.raises(actions.TooLate, match=words):
        actions.approve(live.last, a_user("bob"))
    assert live.last.state == "proposed"
    assert not Command.objects.exists()


@pytest.mark.parametrize("first", ["reject", "expire"])
def test_of_an_answer_and_its_rival_the_first_wins_even_on_old_rows(clock, first):
    live = ScriptedRun(clock, RAISE, mode="advise")
    live.tick()
    seen, bob = live.last, a_user("bob")
    if first == "reject":
        actions.reject(live.last, bob)
    else:
        live.clock.pass_seconds(601)
        live.tick()
    for answer in (actions.approve, actions.reject):
        with pytest.raises(actions.TooLate):
            answer(seen, bob)
    assert not Command.objects.exists()


def test_a_tick_on_old_rows_does_not_expire_what_a_person_has_just_approved(clock, between):
    live = ScriptedRun(clock, RAISE, mode="advise")
    live.tick()
    live.clock.pass_seconds(590)
    between(lambda: actions.approve(live.last, a_user("bob")))
    tick(clock.now + timedelta(seconds=20), Registry(()))
    assert live.last.state == "sent"


# Undoing by hand.


def in_force(live):
    live.tick()
    live.rest()
    live.obey()
    live.tick()
    assert live.last.state == "applied"
    return live.last


def test_a_person_cannot_take_back_what_somebody_set_since(clock):
    live = ScriptedRun(clock, RAISE)
    decision = in_force(live)
    by_hand(live)
    with pytest.raises(actions.TooLate, match=r"about to be 0\.5 \(#2, ada\)"):
        actions.undo(decision, a_user("bob"))
    live.obey()
    with pytest.raises(actions.TooLate, match=r"0\.5 now and not the 0\.3"):
        actions.undo(decision, a_user("eve"))
    assert live.last.state == "applied"
    assert live.value() == 0.5


def test_a_person_cannot_take_back_what_an_ended_run_keeps(clock):
    live = ScriptedRun(clock, RAISE)
    decision = in_force(live)
    Run.objects.update(state="finished")
    with pytest.raises(actions.TooLate, match="the run has ended"):
        actions.undo(decision, a_user("bob"))
    assert live.last.state == "applied"


def test_a_person_may_take_a_setting_back_after_a_roll_back(clock):
    live = ScriptedRun(clock, RAISE)
    live.policy.changes = (Change("rollback", value={"checkpoint": live.checkpoint.pk, "step": 100}), RAISE)
    decision = in_force(live)
    assert decision.applied_step == 100
    actions.undo(decision, a_user("bob"))
    assert live.obey() == ["set lr 0.1"]
    assert live.value() == 0.1


def test_all_settings_of_a_decision_are_taken_back_in_reverse(clock):
    live = ScriptedRun(clock, RAISE, Change("set", "clip", 3.0))
    live.tick()
    live.rest()
    assert live.obey() == ["set lr 0.3", "set clip 3.0"]
    live.log(110, level=1.8)
    live.tick()
    assert live.last.state == "undone"
    assert live.obey() == ["set clip 1.0", "set lr 0.1"]
    assert "clip goes back to 1.0 and lr goes back to 0.1" in live.last.measured["undo"]


def test_a_setting_that_a_decision_changes_beside_another_counts_as_open(clock):
    live = ScriptedRun(clock, RAISE, Change("set", "clip", 3.0))
    live.tick()
    live.obey()
    live.policy.changes = (Change("set", "clip", 9.0),)
    live.log(60)
    live.tick()
    assert live.last.blocked_by.startswith("one open change")


# The end of a run, and metrics that fall silent.


def test_a_change_whose_horizon_was_reached_is_judged_although_the_run_has_ended_since(clock):
    live = ScriptedRun(clock, RAISE)
    worse(live)
    Run.objects.update(state="finished")
    live.tick()
    assert (live.last.state, live.last.verdict) == ("judged", "worse")
    assert "undo" not in live.last.measured
    assert Command.objects.count() == 1


def test_a_metric_that_falls_silent_does_not_hold_its_tunable_for_ever(clock):
    live = ScriptedRun(clock, RAISE)
    live.tick()
    live.rest()
    live.obey()
    live.log(250, key="val/loss")
    live.settings.policies = {"divergence": {"metric": "val/loss"}}
    live.settings.save()
    live.tick()
    assert live.last.state == "applied"
    live.log(60, key="val/loss")
    live.tick()
    assert (live.last.state, live.last.verdict) == ("judged", "unclear")
    assert live.last.measured["sentence"] == "The run has not logged loss since step 199."


# Two ticks.


def test_two_ticks_that_read_the_same_rows_decide_once(clock, monkeypatch):
    """As if the lease had failed: the database lets one open decision of a tunable in."""
    live = ScriptedRun(clock, RAISE)
    both = [history.watch([live.policy]) for _ in range(2)]
    for (watched,) in both:
        Round(Registry((live.policy,)), clock.now, TickReport(), Book(), Patience(())).of([watched])
    assert [d.state for d in live.decisions] == ["sent"]
    assert Command.objects.count() == 1


def test_a_tick_that_lost_its_lease_stops_before_the_next_run(clock, monkeypatch, between):
    live = ScriptedRun(clock, RAISE)
    monkeypatch.setattr(loop, "RENEW_SECONDS", -1)
    between(lambda: loop.TickLease.objects.update(holder="another"))
    assert live.tick().runs == 0
    assert not Decision.objects.exists()
    assert loop.TickLease.objects.get().holder == "another"
    loop.TickLease.objects.update(holder="")
    assert live.tick().decided == 1


# Long histories.


def test_the_budget_counts_changes_that_are_out_of_sight(clock):
    live = ScriptedRun(clock, RAISE, guards={"max_changes": 3})
    fields = {"run": live.run, "policy": "other", "mode": "act", "tunable": "lr", "reason": "r"}
    rows = [
        Decision(state="judged" if n < 3 else "blocked", decided_step=n, judge_at_step=n, **fields)
        for n in range(history.PAST_DECISIONS + 10)
    ]
    Decision.objects.bulk_create(rows)
    live.tick()
    assert len(live.policy.seen.past) == history.PAST_DECISIONS
    assert live.last.blocked_by == "budget: the run's budget of 3 changes is spent"


def test_an_open_decision_is_followed_however_many_came_after_it(clock):
    live = ScriptedRun(clock, RAISE)
    live.tick()
    live.rest()
    fields = {"run": live.run, "policy": "other", "mode": "act", "state": "blocked", "reason": "r"}
    rows = [Decision(decided_step=1, judge_at_step=1, **fields) for _ in range(history.PAST_DECISIONS + 10)]
    Decision.objects.bulk_create(rows)
    live.obey()
    live.tick()
    assert live.decisions[0].state == "applied"


def test_a_checkpoint_that_a_roll_back_left_behind_is_no_place_to_go_back_to(clock):
    live = ScriptedRun(clock)
    kept = live.checkpoint
    left = kept.__class__.objects.create(run=live.run, step=180, path="/c/180")
    Run.objects.update(branches=[{"index": 1, "from_step": 150, "reason": "rollback", "at": ""}])
    after = kept.__class__.objects.create(run=live.run, step=170, branch=1, path="/c/170-1")
    live.tick()
    assert [c.id for c in live.policy.seen.checkpoints] == [kept.pk, after.pk]
    assert left.pk not in {c.id for c in live.policy.seen.checkpoints}


def test_after_a_roll_back_the_healthy_past_is_still_seen_live_and_in_a_replay(clock):
    """A rescue at the same rate was too little: the loss is stuck far above where the run had been."""
    live = ScriptedRun(clock)
    registry = Registry((Divergence(),))
    live.run.tunables.filter(name="lr").update(role="learning_rate")

    def look():
        clock.pass_seconds(1)
        tick(clock.now, registry)

    live.log(40, level=9.0)
    look()
    assert live.obey() == ["rollback"]
    live.log(120, level=5.0)
    look()
    first, second = live.decisions
    assert first.verdict == "better"
    assert (second.policy, second.verb) == ("divergence", "rollback")
    assert second.new_value == 0.01
    assert second.evidence["healthy_level"] == pytest.approx(1.0, abs=0.05)
    replayed = {d["created_at"]: d for d in replay(Run.objects.get(), registry=registry).decisions}
    for decision in (first, second):
        twin = replayed[decision.created_at.isoformat()]
        assert (twin["changes"], twin["reason"]) == (decision.changes, decision.reason)
        assert (twin["evidence"], twin["forecast"]) == (decision.evidence, decision.forecast)
