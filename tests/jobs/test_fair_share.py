"""Whose turn it is, what is borrowed and given back, who leaves for whom, and backfill: all on values."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.jobs.giving_way import Running
from training.jobs.placement import Rules, place
from training.jobs.rooms import Free
from training.jobs.turns import Quota, Waiting, class_name, class_of, in_turn

PREEMPT = Rules(least_run_seconds=300)
TWO_TEAMS = {(1, "gpu"): Quota(4), (2, "gpu"): Quota(4)}


def gpus(node, count, start=0, load=0.0):
    return [Free(node * 100 + index, node, "gpu", index, load) for index in range(start, start + count)]


def holds(attempt, project, count, node=1, **fields):
    fields = {"ran_seconds": 3600.0, "preemptible": True} | fields
    return Running(attempt, project, "gpu", {(node, "gpu"): count}, **fields)


def tick(jobs, running=(), free=(), nodes=1, size=8, **options):
    held = Counter()
    for one in running:
        held[one.project, one.kind] += one.devices
    capacity = {(node, "gpu"): size for node in range(1, nodes + 1)}
    return place(jobs, free, held, capacity, running, **{"quotas": TWO_TEAMS, "rules": PREEMPT} | options)


def left(placement):
    return [(each.job, each.attempts) for each in placement.preempted]


@pytest.mark.parametrize(
    ("priority", "name", "number"),
    [(-100, "low", -1), (-51, "low", -1), (-50, "normal", 0), (0, "normal", 0), (49, "normal", 0), (50, "high", 1),
     (149, "high", 1), (150, "urgent", 2), (1000, "1000", 10)],
)  # fmt: skip
def test_a_priority_belongs_to_the_class_that_is_nearest(priority, name, number):
    assert (class_name(priority), class_of(priority)) == (name, number)


def test_what_fits_into_a_quota_goes_before_what_is_borrowed_whatever_its_priority():
    jobs = [Waiting(1, 1, "gpu", priority=900), Waiting(2, 2, "gpu"), Waiting(3, 3, "gpu", priority=100)]
    held = {(1, "gpu"): 4, (2, "gpu"): 3}
    assert in_turn(jobs, held, TWO_TEAMS) == [2, 1, 3]
    assert in_turn(jobs, held, {}) == [1, 3, 2], "without quotas it is priority alone"


def test_of_equals_who_uses_least_of_its_quota_comes_first_and_then_who_has_borrowed_least():
    quotas = {(1, "gpu"): Quota(10), (2, "gpu"): Quota(4), (3, "gpu"): Quota(1)}
    jobs = [Waiting(1, 1, "gpu"), Waiting(2, 2, "gpu"), Waiting(3, 3, "gpu")]
    assert in_turn(jobs, {(1, "gpu"): 6, (2, "gpu"): 2}, quotas) == [3, 2, 1]
    assert in_turn(jobs, {(1, "gpu"): 12, (2, "gpu"): 5, (3, "gpu"): 4}, quotas) == [2, 1, 3]


def test_gpus_that_a_project_holds_do_not_count_against_its_cpu_jobs():
    jobs = [Waiting(1, 1, "cpu"), Waiting(2, 2, "cpu")]
    assert in_turn(jobs, {(1, "gpu"): 100, (2, "cpu"): 1}, {}) == [1, 2]


def test_waiting_lifts_a_job_to_the_highest_that_waits_and_never_above():
    def order(waited):
        jobs = [Waiting(1, 1, "gpu", priority=100), Waiting(2, 2, "gpu", priority=0, waited_seconds=waited)]
        return in_turn(jobs, {(1, "gpu"): 1}, {}, ageing_seconds=3600)

    assert order(3599) == [1, 2]
    assert order(3600) == order(1e9) == [2, 1], "as equals they go by what their projects hold"
    jobs = [Waiting(1, 1, "gpu", waited_seconds=1e9), Waiting(2, 2, "gpu")]
    assert in_turn(jobs, {(1, "gpu"): 1}, {}, 3600) == [2, 1], "equals stay equals"


def test_a_low_job_starts_in_the_end_under_a_stream_of_higher_ones():
    waited, rules = 0.0, Rules(ageing_seconds=3600)
    for turn in range(200):
        jobs = [Waiting(1, 1, "gpu", priority=-100, waited_seconds=waited), Waiting(100 + turn, 1, "gpu")]
        if [a.job for a in place(jobs, gpus(1, 1), rules=rules).assigned] == [1]:
            assert 3600 <= waited < 3720
            return
        waited += 60
    raise AssertionError("it never started")


def test_a_job_that_somebody_moved_comes_where_it_was_put():
    jobs = [Waiting(1, 1, "gpu", order=1), Waiting(2, 1, "gpu", order=2), Waiting(3, 1, "gpu", order=0.5)]
    assert in_turn(jobs, {}, {}) == [3, 1, 2]


def test_a_project_that_may_not_borrow_stays_within_its_quota_and_is_told():
    quotas = {(1, "gpu"): Quota(2, borrow=0), (2, "gpu"): Quota(0, borrow=1)}
    jobs = [
        Waiting(1, 1, "gpu", 1, 4),
        Waiting(2, 1, "gpu"),
        Waiting(3, 2, "gpu", 1, 8),
        Waiting(4, 2, "gpu"),
    ]
    placement = tick(jobs, free=gpus(1, 8), quotas=quotas)
    assert {a.job: len(a.devices) for a in placement.assigned} == {1: 2, 3: 1}
    assert placement.waiting == {
        2: "waits for 1 GPU: its project uses 2 of its 2 GPUs, and may borrow none; one of its own has to end",
        4: "waits for 1 GPU: its project uses 1, has none of its own, and may borrow 1; one of its own has to end",
    }


def test_borrowed_devices_are_given_back_when_their_owner_asks_and_no_more_than_needed():
    running = [holds(1, 1, 4), holds(2, 1, 1), holds(3, 1, 1), holds(4, 1, 2)]
    placement = tick([Waiting(9, 2, "gpu", 2, 2)], running)
    assert left(placement) == [(9, (4,))]
    assert placement.preempted[0].owed
    assert placement.waiting == {9: "waits for 2 GPUs: 1 running job leaves for it at a checkpoint"}
    # Two devices are free by then: only what is missing is asked for.
    assert left(tick([Waiting(9, 2, "gpu", 3, 3)], running[:3], gpus(1, 2, 6))) == [(9, (2,))]


def test_nobody_is_pushed_below_a_quota_and_a_borrower_has_no_claim_on_a_borrower():
    running = [holds(1, 1, 2), holds(2, 1, 2), holds(3, 2, 4)]
    assert left(tick([Waiting(9, 3, "gpu", priority=0)], running)) == []
    assert left(tick([Waiting(9, 1, "gpu", 4, 4)], [holds(1, 1, 1), holds(2, 2, 4), holds(3, 3, 3)])) == []
    # Project 3 holds 4 and owns 3: it may be asked for one, not for two.
    quotas = {(1, "gpu"): Quota(6), (3, "gpu"): Quota(3)}
    running = [holds(1, 1, 4), *(holds(n, 3, 1) for n in (2, 3, 4, 5))]
    assert len(left(tick([Waiting(9, 1, "gpu")], running, quotas=quotas))[0][1]) == 1
    assert left(tick([Waiting(9, 1, "gpu", 2, 2)], running, quotas=quotas)) == []


def test_who_gave_back_cannot_take_back():
    running = [holds(1, 1, 4), holds(2, 1, 4)]
    (preemption,) = tick([Waiting(9, 2, "gpu", 2, 2)], running).preempted
    (gone,) = preemption.attempts
    stays = [one for one in running if one.attempt != gone]
    after = [*stays, holds(3, 2, 2)]
    assert left(tick([Waiting(gone, 1, "gpu", 4, 4)], after, gpus(1, 2, 6))) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"preemptible": False}, "its process saves no checkpoints, or its owner said never"),
        ({"ran_seconds": 299.0}, "it has hardly begun"),
        ({"priority": 60}, "it is of the same class"),
        ({"leaves_for": 7}, "it leaves already"),
    ],
)
def test_a_job_of_a_higher_class_takes_the_place_of_a_lower_one_where_it_may(change, why):
    job = Waiting(9, 2, "gpu", 8, 8, priority=100)
    assert left(tick([job], [holds(1, 1, 8)], quotas={})) == [(9, (1,))]
    assert left(tick([job], [holds(1, 1, 8, **change)], quotas={})) == [], why
    assert left(tick([job], [holds(1, 1, 8)], quotas={}, rules=Rules())) == [], "the site does not preempt"


def test_nobody_leaves_for_nothing():
    high = Waiting(9, 2, "gpu", 8, 8, priority=100)
    keeps = holds(2, 1, 1, preemptible=False)
    assert left(tick([high], [holds(1, 1, 7), keeps], quotas={})) == [], "it would not fit even then"
    assert left(tick([high], [holds(1, 1, 4), holds(2, 1, 4, node=2)], nodes=2, size=4, quotas={})) == []
    assert left(tick([high], [holds(1, 1, 8, ending=True)], quotas={})) == [], (
        "what it needs is coming anyway"
    )
    assert left(tick([high], [holds(1, 1, 8)], quotas={(2, "gpu"): Quota(2, borrow=0)})) == [], (
        "it may not have it"
    )


def test_who_leaves_is_of_the_lowest_class_then_few_then_small_then_young():
    job = Waiting(9, 2, "gpu", 4, 4, priority=200)

    def chosen(*running, nodes=1):
        return left(tick([job], running, quotas={}, nodes=nodes))[0][1]

    assert chosen(holds(1, 1, 4, priority=100), holds(2, 1, 2), holds(3, 1, 2)) == (2, 3)
    assert chosen(holds(1, 1, 4), holds(2, 1, 2), holds(3, 1, 2)) == (1,)
    assert chosen(holds(1, 1, 5), holds(2, 1, 4, node=2), nodes=2) in {(1,), (2,)}
    assert chosen(holds(1, 1, 4, ran_seconds=9000), holds(2, 1, 4)) == (2,)


def test_a_gang_over_nodes_has_room_made_on_as_few_as_it_may_span():
    job = Waiting(9, 2, "gpu", 12, 12, priority=100, max_nodes=2)
    running = [holds(1, 1, 8), holds(2, 1, 4, node=2), holds(3, 1, 4, node=2), holds(4, 1, 8, node=3)]
    placement = tick([job], running, nodes=3, quotas={})
    ((_, attempts),) = left(placement)
    freed = Counter()
    for one in running:
        if one.attempt in attempts:
            freed.update(one.places)
    assert len(freed) <= 2
    assert sum(freed.values()) >= 12
    assert len(attempts) == 2


def test_what_leaves_for_a_job_is_kept_for_it_until_it_starts():
    job, other = Waiting(9, 2, "gpu", 4, 4, priority=100), Waiting(8, 3, "gpu", 1, 1, priority=900)
    leaving = [holds(1, 1, 4, leaves_for=9), holds(2, 1, 2)]
    placement = tick([job, other], leaving, gpus(1, 2, 6), quotas={})
    assert [a.job for a in placement.assigned] == [8], "the two that are free are not needed for it"
    assert placement.preempted == [], "nobody is asked twice"
    leaving = [holds(1, 1, 3, leaves_for=9), holds(2, 1, 3)]
    placement = tick([job, other], leaving, gpus(1, 2, 6), quotas={})
    assert [len(a.devices) for a in placement.assigned] == [1], "one of the two makes up its four"
    placement = tick([job, other], [holds(2, 1, 3)], gpus(1, 4, 4), quotas={}, claims={9})
    assert [a.job for a in placement.assigned] == [9], "they have left: it is the first"


def test_a_claim_on_a_node_that_failed_meanwhile_is_a_job_like_any_other():
    placement = tick(
        [Waiting(9, 2, "gpu", 4, 4, priority=100)], [holds(1, 1, 4, node=5, leaves_for=9)], quotas={}
    )
    assert placement.waiting[9].startswith("waits for 4 GPUs: none is free")


def test_pack_fills_the_fullest_node_and_spread_the_least_used():
    free = gpus(1, 6) + gpus(2, 2, load=0.2) + gpus(3, 3, load=0.9)

    def node(rules, devices=free):
        return place([Waiting(1, 1, "gpu")], devices, rules=rules).assigned[0].node

    assert node(Rules()) == 2
    assert node(Rules(spread=True)) == 1
    assert node(Rules(), gpus(1, 6) + gpus(3, 3, load=0.9)) == 1, "what somebody else uses is taken last"
    assert node(Rules(spread=True), gpus(1, 4, load=0.6) + gpus(2, 2)) == 2, "by use, not by count alone"


def test_of_a_node_the_devices_that_nobody_uses_come_first():
    free = [Free(1, 1, "gpu", 0, load=0.8), Free(2, 1, "gpu", 1), Free(3, 1, "gpu", 2)]
    assert place([Waiting(1, 1, "gpu", 2, 2)], free).assigned[0].devices == (2, 3)


# What runs and what comes behind, of a cluster of three nodes with four GPUs: (node, devices, seconds left).
runs = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 50)), max_size=12)
comers = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 4), st.integers(1, 60), st.booleans()), max_size=25
)


@given(st.integers(1, 4), runs, comers)
def test_backfill_never_delays_the_first_that_waits(wanted, running, coming):
    """Ends are known, as of runs that tell their steps; of those that come some say how long they run, some do not."""
    busy, used = [], Counter()
    for node, devices, seconds in running:
        if used[node] + devices <= 4:
            used[node] += devices
            busy.append((seconds, node, devices, True))
    assert started(wanted, busy, coming) <= started(wanted, busy, [])


def started(wanted, busy, coming):
    """When the first job starts, second by second."""
    capacity = {(node, "gpu"): 4 for node in (1, 2, 3)}
    waiting = {}
    for now in range(200):
        busy = [one for one in busy if one[0] > now]
        for number, (at, devices, seconds, told) in enumerate(coming, start=1):
            if at == now:
                waiting[number] = (devices, seconds, told)
        used = Counter()
        for _, node, devices, _ in busy:
            used[node] += devices
        free = [device for node in (1, 2, 3) for device in gpus(node, 4, used[node])[: 4 - used[node]]]
        jobs = [Waiting(0, 0, "gpu", wanted, wanted)] + [
            Waiting(number, 0, "gpu", devices, devices, seconds=seconds if told else None)
            for number, (devices, seconds, told) in waiting.items()
        ]
        live = [
            Running(place, 0, "gpu", {(node, "gpu"): devices}, seconds_left=end - now if told else None)
            for place, (end, node, devices, told) in enumerate(busy)
        ]
        for begun in place(jobs, free, {}, capacity, live).assigned:
            if begun.job == 0:
                return now
            devices, seconds, told = waiting.pop(begun.job)
            busy.append((now + seconds, begun.node, devices, told))
    raise AssertionError("it never started")


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.sampled_from([0, 100, 200])), max_size=8),
    st.lists(
        st.tuples(
            st.integers(1, 3), st.integers(1, 4), st.integers(1, 2), st.sampled_from([0, 100]), st.booleans()
        ),
        max_size=8,
    ),
)
def test_whoever_is_asked_to_leave_makes_room_and_each_of_them_is_needed(wanted, running):
    jobs = [
        Waiting(100 + number, project, "gpu", devices, devices, priority)
        for number, (project, devices, priority) in enumerate(wanted)
    ]
    used, live = Counter(), []
    for number, (project, devices, node, priority, may) in enumerate(running):
        if used[node] + devices <= 4:
            used[node] += devices
            live.append(holds(number, project, devices, node, priority=priority, preemptible=may))
    free = [device for node in (1, 2) for device in gpus(node, 4 - used[node], used[node])]
    placement = tick(jobs, live, free, nodes=2, size=4)
    begun = {device for a in placement.assigned for device in a.devices}
    room = Counter(device.node for device in free if device.device not in begun)
    needs, by_attempt = Counter(), {one.attempt: one for one in live}
    asked = [attempt for each in placement.preempted for attempt in each.attempts]
    assert len(set(asked)) == len(asked), "nobody leaves for two"
    for each in placement.preempted:
        job = next(job for job in jobs if job.job == each.job)
        leaving = [by_attempt[attempt] for attempt in each.attempts]
        (node,) = {node for one in leaving for node, _ in one.places}
        freed = sum(one.devices for one in leaving)
        assert room[node] + freed >= job.min_devices
        assert all(room[node] + freed - one.devices < job.min_devices for one in leaving)
        assert all(one.preemptible for one in leaving)
        for one in leaving:
            lower = class_of(one.priority) < class_of(job.priority)
            assert lower or (each.owed and one.project != job.project)
        needs[node] += job.min_devices - freed
    assert all(needs[node] <= room[node] for node in needs), "no free device is counted on by two"
