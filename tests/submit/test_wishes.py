"""What a job asks of its nodes, and what is refused because no node has it."""

import pytest

from monitoring import nodes
from monitoring.models import Node
from tests.support.domain import a_project
from training.jobs import submit, tasks
from training.jobs.refused import JobRefused
from training.models import Experiment, Job

pytestmark = pytest.mark.django_db(databases="__all__")
GIB = 2**30


@pytest.fixture
def experiment(db):
    return Experiment.objects.create(project=a_project(), name="digits", slug="digits")


@pytest.fixture
def fleet(experiment):
    for name, gpu, gpus, memory in (("small", "NVIDIA A10", 2, 24), ("big", "NVIDIA H100 80GB", 4, 80)):
        devices = [
            {"kind": "gpu", "index": i, "name": gpu, "memory_total_bytes": memory * GIB} for i in range(gpus)
        ]
        nodes.register(
            name,
            {"hostname": name, "memory_bytes": memory * 8 * GIB},
            [*devices, {"kind": "cpu", "index": 0}],
        )
        Node.objects.filter(name=name).update(labels={"zone": name[0]})
    return lambda **asked: submit.submit(experiment=experiment, argv=["true"], device_kind="gpu", **asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"device_name": "h100"},
        {"device_memory_bytes": 40 * GIB},
        {"memory_bytes": 320 * GIB},
        {"node_labels": {"zone": "b"}},
    ],
)
def test_a_job_starts_on_a_node_that_has_what_it_asks_for(fleet, asked):
    jobs = [fleet(min_devices=2, max_devices=2, **asked) for _ in range(3)]
    assert tasks.place_tick() == 2
    taken = Job.objects.filter(state="active").values_list("attempts__node__name", flat=True)
    assert list(taken) == ["big", "big"]
    waits = Job.objects.get(pk=jobs[2].pk).waiting_reason
    assert waits.startswith("waits for 2 GPUs on a node with ")
    assert waits.endswith(": none is free")
    # What asks for nothing special goes past it.
    assert fleet(min_devices=2, max_devices=2).code
    assert tasks.place_tick() == 1


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({"min_devices": 9, "max_devices": 9}, "min_devices", "9 GPUs on one node do not exist: big has 4,"),
        (
            {"min_devices": 7, "max_devices": 7, "max_nodes": 2, "launcher": "torchrun"},
            "min_devices",
            "7 GPUs on 2 nodes do not exist: big has 4, small has 2; at most 6 together",
        ),
        ({"device_name": "tpu"}, "device_name", "there is no node with GPUs named 'tpu'"),
        ({"node_labels": {"zone": "q"}}, "node_labels", "there is no node with label zone=q; there are big ("),
        ({"memory_bytes": 2**50}, "memory_bytes", "1 PiB of memory"),
        ({"device_name": "a10", "min_devices": 3, "max_devices": 3}, "min_devices", "3 GPUs with GPUs named 'a10'"),
    ],
)  # fmt: skip
def test_what_no_node_has_is_refused_at_once_with_what_there_is(fleet, asked, field, said):
    with pytest.raises(JobRefused) as refused:
        fleet(**asked)
    assert refused.value.field == field
    assert said in refused.value.message
    assert not Job.objects.exists()


def test_gpus_are_refused_where_there_are_none(experiment):
    nodes.register("n1", {"hostname": "n1"}, [{"kind": "cpu", "index": 0}])
    with pytest.raises(
        JobRefused, match="1 GPU does not exist: no node has a GPU; ask for CPU slots, or add a node"
    ):
        submit.submit(experiment=experiment, argv=["true"], device_kind="gpu")


def test_before_the_first_node_is_known_anything_may_come(experiment):
    assert submit.submit(
        experiment=experiment, argv=["true"], device_kind="gpu", min_devices=64, max_devices=64
    )


def test_a_node_that_is_cordoned_or_away_counts_as_it_may_come_back(fleet):
    Node.objects.update(cordoned=True, state="lost")
    fleet(device_name="h100")
    tasks.place_tick()
    assert Job.objects.get().waiting_reason.endswith("no open node has a healthy GPU and that")


@pytest.mark.parametrize("priority", [-1001, 1001])
def test_a_priority_beyond_the_bounds_is_refused_with_them(experiment, priority):
    with pytest.raises(JobRefused, match=f"priority={priority}; expected -1000 to 1000"):
        submit.submit(experiment=experiment, argv=["true"], priority=priority)


def test_a_negative_priority_waits_behind_the_usual_one(experiment):
    nodes.register("n1", {"hostname": "n1"}, [{"kind": "cpu", "index": 0}])
    low = submit.submit(experiment=experiment, argv=["true"], priority=-100)
    usual = submit.submit(experiment=experiment, argv=["true"])
    assert tasks.place_tick() == 1
    assert [Job.objects.get(pk=each.pk).state for each in (low, usual)] == ["queued", "active"]
