"""Placement is pure: every rule is tested on values."""

from collections import Counter
from dataclasses import replace
from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from training.jobs.placement import HELD_AFTER_SECONDS, place, placed_again
from training.jobs.rooms import Free
from training.jobs.turns import Waiting


def cpus(node, count, start=0):
    return [Free(node * 100 + index, node, "cpu", index) for index in range(start, start + count)]


def test_a_gang_is_placed_whole_on_one_node_or_waits():
    placement = place(
        [Waiting(1, 1, "cpu", 3, 3)], cpus(1, 2) + cpus(2, 2), capacity={(1, "cpu"): 4, (2, "cpu"): 4}
    )
    assert placement.assigned == []
    assert placement.waiting == {1: "waits for 3 CPU slots: at most 2 are free on one node"}
    placement = place([Waiting(1, 1, "cpu", 3, 3)], cpus(1, 2) + cpus(2, 4))
    assert [(a.node, len(a.devices)) for a in placement.assigned] == [(2, 3)]


def test_the_tightest_fit_leaves_large_gaps_whole():
    placement = place([Waiting(1, 1, "cpu")], cpus(1, 4) + cpus(2, 1))
    assert placement.assigned[0].node == 2


def test_an_elastic_job_takes_up_to_its_most():
    placement = place([Waiting(1, 1, "cpu", 1, 3)], cpus(1, 2) + cpus(2, 5))
    assert (placement.assigned[0].node, len(placement.assigned[0].devices)) == (2, 3)


def test_priority_comes_first_then_who_holds_least_then_age():
    jobs = [Waiting(1, 1, "cpu"), Waiting(2, 2, "cpu"), Waiting(3, 1, "cpu", priority=5)]
    order = [a.job for a in place(jobs, cpus(1, 3), held={(2, "cpu"): 1}).assigned]
    assert order == [3, 1, 2]
    # Job 3 counted against project 1 at once.
    assert [a.job for a in place(jobs, cpus(1, 2)).assigned] == [3, 2]


def test_a_job_that_does_not_fit_lets_smaller_ones_ahead_and_says_why_it_waits():
    placement = place(
        [Waiting(1, 1, "gpu"), Waiting(2, 1, "cpu", 9, 9), Waiting(3, 1, "cpu")],
        cpus(1, 1),
        capacity={(1, "cpu"): 4, (2, "cpu"): 4},
    )
    assert [a.job for a in placement.assigned] == [3]
    assert placement.waiting == {
        1: "waits for 1 GPU: no open node has a healthy GPU",
        2: "waits for 9 CPU slots on one node: the largest open node has 4",
    }


def test_a_gang_that_waited_long_gets_a_node_to_itself_and_those_behind_it_are_told():
    def waiting(seconds):
        gang = Waiting(1, 1, "cpu", 4, 4, waited_seconds=seconds)
        small = [Waiting(number, 2, "cpu", waited_seconds=seconds) for number in (2, 3, 4)]
        return place([gang, *small], cpus(1, 2) + cpus(2, 1), capacity={(1, "cpu"): 4, (2, "cpu"): 4})

    assert [a.job for a in waiting(HELD_AFTER_SECONDS - 1).assigned] == [2, 3, 4]
    patient = waiting(HELD_AFTER_SECONDS)
    assert [(a.job, a.node) for a in patient.assigned] == [(2, 2)]
    assert patient.waiting[1] == "waits for 4 CPU slots: at most 2 are free on one node"
    assert (
        patient.waiting[3] == "waits for 1 CPU slot: what is free is kept for a job ahead of it that needs 4"
    )


def test_a_big_gang_starts_in_the_end_however_many_small_jobs_come_behind_it():
    """Four slots; every tick one running job ends and three new ones arrive, of another project and of its own."""
    running, seconds, number = [10, 11, 12, 13], 0.0, 100
    waiting = [Waiting(1, 1, "cpu", 4, 4)]
    free: list[Free] = []
    devices = dict(zip(running, cpus(1, 4), strict=True))
    for _ in range(200):
        seconds += 2.0
        waiting = [replace(job, waited_seconds=job.waited_seconds + 2.0) for job in waiting]
        waiting += [Waiting(number + more, 1 + more % 2, "cpu") for more in range(3)]
        number += 3
        if running:
            free.append(devices[running.pop(0)])
        for begun in place(waiting, free, capacity={(1, "cpu"): 4}).assigned:
            if begun.job == 1:
                assert HELD_AFTER_SECONDS <= seconds <= HELD_AFTER_SECONDS + 10
                return
            waiting = [job for job in waiting if job.job != begun.job]
            (device,) = (item for item in free if item.device == begun.devices[0])
            free.remove(device)
            running.append(begun.job)
            devices[begun.job] = device
    raise AssertionError("the gang never started")


def test_a_gang_that_no_node_can_take_holds_up_nobody():
    jobs = [Waiting(1, 1, "cpu", 8, 8, waited_seconds=1e6), Waiting(2, 1, "cpu")]
    assert [a.job for a in place(jobs, cpus(1, 2), capacity={(1, "cpu"): 4}).assigned] == [2]


def test_a_job_of_higher_priority_takes_what_is_kept():
    jobs = [Waiting(1, 1, "cpu", 4, 4, waited_seconds=1e6), Waiting(2, 2, "cpu", priority=1)]
    assert [a.job for a in place(jobs, cpus(1, 2), capacity={(1, "cpu"): 4}).assigned] == [2]


def test_a_thousand_waiting_jobs_are_placed_in_the_order_of_their_claims():
    jobs = [Waiting(number, number % 7, "cpu", priority=number % 3) for number in range(1000)]
    order = [a.job for a in place(jobs, [device for node in range(30) for device in cpus(node, 40)]).assigned]
    holding, left = Counter(), list(jobs)
    for job in order[:300]:
        expected = min(left, key=lambda item: (-item.priority, holding[item.project], item.job))
        assert job == expected.job
        left.remove(expected)
        holding[expected.project] += 1


def test_five_thousand_waiting_jobs_and_a_thousand_devices_take_under_a_hundred_milliseconds():
    jobs = [Waiting(n, n % 20, "gpu", 2 ** (n % 4), 8, n % 3, waited_seconds=n % 300) for n in range(5000)]
    free = [device for node in range(125) for device in cpus(node, 8)]
    free = [replace(device, kind="gpu") for device in free if device.device % 3]
    capacity = {(node, "gpu"): 8 for node in range(125)}
    taken = []
    for _ in range(3):
        start = process_time()
        place(jobs, free, capacity=capacity)
        taken.append(process_time() - start)
    assert min(taken) < 0.1


waitings = st.lists(
    st.builds(
        lambda project, kind, low, more, priority, waited: (project, kind, low, low + more, priority, waited),
        st.integers(1, 3), st.sampled_from(["cpu", "gpu"]), st.integers(1, 4), st.integers(0, 3), st.integers(-2, 2),
        st.sampled_from([0.0, HELD_AFTER_SECONDS]),
    ),
    max_size=12,
)  # fmt: skip


@given(waitings, st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["cpu", "gpu"])), max_size=15))
def test_no_device_twice_no_gang_split_nothing_forgotten(wanted, devices):
    jobs = [Waiting(number, *fields) for number, fields in enumerate(wanted)]
    free = [Free(number, node, kind, number) for number, (node, kind) in enumerate(devices)]
    capacity = Counter((node, kind) for node, kind in devices)
    placement = place(jobs, free, capacity=capacity)
    by_device = {item.device: item for item in free}
    by_job = {item.job: item for item in jobs}
    taken = Counter(device for a in placement.assigned for device in a.devices)
    assert all(count == 1 for count in taken.values())
    for assignment in placement.assigned:
        job = by_job[assignment.job]
        held = [by_device[device] for device in assignment.devices]
        assert {(item.node, item.kind) for item in held} == {(assignment.node, job.kind)}
        assert job.min_devices <= len(held) <= job.max_devices
    assert {a.job for a in placement.assigned} | placement.waiting.keys() == by_job.keys()
    assert not {a.job for a in placement.assigned} & placement.waiting.keys()
    # Nobody waits who would fit into what is left, but for one node of a kind that is kept for a patient job.
    left = Counter((item.node, item.kind) for item in free if item.device not in taken)
    for kind in ("cpu", "gpu"):
        waits = [by_job[number] for number in placement.waiting if by_job[number].kind == kind]
        unused = {
            place
            for place, count in left.items()
            for job in waits
            if place[1] == kind and count >= job.min_devices
        }
        patient = any(job.waited_seconds >= HELD_AFTER_SECONDS for job in waits)
        assert len(unused) <= int(patient)


def test_a_gang_that_may_span_nodes_takes_one_where_one_will_do_and_else_as_few_as_hold_most():
    def placed(least, most, *counts):
        free = [device for node, count in enumerate(counts, start=1) for device in cpus(node, count)]
        found = place([Waiting(1, 1, "cpu", least, most, max_nodes=2)], free).assigned
        return [(a.node, *a.others, len(a.devices)) for a in found]

    assert placed(4, 4, 2, 2) == [(1, 2, 4)]
    assert placed(4, 4, 2, 5) == [(2, 4)]
    assert placed(2, 8, 3, 4) == [(2, 1, 7)]
    assert placed(2, 5, 3, 4) == [(2, 1, 5)]
    assert placed(7, 9, 2, 2, 4) == [], "three nodes would be needed"


def test_a_gang_that_no_two_nodes_can_take_says_so():
    capacity = {(1, "cpu"): 4, (2, "cpu"): 2, (3, "cpu"): 2}
    placement = place([Waiting(1, 1, "cpu", 9, 9, max_nodes=2)], cpus(1, 4), capacity=capacity)
    assert placement.waiting == {
        1: "waits for 9 CPU slots on up to 2 nodes: the largest open nodes have 6 together"
    }
    placement = place([Waiting(1, 1, "cpu", 6, 6, max_nodes=2)], cpus(1, 4), capacity=capacity)
    assert placement.waiting == {
        1: "waits for 6 CPU slots on up to 2 nodes: at most 4 are free on one of them"
    }


def test_a_job_that_left_for_other_devices_gets_those_or_as_many_as_it_had():
    job = Waiting(1, 1, "cpu", 1, 8)

    def count(free, wanted, had, leave=()):
        found = placed_again(job, free, wanted, had, leave)
        return None if found is None else (found.node, len(found.devices))

    assert count(cpus(1, 8), 4, 2) == (1, 4)
    assert count(cpus(1, 3), 4, 2) == (1, 2), "no room for four: as before"
    assert count(cpus(1, 1), 4, 2) == (1, 1), "a device of its own has failed meanwhile"
    assert count([], 4, 2) is None
    assert count(cpus(1, 8) + cpus(2, 2), 2, 2, leave=[1]) == (2, 2)
    assert count(cpus(1, 8) + cpus(2, 1), 2, 2, leave=[1]) == (2, 1), "fewer, but elsewhere"
    assert count(cpus(1, 8), 2, 2, leave=[1]) == (1, 2), "there is no other node"
