"""When what runs will end and what waits will start: the rules on values, then as the tick writes it down."""

from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest
from django.utils import timezone

from monitoring import nodes
from monitoring.models import Node
from tests.support.domain import a_project
from training.jobs import attempts, expecting, tasks
from training.jobs import submit as jobs
from training.jobs.outlook import Slot, by_history, by_pace, starts
from training.jobs.turns import Waiting
from training.models import Attempt, Experiment, Job, Run, Tunable

NAMES = {1: "gpu-07", 2: "gpu-08"}
ONE, TWO = (1, "gpu"), (2, "gpu")


@pytest.mark.parametrize(
    ("ran", "first", "step", "steps", "left"),
    [
        (100, 0, 50, 150, 200),
        (100, 50, 100, 150, 100),
        (100, 0, 200, 150, 0),
        (100, 0, 0, 150, None),
        (100, 0, None, 150, None),
        (100, 0, 50, None, None),
        (0, 0, 50, 100, None),
    ],
)
def test_a_run_that_tells_its_steps_ends_by_the_pace_of_this_attempt(ran, first, step, steps, left):
    assert by_pace(ran, first, step, steps) == left


def test_history_counts_from_three_jobs_on_and_not_for_one_that_takes_longer():
    assert by_history([100, 200], 0) is None
    assert by_history([100, 200, 900], 50) == 150
    assert by_history([100, 200, 900], 200) is None


def test_jobs_are_told_when_their_devices_come_free_one_behind_the_other():
    slots = {
        ONE: [Slot(0), Slot(60, "pace"), Slot(600, "history")],
        TWO: [Slot(300, "asked"), Slot(inf, "pace")],
    }
    queue = [Waiting(1, 1, "gpu", 2, 2, seconds=100), Waiting(2, 1, "gpu"), Waiting(3, 1, "gpu", 2, 2)]
    found = starts(queue, slots, NAMES)
    assert (found[1].seconds, found[1].by) == (60, "pace")
    assert found[1].words == "when 2 GPUs of gpu-07 come free, by the pace of what runs there"
    assert (found[2].seconds, found[2].by) == (160, "history"), "behind the first, which takes 100 s"
    assert (found[3].seconds, found[3].by) == (600, "history")


def test_what_nobody_knows_is_said_to_be_unknown():
    found = starts([Waiting(1, 1, "gpu", 2, 2)], {ONE: [Slot(0), Slot(inf, "pace")]}, NAMES)[1]
    assert found.seconds is None
    assert found.words == "when 2 GPUs come free: what is to end before does not tell when"
    found = starts([Waiting(1, 1, "gpu", 4, 4)], {ONE: [Slot(0)], TWO: [Slot(0)]}, NAMES)[1]
    assert found.words == "no open nodes have as many GPUs; one has to join"


def test_cordoned_nodes_that_would_do_are_named():
    def words(job, *closed):
        return starts([job], {ONE: [Slot(0)]}, NAMES, closed=closed)[1].words

    job = Waiting(1, 1, "gpu", 4, 4)
    has_to = "has to be uncordoned, or another node to join"
    assert words(job, TWO) == f"no open nodes have as many GPUs; {NAMES[2]} {has_to}"
    assert words(job, ONE, TWO).endswith(f"; {NAMES[1]} or {NAMES[2]} {has_to}")
    assert words(job, (2, "cpu")).endswith("; one has to join"), "of another kind"
    assert words(replace(job, nodes=frozenset({1})), TWO).endswith("; one has to join"), (
        "the job may not use it"
    )


def test_a_gang_over_nodes_waits_for_as_many_nodes_as_it_may_span():
    slots = {ONE: [Slot(10, "pace")], TWO: [Slot(20, "pace")], (3, "gpu"): [Slot(30, "pace")]}
    assert starts([Waiting(1, 1, "gpu", 2, 2, max_nodes=2)], slots, NAMES)[1].seconds == 20
    assert starts([Waiting(1, 1, "gpu", 3, 3, max_nodes=2)], slots, NAMES)[1].seconds is None


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_node_that_was_cordoned_is_foretold_at_the_next_placement_not_twenty_seconds_later(monkeypatch):
    sent = []
    monkeypatch.setattr(expecting, "seen", [])
    monkeypatch.setattr(jobs.current_app, "send_task", lambda name, **options: sent.append(name))
    nodes.register("gpu-07", {"hostname": "h"}, [{"kind": "gpu", "index": 0}])
    for cordoned in (False, True, True, False):
        Node.objects.update(cordoned=cordoned)
        tasks.place_tick()
    assert sent == ["training.expect"] * 3


@pytest.mark.django_db(databases="__all__", transaction=True)
@pytest.mark.both_databases
def test_the_tick_writes_down_when_a_run_ends_and_who_waits_for_it_and_backfills_by_that():
    nodes.register("gpu-07", {"hostname": "h"}, [{"kind": "gpu", "index": index} for index in range(4)])
    experiment = Experiment.objects.create(project=a_project(), slug="e", name="e")

    def submit(devices, script="train.py"):
        return jobs.submit(
            experiment=experiment,
            argv=["python", script],
            device_kind="gpu",
            min_devices=devices,
            max_devices=devices,
        )

    running = submit(3)
    assert tasks.place_tick() == 1
    attempt = Attempt.objects.get()
    attempts.claim(attempt)
    head, long, short = submit(4), submit(1, "long.py"), submit(1, "short.py")
    assert expecting.tick() == 3
    head.refresh_from_db()
    assert head.outlook["starts_at"] is None
    assert "does not tell when" in head.outlook["words"]
    now = timezone.now()
    Attempt.objects.update(started_at=now - timedelta(seconds=100))
    Run.objects.filter(pk=running.run_id).update(last_step=100)
    Tunable.objects.create(
        run=running.run, name="total_steps", kind="int", value=400, initial=400, role="total_steps"
    )
    for script, seconds in (("long.py", 900), ("short.py", 50)):
        for number in range(3):
            run = Run.objects.create(
                experiment=experiment, name=f"{script} {number}", state="finished", started_at=now
            )
            Job.objects.create(
                run=run, argv=["python", script], state="done", ended_at=now + timedelta(seconds=seconds)
            )
    expecting.tick(now)
    attempt.refresh_from_db()
    assert (round((attempt.expected_end_at - now).total_seconds()), attempt.expected_by) == (300, "pace")
    head.refresh_from_db()
    assert head.outlook["by"] == "pace"
    assert head.outlook["words"] == "when 4 GPUs of gpu-07 come free, by the pace of what runs there"
    # One device is idle until the first in the queue starts: only what has ended by then may have it.
    Job.objects.filter(pk=head.pk).update(priority=1)
    assert tasks.place_tick() == 1
    states = dict(Job.objects.values_list("pk", "state"))
    assert (states[head.pk], states[long.pk], states[short.pk]) == ("queued", "queued", "active")
