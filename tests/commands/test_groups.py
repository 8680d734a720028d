"""Several settings as one change, changes that wait for a step, schedules, and taking back: the table's side."""

import pytest

from scaleweb_sdk.orders import Desk
from scaleweb_sdk.tunables import Tunable as Live
from scaleweb_sdk.tunables import declare
from tests.support.domain import a_run
from training.changes import change_together, take_back
from training.commands import (
    CommandRefused,
    issue,
    orders_after,
    presume_applied,
    record_outcome,
    settings_after,
)
from training.many_commands import Settings, issue_settings
from training.models import Command, CommandState, Run, Schedule, Tunable
from training.schedules import Asked, cancel, changes_of, plan

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
S = CommandState


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr("monitoring.live.publish.send", lambda channel, message: None)


@pytest.fixture
def run():
    run = a_run(state="running", last_step=100)
    Tunable.objects.create(
        run=run, name="lr", kind="float", value=0.1, initial=0.1, low=1e-6, high=1.0, scale="log"
    )
    Tunable.objects.create(run=run, name="batch", kind="int", value=64, initial=64, low=1, high=512)
    Tunable.objects.create(run=run, name="augment", kind="bool", value=False, initial=False)
    return run


def apply_all(run, step=120):
    """What a process does with all that was handed to it and does not wait."""
    for order in orders_after(run, 0):
        if order.at_step is None:
            old = Tunable.objects.filter(run=run, name=order.tunable).values_list("value", flat=True).first()
            told = {"seq": order.seq, "ok": True, "old_value": old, "new_value": order.value}
            record_outcome(run, 0, step, told)


def states(run):
    return [c.state for c in run.commands.order_by("seq")]


def test_a_group_goes_out_as_one_and_a_newer_setting_does_not_tear_it(run):
    group = change_together(run, {"lr": 0.01, "batch": 128}, asked_by="ada", reason="both")
    assert len({c.group for c in group} - {""}) == 1
    issue(run, "set", tunable="lr", value=0.5, asked_by="bob")
    orders = orders_after(run, 0)
    assert [(o.tunable, o.value, o.group_of) for o in orders] == [
        ("lr", 0.01, 2),
        ("batch", 128, 2),
        ("lr", 0.5, 0),
    ]
    alone = change_together(run, {"lr": 0.02}, asked_by="ada")
    assert alone[0].group == ""


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"lr": 0.01, "batch": 1024}, "settings.batch", "outside 1..512"),
        ({"lr": 0.01, "momentum": 1}, "settings.momentum", "it declares lr, batch, augment"),
        ({}, "settings", "expected 1 to 50"),
    ],
)
def test_a_group_is_refused_as_a_whole(run, values, field, words):
    with pytest.raises(CommandRefused) as refusal:
        change_together(run, values, asked_by="ada")
    assert refusal.value.field == field
    assert words in refusal.value.message
    assert not Command.objects.exists()


def test_the_same_request_sent_twice_is_one_change(run):
    first = issue(run, "set", tunable="lr", value=0.01, asked_by="ada", key="k1")
    assert issue(run, "set", tunable="lr", value=0.01, asked_by="ada", key="k1").pk == first.pk
    group = change_together(run, {"lr": 0.02, "batch": 32}, asked_by="ada", key="k2")
    again = change_together(run, {"lr": 0.02, "batch": 32}, asked_by="ada", key="k2")
    assert [c.pk for c in again] == [c.pk for c in group]


@pytest.mark.parametrize(
    ("verb", "fields", "words"),
    [
        ("set", {"tunable": "lr", "value": 0.01, "at_step": 100}, "has passed: the run is at step 100"),
        ("set", {"tunable": "lr", "value": 0.01, "at_step": -1}, "outside 0..2"),
        ("resume", {"at_step": 500}, "resume cannot wait for a step"),
    ],
)
def test_what_cannot_wait_for_a_step_is_refused(run, verb, fields, words):
    with pytest.raises(CommandRefused, match=words) as refusal:
        issue(run, verb, asked_by="ada", **fields)
    assert refusal.value.field == "at_step"


def test_a_process_that_cannot_wait_is_told_of_before_and_refused_at_the_door(run):
    planned = issue(run, "set", tunable="lr", value=0.01, asked_by="ada", at_step=500)
    group = change_together(run, {"lr": 0.02, "batch": 32}, asked_by="ada")
    assert orders_after(run, 0, knows=[]) == []
    for command in (planned, *group):
        command.refresh_from_db()
        assert command.state in {S.REJECTED, S.SUPERSEDED}
    Run.objects.filter(pk=run.pk).update(process={"sdk": "python-0.1.0"})
    with pytest.raises(CommandRefused, match="too old to wait for a step"):
        issue(run, "set", tunable="lr", value=0.01, asked_by="ada", at_step=500)
    with pytest.raises(CommandRefused, match="too old to apply several changes as one"):
        change_together(run, {"lr": 0.02, "batch": 32}, asked_by="ada")


def test_what_waits_comes_again_with_a_new_connection_and_is_not_presumed_applied(run):
    issue(run, "set", tunable="lr", value=0.01, asked_by="ada", at_step=500)
    issue(run, "pause", asked_by="ada")
    assert [o.seq for o in orders_after(run, 0)] == [1, 2]
    assert orders_after(run, 2) == []
    assert presume_applied(run, 2) == 1
    assert [(o.seq, o.at_step) for o in orders_after(run, 2, first=True)] == [(1, 500)]


def test_a_hand_takes_the_place_of_what_was_planned_and_the_controller_does_not(run):
    sent = issue(run, "set", tunable="lr", value=0.01, asked_by="ada", at_step=500)
    orders_after(run, 0)
    unsent = issue(run, "set", tunable="lr", value=0.001, asked_by="ada", at_step=900)
    with pytest.raises(CommandRefused, match=r"ada has planned lr to be 0\.01 at step 500") as refusal:
        issue(
            run,
            "set",
            tunable="lr",
            value=0.5,
            asked_by="controller:x",
            by_person=False,
            unless_person_since=99,
        )
    assert refusal.value.field == "person"
    (answer,) = issue_settings([Settings(run, {"lr": 0.5}, "controller:x", since=99)])
    assert isinstance(answer, CommandRefused)
    assert answer.field == "person"
    hand = issue(run, "set", tunable="lr", value=0.2, asked_by="bob")
    assert hand.drops == [sent.seq]
    unsent.refresh_from_db()
    assert unsent.state == S.SUPERSEDED
    apply_all(run)
    sent.refresh_from_db()
    assert (sent.state, sent.message) == (S.SUPERSEDED, f"let go of for #{hand.seq} by bob")


def test_a_resumed_process_is_told_of_the_steps_at_which_planned_changes_were_made(run):
    issue(run, "set", tunable="lr", value=0.01, asked_by="ada", at_step=500)
    orders_after(run, 0)
    record_outcome(run, 0, 500, {"seq": 1, "ok": True, "old_value": 0.1, "new_value": 0.01})
    assert [(o.at_step, o.value, o.again) for o in settings_after(run, 1)] == [(500, 0.01, True)]
    issue(run, "set", tunable="lr", value=0.3, asked_by="ada")
    apply_all(run, 510)
    assert [(o.at_step, o.value) for o in settings_after(run, 1)] == [(None, 0.3)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked("once", 5000, factor=0.5), [(5000, 0.05)]),
        (Asked("repeat", 1000, factor=0.9, every=1000, until_step=3000), [(1000, 0.09), (2000, 0.081), (3000, 0.0729)]),
        (Asked("repeat", 1000, factor=0.5, every=10, until_value=0.03), [(1000, 0.05), (1010, 0.03)]),
        (Asked("cosine", 1000, value=0.02, until_step=1004), 
         [(1001, 0.0882843), (1002, 0.06), (1003, 0.0317157), (1004, 0.02)]),
    ],
)  # fmt: skip
def test_a_schedule_is_written_out_in_steps_and_values(run, asked, expected):
    assert changes_of(asked, run.tunables.get(name="lr")) == expected


@pytest.mark.parametrize(
    ("name", "asked", "field", "words"),
    [
        ("lr", Asked("once", 5000), "value", "a value or a factor"),
        ("lr", Asked("once", 5000, factor=100), "factor", "at step 5000: lr=10.0 is outside"),
        ("lr", Asked("repeat", 1, factor=0.999, every=1, until_step=10**9), "every", "more than 100 changes"),
        (
            "batch",
            Asked("repeat", 1, factor=0.9999, every=1, until_step=10**9),
            "every",
            "more than 100 changes",
        ),
        ("lr", Asked("repeat", 1, factor=0.9, every=1), "until_step", "until which"),
        ("lr", Asked("repeat", 1, factor=0.9, every=0, until_step=9), "every", "1 or more"),
        ("lr", Asked("repeat", 1, factor=-1, every=1, until_step=9), "factor", "above 0"),
        ("lr", Asked("cosine", 1000, value=0.01, until_step=1000), "until_step", "after it began"),
        ("augment", Asked("cosine", 1000, value=0.01, until_step=2000), "shape", "no number"),
        ("batch", Asked("once", 1000, value=64), "value", "nothing would change"),
        ("lr", Asked("spiral", 1000, value=64), "shape", "once, repeat, cosine"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_with_the_field(run, name, asked, field, words):
    with pytest.raises(CommandRefused) as refusal:
        plan(run, name, asked, asked_by="ada")
    assert refusal.value.field == field
    assert words in refusal.value.message
    assert not Schedule.objects.exists()


def test_a_schedule_takes_the_place_of_the_one_before_and_can_be_cancelled(run):
    first = plan(run, "lr", Asked("repeat", 1000, factor=0.5, every=1000, until_step=3000), asked_by="ada")
    orders_after(run, 0)
    second = plan(run, "lr", Asked("once", 5000, factor=0.5), asked_by="bob", reason="later is enough")
    let_go = run.commands.get(verb="cancel")
    assert let_go.drops == [1, 2, 3]
    apply_all(run)
    assert set(first.commands.values_list("state", flat=True)) == {"superseded"}
    assert second.commands.get().reason == "later is enough"
    cancel(second, asked_by="ada")
    apply_all(run)
    assert second.commands.get().state == "superseded"
    with pytest.raises(CommandRefused, match="nothing of this schedule waits"):
        cancel(second, asked_by="ada")


def test_a_change_is_taken_back_with_its_group_and_only_while_it_stands(run):
    group = change_together(run, {"lr": 0.01, "batch": 128}, asked_by="ada")
    with pytest.raises(CommandRefused, match="#1 is pending"):
        take_back(run, 1, asked_by="ada")
    apply_all(run)
    back = take_back(run, group[0].seq, asked_by="bob")
    assert {c.tunable: c.value for c in back} == {"lr": 0.1, "batch": 64}
    assert back[0].group
    assert "takes back #1: lr 0.1 → 0.01" in back[0].reason
    apply_all(run)
    with pytest.raises(CommandRefused, match=r"lr is 0\.1 now and not the 0\.01 of #1; set it by hand"):
        take_back(run, group[0].seq, asked_by="bob")


class Script:
    def __init__(self):
        self.branch, self.rank, self.link, self.current_step, self._events = 0, 0, None, 0, []
        self.tunables = {
            "lr": Live(declare("lr", 0.1, low=1e-6, high=1.0)),
            "batch": Live(declare("batch", 64), on_change=self.no_memory),
        }

    def no_memory(self, value):
        if value > 100:
            raise MemoryError("no room for it")


def test_the_process_applies_a_group_at_one_boundary_or_not_at_all(run):
    script = Script()
    desk = Desk(script)
    change_together(run, {"lr": 0.01, "batch": 128}, asked_by="ada")
    change_together(run, {"lr": 0.02, "batch": 32}, asked_by="ada")
    refused_lr, refused_batch, *good = orders_after(run, 0)
    desk.receive([refused_lr])
    desk.serve(1)
    assert script._events == [], "half of a group was not waited for"
    desk.receive([refused_batch])
    desk.serve(2)
    answers = [event.data for _, event in script._events]
    assert [a["ok"] for a in answers] == [False, False]
    assert answers[0]["message"] == "refused as a whole: batch: no room for it"
    assert script.tunables["lr"].value == 0.1
    desk.receive(good)
    desk.serve(3)
    assert (script.tunables["lr"].value, script.tunables["batch"].value) == (0.02, 32)
