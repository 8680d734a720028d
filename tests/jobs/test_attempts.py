"""What becomes of a job and its run at each end of an attempt; refusals at submission."""

from datetime import timedelta
from functools import partial

import pytest
from django.db import IntegrityError
from django.utils import timezone

from monitoring import nodes
from monitoring.models import Node
from tests.support.domain import a_project, a_run, a_user
from training import commands
from training.jobs import attempts, queued, tasks
from training.jobs import submit as jobs
from training.jobs.placement import Assignment
from training.models import Attempt, Command, DeviceLease, Experiment, Job, Run, RunEvent, Tunable
from training.states import IllegalMove, RunState, move

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__", transaction=True)]


@pytest.fixture
def node(transactional_db):
    return nodes.register("n1", {"hostname": "n1"}, [{"kind": "cpu", "index": index} for index in range(2)])


@pytest.fixture(autouse=True)
def watched(monkeypatch):
    """As if this process had looked at the leases for long."""
    monkeypatch.setattr(tasks, "watch", tasks.Watch(since=float("-inf"), last=float("inf")))


@pytest.fixture
def submitted(experiment):
    return lambda **fields: jobs.submit(experiment=experiment, argv=["python", "train.py"], **fields)


def begun(job) -> Attempt:
    assert tasks.place_tick() == 1
    attempt = Attempt.objects.get(job=job, ended_at=None)
    assert attempts.claim(attempt)
    return attempt


def states(job):
    job.refresh_from_db()
    job.run.refresh_from_db()
    return job.state, job.run.state


def test_placing_holds_the_devices_and_moves_the_run(node, submitted):
    job = submitted(min_devices=2, max_devices=2)
    attempt = begun(job)
    assert states(job) == ("active", "starting")
    assert DeviceLease.objects.filter(attempt=attempt).count() == 2
    waits = submitted()
    assert tasks.place_tick() == 0
    waits.refresh_from_db()
    assert waits.waiting_reason.startswith("waits for 1 CPU slot")
    attempts.end(attempt.pk, "finished", "exit code 0", exit_code=0)
    assert states(job) == ("done", "finished")
    assert tasks.place_tick() == 1


def test_one_device_is_never_held_twice(node, submitted):
    device = node.devices.first().pk
    first, second = submitted(), submitted()
    attempts.begin(Assignment(first.pk, node.pk, (device,)))
    with pytest.raises(IntegrityError):
        attempts.begin(Assignment(second.pk, node.pk, (device,)))
    assert states(second) == ("queued", "queued")
    assert attempts.begin(Assignment(first.pk, node.pk, (node.devices.last().pk,))) is None


def test_an_attempt_is_claimed_once_and_ended_once(node, submitted):
    attempt = begun(submitted())
    assert not attempts.claim(attempt)
    assert attempts.end(attempt.pk, "failed", "exit code 1", exit_code=1)
    assert not attempts.end(attempt.pk, "finished", "exit code 0", exit_code=0)
    attempt.refresh_from_db()
    assert attempt.outcome == "failed"


@pytest.mark.parametrize(
    ("outcome", "retries", "expected"),
    [
        ("finished", 1, ("done", "finished")),
        ("failed", 0, ("failed", "failed")),
        ("failed", 1, ("queued", "queued")),
        ("lost", 0, ("failed", "lost")),
        ("lost", 1, ("queued", "queued")),
        ("stopped", 1, ("stopped", "stopped")),
    ],
)
def test_every_outcome_has_one_end(node, submitted, outcome, retries, expected):
    job = submitted(max_retries=retries)
    attempts.end(begun(job).pk, outcome, "over")
    assert states(job) == expected
    assert RunEvent.objects.filter(run=job.run, kind="attempt", new=outcome).count() == 1


def test_retries_run_out(node, submitted):
    job = submitted(max_retries=2)
    for number in (1, 2, 3):
        attempt = begun(job)
        assert attempt.number == number
        attempts.end(attempt.pk, "failed", "exit code 1", exit_code=1)
    assert states(job) == ("failed", "failed")


def test_a_lease_that_runs_out_is_lost_and_the_job_goes_on_elsewhere(node, submitted):
    job = submitted(max_retries=1)
    attempt = begun(job)
    assert tasks.reap_tick() == 0
    Attempt.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert tasks.reap_tick() == 1
    attempt.refresh_from_db()
    assert (attempt.outcome, *states(job)) == ("lost", "queued", "queued")
    assert attempts.renew([attempt.pk]) == set()
    assert begun(job).number == 2


def test_a_job_that_was_lost_with_its_node_is_not_given_to_that_node_again(node, submitted):
    """The node counts as online for some seconds longer than its leases: its retries would all be lost there."""
    job = submitted(max_retries=1)
    begun(job)
    past = timezone.now() - timedelta(seconds=11)
    Attempt.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    Node.objects.update(last_seen_at=past)
    assert tasks.reap_tick() == 1
    assert tasks.place_tick() == 0
    assert states(job) == ("queued", "queued")
    other = nodes.register("n2", {"hostname": "n2"}, [{"kind": "cpu", "index": 0}])
    assert begun(job).node == other
    nodes.seen("n1")
    assert begun(submitted()).node == node


def test_an_attempt_that_lives_after_all_is_taken_back_unless_its_place_is_taken(node, submitted):
    job = submitted(min_devices=2, max_devices=2)
    attempt = begun(job)
    attempts.end(attempt.pk, "lost", "nothing was heard")
    attempt.refresh_from_db()
    assert attempts.take_back(attempt)
    assert states(job) == ("active", "running")
    attempts.end(attempt.pk, "lost", "nothing was heard")
    begun(submitted())
    attempt.refresh_from_db()
    assert not attempts.take_back(attempt)
    assert states(job) == ("failed", "lost")


def test_what_the_script_said_last_decides_an_exit_with_code_0(node, submitted):
    job = submitted()
    attempt = begun(job)
    RunEvent.objects.create(run=job.run, kind="finish", new="stopped")
    attempts.end(attempt.pk, "finished", "exit code 0", exit_code=0)
    assert states(job) == ("stopped", "stopped")


def test_a_run_nobody_hears_of_is_lost_but_not_while_an_attempt_holds_it(node, submitted, settings):
    alone = a_run(state="running", last_seen_at=timezone.now() - timedelta(seconds=settings.LOST_SECONDS + 1))
    job = submitted()
    begun(job)
    Run.objects.filter(pk=job.run.pk).update(last_seen_at=alone.last_seen_at)
    assert tasks.reap_tick() == 1
    alone.refresh_from_db()
    assert alone.state == "lost"
    assert states(job) == ("active", "starting")


def test_commands_that_were_not_applied_expire_when_the_run_ends_but_not_for_a_retry(node, submitted):
    job = submitted(max_retries=1)
    Tunable.objects.create(run=job.run, name="lr", kind="float", value=0.1, initial=0.1)
    for expected in ("pending", "expired"):
        attempt = begun(job)
        job.run.refresh_from_db()
        move(job.run, RunState.RUNNING)
        if expected == "pending":
            commands.issue(job.run, "set", tunable="lr", value=0.2, asked_by="ada")
        attempts.end(attempt.pk, "failed", "exit code 1")
        assert Command.objects.get().state == expected


def test_stop_while_it_waits_and_requeue(node, submitted):
    job = submitted()
    with pytest.raises(IllegalMove, match="is queued"):
        jobs.requeue(job, "ada")
    jobs.stop(job, "ada")
    assert states(job) == ("stopped", "stopped")
    with pytest.raises(IllegalMove, match="is stopped already"):
        jobs.stop(job, "ada")
    jobs.requeue(job, "ada")
    assert states(job) == ("queued", "queued")
    assert begun(job).number == 1


def test_a_cordoned_or_lost_node_and_a_sick_device_take_nothing_new(node, submitted):
    job = submitted()
    node.devices.filter(index=0).update(healthy=False)
    node.devices.filter(index=1).update(removed=True)
    assert tasks.place_tick() == 0
    node.devices.update(healthy=True, removed=False)
    node.cordoned = True
    node.save()
    assert tasks.place_tick() == 0
    job.refresh_from_db()
    assert job.waiting_reason == "waits for 1 CPU slot: no open node has a healthy CPU slot; n1 is cordoned"
    node.cordoned, node.state = False, "lost"
    node.save()
    assert tasks.place_tick() == 0
    nodes.seen("n1")
    assert tasks.place_tick() == 1


def test_a_gang_that_was_passed_by_for_long_gets_the_next_free_devices(node, submitted):
    runs = [begun(submitted()), begun(submitted())]
    gang = submitted(min_devices=2, max_devices=2)
    small = submitted()
    Job.objects.filter(pk=gang.pk).update(submitted_at=timezone.now() - timedelta(hours=1))
    attempts.end(runs[0].pk, "finished", "exit code 0", exit_code=0)
    assert tasks.place_tick() == 0
    small.refresh_from_db()
    assert "is kept for a job ahead of it that needs 2" in small.waiting_reason
    attempts.end(runs[1].pk, "finished", "exit code 0", exit_code=0)
    assert begun(gang).devices.count() == 2
    small.refresh_from_db()
    assert small.waiting_reason.startswith("waits for 1 CPU slot: none is free")


def test_many_jobs_of_one_project_do_not_hide_those_of_another(node, submitted, monkeypatch):
    monkeypatch.setattr(queued, "rows", partial(queued.rows, 3))
    mine = [submitted() for _ in range(5)]
    other = Experiment.objects.create(project=a_project("speech"), name="words", slug="words")
    theirs = jobs.submit(experiment=other, argv=["true"])
    assert tasks.place_tick() == 2
    assert {states(mine[0])[0], states(theirs)[0]} == {"active"}


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("argv", {"argv": []}),
        ("argv", {"argv": "python train.py"}),
        ("argv", {"argv": [" "]}),
        ("argv", {"argv": ["a\0b"]}),
        ("argv", {"argv": ["x"] * 1001}),
        ("env", {"env": {"SCALEWEB_TOKEN": "x"}}),
        ("env", {"env": {"REDIS_URL": "x"}}),
        ("env", {"env": {"A=B": "x"}}),
        ("env", {"env": {"A": "x\0"}}),
        ("cwd", {"cwd": "relative/folder"}),
        ("cwd", {"cwd": "/a\0"}),
        ("device_kind", {"device_kind": "tpu"}),
        ("max_devices", {"min_devices": 3, "max_devices": 2}),
        ("max_devices", {"min_devices": 0}),
        ("config", {"config": {"x": object()}}),
    ],
)
def test_a_job_that_cannot_run_is_refused_at_the_door(experiment, field, arguments):
    with pytest.raises(jobs.JobRefused) as refused:
        jobs.submit(**{"experiment": experiment, "argv": ["true"]} | arguments)
    assert refused.value.field == field
    assert not Job.objects.exists()
    assert not experiment.runs.exists()


def test_a_run_is_named_after_its_script(experiment):
    for argv, expected in (
        (["python", "train.py", "--lr", "1"], "train "),
        (["python", "-m", "training.trainers.cnn"], "cnn "),
        (["./run.sh"], "run.sh "),
    ):
        assert jobs.submit(experiment=experiment, argv=argv).run.name.startswith(expected)
    job = jobs.submit(experiment=experiment, argv=["true"], name="mine", user=a_user())
    assert (job.run.name, job.submitted_by.username, job.run.created_by.username) == ("mine", "ada", "ada")


def test_nothing_is_given_up_until_a_whole_lease_was_watched(settings):
    """An outage of the database lets every lease run out: the nodes get the time to renew them."""
    settings.LEASE_SECONDS = 10
    watch = tasks.Watch()
    assert not any(watch.look(float(second)) for second in range(100, 110, 2))
    assert watch.look(110.0)
    assert watch.look(118.0)
    assert not watch.look(130.0)
    assert [watch.look(now) for now in (134.0, 139.0, 140.0)] == [False, False, True]


def test_a_node_that_leaves_takes_nothing_new_until_it_is_seen(node, submitted):
    submitted()
    nodes.leave("n1")
    assert tasks.place_tick() == 0
    nodes.seen("n1")
    assert tasks.place_tick() == 1


def test_who_watches_the_queue_learns_that_it_changed_and_of_no_projects_codes(submitted, monkeypatch):
    told = []
    monkeypatch.setattr("training.jobs.submit.publish_change", lambda *message: told.append(message))
    jobs.announce(submitted())
    assert ("queue", "job", {"state": "queued"}) in told


@pytest.mark.parametrize("hours", [-1, 1])
def test_leases_and_signs_of_life_are_by_the_databases_clock_whatever_a_hosts_says(
    node, submitted, monkeypatch, hours
):
    """A host an hour behind would else lose what it renews; one an hour ahead would give up everybody's."""
    attempt = begun(submitted())
    attempts.end(begun(submitted()).pk, "finished", "exit code 0", exit_code=0)
    monkeypatch.setattr(timezone, "now", lambda real=timezone.now: real() + timedelta(hours=hours))
    attempts.renew([attempt.pk])
    nodes.seen("n1")
    assert tasks.reap_tick() == 0
    assert nodes.mark_absent() == 0
    monkeypatch.undo()
    monkeypatch.setattr(tasks, "watch", tasks.Watch(since=float("-inf"), last=float("inf")))
    assert tasks.reap_tick() == 0
    assert nodes.mark_absent() == 0
    Attempt.objects.filter(pk=attempt.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert tasks.reap_tick() == 1
