"""A node's past, and what it tells to whom."""

from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring.models import Device
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_project, a_run
from training.models import Attempt, DeviceLease, Job, Rank, Usage

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def held(run, node):
    """Attempts of two projects on the node's GPU, one after the other; the last one holds it still."""
    gpu, now = Device.objects.get(kind="gpu"), timezone.now()
    other = a_run(a_project("speech"), name="theirs", state="running")
    made = []
    for number, (row, begun, ended) in enumerate([(other, 7200, 3600), (run, 3000, None)]):
        job = Job.objects.create(run=row, argv=["true"], device_kind="gpu")
        attempt = Attempt.objects.create(
            job=job, number=1, node=node, lease_expires_at=now, started_at=now - timedelta(seconds=begun),
            ended_at=ended and now - timedelta(seconds=ended),
        )  # fmt: skip
        Attempt.objects.filter(pk=attempt.pk).update(created_at=now - timedelta(seconds=begun))
        attempt.devices.add(gpu)
        Usage.objects.create(
            attempt=attempt, node=node.name, device_seconds=3600, joules=1e6 * (number + 1), cost=2.0,
            currency="EUR", counted_until=now,
        )  # fmt: skip
        made.append(attempt)
    DeviceLease.objects.create(device=gpu, attempt=made[-1])
    gpu.processes = [{"pid": 1, "memory_used_bytes": 5, "run": run.code}, {"pid": 2, "run": other.code}]
    gpu.save()
    return made


def log(node, key, points):
    at = timezone.now().timestamp()
    column = Column(
        key, list(range(len(points))), [at - ago for ago, _ in points], [value for _, value in points]
    )
    series.append(node.source, key, [Batch(1, columns=[column])])


def test_what_was_on_a_node_is_told_with_what_it_used_and_others_without_a_name(
    operator, outsider, run, node, held
):
    past = operator.ask("GET", f"nodes/{node.name}/history").json()
    assert [(each["run"], each["run_name"]) for each in past["attempts"]] == [
        (run.code, run.name),
        (None, ""),
    ]
    assert past["attempts"][0]["devices"] == ["gpu0"]
    assert past["sums"] == {"device_seconds": 7200, "energy_joules": 3e6, "cost": 4.0, "currency": "EUR"}
    assert {each["run"] for each in outsider.ask("GET", f"nodes/{node.name}/history").json()["attempts"]} == {
        None
    }
    assert len(operator.ask("GET", f"nodes/{node.name}/history?hours=0.95").json()["attempts"]) == 1


def test_an_error_names_the_runs_that_it_met(operator, run, node, held):
    log(node, "gpu0/xid_count", [(4000, 0.0), (3900, 0.0), (2000, 2.0), (1000, 2.0), (900, 0.0), (800, 1.0)])
    log(node, "gpu0/ecc_uncorrected_count", [(6000, 0.0), (5000, 1.0), (100, 1.0)])
    log(node, "gpu0/throttle_ratio", [(3300, 0.0), (3200, 1.0), (3100, 1.0), (3050, 0.0), (600, 0.0)])
    faults = operator.ask("GET", f"nodes/{node.name}/history").json()["faults"]
    told = [(each["kind"], each["count"], each["runs"], each["others"]) for each in faults]
    assert told == [
        ("xid", 1, [run.code], 0),  # after the count began anew
        ("xid", 2, [run.code], 0),
        ("throttle", 1, [], 0),  # between the two
        ("ecc", 1, [], 1),
    ]
    assert faults[2]["until"] > faults[2]["at"]


@pytest.mark.parametrize("hours", ["0", "-1", "721", "day", "NaN"])
def test_a_stretch_that_cannot_be_is_refused(operator, node, hours):
    answer = operator.ask("GET", f"nodes/{node.name}/history?hours={hours}")
    assert answer.status_code == 400
    assert "hours" in answer.json()["fields"]


def test_a_node_tells_whose_run_holds_a_device_to_those_alone_who_may_see_it(
    operator, outsider, root, run, node, held
):
    def gpu(client):
        (row,) = client.ask("GET", "nodes").json()["results"]
        return next(device for device in row["devices"] if device["kind"] == "gpu")

    seen, hidden = gpu(operator), gpu(outsider)
    assert (seen["busy"], seen["busy_with"], seen["busy_with_name"]) == (True, run.code, run.name)
    assert (hidden["busy"], hidden["busy_with"], hidden["busy_with_name"]) == (True, None, None)
    assert [each["run"] for each in seen["processes"]] == [run.code, None]
    assert [each["run"] for each in hidden["processes"]] == [None, None]
    assert None not in [each["run"] for each in gpu(root)["processes"]]


def test_a_process_on_a_gpu_is_told_with_its_run_or_whose_it_is(operator, outsider, run, node):
    """Started by a job, by hand through the SDK, as a rank of such a run, without it, and of another project's run."""
    other = a_run(a_project("speech"), name="theirs", state="running")
    by_hand = a_run(run.experiment.project, state="running", name="by hand")
    by_hand.process = {"hostname": node.hostname, "pid": 12}
    by_hand.save()
    elsewhere = a_run(run.experiment.project, state="running", name="elsewhere")
    elsewhere.process = {"hostname": "another host", "pid": 14}
    elsewhere.save()
    Rank.objects.create(
        run=by_hand, rank=1, world_size=2, process={"hostname": node.hostname, "pid": 13},
        connected_at=timezone.now(),
    )  # fmt: skip
    about = {"user": "ada", "command": "python train.py", "started_at": 1.7e9, "memory_used_bytes": 5}
    Device.objects.filter(kind="gpu").update(
        processes=[
            {"pid": 11, "run": run.code} | about, {"pid": 12, "run": None} | about, {"pid": 13} | about,
            {"pid": 14, "run": None} | about, {"pid": 15, "run": other.code} | about, {"pid": 16},
        ]
    )  # fmt: skip

    def told(client):
        devices = client.ask("GET", f"nodes/{node.name}").json()["devices"]
        (gpu,) = [device for device in devices if device["kind"] == "gpu"]
        return [(each["run"], each["run_name"], each["hidden"], each["user"]) for each in gpu["processes"]]

    assert told(operator) == [
        (run.code, run.name, False, "ada"), (by_hand.code, "by hand", False, "ada"),
        (by_hand.code, "by hand", False, "ada"), (None, None, False, "ada"), (None, None, True, ""),
        (None, None, False, ""),
    ]  # fmt: skip
    assert {each[:2] for each in told(outsider)} == {(None, None)}
    assert [(each[2], each[3]) for each in told(outsider)] == [
        (True, ""), (False, "ada"), (False, "ada"), (False, "ada"), (True, ""), (False, ""),
    ]  # fmt: skip
