"""A job that leaves for other devices is placed by what it asked of its nodes, as it was at first."""

import pytest

from monitoring import nodes
from monitoring.models import Node
from tests.support.domain import a_project
from training.jobs import attempts, spec, tasks
from training.jobs import submit as jobs
from training.models import Attempt, Checkpoint, Experiment, Quota

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__", transaction=True)]
GIB = 2**30
ELSEWHERE = {"devices": 1, "elsewhere": True, "from": 1, "step": 3}


@pytest.fixture
def fleet(transactional_db):
    """The small node is what would be chosen by room alone: it has fewer devices."""
    for name, gpu, count, gib in (("big", "NVIDIA H100", 4, 64), ("small", "NVIDIA A10", 2, 8)):
        devices = [
            {"kind": "gpu", "index": i, "name": gpu, "memory_total_bytes": gib * GIB} for i in range(count)
        ]
        nodes.register(name, {"hostname": name, "memory_bytes": gib * GIB}, devices)
        Node.objects.filter(name=name).update(labels={"zone": name})


def running(**fields):
    experiment, _ = Experiment.objects.get_or_create(project=a_project(), slug="digits", name="digits")
    fields = {"min_devices": 1, "max_devices": 1} | fields
    job = jobs.submit(experiment=experiment, argv=["python", "train.py"], device_kind="gpu", **fields)
    assert tasks.place_tick() == 1
    return Attempt.objects.select_related("node").get(job=job)


def left(attempt, **leaving):
    attempts.end(attempt.pk, "finished", "exit code 0", exit_code=0, leaving=ELSEWHERE | leaving)
    return Attempt.objects.select_related("node").get(job=attempt.job, number=attempt.number + 1)


@pytest.mark.parametrize(
    "asked",
    [
        {"device_name": "h100"},
        {"device_memory_bytes": 40 * GIB},
        {"node_labels": {"zone": "big"}},
        {"memory_bytes": 16 * GIB},
    ],
)
def test_a_job_that_is_moved_stays_where_its_wishes_are_met(fleet, asked):
    attempt = running(**asked)
    assert attempt.node.name == "big"
    assert left(attempt).node.name == "big", "the other node is no such"


def test_a_job_that_is_moved_does_not_go_where_its_memory_is_reserved(fleet):
    first = running(memory_bytes=6 * GIB)
    assert first.node.name == "small"
    second = running(memory_bytes=6 * GIB)
    assert second.node.name == "big"
    assert left(second).node.name == "big"


def test_a_job_does_not_grow_beyond_what_its_project_may_have_and_keeps_what_it_had(fleet):
    Quota.objects.create(project=a_project(), kind="gpu", devices=3, borrow=0)
    running(node_labels={"zone": "small"})
    attempt = running(max_devices=4, node_labels={"zone": "big"})
    assert attempt.devices.count() == 2
    bigger = left(attempt, devices=4, elsewhere=False)
    assert bigger.devices.count() == 2
    Quota.objects.update(devices=4)
    again = left(bigger, devices=4, elsewhere=False)
    assert again.devices.count() == 3
    Quota.objects.update(devices=1)
    assert left(again, devices=3, elsewhere=False).devices.count() == 3


def test_a_job_whose_checkpoints_another_node_has_says_that_it_begins_anew_and_what_would_help(fleet):
    first = running(max_retries=2)
    assert first.node.name == "small"
    run = first.job.run
    for step in (10, 20):
        Checkpoint.objects.create(run=run, step=step, path=f"/nowhere/{step}.pt", size_bytes=7)
    Node.objects.filter(name="small").update(cordoned=True)
    attempts.end(first.pk, "lost", "nothing was heard from the worker of small for 10 s")
    assert tasks.place_tick() == 1
    second = Attempt.objects.select_related("node", "job__run").get(job=first.job, number=2)
    assert (second.node.name, spec.resumable(second)) == ("big", None)
    (told,) = run.events.filter(kind="error")  # one, of however many there are
    assert told.reason.startswith(
        "it begins anew on big: the checkpoint of step 20, which small saved, is not there. Let all nodes share one "
        "folder of checkpoints ("
    )
    assert run.checkpoints.filter(available=True).count() == 2, "they may still be on the other node"
