"""What runs on a node that is drained goes on elsewhere from its checkpoint; who cannot be asked stays to its end."""

import pytest
from rest_framework.test import APIClient

from monitoring import nodes
from monitoring.models import Node
from tests.support.domain import a_user
from training.jobs import attempts, tasks
from training.jobs.node_loop import NodeLoop
from training.models import Attempt, Checkpoint, Command, Member

from .test_giving_way import COUNTS, steps
from .test_preemption import LEFT, seen, submitted, training


def hosts() -> list[Node]:
    gpus = [{"kind": "gpu", "index": index} for index in range(4)]
    return [nodes.register(name, {"hostname": name}, gpus) for name in ("n1", "n2")]


@pytest.fixture
def ask(transactional_db):
    client = APIClient()
    client.force_login(a_user("root", is_superuser=True))
    return lambda method, address: getattr(client, method)(f"/api/v1/nodes/{address}").json()


@pytest.mark.both_databases
@pytest.mark.django_db(databases="__all__", transaction=True)
class TestInTheTables:
    def test_what_saves_checkpoints_is_asked_once_and_goes_on_on_another_node_without_a_retry(self, ask):
        hosts()
        attempt = training("vision")
        assert attempt.node.name == "n1"
        assert ask("post", "n1/drain")["draining"]
        assert tasks.place_tick() == tasks.place_tick() == 0
        order = Command.objects.get(run=attempt.job.run)
        assert (order.verb, order.value, order.reason) == (
            "rescale", {"devices": 4, "elsewhere": True}, "its node n1 is drained",
        )  # fmt: skip
        attempts.end(attempt.pk, "finished", "exit code 0", exit_code=0, leaving=LEFT)
        assert (*seen(attempt.job), attempt.job.retries_used) == ("queued", "queued", 0)
        assert attempt.job.waiting_reason == "waits to go on: its node n1 is drained"
        assert tasks.place_tick() == 1
        assert Attempt.objects.get(job=attempt.job, ended_at=None).node.name == "n2"

    def test_who_saves_none_or_may_not_be_asked_stays_and_is_counted(self, ask):
        hosts()
        saves, deaf = training("vision", devices=1), training("vision", devices=2, offers=[])
        never = training("vision", devices=1, preemptible="never")
        ask("post", "n1/drain")
        tasks.place_tick()
        asked = Attempt.objects.exclude(preempt_asked_at=None)
        assert {one.node.name for one in (saves, deaf, never)} == {"n1"}
        assert list(asked) == [saves]
        assert ask("get", "n1/history")["drain"] == {"leaving": 1, "staying": 2}
        ask("post", "n1/uncordon")
        tasks.place_tick()
        assert ask("get", "n1/history")["drain"] is None
        assert list(asked) == [saves], "it leaves all the same, and nobody else does"

    def test_a_gang_leaves_whole_where_one_of_its_nodes_is_drained(self, ask):
        _, other = hosts()
        gang = training("vision")
        Member.objects.create(attempt=gang, node=other, node_rank=1, lease_expires_at=gang.lease_expires_at)
        ask("post", "n2/drain")
        tasks.place_tick()
        gang.refresh_from_db()
        assert (gang.preempt_reason, gang.keeps) == ("its node n2 is drained", [])

    def test_who_waits_only_because_nodes_are_closed_is_told_which(self, ask):
        hosts()
        ask("post", "n1/drain")
        ask("post", "n2/cordon")
        job = submitted("vision")
        tasks.place_tick()
        seen(job)
        assert job.waiting_reason.endswith("; n1 is draining, n2 is cordoned")
        ask("post", "n2/uncordon")
        other = submitted("vision")
        assert tasks.place_tick() == 1
        seen(other)
        assert other.waiting_reason == "waits for 4 GPUs: none is free", "it is not for want of n1"


@pytest.mark.processes
@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_training_leaves_its_drained_node_and_goes_on_at_its_very_step_on_the_other(bench, ask, tmp_path):
    notes = tmp_path / "notes"
    job = bench.python(COUNTS, env={"NOTES": str(notes)})
    bench.until(lambda: len(steps(notes)) > 5 and bench.fresh(job).run.offers)
    other = NodeLoop("other")
    other.node = nodes.register("other", {"hostname": "other"}, [{"kind": "cpu", "index": 0}])
    look = bench.loop.look
    bench.loop.look = lambda: [look(), other.look()]
    ask("post", "bench/drain")
    bench.until(lambda: Attempt.objects.filter(job=job, node__name="other", state="running").exists())
    before = len(steps(notes))
    bench.until(lambda: len(steps(notes)) > before + 5)
    first = Attempt.objects.get(job=job, number=1)
    assert (first.node.name, first.outcome) == ("bench", "preempted")
    assert first.exit_code == 0, "it left by itself"
    made = [step for _, step in steps(notes)]
    assert made == list(range(len(made))), "none is missing, none twice"
    assert Checkpoint.objects.filter(run=job.run).exists()
