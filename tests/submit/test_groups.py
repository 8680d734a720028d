"""Grids and arrays: many jobs in one call."""

import time

import pytest

from monitoring import nodes
from tests.support.domain import a_project
from training.jobs import groups, holding, submit, tasks
from training.jobs.refused import JobRefused
from training.models import Experiment, Job, JobGroup, Run, RunEvent

pytestmark = pytest.mark.django_db(databases="__all__")
ARGV = ["python", "train.py"]


@pytest.fixture
def experiment(db):
    return Experiment.objects.create(project=a_project(), name="digits", slug="digits")


def states(group):
    return sorted(Job.objects.filter(group=group).values_list("state", flat=True))


def test_a_grid_is_one_job_for_each_combination(experiment):
    group = groups.submit_grid(
        experiment=experiment, argv=[*ARGV, "--out={lr}-{seed}", "{lr}"], name="sweep", config={"depth": 3},
        grid={"lr": ["1e-4", "1e-3"], "seed": ["1", "2"]},
    )  # fmt: skip
    jobs = Job.objects.filter(group=group).order_by("id").select_related("run")
    assert [job.argv[2:] for job in jobs] == [
        ["--out=1e-4-1", "1e-4"], ["--out=1e-4-2", "1e-4"], ["--out=1e-3-1", "1e-3"], ["--out=1e-3-2", "1e-3"],
    ]  # fmt: skip
    assert jobs[0].run.config == {"depth": 3, "lr": 1e-4, "seed": 1}
    assert jobs[3].run.name == "sweep lr=1e-3 seed=2"
    assert (group.count, group.kind) == (4, "grid")


def test_what_the_command_does_not_hold_is_added_to_it(experiment):
    group = groups.submit_grid(
        experiment=experiment, argv=[*ARGV, '{"a": 1}'], grid={"lr": ["1", "{lr}"], "opt": ["adam"]}
    )
    found = [job.argv[2:] for job in Job.objects.filter(group=group).order_by("id")]
    assert found == [
        ['{"a": 1}', "--lr", "1", "--opt", "adam"],
        ['{"a": 1}', "--lr", "{lr}", "--opt", "adam"],
    ]


def test_a_grid_of_a_million_jobs_is_refused_at_once_with_the_number_and_the_limit(experiment):
    axes = {name: [str(n) for n in range(1000)] for name in ("lr", "seed")}
    begun = time.process_time()
    with pytest.raises(JobRefused) as refused:
        groups.submit_grid(experiment=experiment, argv=ARGV, grid=axes)
    assert time.process_time() - begun < 0.5
    assert refused.value.message.startswith("1000 x 1000 is 1,000,000 jobs; at most 10,000 are made at once.")
    with pytest.raises(JobRefused, match="0-999999 is 1,000,000 jobs"):
        groups.submit_array(experiment=experiment, argv=ARGV, array="0-999999")
    assert not Job.objects.exists()


def test_a_value_that_is_twice_among_a_hundred_thousand_is_named_at_once(experiment):
    # Compared each with each that is ten thousand million looks, by a web process that serves nobody else meanwhile.
    values = [str(number) for number in range(99_999)] + ["99998"]
    with pytest.raises(JobRefused, match="seed has the value '99998' twice"):
        groups.submit_grid(experiment=experiment, argv=ARGV, grid={"seed": values})


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({}, "0 settings; expected 1 to 10"),
        ({"lr": []}, "lr has no values"),
        ({"lr": [""]}, "lr has an empty value; give each one, as in lr=1,2"),
        ({"lr": ["1", " ", "2"]}, "lr has an empty value"),
        ({"l r": ["1"]}, "'l r' is no name of a setting"),
        ({"lr": ["1", "2", "1"]}, "lr has the value '1' twice"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(experiment, grid, said):
    with pytest.raises(JobRefused, match=said):
        groups.submit_grid(experiment=experiment, argv=ARGV, grid=grid)


@pytest.mark.parametrize("array", ["", "5", "9-1", "0-9:0", "0-9%0", "a-b", "0-1-2"])
def test_an_array_that_is_none_is_refused(experiment, array):
    with pytest.raises(JobRefused, match="expected"):
        groups.submit_array(experiment=experiment, argv=ARGV, array=array)


def test_a_group_with_one_job_that_cannot_be_leaves_none_behind(experiment):
    with pytest.raises(JobRefused, match="NUL"):
        groups.submit_grid(experiment=experiment, argv=ARGV, grid={"lr": ["1", "\0"]})
    assert not Run.objects.exists()
    assert not JobGroup.objects.exists()


def test_of_an_array_no_more_run_at_once_than_it_says(experiment):
    nodes.register("n1", {"hostname": "n1"}, [{"kind": "cpu", "index": i} for i in range(8)])
    group = groups.submit_array(experiment=experiment, argv=[*ARGV, "{index}"], array="10-14:2%2")
    assert [job.argv[2] for job in Job.objects.filter(group=group).order_by("id")] == ["10", "12", "14"]
    assert tasks.place_tick() == 2
    assert states(group) == ["active", "active", "queued"]
    waits = Job.objects.get(group=group, state="queued")
    assert waits.waiting_reason == f"waits for its group train ({group.code}): 2 of it at once"
    assert tasks.place_tick() == 0
    Job.objects.filter(group=group, group_index=10).update(state="done")
    assert tasks.place_tick() == 1
    assert states(group) == ["active", "active", "done"]


def test_a_group_is_stopped_as_one(experiment):
    group = groups.submit_array(experiment=experiment, argv=ARGV, array="0-4")
    Job.objects.filter(group=group, group_index=0).update(state="done")
    assert groups.stop(group, "ada") == 4
    assert states(group) == ["done", *["stopped"] * 4]
    event = RunEvent.objects.filter(run__job__group_index=1, new="stopped").get()
    assert (event.reason, event.actor) == ("its group train was stopped", "ada")
    assert groups.stop(group, "ada") == 0


def test_what_failed_or_was_stopped_of_a_group_is_queued_again(experiment):
    group = groups.submit_array(experiment=experiment, argv=ARGV, array="0-4")
    groups.stop(group, "ada")
    Job.objects.filter(group=group, group_index=0).update(state="done")
    assert groups.requeue(group, "ada") == 4
    assert states(group) == ["done", *["queued"] * 4]
    assert set(Run.objects.filter(job__group=group).values_list("state", flat=True)) == {"queued", "stopped"}
    assert groups.requeue(group, "ada") == 0


def test_a_thousand_jobs_are_made_by_a_few_statements(experiment, django_assert_max_num_queries):
    with django_assert_max_num_queries(100):
        groups.submit_array(experiment=experiment, argv=ARGV, array="0-999")
    assert Job.objects.count() == RunEvent.objects.count() == 1000
    holding.settle()
    assert not Job.objects.filter(held=True).exists()


def test_a_job_past_its_deadline_is_ended_with_the_reason(experiment):
    from datetime import timedelta

    from django.utils import timezone

    soon = timezone.now() + timedelta(seconds=60)
    job = submit.submit(experiment=experiment, argv=ARGV, deadline=soon)
    holding.settle(soon - timedelta(seconds=1))
    assert Job.objects.get(pk=job.pk).state == "queued"
    holding.settle(soon)
    assert Job.objects.get(pk=job.pk).state == "stopped"
    assert "its deadline" in RunEvent.objects.get(run=job.run, new="stopped").reason
    with pytest.raises(JobRefused, match="is past"):
        submit.submit(experiment=experiment, argv=ARGV, deadline=timezone.now())
