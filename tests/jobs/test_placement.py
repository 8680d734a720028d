"""Placement is pure: every rule is tested on values."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from training.jobs.placement import Free, Waiting, place


def cpus(node, count, start=0):
    return [Free(node * 100 + index, node, "cpu", index) for index in range(start, start + count)]


def test_a_gang_is_placed_whole_on_one_node_or_waits():
    placement = place([Waiting(1, 1, "cpu", 3, 3)], cpus(1, 2) + cpus(2, 2), capacity={"cpu": 4})
    assert placement.assigned == []
    assert placement.waiting == {1: "waits for 3 CPU slots: at most 2 free on one node, others run"}
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
    order = [a.job for a in place(jobs, cpus(1, 3), held={2: 1}).assigned]
    assert order == [3, 1, 2]
    # Job 3 counted against project 1 at once.
    assert [a.job for a in place(jobs, cpus(1, 2)).assigned] == [3, 2]


def test_a_job_that_does_not_fit_lets_smaller_ones_ahead_and_says_why_it_waits():
    placement = place(
        [Waiting(1, 1, "gpu"), Waiting(2, 1, "cpu", 9, 9), Waiting(3, 1, "cpu")],
        cpus(1, 1),
        capacity={"cpu": 4},
    )
    assert [a.job for a in placement.assigned] == [3]
    assert placement.waiting == {
        1: "waits for 1 GPU: no open node has a healthy GPU",
        2: "waits for 9 CPU slots on one node: the largest open node has 4",
    }


waitings = st.lists(
    st.builds(
        lambda project, kind, low, more, priority: (project, kind, low, low + more, priority),
        st.integers(1, 3), st.sampled_from(["cpu", "gpu"]), st.integers(1, 4), st.integers(0, 3), st.integers(-2, 2),
    ),
    max_size=12,
)  # fmt: skip


@given(waitings, st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["cpu", "gpu"])), max_size=15))
def test_no_device_twice_no_gang_split_nothing_forgotten(wanted, devices):
    jobs = [Waiting(number, *fields) for number, fields in enumerate(wanted)]
    free = [Free(number, node, kind, number) for number, (node, kind) in enumerate(devices)]
    placement = place(jobs, free)
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
    # Nobody waits who would fit into what is left.
    left = Counter((item.node, item.kind) for item in free if item.device not in taken)
    for number in placement.waiting:
        job = by_job[number]
        assert all(count < job.min_devices for (_, kind), count in left.items() if kind == job.kind)
