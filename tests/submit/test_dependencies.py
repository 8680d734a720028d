"""Jobs that wait for other jobs."""

import pytest

from monitoring import nodes
from tests.support.domain import a_project
from training.jobs import dependencies, groups, submit, tasks
from training.jobs.refused import JobRefused
from training.models import Experiment, Job, RunEvent

pytestmark = pytest.mark.django_db(databases="__all__")
ARGV = ["python", "train.py"]


@pytest.fixture
def experiment(db):
    nodes.register("n1", {"hostname": "n1"}, [{"kind": "cpu", "index": i} for i in range(8)])
    return Experiment.objects.create(project=a_project(), name="digits", slug="digits")


@pytest.fixture
def job(experiment):
    return lambda *after, **fields: submit.submit(experiment=experiment, argv=ARGV, after=after, **fields)


def ended(job, state):
    Job.objects.filter(pk=job.pk).update(state=state)


def fresh(job):
    return Job.objects.get(pk=job.pk)


def why(job):
    return RunEvent.objects.filter(run=job.run, new="stopped").get().reason


def test_a_job_waits_for_another_to_end_well_and_says_so(job):
    first = job(name="prepare")
    second = job(first.code)
    assert tasks.place_tick() == 1
    assert fresh(second).waiting_reason == f"waits for prepare ({first.code}) to end well"
    assert tasks.place_tick() == 0
    ended(first, "done")
    assert tasks.place_tick() == 1
    assert fresh(second).state == "active"


@pytest.mark.parametrize(
    ("when", "how", "state", "said"),
    [
        ("ok", "failed", "stopped", "which was to end well first, failed"),
        ("ok", "stopped", "stopped", "which was to end well first, was stopped"),
        ("any", "failed", "active", ""),
        ("any", "done", "active", ""),
        ("failed", "failed", "active", ""),
        ("failed", "done", "stopped", "for whose failure it waited, did not fail"),
    ],
)
def test_what_becomes_of_a_job_follows_from_how_the_other_ended(job, when, how, state, said):
    first = job(name="prepare")
    second = job(f"{first.code}:{when}")
    ended(first, how)
    tasks.place_tick()
    assert fresh(second).state == state
    if said:
        assert why(second) == f"prepare ({first.code}), {said}"


def test_a_line_of_jobs_is_cancelled_to_its_end(job):
    line = [job()]
    for _ in range(5):
        line.append(job(line[-1].run.code))
    ended(line[0], "failed")
    tasks.place_tick()
    assert [fresh(each).state for each in line[1:]] == ["stopped"] * 5


def test_a_group_is_waited_for_as_one(experiment, job):
    group = groups.submit_array(experiment=experiment, argv=ARGV, array="0-2", name="parts")
    last = job(group.code)
    assert tasks.place_tick() == 3
    Job.objects.filter(group=group, group_index=0).update(state="done")
    tasks.place_tick()
    assert fresh(last).waiting_reason == f"waits for parts ({group.code}) to end well, 2 of 3 left"
    Job.objects.filter(group=group).update(state="done")
    assert tasks.place_tick() == 1


def test_a_job_that_is_deleted_is_not_waited_for_without_end(job):
    first = job()
    second, third = job(first.code), job(f"{first.code}:any")
    code = first.code
    first.run.delete()
    tasks.place_tick()
    assert why(second) == f"the job {code} that it waited for was deleted"
    assert fresh(third).state == "active"


def test_a_circle_is_refused_by_the_names_in_it(job):
    first = job()
    second = job(first.code)
    third = job(second.code)
    with pytest.raises(JobRefused) as refused:
        dependencies.change(first, [third.code])
    assert refused.value.message == (
        "that is a circle, none of them would ever start: "
        f"{first.code} waits for {third.code}, {third.code} waits for {second.code}, "
        f"{second.code} waits for {first.code}"
    )
    with pytest.raises(JobRefused, match=f"{first.code} waits for {first.code}"):
        dependencies.change(first, [first.code])
    assert not fresh(first).held


def test_a_circle_through_ones_own_group_is_refused(experiment):
    group = groups.submit_array(experiment=experiment, argv=ARGV, array="0-2")
    with pytest.raises(JobRefused, match="circle"):
        dependencies.change(group.jobs.first(), [group.code])


def test_what_a_waiting_job_waits_for_can_be_changed(job):
    first, other = job(), job()
    second = job(first.code)
    dependencies.change(second, [f"{other.code}:any"])
    tasks.place_tick()
    assert f"({other.code}) to end" in fresh(second).waiting_reason
    dependencies.change(second, [])
    tasks.place_tick()
    assert fresh(second).state == "active"


@pytest.mark.parametrize(
    ("after", "said"), [("nosuch", "no job, run or group 'nosuch'"), ("x:soon", "expected CODE")]
)
def test_what_cannot_be_waited_for_is_refused(job, after, said):
    with pytest.raises(JobRefused, match=said):
        job(after)


def test_a_job_of_another_project_cannot_be_waited_for(job):
    other = Experiment.objects.create(project=a_project("other"), name="x", slug="x")
    theirs = submit.submit(experiment=other, argv=ARGV)
    with pytest.raises(JobRefused, match="in this project"):
        job(theirs.code)
