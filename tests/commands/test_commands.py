"""The table of commands: what is refused, in what order things happen, and that each happens once."""

import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from tests.support.domain import a_run
from training.commands import (
    CommandRefused,
    expire_due,
    expire_open,
    issue,
    orders_after,
    presume_applied,
    record_outcome,
)
from training.models import Checkpoint, Command, CommandState, Run, Tunable

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
S = CommandState


@pytest.fixture(autouse=True)
def published(monkeypatch):
    """What would have gone to the broker."""
    sent = []
    monkeypatch.setattr(
        "monitoring.live.publish.send", lambda channel, message: sent.append((channel, message))
    )
    return sent


@pytest.fixture
def run(request):
    run = a_run(state="running", actions=[{"name": "render sample", "description": ""}])
    Tunable.objects.create(run=run, name="lr", kind="float", value=0.1, initial=0.1, low=1e-6, high=1.0)
    return run


def set_lr(run, value=0.01, **fields):
    return issue(run, "set", tunable="lr", value=value, asked_by="ada", **fields)


def test_a_command_is_numbered_within_its_run_and_wakes_the_process(
    run, published, django_capture_on_commit_callbacks
):
    other = a_run(state="running")
    with django_capture_on_commit_callbacks(execute=True):
        assert [set_lr(run).seq, issue(run, "pause", asked_by="ada").seq] == [1, 2]
    assert issue(other, "pause", asked_by="ada").seq == 1
    channels = [channel for channel, _ in published]
    assert f"sw:wake:{run.code}" in channels
    states = [m["data"]["state"] for c, m in published if c == f"sw:live:run:{run.code}"]
    assert states[0] == "pending"


@pytest.mark.parametrize(
    ("verb", "fields", "field", "words"),
    [
        ("explode", {}, "verb", "expected one of set, pause"),
        ("rescale", {}, "verb", "save checkpoints in its script"),
        ("prune", {}, "verb", "offers no prune"),
        ("set", {"tunable": "momentum", "value": 1}, "tunable", "it declares lr"),
        ("set", {"tunable": "lr", "value": 7}, "value", "outside 1e-06..1"),
        ("set", {"tunable": "lr", "value": float("nan")}, "value", "not finite"),
        ("set", {"tunable": "lr", "value": "x" * 10_000}, "value", "not a number"),
        ("action", {"tunable": "dance"}, "tunable", "it offers render sample"),
        ("action", {"tunable": "render sample", "value": b"x"}, "value", "bytes"),
        ("pause", {"value": 3}, "value", "takes no value"),
        ("pause", {"tunable": "lr"}, "tunable", "takes no tunable"),
        ("rollback", {}, "value", "it has none"),
        ("rollback", {"value": {"checkpoint": 10**30}}, "value", "too large"),
        ("rollback", {"value": "latest"}, "value", "names no checkpoint"),
        ("rollback", {"value": True}, "value", "names no checkpoint"),
        ("pause", {"expires_in_seconds": -1}, "expires_in_seconds", "outside"),
        ("pause", {"expires_in_seconds": float("nan")}, "expires_in_seconds", "outside"),
    ],
)
def test_what_the_run_cannot_take_is_refused_in_words_and_not_stored(run, verb, fields, field, words):
    with pytest.raises(CommandRefused) as refusal:
        issue(run, verb, asked_by="ada", **fields)
    assert refusal.value.field == field
    assert words in refusal.value.message
    assert len(refusal.value.message) < 700
    assert not Command.objects.exists()


@pytest.mark.parametrize("state", ["queued", "stopping", "finished", "failed", "stopped", "lost"])
def test_a_run_without_a_process_refuses_commands(run, state):
    Run.objects.filter(pk=run.pk).update(state=state)
    with pytest.raises(CommandRefused) as refusal:
        set_lr(run)
    assert refusal.value.field == "state"
    assert state.removesuffix("ed")[:4] in refusal.value.message


def test_verbs_that_the_process_does_not_offer_are_refused(run):
    Run.objects.filter(pk=run.pk).update(process={"verbs": ["pause", "resume"]})
    issue(run, "pause", asked_by="ada")
    with pytest.raises(CommandRefused, match="offers pause, resume"):
        issue(run, "checkpoint", asked_by="ada")


def test_a_roll_back_names_the_checkpoint_it_goes_to(run):
    old = Checkpoint.objects.create(run=run, step=10, path="/c/10")
    new = Checkpoint.objects.create(run=run, step=20, path="/c/20")
    gone = Checkpoint.objects.create(run=run, step=30, path="/c/30", available=False)
    newest = {"checkpoint": new.pk, "step": 20, "path": "/c/20"}
    assert issue(run, "rollback", asked_by="a").value == newest
    assert issue(run, "rollback", value={"step": 20}, asked_by="a").value == newest
    for named in (old.pk, {"checkpoint": old.pk}):
        assert issue(run, "rollback", value=named, asked_by="a").value["step"] == 10
    with pytest.raises(CommandRefused, match=f"{new.pk} \\(step 20\\)"):
        issue(run, "rollback", value={"checkpoint": gone.pk}, asked_by="a")


def test_a_newer_value_supersedes_the_one_nobody_has_seen(run):
    first, second = set_lr(run, 0.01), set_lr(run, 0.02)
    pause = issue(run, "pause", asked_by="ada")
    first.refresh_from_db()
    assert (first.state, first.message) == (S.SUPERSEDED, "superseded by #2 before it was sent")
    assert [order.seq for order in orders_after(run, 0)] == [second.seq, pause.seq]
    third = set_lr(run, 0.03)
    second.refresh_from_db()
    assert second.state == S.SENT  # the process has it: both will be applied, in order
    assert [order.seq for order in orders_after(run, second.seq)] == [pause.seq, third.seq]


def test_orders_are_handed_out_again_until_they_are_final(run):
    set_lr(run)
    assert [order.value for order in orders_after(run, 0)] == [0.01]
    assert [order.seq for order in orders_after(run, 0)] == [1]
    assert orders_after(run, 1) == []
    record_outcome(run, 0, 500, {"seq": 1, "ok": True, "old_value": 0.1, "new_value": 0.01})
    assert orders_after(run, 0) == []


def test_an_applied_command_changes_its_tunable_once(run):
    set_lr(run)
    orders_after(run, 0)
    outcome = {"seq": 1, "ok": True, "message": "", "old_value": 0.1, "new_value": 0.01}
    first = record_outcome(run, 0, 500, outcome)
    assert (first.state, first.applied_step, first.old_value, first.new_value) == (S.APPLIED, 500, 0.1, 0.01)
    tunable = run.tunables.get()
    assert (tunable.value, tunable.changed_step, tunable.changed_by) == (0.01, 500, "ada")
    again = record_outcome(run, 0, 900, outcome | {"ok": False})
    assert (again.state, again.applied_step) == (S.APPLIED, 500)


def test_a_rejected_command_keeps_the_reason_and_the_tunable(run):
    set_lr(run)
    command = record_outcome(run, 0, 500, {"seq": 1, "ok": False, "message": "the optimiser is gone"})
    assert (command.state, command.message) == (S.REJECTED, "the optimiser is gone")
    assert run.tunables.get().value == 0.1


def test_rank_zero_decides_and_every_rank_is_kept(run):
    set_lr(run)
    assert record_outcome(run, 1, 500, {"seq": 1, "ok": True}).state == S.PENDING
    assert record_outcome(run, 0, 500, {"seq": 1, "ok": True}).state == S.APPLIED
    assert Command.objects.get().acks.keys() == {"0", "1"}
    issue(run, "pause", asked_by="ada")
    assert (
        record_outcome(run, 1, 510, {"seq": 2, "ok": False, "message": "rank 1 is dead"}).state == S.REJECTED
    )


def test_what_a_process_resumed_past_is_presumed_applied_until_an_answer_comes(run):
    for verb in ("pause", "resume", "pause"):
        issue(run, verb, asked_by="ada")
    orders_after(run, 0)
    record_outcome(run, 0, 5, {"seq": 1, "ok": False, "message": "no"})
    assert presume_applied(run, 2) == 1
    states = list(Command.objects.order_by("seq").values_list("state", flat=True))
    assert states == [S.REJECTED, S.APPLIED, S.SENT]
    presumed = Command.objects.get(seq=2)
    assert (presumed.applied_step, presumed.applied_at) == (None, None)
    assert "as its checkpoint says" in presumed.message
    assert [order.seq for order in orders_after(run, 0)] == [3]
    # The spool of the process that died is sent after all.
    told = record_outcome(run, 0, 9, {"seq": 2, "ok": False, "message": "it was too late"})
    assert (told.state, told.applied_step, told.message) == (S.REJECTED, 9, "it was too late")


def test_an_outcome_of_no_known_command_changes_nothing(run):
    assert record_outcome(run, 0, 1, {"seq": 99, "ok": True}) is None


def test_commands_expire_by_time_and_with_their_run(run):
    late = set_lr(run, expires_in_seconds=5)
    Command.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert expire_due() == 1
    assert orders_after(run, 0) == []
    issue(run, "pause", asked_by="ada")
    set_lr(run, 0.02)
    assert expire_open(run, "the run ended (finished)") == 2
    assert expire_open(run, "again") == 0
    late.refresh_from_db()
    assert (late.state, late.message) == (S.EXPIRED, "not applied before it expired")
    # The process knows better: it applied one before it ended, and the outcome came late.
    assert record_outcome(run, 0, 77, {"seq": 3, "ok": True}).state == S.APPLIED


@pytest.mark.django_db(transaction=True)
def test_many_at_once_get_one_number_each_and_none_is_skipped_by_a_reader(run):
    """Handing out while others issue: a later number is never seen before an earlier one."""
    given: list[int] = []
    errors: list[BaseException] = []

    def work(name):
        try:
            for turn in range(10):
                issue(run, "pause" if turn % 2 else "resume", asked_by=name)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    def read():
        try:
            while len(given) < 40 and not errors:
                given.extend(order.seq for order in orders_after(run, given[-1] if given else 0))
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=work, args=(f"thread {n}",)) for n in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    reader.join()
    assert errors == []
    assert given == list(range(1, 41))
