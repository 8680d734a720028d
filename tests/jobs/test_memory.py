"""Main memory that jobs ask for: reserved on their nodes, by values first and then in the tables."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from monitoring import nodes
from tests.support.domain import a_project
from training.jobs import attempts, expecting, tasks
from training.jobs import submit as jobs
from training.jobs.giving_way import Running
from training.jobs.placement import HELD_AFTER_SECONDS, Assignment, Rules, place
from training.jobs.rooms import Free
from training.jobs.turns import Waiting
from training.models import Attempt, Experiment, Job

GIB = 2**30


def gpus(node, count, kind="gpu"):
    return [Free(node * 100 + index, node, kind, index) for index in range(count)]


def asks(job, gib, least=1, kind="gpu", nodes=(1, 2), **fields):
    asked = f" with {gib} GiB of memory" if gib else ""
    which = frozenset(nodes) if gib else None
    return Waiting(job, 1, kind, least, least, nodes=which, asked=asked, memory_bytes=gib * GIB, **fields)


def holds(attempt, places, gib, **fields):
    at = {(node, "gpu"): count for node, count in places.items()}
    return Running(attempt, 1, "gpu", at, memory_bytes=gib * GIB, **fields)


def started(placement):
    return [(each.job, each.node) for each in placement.assigned]


EIGHT = {1: 8 * GIB, 2: 8 * GIB}
CAPACITY = {(1, "gpu"): 4, (2, "gpu"): 4}


def test_two_jobs_of_six_gib_do_not_land_on_one_node_of_eight():
    free = gpus(1, 4) + gpus(2, 4)
    placement = place([asks(1, 6), asks(2, 6), asks(3, 6), asks(4, 2), asks(5, 0)], free, memory=EIGHT)
    assert started(placement) == [(1, 1), (2, 2), (4, 1), (5, 1)]
    assert placement.waiting == {
        3: "waits for 1 GPU on a node with 6 GiB of memory: where enough are free, jobs that run have reserved the "
        "memory, and at most 2 GiB are left"
    }


def test_devices_that_lack_are_said_before_memory_that_lacks():
    placement = place([asks(1, 6)], [], capacity=CAPACITY, memory={1: GIB})
    assert placement.waiting[1].endswith("none is free")


def test_the_memory_of_a_node_is_one_for_gpus_and_cpu_slots_and_gpus_go_first():
    free = gpus(1, 2) + gpus(1, 2, "cpu")
    placement = place([asks(1, 6, kind="cpu"), asks(2, 6)], free, memory=EIGHT)
    assert started(placement) == [(2, 1)]


def test_a_gang_over_nodes_reserves_on_each_of_them():
    gang = asks(1, 6, least=5, max_nodes=2)
    assert place([gang], gpus(1, 4) + gpus(2, 4), memory={1: 8 * GIB, 2: 5 * GIB}).assigned == []
    found = place([gang, asks(2, 3)], gpus(1, 4) + gpus(2, 4), memory=EIGHT)
    assert started(found) == [(1, 1)]


def test_memory_is_kept_for_the_first_that_waits_and_what_ends_in_time_goes_past():
    """Nodes 1 and 2 have devices for all; only the end of attempt 7, in 100 s, makes 8 GiB of memory."""
    running = [holds(7, {1: 1}, 6, seconds_left=100.0)]
    queue = [
        asks(1, 8, nodes=[1]),
        asks(2, 2, nodes=[1]),
        asks(3, 2, nodes=[1], seconds=90.0),
        asks(4, 0, nodes=[1]),
    ]
    placement = place(queue, gpus(1, 3), capacity={(1, "gpu"): 4}, running=running, memory={1: 2 * GIB})
    assert started(placement) == [(3, 1), (4, 1)]
    assert "reserved the memory" not in placement.waiting[2], "it is kept, not reserved"


def test_a_patient_job_that_waits_for_memory_of_which_nobody_knows_has_its_node_kept():
    running = [holds(7, {1: 1}, 6)]
    queue = [asks(1, 8, nodes=[1], waited_seconds=HELD_AFTER_SECONDS), asks(2, 2, nodes=[1])]
    placement = place(queue, gpus(1, 3), capacity={(1, "gpu"): 4}, running=running, memory={1: 2 * GIB})
    assert placement.assigned == []


def test_a_job_that_misses_memory_alone_has_one_leave_who_holds_enough_of_it():
    running = [
        holds(number, {1: 1}, gib, preemptible=True, ran_seconds=900) for number, gib in ((7, 1), (8, 5))
    ]
    urgent = asks(1, 6, nodes=[1], priority=200)
    rules = Rules(least_run_seconds=300.0)
    tick = {"capacity": {(1, "gpu"): 4}, "memory": {1: 2 * GIB}, "rules": rules}
    placement = place([urgent], gpus(1, 2), {(1, "gpu"): 2}, running=running, **tick)
    assert [each.attempts for each in placement.preempted] == [(8,)]
    asked = [running[0], holds(8, {1: 1}, 5, leaves_for=1)]
    again = place([urgent, asks(2, 2, nodes=[1])], gpus(1, 2), {(1, "gpu"): 2}, running=asked, **tick)
    assert (started(again), again.preempted) == ([], []), "what it leaves is kept, nobody is asked twice"
    assert place([asks(2, 1, nodes=[1]), urgent], gpus(1, 2), running=asked, **tick).assigned != []


def test_five_thousand_jobs_that_wait_for_memory_take_under_a_tenth_of_a_second():
    from time import process_time

    every = frozenset(range(125))
    queue = [
        Waiting(n, n % 20, "gpu", 1 + n % 4, 8, nodes=every, asked=" with it", memory_bytes=(8 + n % 3) * GIB)
        for n in range(5000)
    ]
    free = [device for node in range(125) for device in gpus(node, 8)]
    running = [holds(n, {n % 125: 1}, 4, seconds_left=60.0 + n) for n in range(1000)]
    capacity = {(node, "gpu"): 16 for node in range(125)}
    taken = []
    for _ in range(3):
        start = process_time()
        place(queue, free, capacity=capacity, running=running, memory=dict.fromkeys(range(125), 4 * GIB))
        taken.append(process_time() - start)
    assert min(taken) < 0.1


@pytest.fixture
def node(transactional_db):
    devices = [{"kind": "gpu", "index": index} for index in range(4)]
    return nodes.register("n1", {"hostname": "n1", "memory_bytes": 8 * GIB}, devices)


def submitted(gib=None, **fields) -> Job:
    experiment, _ = Experiment.objects.get_or_create(project=a_project(), slug="digits", name="digits")
    memory = None if gib is None else gib * GIB
    return jobs.submit(experiment=experiment, argv=["true"], device_kind="gpu", memory_bytes=memory, **fields)


@pytest.mark.both_databases
@pytest.mark.django_db(databases="__all__", transaction=True)
class TestInTheTables:
    def test_what_runs_has_reserved_and_gives_back_at_its_end(self, node):
        first, second, small, _ = submitted(6), submitted(6), submitted(2), submitted()
        assert tasks.place_tick() == 3
        second.refresh_from_db()
        assert second.state == "queued"
        assert second.waiting_reason.endswith("reserved the memory, and at most 2 GiB are left")
        attempts.end(Attempt.objects.get(job=small).pk, "finished", "exit code 0", exit_code=0)
        assert tasks.place_tick() == 0
        attempts.end(Attempt.objects.get(job=first).pk, "finished", "exit code 0", exit_code=0)
        assert tasks.place_tick() == 1
        assert Attempt.objects.filter(job=second, ended_at=None).exists()

    def test_of_two_ticks_at_once_the_second_finds_the_memory_taken(self, node):
        first, second = submitted(6), submitted(6)
        devices = list(node.devices.order_by("index").values_list("pk", flat=True))
        assert attempts.begin(Assignment(first.pk, node.pk, (devices[0],))) is not None
        with transaction.atomic():
            assert attempts.begin(Assignment(second.pk, node.pk, (devices[1],))) is None
        second.refresh_from_db()
        assert second.state == "queued"

    def test_the_outlook_of_a_job_that_waits_for_memory_is_the_end_of_who_holds_it(self, node):
        first, second = submitted(6), submitted(6)
        assert tasks.place_tick() == 1
        now = timezone.now()
        Attempt.objects.update(started_at=now - timedelta(seconds=100))
        first.run.config, first.run.last_step = {"steps": 300}, 100
        first.run.save()
        expecting.tick(now)
        second.refresh_from_db()
        starts_at = timezone.datetime.fromisoformat(second.outlook["starts_at"])
        assert abs((starts_at - now).total_seconds() - 200) < 2
        assert (
            second.outlook["words"] == "when 6 GiB of memory of n1 come free, by the pace of what runs there"
        )
