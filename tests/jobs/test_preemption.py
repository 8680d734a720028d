"""Preemption in the tables: who is asked, what is written on both jobs, and how it ends."""

from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring import nodes
from tests.support.domain import a_project
from training.jobs import attempts, planning, tasks
from training.jobs import submit as jobs
from training.models import Attempt, Command, Experiment, Job, Quota, Run, RunEvent
from training.states import RunState, move

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__", transaction=True)]
OFFER = [
    {
        "verb": "rescale",
        "description": "",
        "parameters": [
            {"name": "devices", "kind": "int", "value": 2, "low": 1, "high": 4},
            {"name": "elsewhere", "kind": "bool", "value": False},
        ],
    }
]


@pytest.fixture
def node(transactional_db):
    return nodes.register("n1", {"hostname": "n1"}, [{"kind": "gpu", "index": index} for index in range(4)])


def submitted(project: str, **fields) -> Job:
    experiment, _ = Experiment.objects.get_or_create(
        project=a_project(project), slug="digits", defaults={"name": "digits"}
    )
    count = fields.pop("devices", 4)
    return jobs.submit(
        experiment=experiment, argv=["python", "train.py"], device_kind="gpu", min_devices=count, max_devices=count,
        **fields,
    )  # fmt: skip


def training(project: str, ran_seconds: float = 3600, offers=OFFER, **fields) -> Attempt:
    """An attempt that runs for so long, of a process that saves checkpoints."""
    job = submitted(project, **fields)
    assert tasks.place_tick() == 1
    attempt = Attempt.objects.select_related("job__run").get(job=job, ended_at=None)
    assert attempts.claim(attempt)
    began = timezone.now() - timedelta(seconds=ran_seconds)
    Attempt.objects.filter(pk=attempt.pk).update(started_at=began)
    Run.objects.filter(pk=job.run_id).update(offers=offers, process={"sdk": "1", "verbs": []})
    move(Run.objects.get(pk=job.run_id), RunState.RUNNING)
    attempt.refresh_from_db()
    return attempt


def seen(job: Job) -> tuple[str, str]:
    job.refresh_from_db()
    job.run.refresh_from_db()
    return job.state, job.run.state


LEFT = {"devices": 4, "elsewhere": True, "from": 4, "step": 70}


def test_a_job_of_a_higher_class_has_a_lower_one_leave_and_both_say_so(node):
    lower = training("vision")
    urgent = submitted("speech", priority=200)
    assert tasks.place_tick() == 0
    lower.refresh_from_db()
    assert lower.preempted_for == urgent
    assert lower.preempt_reason == "it makes room for a job of another project of higher priority (urgent)"
    order = Command.objects.get(run=lower.job.run)
    assert (order.verb, order.value, order.asked_by) == (
        "rescale", {"devices": 4, "elsewhere": True}, "placement",
    )  # fmt: skip
    seen(urgent)
    assert urgent.waiting_reason == "waits for 4 GPUs: 1 running job leaves for it at a checkpoint"
    assert tasks.place_tick() == 0
    assert Command.objects.count() == 1, "nobody is asked twice"
    attempts.end(lower.pk, "finished", "exit code 0", exit_code=0, leaving=LEFT)
    lower.refresh_from_db()
    assert (lower.outcome, *seen(lower.job), lower.job.retries_used) == ("preempted", "queued", "queued", 0)
    assert lower.job.waiting_reason == f"waits to go on: {lower.preempt_reason}"
    assert tasks.place_tick() == 1
    assert seen(urgent) == ("active", "starting")
    order.refresh_from_db()
    assert order.state == "expired", "the next process does not leave as well"
    said = RunEvent.objects.filter(kind__in=["preemption", "attempt"]).values_list("run", "kind", "new")
    assert list(said) == [
        (lower.job.run_id, "preemption", "asked"),
        (urgent.run_id, "preemption", "waits"),
        (lower.job.run_id, "attempt", "preempted"),
    ]
    # It goes on by itself when there is room again.
    attempts.end(Attempt.objects.get(job=urgent).pk, "finished", "exit code 0", exit_code=0)
    assert tasks.place_tick() == 1
    assert seen(lower.job) == ("active", "starting")


def test_what_was_borrowed_is_given_back_to_its_owner_and_no_third_party_takes_it(node):
    Quota.objects.create(project=a_project("speech"), kind="gpu", devices=2)
    first, second = training("vision", devices=2), training("vision", devices=2)
    other = submitted("vision", devices=2, priority=40)
    own = submitted("speech", devices=2)
    assert tasks.place_tick() == 0
    asked = Attempt.objects.exclude(preempted_for=None).get()
    assert asked in {first, second}
    assert asked.preempted_for == own
    assert asked.preempt_reason == "it gives back what its project had borrowed (2 GPUs)"
    attempts.end(asked.pk, "failed", "killed by SIGTERM", signal="SIGTERM")
    asked.refresh_from_db()
    assert asked.outcome == "preempted"
    assert planning.claims(timezone.now()) == {own.pk}
    assert tasks.place_tick() == 1
    assert (seen(own)[0], seen(other)[0], seen(asked.job)[0]) == ("active", "queued", "queued")


@pytest.mark.parametrize(
    ("fields", "offers", "asked"),
    [
        ({}, OFFER, True),
        ({}, [], False),
        ({"preemptible": "always"}, [], True),
        ({"preemptible": "never"}, OFFER, False),
    ],
)
def test_who_may_be_asked_is_the_job_owners_word(node, fields, offers, asked):
    attempt = training("vision", offers=offers, **fields)
    submitted("vision", priority=100)
    tasks.place_tick()
    attempt.refresh_from_db()
    assert (attempt.preempt_asked_at is not None) is asked


def test_a_job_that_has_hardly_begun_is_left_alone_and_a_site_may_switch_it_off(node, settings):
    attempt = training("vision", ran_seconds=settings.PREEMPT_AFTER_SECONDS - 5)
    submitted("vision", priority=100)
    tasks.place_tick()
    attempt.refresh_from_db()
    assert attempt.preempt_asked_at is None
    Attempt.objects.update(started_at=timezone.now() - timedelta(days=1))
    settings.PREEMPT_AFTER_SECONDS = 0
    tasks.place_tick()
    attempt.refresh_from_db()
    assert attempt.preempt_asked_at is None
    settings.PREEMPT_AFTER_SECONDS = 300
    tasks.place_tick()
    attempt.refresh_from_db()
    assert attempt.preempt_asked_at is not None


@pytest.mark.parametrize(
    ("process", "ended", "word", "expected"),
    [
        ({"sdk": "1"}, ("finished", 0), "finished", ("finished", "done")),
        ({"sdk": "1"}, ("finished", 0), "stopped", ("preempted", "queued")),
        ({"sdk": "1"}, ("failed", 1), None, ("preempted", "queued")),
        ({}, ("finished", 0), None, ("preempted", "queued")),
    ],
)
def test_whoever_was_asked_to_leave_has_left_unless_it_came_to_its_own_end(
    node, process, ended, word, expected
):
    attempt = training("vision")
    submitted("vision", priority=100)
    tasks.place_tick()
    Run.objects.filter(pk=attempt.job.run_id).update(process=process)
    if word:
        RunEvent.objects.create(run=attempt.job.run, kind="finish", new=word)
    attempts.end(attempt.pk, ended[0], f"exit code {ended[1]}", exit_code=ended[1])
    attempt.refresh_from_db()
    assert (attempt.outcome, seen(attempt.job)[0]) == expected


def test_a_person_who_stops_a_job_that_was_asked_to_leave_has_stopped_it(node):
    attempt = training("vision")
    submitted("vision", priority=100)
    tasks.place_tick()
    jobs.stop(attempt.job, "ada")
    attempts.end(attempt.pk, "finished", "exit code 0", exit_code=0, leaving=LEFT)
    assert seen(attempt.job) == ("stopped", "stopped")


def test_nobody_is_asked_for_a_job_that_started_or_was_stopped_meanwhile(node):
    attempt = training("vision")
    job = submitted("vision", priority=100)
    (preemption,) = planning.planned().preempted
    jobs.stop(job, "ada")
    from training.jobs import yielding

    assert not yielding.ask(preemption)
    attempt.refresh_from_db()
    assert attempt.preempt_asked_at is None


def test_a_hot_device_that_nothing_trains_on_gets_nothing_new(node, settings):
    node.devices.update(latest={"temperature_celsius": settings.HOT_CELSIUS})
    job = submitted("vision", devices=1)
    assert tasks.place_tick() == 0
    job.refresh_from_db()
    assert job.waiting_reason == "waits for 1 GPU: no open node has a healthy GPU"
    node.devices.filter(index=2).update(latest={"temperature_celsius": settings.HOT_CELSIUS - 1})
    assert tasks.place_tick() == 1
    assert Attempt.objects.get().devices.get().index == 2


def test_a_gpu_that_somebody_else_uses_is_taken_last(node):
    node.devices.filter(index=0).update(latest={"utilisation_ratio": 0.9})
    submitted("vision", devices=3)
    assert tasks.place_tick() == 1
    assert set(Attempt.objects.get().devices.values_list("index", flat=True)) == {1, 2, 3}
