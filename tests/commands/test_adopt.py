"""Taking over another run's checkpoint: only within the experiment and verified, and the lineage stays."""

import pytest

from tests.support.domain import a_project, a_run
from training.commands import CommandRefused, issue, record_outcome
from training.models import Checkpoint, Experiment, Run, Tunable

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def published(monkeypatch):
    monkeypatch.setattr("monitoring.live.publish.send", lambda channel, message: None)


@pytest.fixture
def run():
    run = a_run(state="running", name="mine")
    Tunable.objects.create(run=run, name="lr", kind="float", value=0.1, initial=0.1, low=1e-6, high=1.0)
    return run


def a_checkpoint(run, **fields):
    fields = {"step": 400, "path": f"/shared/{run.code}/400", "sha256": "a" * 64} | fields
    return Checkpoint.objects.create(run=run, **fields)


def adopt(run, value, **fields):
    fields = {"asked_by": "controller:population", "by_person": False} | fields
    return issue(run, "adopt", value=value, **fields)


def test_the_order_names_the_file_its_hash_and_its_host(run):
    other = a_run(state="finished", name="other", process={"hostname": "node-a"})
    saved = a_checkpoint(other)
    command = adopt(run, {"checkpoint": saved.pk})
    assert command.value == {
        "run": other.code, "checkpoint": saved.pk, "step": 400, "path": saved.path, "sha256": "a" * 64,
        "host": "node-a",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("whose", "fields", "words"),
    [
        ("mine", {}, "no other run of this experiment"),
        ("other experiment", {}, "no other run of this experiment"),
        ("other project", {}, "no other run of this experiment"),
        ("sibling", {"available": False}, "is gone"),
        ("sibling", {"sha256": ""}, "could not be verified"),
    ],
)
def test_what_may_not_be_taken_over_is_refused(run, whose, fields, words):
    owners = {
        "mine": lambda: run,
        "sibling": lambda: a_run(),
        "other project": lambda: a_run(a_project("speech")),
        "other experiment": lambda: Run.objects.create(
            experiment=Experiment.objects.create(project=a_project(), slug="else", name="else"), name="x"
        ),
    }
    saved = a_checkpoint(owners[whose](), **fields)
    with pytest.raises(CommandRefused, match=words) as refusal:
        adopt(run, {"checkpoint": saved.pk})
    assert refusal.value.field == "value"


@pytest.mark.parametrize(
    "value", [None, 3, {}, {"checkpoint": True}, {"checkpoint": "3"}, {"checkpoint": 2**70}]
)
def test_rubbish_names_no_checkpoint(run, value):
    with pytest.raises(CommandRefused, match="names no checkpoint"):
        adopt(run, value)


def test_an_adoption_that_was_applied_leaves_its_lineage_on_the_run(run):
    other = a_run(state="running", name="other")
    saved = a_checkpoint(other)
    command = adopt(run, {"checkpoint": saved.pk}, reason="It was in the last quarter.")
    for _ in range(2):
        record_outcome(run, 0, 420, {"seq": command.seq, "ok": True})
    (line,) = run.events.filter(kind="lineage")
    assert (line.step, line.new, line.actor) == (420, other.code, "controller:population")
    assert line.reason == f"took over step 400 of run {other.code}: It was in the last quarter."
    assert line.data == {"run": other.code, "step": 400, "checkpoint": saved.pk, "command": command.seq}


def test_an_adoption_that_the_process_refused_leaves_none(run):
    saved = a_checkpoint(a_run(state="running"))
    command = adopt(run, {"checkpoint": saved.pk})
    record_outcome(run, 0, 420, {"seq": command.seq, "ok": False, "message": "no such file"})
    assert not run.events.filter(kind="lineage").exists()


@pytest.mark.parametrize("verb", ["stop", "adopt"])
def test_whatever_a_person_asked_meanwhile_stands_against_what_changes_the_run_as_a_whole(run, verb):
    value = {"checkpoint": a_checkpoint(a_run()).pk} if verb == "adopt" else None
    issue(run, "set", tunable="lr", value=0.01, asked_by="ada")
    with pytest.raises(CommandRefused, match=r"ada set lr to 0\.01 meanwhile") as refusal:
        issue(run, verb, value=value, asked_by="controller:budget", by_person=False, unless_person_since=0)
    assert refusal.value.field == "person"


def test_a_stop_may_say_why(run):
    assert issue(run, "stop", value={"why": "hopeless"}, asked_by="controller:budget").value == {
        "why": "hopeless"
    }
    with pytest.raises(CommandRefused, match="takes no value"):
        issue(run, "stop", value={"because": 1}, asked_by="ada")
