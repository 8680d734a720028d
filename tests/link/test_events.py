"""What a process reports beside its points: each event has its effect once, whatever is sent again."""

import math
import time

import pytest
from django.utils import timezone

from control import history
from monitoring.models import Node
from scaleweb_sdk.protocol import Event
from tests.support.domain import a_run
from training import commands, events
from training.models import Attempt, Checkpoint, Job, Run, RunEvent, Tunable

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
SENDER = events.Sender("s" * 32)


@pytest.fixture(autouse=True)
def no_broker(monkeypatch):
    monkeypatch.setattr("monitoring.live.publish.send", lambda channel, message: None)


@pytest.fixture
def run():
    return a_run(state="running")


def event(kind, step=None, /, **data):
    return Event(kind, time.time(), step, data)


def tell(run, *found, seq=1, sender=SENDER):
    """Applied twice, as after a server that died before it acknowledged."""
    events.apply(run.pk, sender, seq, list(found))
    events.apply(run.pk, sender, seq, list(found))
    return Run.objects.get(pk=run.pk)


def reasons(run, kind):
    return list(RunEvent.objects.filter(run=run, kind=kind).values_list("reason", flat=True))


def test_config_is_merged_and_odd_numbers_survive(run):
    tell(run, event("config", config={"lr": 0.1, "layers": [1, 2], "nul": "a\x00b"}))
    found = tell(
        run, event("config", config={"lr": math.nan, "huge": 10**30, "deep": {"x": -math.inf}}), seq=2
    )
    assert found.config == {
        "lr": "NaN", "layers": [1, 2], "nul": "a\ufffdb", "huge": str(10**30), "deep": {"x": "-Infinity"},
    }  # fmt: skip


def test_a_declared_tunable_is_stored_and_its_own_changes_are_told(run):
    spec = {
        "name": "lr",
        "kind": "float",
        "value": 0.1,
        "low": 1e-6,
        "high": 1.0,
        "scale": "log",
        "role": "learning_rate",
    }
    tell(run, event("tunable", **spec))
    tunable = Tunable.objects.get()
    assert (tunable.value, tunable.initial, tunable.low, tunable.changed_at) == (0.1, 0.1, 1e-6, None)
    tell(run, event("tunable", 40, **spec | {"value": 0.05}), seq=2)
    tunable.refresh_from_db()
    assert (tunable.value, tunable.initial, tunable.changed_step, tunable.changed_by) == (
        0.05, 0.1, 40, "the script",
    )  # fmt: skip


def test_what_a_process_tells_about_a_setting_is_kept_up_to_a_limit(run):
    tell(run, event("tunable", name="lr", kind="float", value=0.1, about={"family": "adam"}))
    assert Tunable.objects.get().about == {"family": "adam"}
    tell(run, event("tunable", name="lr", kind="float", value=0.1, about={"long": "x" * 5000}), seq=2)
    assert Tunable.objects.get().about == {"family": "adam"}
    assert "at most 4096 are kept" in run.events.get(kind="error").reason


def test_actions_are_listed_once(run):
    found = tell(
        run, event("action", name="render", description="a"), event("action", name="render", description="b")
    )
    assert found.actions == [{"name": "render", "description": "b"}]


def test_a_command_is_settled_by_its_outcome(run):
    command = commands.issue(run, "pause", asked_by="ada")
    tell(
        run,
        event("command", 12, seq=command.seq, ok=True),
        event("state", 12, state="paused", reason="asked"),
    )
    command.refresh_from_db()
    run.refresh_from_db()
    assert (command.state, command.applied_step, run.state) == ("applied", 12, "paused")
    assert RunEvent.objects.filter(kind="state", new="paused").count() == 1


def test_checkpoints_come_and_go(run):
    saved = {
        "path": "/c/1",
        "size_bytes": 5,
        "sha256": "ab",
        "metrics": {"loss": math.nan},
        "reason": "asked",
        "settings": {"lr": {"value": 0.05, "since": 3}},
    }
    tell(run, event("checkpoint", 10, **saved))
    checkpoint = Checkpoint.objects.get()
    assert checkpoint.settings == {"lr": {"value": 0.05, "since": 3}}
    watched = history.Watched(run, None)
    history.add_checkpoints({run.pk: watched})
    assert [each.settings for each in watched.checkpoints] == [checkpoint.settings]
    assert (checkpoint.step, checkpoint.metrics, checkpoint.available) == (10, {"loss": "NaN"}, True)
    tell(run, event("checkpoint_gone", path="/c/1", reason="cut short"), seq=2)
    checkpoint.refresh_from_db()
    assert not checkpoint.available


def test_which_rules_hold_a_checkpoint_is_known_as_of_the_last_one_saved(run):
    def save(step, kept):
        tell(run, event("checkpoint", step, path=f"/c/{step}", kept=kept), seq=step)

    save(1, {"/c/1": ["newest", "loss"]})
    save(2, {"/c/2": ["newest"], "/c/1": ["loss"], "/c/unknown": ["newest"]})
    assert dict(Checkpoint.objects.values_list("step", "kept_by")) == {1: ["loss"], 2: ["newest"]}
    save(3, {f"/c/{n}": [] for n in range(2000)})
    assert "at most 1000" in reasons(run, "error")[0]


def test_branches_are_numbered_and_listed_once(run):
    found = tell(run, event("branch", index=1, from_step=50, reason="rollback"))
    assert [(b["index"], b["from_step"], b["reason"]) for b in found.branches] == [(1, 50, "rollback")]
    assert reasons(run, "branch") == ["rollback from step 50"]


def test_what_befell_is_written_down_once(run):
    tell(
        run,
        event("reflex", 5, name="non_finite", reason="skipped a step", loss=math.inf),
        event("error", 6, message="ValueError: no", traceback="Traceback…"),
        event("note", message="hello"),
    )
    reflex = RunEvent.objects.get(kind="reflex")
    assert (reflex.step, reflex.new, reflex.data["figures"]["loss"]) == (5, "non_finite", "Infinity")
    assert reasons(run, "error") == ["ValueError: no"]
    assert reasons(run, "note") == ["hello"]


def test_the_same_words_in_a_later_batch_are_news(run):
    for seq in (1, 2):
        tell(run, event("note", message="again"), seq=seq)
    assert reasons(run, "note") == ["again", "again"]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (event("tunable", name="lr", kind="float", value=5.0, high=1.0), "outside -∞..1"),
        (event("tunable", name="lr", kind="complex", value=5.0), "expected float, int, bool or choice"),
        (event("tunable", name="", kind="float", value=5.0), "1 to 200"),
        (event("tunable", name="x" * 201, kind="float", value=5.0), "1 to 200"),
        (event("tunable", name="a\n", kind="bool", value=True), "printable"),
        (event("tunable", kind="float"), "name"),
        (event("tunable", name="n", kind="float", value=math.nan), "not a number"),
        (event("action", name=7), "str"),
        (event("command", seq=99, ok=True), "no command #99"),
        (event("command", seq=10**30, ok=True), "Expected"),
        (event("command", seq=0, ok=True), "no command's number"),
        (event("checkpoint", 1, path="x" * 1001), "1001 characters"),
        (event("checkpoint", path="/c"), "no step"),
        (event("checkpoint", 1, path="/c", size_bytes=-1), "0 or more"),
        (event("branch", index=-1, from_step=0), "0 or more"),
        (event("branch", index=1, from_step=2**60), "Expected"),
        (event("state", state="dancing"), "expected running, paused or stopping"),
        (event("finish", state="running"), "expected finished, failed or stopped"),
        (event("config", config="text"), "config is missing"),
        (event("config", config={"x": b"bytes"}), "bytes"),
        (event("config", config={str(n): "y" * 99_000 for n in range(12)}), "at most"),
        (event("dance"), "unknown to this server"),
        (event("note", -1, message="x"), "step=-1"),
        (event("x" * 10_000), "unknown to this server"),
    ],
)
def test_an_event_that_cannot_be_used_is_told_and_the_others_count(run, bad, words):
    found = tell(run, event("config", config={"a": 1}), bad, event("note", message="after"))
    errors = reasons(run, "error")
    assert len(errors) == 1
    assert words in errors[0]
    assert "event not used" in errors[0]
    assert reasons(run, "note") == ["after"]
    assert found.config == {"a": 1}
    assert found.state == "running"


def test_the_finish_of_a_process_ends_its_run_and_its_open_commands(run):
    command = commands.issue(run, "pause", asked_by="ada")
    found = tell(run, event("finish", 99, state="failed", reason="ValueError: no"))
    command.refresh_from_db()
    assert (found.state, command.state) == ("failed", "expired")
    assert "the run ended (failed)" in command.message
    assert RunEvent.objects.get(kind="state").reason == "ValueError: no"


def test_the_run_of_a_job_is_ended_by_its_attempt(run):
    job = Job.objects.create(run=run, argv=["python"], state="active")
    node = Node.objects.create(name="n")
    attempt = Attempt.objects.create(job=job, number=1, node=node, lease_expires_at=timezone.now())
    assert tell(run, event("finish", state="finished")).state == "running"
    Attempt.objects.filter(pk=attempt.pk).update(ended_at=timezone.now())
    assert tell(run, event("finish", state="finished"), seq=2).state == "finished"


@pytest.mark.parametrize(
    "sender", [events.Sender("s" * 32, "supervisor"), events.Sender("s" * 32, "process", 1)]
)
def test_only_rank_zero_of_the_process_speaks_for_the_runs_state(run, sender):
    assert (
        tell(run, event("state", state="paused"), event("finish", state="failed"), sender=sender).state
        == "running"
    )


def test_late_words_of_a_run_that_ended_do_not_revive_it(run):
    tell(run, event("finish", state="finished"))
    assert tell(run, event("state", state="running"), seq=2).state == "finished"


def test_events_of_a_deleted_run_say_so(run):
    pk = run.pk
    run.delete()
    with pytest.raises(Run.DoesNotExist):
        events.apply(pk, SENDER, 1, [event("note", message="x")])
