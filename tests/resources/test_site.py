"""From rows to devices: step times in, a decision of the policy "resources" out, sent and judged where it may be."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from control import loop, rescale
from control.actions import approve, undo
from control.models import ControllerSettings, Decision
from monitoring import nodes
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_project, a_user
from training.commands import issue, record_outcome
from training.jobs import attempts
from training.jobs import submit as jobs
from training.jobs.placement import Assignment
from training.models import Attempt, Checkpoint, Command, Experiment, Run
from training.states import RunState

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def experiment(db):
    return Experiment.objects.create(project=a_project(), name="digits", slug="digits")


@pytest.fixture
def node(db):
    return a_node("n1")


def a_node(name, slots=8, **latest):
    system = {"cpu_count": slots, "latest": latest}
    return nodes.register(name, system, [{"kind": "cpu", "index": i, "name": "Xeon"} for i in range(slots)])


def watched(experiment, mode):
    return ControllerSettings.objects.create(experiment=experiment, mode=mode)


def running(experiment, node, now, devices=2, most=8, step_seconds=0.5):
    """A job that has run for 1,000 seconds on `devices` slots, 64 samples a step."""
    job = jobs.submit(experiment=experiment, argv=["true"], min_devices=1, max_devices=most)
    free = list(node.devices.filter(lease=None).values_list("pk", flat=True)[:devices])
    attempt = attempts.begin(Assignment(job.pk, node.pk, tuple(free)))
    assert attempts.claim(attempt)
    attempts.bring(job.run, RunState.RUNNING, "it runs")
    Attempt.objects.filter(pk=attempt.pk).update(started_at=now - timedelta(seconds=1000))
    steps = list(range(int(1000 / step_seconds)))
    times = [now.timestamp() - 1000 + step * step_seconds for step in steps]
    columns = [
        Column("_step_seconds", steps, times, [step_seconds] * len(steps)),
        Column("_samples_per_second", steps, times, [64 / step_seconds] * len(steps)),
    ]
    series.append(job.run.source, "s" * 32, [Batch(1, columns=columns)])
    Run.objects.filter(pk=job.run_id).update(last_step=steps[-1])
    return job


@pytest.mark.parametrize(
    ("mode", "state"), [("observe", "recorded"), ("advise", "proposed"), ("act", "proposed")]
)
def test_a_job_that_would_gain_is_told_so_and_nothing_is_done(experiment, node, now, mode, state):
    watched(experiment, mode)
    job = running(experiment, node, now)
    assert rescale.tick(now) == 1
    decision = Decision.objects.get(run=job.run)
    assert (decision.policy, decision.state, decision.verb, decision.mode) == (
        "resources",
        state,
        "rescale",
        mode,
    )
    assert decision.old_value == {"devices": 2, "kind": "Xeon", "node": "n1"}
    assert decision.new_value == {"devices": 8, "kind": "Xeon", "node": "n1"}
    assert decision.reason.startswith("2 x Xeon -> 8 x Xeon: 128")
    assert "the restart costs 60 s, won back after" in decision.reason
    assert decision.evidence["measured"] == [
        {"kind": "Xeon", "devices": 2, "step_seconds": pytest.approx(0.5), "micro_batch": 32}
    ]
    assert decision.expected["low"] < decision.expected["effect"] < decision.expected["high"]
    assert not Command.objects.exists()
    assert Attempt.objects.get(job=job).devices.count() == 2
    assert rescale.tick(now) == 0, "said once"


def offers_rescale(job):
    parameters = [
        {"name": "devices", "kind": "int", "value": 2, "low": 1, "high": 8},
        {"name": "elsewhere", "kind": "bool", "value": False},
    ]
    Run.objects.filter(pk=job.run_id).update(offers=[{"verb": "rescale", "parameters": parameters}])


def answered(job, devices, now, elsewhere=False):
    """The process left at a checkpoint: the job is placed again, and its command applied."""
    command = Command.objects.filter(run=job.run, verb="rescale").latest("seq")
    told = {"devices": devices, "elsewhere": elsewhere, "from": 2, "step": 2000}
    outcome = {"seq": command.seq, "ok": True, "old_value": None, "new_value": told}
    record_outcome(job.run, 0, 2000, outcome)
    attempt = job.attempts.get(ended_at=None)
    Attempt.objects.filter(pk=attempt.pk).update(ended_at=None)
    assert attempts.end(attempt.pk, "finished", "exit code 0", leaving=told)
    Attempt.objects.filter(pk=attempt.pk).update(ended_at=now)
    newer = job.attempts.get(ended_at=None)
    assert attempts.claim(newer)
    Attempt.objects.filter(pk=newer.pk).update(started_at=now)
    attempts.bring(Run.objects.get(pk=job.run_id), RunState.RUNNING, "it runs")
    return newer


def trained(job, start, seconds, step_seconds, session):
    steps = list(range(2000, 2000 + int(seconds / step_seconds)))
    times = [start.timestamp() + (step - 2000) * step_seconds for step in steps]
    columns = [
        Column("_step_seconds", steps, times, [step_seconds] * len(steps)),
        Column("_samples_per_second", steps, times, [64 / step_seconds] * len(steps)),
    ]
    series.append(job.run.source, session, [Batch(1, columns=columns)])


@pytest.mark.parametrize(
    ("step_seconds", "verdict", "state", "devices"),
    [(0.2, "better", "judged", 8), (0.9, "worse", "undone", 2)],
)
def test_in_mode_act_a_job_is_rescaled_judged_by_its_pace_and_put_back_when_worse(
    experiment, node, now, step_seconds, verdict, state, devices
):
    settings = watched(experiment, "act")
    settings.policies = {"resources": {"may_rescale": True}}
    settings.save()
    job = running(experiment, node, now)
    offers_rescale(job)
    assert rescale.tick(now) == 1
    decision = Decision.objects.get()
    assert (decision.state, decision.command.verb, decision.command.value) == (
        "sent", "rescale", {"devices": 8, "elsewhere": False},
    )  # fmt: skip
    assert decision.command.asked_by == "controller:resources"
    answered(job, 8, now)
    loop.tick(now)
    decision.refresh_from_db()
    assert decision.state == "applied"
    later = now + timedelta(seconds=300)
    trained(job, now, 60, step_seconds, "a" * 32)
    rescale.tick(now + timedelta(seconds=60))
    decision.refresh_from_db()
    assert decision.state == "applied", "too early to say"
    trained(job, now + timedelta(seconds=60), 240, step_seconds, "b" * 32)
    rescale.tick(later)
    decision.refresh_from_db()
    assert (decision.state, decision.verdict) == (state, verdict)
    assert "useful samples a second before" in decision.measured["sentence"]
    if verdict == "worse":
        assert decision.undo_command.value == {"devices": 2, "elsewhere": False}
        answered(job, 2, later)
    assert job.attempts.get(ended_at=None).devices.count() == devices


@pytest.mark.parametrize(
    ("change", "blocked"),
    [
        (lambda job: None, "verb: the run does not offer rescale"),
        (
            lambda job: (offers_rescale(job), issue(job.run, "checkpoint", asked_by="ada")),
            "a person's hand: ada asked for checkpoint",
        ),
    ],
)
def test_what_stands_against_a_change_by_itself_is_said(experiment, node, now, change, blocked):
    settings = watched(experiment, "act")
    settings.policies = {"resources": {"may_rescale": True}}
    settings.save()
    change(job := running(experiment, node, now))
    rescale.tick(now)
    decision = Decision.objects.get(run=job.run)
    assert decision.state == "blocked"
    assert decision.blocked_by.startswith(blocked)


def test_an_approved_change_is_sent_and_a_person_takes_it_back(experiment, node, now):
    watched(experiment, "advise")
    job = running(experiment, node, now)
    offers_rescale(job)
    rescale.tick(now)
    decision = approve(Decision.objects.get(run=job.run), ada := a_user("ada"))
    assert (decision.state, decision.command.value["devices"]) == ("sent", 8)
    answered(job, 8, now)
    loop.tick(now)
    undo(Decision.objects.get(), ada)
    newest = Command.objects.latest("seq")
    assert (newest.verb, newest.value, newest.by_person) == (
        "rescale",
        {"devices": 2, "elsewhere": False},
        True,
    )


def test_the_same_advice_comes_again_only_after_half_an_hour(experiment, node, now):
    watched(experiment, "observe")
    running(experiment, node, now)
    assert rescale.tick(now) == 1
    assert rescale.tick(now + timedelta(minutes=10)) == 0
    assert rescale.tick(now + timedelta(minutes=31)) == 1


def test_jobs_that_cannot_change_or_are_not_watched_are_left_out_and_keep_theirs(experiment, node, now):
    off = Experiment.objects.create(project=a_project(), name="other", slug="other")
    watched(experiment, "observe")
    running(off, node, now, devices=4)
    running(experiment, node, now, devices=2, most=2)
    free = running(experiment, node, now, devices=1, most=8)
    assert rescale.tick(now) == 1
    assert Decision.objects.get().run == free.run
    assert Decision.objects.get().new_value["devices"] == 2, "what the others hold is not given away"


def test_a_job_on_an_overloaded_node_is_told_to_move(experiment, now):
    busy = a_node("n1", 4, load_1m=9.0)
    a_node("n2", 4, load_1m=0.1)
    watched(experiment, "observe")
    running(experiment, busy, now, devices=4, most=4)
    assert rescale.tick(now) == 1
    decision = Decision.objects.get()
    assert decision.new_value == {"devices": 4, "kind": "Xeon", "node": "n2"}
    assert "off a node slowed 2.2 times" in decision.reason


def moved(experiment, now):
    """A job of a fixed number of devices that the controller has moved off an overloaded node, and its decision."""
    busy = a_node("n1", 4, load_1m=9.0)
    a_node("n2", 4, load_1m=0.1)
    settings = watched(experiment, "act")
    settings.policies = {"resources": {"may_rescale": True}}
    settings.save()
    job = running(experiment, busy, now, devices=2, most=2)
    offers_rescale(job)
    assert rescale.tick(now) == 1
    decision = Decision.objects.get()
    assert decision.command.value == {"devices": 2, "elsewhere": True}
    newer = answered(job, 2, now, elsewhere=True)
    assert newer.node.name == "n2"
    loop.tick(now)
    return job, newer, decision


@pytest.mark.parametrize(
    ("step_seconds", "verdict", "state", "node"),
    [(0.2, "better", "judged", "n2"), (0.5, "same", "judged", "n2"), (0.9, "worse", "undone", "n1")],
)
def test_a_job_of_a_fixed_size_is_moved_and_one_whose_move_did_not_help_is_not_moved_again(
    experiment, now, step_seconds, verdict, state, node
):
    job, _, decision = moved(experiment, now)
    later = now + timedelta(seconds=150)
    trained(job, now, 150, step_seconds, "a" * 32)
    # The load has gone with the job.
    a_node("n1", 4, load_1m=0.1)
    a_node("n2", 4, load_1m=9.0)
    assert rescale.tick(later) == 0
    decision.refresh_from_db()
    assert (decision.state, decision.verdict) == (state, verdict), decision.measured
    if verdict == "worse":
        assert decision.measured["undo"] == "It was worse on n2: moved to another node again."
        answered(job, 2, later, elsewhere=True)
    assert job.attempts.get(ended_at=None).node.name == node
    # What helped once may help again.
    assert rescale.tick(later + timedelta(hours=2)) == (verdict == "better")


def test_a_job_that_began_anew_where_its_checkpoints_are_not_is_sent_back_to_them_at_once(experiment, now):
    job, newer, decision = moved(experiment, now)
    Checkpoint.objects.create(run=job.run, step=2000, path="/c/2000", sha256="a" * 64)
    Checkpoint.objects.update(created_at=newer.created_at - timedelta(seconds=1))
    rescale.tick(now + timedelta(seconds=5))
    decision.refresh_from_db()
    assert (decision.state, decision.verdict) == ("undone", "worse")
    assert decision.measured["sentence"] == (
        "It began anew on n2: the checkpoint of step 2000 that it saved is not there. Nodes that jobs are moved "
        "between need one folder of checkpoints."
    )
    assert decision.undo_command.value == {"devices": 2, "elsewhere": True}


@pytest.mark.parametrize("state", [{"cordoned": True}, {"state": "silent"}])
def test_a_job_on_a_node_that_is_cordoned_or_silent_is_left_to_end_there(experiment, node, now, state):
    watched(experiment, "observe")
    running(experiment, node, now)
    type(node).objects.update(**state)
    assert rescale.tick(now) == 0
    a_node("n2")
    assert rescale.tick(now) == 0


def test_nothing_is_looked_at_where_every_controller_is_off(experiment, node, now, django_assert_num_queries):
    watched(experiment, "off")
    running(experiment, node, now)
    with django_assert_num_queries(1):
        assert rescale.tick(now) == 0


def test_a_job_that_was_not_measured_yet_is_left_alone(experiment, node, now):
    watched(experiment, "observe")
    job = running(experiment, node, now)
    series.delete(job.run.source)
    assert rescale.tick(now) == 0


def test_the_fitted_model_is_shown_by_rest_and_its_absence_explained(experiment, node, now):
    job = running(experiment, node, now)
    client = APIClient()
    client.force_login(a_user("root", is_superuser=True))
    found = client.get(f"/api/v1/jobs/{job.code}/goodput").json()
    assert [(row["kind"], row["devices"]) for row in found["table"]] == [("Xeon", n) for n in (1, 2, 4, 8)]
    speedups = [row["speedup"] for row in found["table"]]
    assert speedups == sorted(speedups)
    assert found["models"]["Xeon"]["measured_devices"] == [2]
    assert found["measured"][0]["step_seconds"] == pytest.approx(0.5)
    series.delete(job.run.source)
    assert "_step_seconds" in client.get(f"/api/v1/jobs/{job.code}/goodput").json()["note"]
