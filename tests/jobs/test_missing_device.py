"""A node that tells of a GPU which is not there when a job is to start on it."""

import pytest

from monitoring import nodes
from monitoring.models import Device
from tests.hardware.fake_nvml import Card, FakeNvml
from training.jobs import tasks
from training.jobs.node_loop import NodeLoop
from training.models import Attempt, Member

CLAIMED = {"kind": "gpu", "index": 0, "name": "NVIDIA H100", "uuid": "GPU-claimed"}
REAL = CLAIMED | {"uuid": "GPU-00000000"}


@pytest.fixture
def liar(bench):
    """The bench's own node; it tells of a card, and has no driver."""
    bench.loop.driver = lambda: None
    bench.loop.node = nodes.register("bench", {"hostname": "bench"}, [CLAIMED])
    return bench.loop


@pytest.fixture
def honest(bench):
    loop = NodeLoop("honest")
    loop.driver = lambda: FakeNvml(Card(0))
    loop.node = nodes.register("honest", {"hostname": "honest"}, [REAL])
    return loop


def gpu(node: str) -> Device:
    return Device.objects.get(node__name=node, kind="gpu")


def test_the_attempt_fails_in_words_the_device_is_given_up_and_the_job_runs_elsewhere(bench, liar):
    job = bench.python("print('here')", device_kind="gpu")
    bench.until(lambda: bench.attempt(job) and bench.attempt(job).ended_at)
    first = bench.attempt(job)
    words = "GPU 0 (GPU-claimed) of bench was not found as a job was to start there: the driver has no GPU"
    assert (first.outcome, first.first_error_line) == ("failed", words)
    device = gpu("bench")
    assert (device.healthy, device.health_reason) == (
        False, f"{words}; mend it, then start the node's worker again",
    )  # fmt: skip
    bench.turn()
    waiting = bench.fresh(job)
    assert (waiting.state, waiting.retries_used) == ("queued", 0)
    assert waiting.waiting_reason == "waits for 1 GPU: no open node has a healthy GPU"
    # The agent says once more that all is well; who looked for the card is believed.
    nodes.register("bench", {"hostname": "bench"}, [CLAIMED])
    assert not gpu("bench").healthy

    honest = NodeLoop("honest")
    honest.driver = lambda: FakeNvml(Card(0))
    honest.node = nodes.register("honest", {"hostname": "honest"}, [REAL])
    look = bench.loop.look
    bench.loop.look = lambda: [look(), honest.look()]
    assert bench.until_over(job).state == "done"
    second = bench.attempt(job)
    assert (second.number, second.node.name) == (2, "honest")
    # A worker that starts asks the driver anew.
    nodes.register("bench", {"hostname": "bench"}, [CLAIMED], anew=True)
    assert gpu("bench").healthy


def test_a_card_that_is_another_one_than_was_told_is_not_taken_for_it(bench, liar):
    liar.driver = lambda: FakeNvml(Card(0), Card(1, broken={"handle"}))
    job = bench.python("print('here')", device_kind="gpu")
    bench.until(lambda: bench.attempt(job) and bench.attempt(job).ended_at)
    assert bench.attempt(job).first_error_line.endswith("the driver has the GPUs 0 (GPU-00000000)")


def test_a_gang_one_of_whose_nodes_lacks_its_card_fails_as_a_whole_for_that_reason(bench, liar, honest):
    job = bench.job(
        ["true"], device_kind="gpu", min_devices=2, max_devices=2, max_nodes=2, launcher="torchrun"
    )
    tasks.place_tick()
    Attempt.objects.filter(job=job).update(state="running", master_port=1, master_address="127.0.0.1")
    member = Member.objects.select_related("attempt__job__run__experiment", "node").get(attempt__job=job)
    loop = {"bench": liar, "honest": honest}[member.node.name]
    loop.driver = lambda: None
    loop.parts.launch(member)
    attempt = bench.attempt(job)
    assert (attempt.outcome, bench.fresh(job).state) == ("failed", "queued")
    assert "was not found as a job was to start there" in attempt.first_error_line
    assert not gpu(member.node.name).healthy
