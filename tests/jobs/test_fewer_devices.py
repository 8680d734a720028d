"""An elastic attempt goes on with fewer devices where that is room enough for the job that is to have the others."""

import json
from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from monitoring import nodes
from tests.support.domain import a_project
from training.jobs import attempts, expecting, tasks
from training.jobs import submit as jobs
from training.jobs.giving_way import Running
from training.jobs.placement import Rules, place
from training.jobs.turns import Waiting
from training.models import Attempt, Command, Experiment, Job, Run, RunEvent, Tunable
from training.states import RunState, move

from .test_giving_way import COUNTS
from .test_preemption import OFFER

RULES = Rules(least_run_seconds=300.0)


def holds(attempt, places, least=None, **fields):
    at = {(node, "gpu"): count for node, count in places.items()}
    fields = {"ran_seconds": 3600.0, "preemptible": True} | fields
    return Running(attempt, 1, "gpu", at, least=least, **fields)


def urgent(least, **fields):
    return Waiting(99, 1, "gpu", least, least, priority=200, **fields)


def tick(job, running, free=(), nodes=1, **options):
    held = Counter({(1, "gpu"): sum(one.devices for one in running)})
    capacity = {(node, "gpu"): 8 for node in range(1, nodes + 1)}
    return place([job], free, held, capacity, running, rules=RULES, **options)


def given(placement):
    """{attempt: what it keeps by node}, {} of one that leaves whole."""
    return {
        attempt: {node: count for (node, _), count in each.keeps.get(attempt, {}).items()}
        for each in placement.preempted
        for attempt in each.attempts
    }


@pytest.mark.parametrize(
    ("least", "running", "expected"),
    [
        # No further than needed, never below its least, and whole only where that is not enough.
        (2, [holds(1, {1: 8}, 1)], {1: {1: 6}}),
        (7, [holds(1, {1: 8}, 1)], {1: {1: 1}}),
        (8, [holds(1, {1: 8}, 1)], {1: {}}),
        (2, [holds(1, {1: 8}, 8)], {1: {}}),
        # Rather one that goes on with fewer than one that ends.
        (1, [holds(1, {1: 1}), holds(2, {1: 7}, 1)], {2: {1: 6}}),
        (2, [holds(1, {1: 4}, 3), holds(2, {1: 4}, 3)], {1: {1: 3}, 2: {1: 3}}),
        (5, [holds(1, {1: 4}, 3), holds(2, {1: 4})], {1: {1: 3}, 2: {}}),
        # Never one of a higher class than must.
        (4, [holds(1, {1: 4}, 1, priority=100), holds(2, {1: 4})], {2: {}}),
        (1, [holds(1, {1: 7}, 7), holds(5, {1: 1}, 1)], {5: {}}),
    ],
)  # fmt: skip
def test_an_elastic_one_goes_on_with_fewer_where_that_is_enough(least, running, expected):
    placement = tick(urgent(least), running)
    assert given(placement) == expected


def test_a_gang_over_nodes_gives_back_what_it_has_of_the_node_in_question_or_its_last_nodes():
    running = [holds(1, {1: 8, 2: 8}, 4)]
    assert given(tick(urgent(8), running, nodes=2)) == {1: {2: 8}}
    assert given(tick(urgent(10, max_nodes=2), running, nodes=2)) == {1: {1: 6}}


def test_among_many_attempts_on_a_node_the_elastic_ones_are_asked_first():
    running = [holds(number, {1: 1}) for number in range(1, 12)] + [
        holds(20, {1: 4}, 2),
        holds(21, {1: 4}, 2),
    ]
    found = place([urgent(3)], [], {(1, "gpu"): 19}, {(1, "gpu"): 19}, running, rules=RULES)
    assert given(found) == {20: {1: 3}, 21: {1: 2}} or given(found) == {20: {1: 2}, 21: {1: 3}}


def test_what_it_keeps_is_nobodys_and_what_it_gives_is_the_other_jobs():
    asked = holds(1, {1: 8}, 1, leaves_for=99, keeps={(1, "gpu"): 6})
    other = Waiting(50, 1, "gpu", 1, 1)
    placement = place([urgent(2), other], [], {(1, "gpu"): 8}, {(1, "gpu"): 8}, [asked], rules=RULES)
    assert (placement.assigned, placement.preempted) == ([], [])
    assert (
        placement.waiting[99]
        == "waits for 2 GPUs: 1 running job goes on with fewer devices for it at a checkpoint"
    )


@pytest.fixture
def node(transactional_db):
    return nodes.register("n1", {"hostname": "n1"}, [{"kind": "gpu", "index": index} for index in range(4)])


def submitted(least, most, **fields) -> Job:
    experiment, _ = Experiment.objects.get_or_create(project=a_project(), slug="digits", name="digits")
    return jobs.submit(
        experiment=experiment, argv=["python", "train.py"], device_kind="gpu", min_devices=least, max_devices=most,
        **fields,
    )  # fmt: skip


def elastic_training() -> Attempt:
    job = submitted(1, 4)
    assert tasks.place_tick() == 1
    attempt = Attempt.objects.get(job=job)
    assert attempts.claim(attempt)
    Attempt.objects.filter(pk=attempt.pk).update(started_at=timezone.now() - timedelta(hours=1))
    Run.objects.filter(pk=job.run_id).update(offers=OFFER, process={"sdk": "1", "verbs": []})
    move(Run.objects.get(pk=job.run_id), RunState.RUNNING)
    return attempt


@pytest.mark.both_databases
@pytest.mark.django_db(databases="__all__", transaction=True)
class TestInTheTables:
    def test_it_is_asked_to_rescale_and_begins_again_with_what_it_keeps_as_the_other_takes_the_rest(
        self, node
    ):
        attempt = elastic_training()
        head = submitted(3, 3, priority=200)
        assert tasks.place_tick() == 0
        attempt.refresh_from_db()
        assert len(attempt.keeps) == 1
        assert attempt.preempt_reason == (
            f"it makes room for job {head.code} of higher priority (urgent), and goes on with 1 GPU"
        )
        order = Command.objects.get(run=attempt.job.run)
        assert (order.verb, order.value) == ("rescale", {"devices": 1, "elsewhere": False})
        assert tasks.place_tick() == 0
        assert Command.objects.count() == 1
        left = {"devices": 1, "elsewhere": False, "from": 4, "step": 70}
        attempts.end(attempt.pk, "finished", "exit code 0", exit_code=0, leaving=left)
        first, second = Attempt.objects.filter(job=attempt.job).order_by("number")
        assert (first.outcome, second.ended_at) == ("rescaled", None)
        assert list(second.devices.values_list("pk", flat=True)) == attempt.keeps
        job = Job.objects.select_related("run").get(pk=attempt.job_id)
        assert (job.state, job.run.state, job.wanted_devices, job.retries_used) == (
            "active",
            "starting",
            None,
            0,
        )
        assert tasks.place_tick() == 1
        assert Attempt.objects.get(job=head).devices.count() == 3
        said = RunEvent.objects.filter(run=head.run, kind="preemption").get()
        assert said.reason == "1 running job was asked to make room for it at a checkpoint"

    def test_who_waits_is_told_when_what_is_given_comes_free_and_what_is_kept_only_at_the_end(self, node):
        attempt = elastic_training()
        head = submitted(3, 3, priority=200)
        tasks.place_tick()
        behind = submitted(1, 1)
        expecting.tick()
        head.refresh_from_db()
        behind.refresh_from_db()
        assert head.outlook["by"] == "asked"
        assert head.outlook["words"] == "when 3 GPUs of n1 come free, what runs there was asked to make room"
        assert behind.outlook["starts_at"] is None
        assert behind.outlook["words"] == "when 1 GPU comes free: what is to end before does not tell when"
        # It has made half of its steps in an hour.
        Run.objects.filter(pk=attempt.job.run_id).update(last_step=100)
        Tunable.objects.create(
            run=attempt.job.run, name="total_steps", kind="int", value=200, initial=200, role="total_steps"
        )
        now = timezone.now()
        expecting.tick(now)
        behind.refresh_from_db()
        seconds = (datetime.fromisoformat(behind.outlook["starts_at"]) - now).total_seconds()
        assert (round(seconds / 60), behind.outlook["by"]) == (60, "pace")

    def test_where_a_device_that_it_keeps_has_failed_meanwhile_it_waits_like_who_left_whole(self, node):
        attempt = elastic_training()
        submitted(3, 3, priority=200)
        tasks.place_tick()
        attempt.refresh_from_db()
        node.devices.filter(pk__in=attempt.keeps).update(healthy=False)
        attempts.end(attempt.pk, "failed", "killed by SIGTERM", signal="SIGTERM")
        attempt.refresh_from_db()
        job = Job.objects.get(pk=attempt.job_id)
        assert (attempt.outcome, job.state) == ("preempted", "queued")
        assert tasks.place_tick() == 1


@pytest.mark.processes
@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_training_on_two_devices_goes_on_with_one_at_its_very_step_while_the_other_runs(
    bench, settings, tmp_path
):
    settings.PREEMPT_AFTER_SECONDS = 0.5
    notes = tmp_path / "notes"
    job = bench.python(COUNTS, min_devices=1, max_devices=2, env={"NOTES": str(notes)})
    bench.until(lambda: notes.exists() and bench.fresh(job).run.offers)
    done = tmp_path / "done"
    head = bench.job(["/bin/sh", "-c", f"until [ -e {done} ]; do sleep 0.05; done"], priority=200)
    bench.until_process(head)
    bench.until(lambda: Run.objects.get(pk=job.run_id).state == "running")
    bench.until_process(job)
    held = Attempt.objects.filter(ended_at=None).order_by("job_id")
    assert [(each.job_id, each.devices.count()) for each in held] == [(job.pk, 1), (head.pk, 1)]
    done.touch()
    assert bench.until_over(head).state == "done"
    before = len(notes.read_text().splitlines())
    bench.until(lambda: len(notes.read_text().splitlines()) > before + 3)
    steps = [json.loads(line)[1] for line in notes.read_text().splitlines()]
    assert steps == list(range(len(steps))), "none is missing, none twice"
