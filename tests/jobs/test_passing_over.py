"""A worker that hangs, and a node on which one job is lost again and again, are passed over for a while, in words."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from monitoring import nodes
from monitoring.models import Node
from tests.support.domain import a_project, a_user
from training.jobs import attempts, passing_over, tasks
from training.jobs import submit as jobs
from training.models import Attempt, Experiment, Job, Member

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__", transaction=True)]


@pytest.fixture
def fleet(transactional_db, monkeypatch):
    """Two nodes, the first with less room: it is taken first. The reaper has watched for a whole lease."""
    monkeypatch.setattr(tasks.watch, "look", lambda now: True)
    return [
        nodes.register(name, {"hostname": name}, [{"kind": "cpu", "index": i} for i in range(count)])
        for name, count in (("n1", 1), ("n2", 2))
    ]


def submitted(**fields) -> Job:
    experiment, _ = Experiment.objects.get_or_create(project=a_project(), slug="digits", name="digits")
    return jobs.submit(experiment=experiment, argv=["true"], **fields)


def placed(job) -> Attempt:
    """The job's new attempt; every node is heard of."""
    Node.objects.update(last_seen_at=timezone.now())
    tasks.place_tick()
    return Attempt.objects.select_related("node").get(job=job, ended_at=None)


def lease_runs_out(attempt) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    tasks.reap_tick()


def lost_at_start(job, times):
    return [(attempt := placed(job), lease_runs_out(attempt))[0].node.name for _ in range(times)]


def test_a_worker_that_is_heard_of_and_starts_nothing_gets_nothing_more_and_no_retry_is_counted(fleet):
    job = submitted()
    assert lost_at_start(job, 2) == ["n1", "n1"]
    n1 = Node.objects.get(name="n1")
    assert n1.passed_over_reason == passing_over.REASON
    assert abs(n1.passed_over_until - timezone.now() - passing_over.FOR_ALL) < timedelta(seconds=20)
    client = APIClient()
    client.force_login(a_user("root", is_superuser=True))
    assert client.get("/api/v1/nodes/n1").json()["passed_over_reason"] == passing_over.REASON
    assert placed(job).node.name == "n2"
    job.refresh_from_db()
    assert (job.state, job.retries_used) == ("active", 0)
    # What waits for it says so; what waits for the other does not.
    held = submitted()
    waits = [submitted(node_labels={}), held]
    tasks.place_tick()
    told = [Job.objects.get(pk=each.pk) for each in waits]
    assert [each.state for each in told].count("queued") == 1
    reason = next(each.waiting_reason for each in told if each.state == "queued")
    assert (
        f"; n1 is passed over until {n1.passed_over_until:%H:%M} UTC: its worker is heard of, and did not"
        in reason
    )


def test_it_is_taken_again_after_a_while_or_once_it_was_started_and_one_more_loss_is_enough_then(fleet):
    job = submitted()
    lost_at_start(job, 2)
    Node.objects.filter(name="n1").update(passed_over_until=timezone.now() - timedelta(seconds=1))
    tasks.reap_tick()
    assert Node.objects.get(name="n1").passed_over_reason == ""
    assert lost_at_start(job, 1) == ["n1"]
    assert Node.objects.get(name="n1").passed_over_until is not None
    passing_over.forget(fleet[0].pk)
    attempt = placed(job)
    assert attempt.node.name == "n1"
    assert attempts.claim(attempt)
    lease_runs_out(attempt)
    assert Node.objects.get(name="n1").passed_over_until is None, "it did start one"


def part_is_never_started(job) -> str:
    """A gang's first node starts its part; the other one's worker is heard of, and does nothing. Its name."""
    attempt = placed(job)
    assert attempts.claim(attempt)
    Attempt.objects.filter(pk=attempt.pk).update(master_address="10.0.0.1", master_port=1234)
    Member.objects.filter(attempt=attempt).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    tasks.reap_tick()
    attempt.refresh_from_db()
    assert attempt.outcome == "lost"
    return Member.objects.get(attempt=attempt).node.name


def test_the_further_node_of_a_gang_that_starts_nothing_is_passed_over_and_no_retry_is_counted(fleet):
    gang = submitted(launcher="torchrun", min_devices=3, max_devices=3, max_nodes=2)
    assert [part_is_never_started(gang) for _ in range(2)] == ["n1", "n1"]
    said = gang.run.events.filter(kind="attempt").values_list("reason", flat=True)
    assert set(said) == {"the worker of n1 did not start its part within 10 s"}
    passed_over = Node.objects.exclude(passed_over_until=None).values_list("name", flat=True)
    assert list(passed_over) == ["n1"], "the first node has done its part"
    Node.objects.update(last_seen_at=timezone.now())
    assert tasks.place_tick() == 0
    gang.refresh_from_db()
    assert (gang.state, gang.retries_used) == ("queued", 0)
    assert "the largest open nodes have 2 together; n1 is passed over until" in gang.waiting_reason
    # Its worker starts a part of something: it is well.
    passing_over.forget(fleet[0].pk)
    attempt = placed(gang)
    Node.objects.filter(name="n1").update(passed_over_until=timezone.now() + passing_over.FOR_ALL)
    assert attempts.claim_member(Member.objects.get(attempt=attempt))
    assert Node.objects.get(name="n1").passed_over_until is None


def test_a_dead_host_is_silent_and_not_passed_over_when_it_is_back(fleet):
    job = submitted()
    for _ in range(2):
        attempt = placed(job)
        Node.objects.filter(pk=attempt.node_id).update(last_seen_at=timezone.now() - timedelta(hours=1))
        lease_runs_out(attempt)
        assert Node.objects.get(pk=attempt.node_id).state == "silent"
        nodes.seen(attempt.node.name)
    assert not Node.objects.exclude(passed_over_until=None).exists()


def lost_in_the_middle(job) -> str:
    attempt = placed(job)
    assert attempts.claim(attempt)
    lease_runs_out(attempt)
    return attempt.node.name


def test_a_job_that_is_lost_on_a_node_again_and_again_goes_to_another_one_and_other_jobs_do_not(fleet):
    job = submitted(max_retries=9)
    assert [lost_in_the_middle(job) for _ in range(3)] == ["n1", "n1", "n2"]
    others = [submitted(priority=100) for _ in range(3)]
    Node.objects.update(last_seen_at=timezone.now())
    tasks.place_tick()
    assert {Attempt.objects.get(job=each).node.name for each in others} == {"n1", "n2"}
    job.refresh_from_db()
    told = "waits for 1 CPU slot on a node other than n1, where it was lost 2 times (until "
    assert job.waiting_reason.startswith(told)
    assert job.waiting_reason.endswith(" UTC): none is free")
    # Not for ever.
    Attempt.objects.filter(job=job).update(ended_at=timezone.now() - passing_over.FOR_ONE)
    attempts.end(Attempt.objects.get(node=fleet[0], ended_at=None).pk, "finished", "exit code 0", exit_code=0)
    assert placed(job).node.name == "n1"


def test_where_there_is_no_other_node_it_takes_what_there_is(fleet):
    Node.objects.filter(name="n2").update(cordoned=True)
    job = submitted(max_retries=9)
    assert [lost_in_the_middle(job) for _ in range(3)] == ["n1", "n1", "n1"]


def test_what_was_lost_with_its_node_goes_elsewhere_though_the_nodes_last_sign_came_after_its_last_renewal(
    fleet, settings
):
    settings.LEASE_SECONDS = 10
    job = submitted(max_retries=1)
    attempt = placed(job)
    assert attempt.node.name == "n1"
    Attempt.objects.filter(pk=attempt.pk).update(state=Attempt.State.RUNNING)
    # It renewed for the last time 11 s ago; its agent was heard of for two seconds more.
    Node.objects.filter(name="n1").update(last_seen_at=timezone.now() - timedelta(seconds=9))
    lease_runs_out(attempt)
    assert Node.objects.get(name="n1").state == "silent"
    tasks.place_tick()
    assert Attempt.objects.get(job=job, ended_at=None).node.name == "n2"
