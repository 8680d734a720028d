"""The queue over REST, from the command line, and in /metrics."""

import pytest
from django.utils import timezone

from monitoring.models import Node
from scaleweb.metrics import sharing
from scaleweb_sdk.cli import main
from tests.api.conftest import client_of
from tests.support.domain import a_project, a_run, a_user
from training.jobs import moving
from training.jobs.groups import submit_array
from training.jobs.queued import waiting as waiting_jobs
from training.models import Attempt, DeviceLease, Experiment, Job, JobGroup, Membership, Quota


@pytest.fixture
def queued(project):
    def make(name, project=project, **fields):
        run = a_run(project, name=name)
        return Job.objects.create(run=run, argv=["python", "train.py"], **fields)

    return make


@pytest.fixture
def operator(project):
    user = a_user("olga")
    Membership.objects.create(project=project, user=user, role="operator")
    return client_of(user)


def names(client):
    return [job["run_name"] for job in client.ask("GET", "queue").json()["waiting"]]


def test_the_queue_is_in_the_order_of_the_turns_and_says_who_uses_what(operator, queued, node, project):
    other = a_project("speech")
    Quota.objects.create(project=project, kind="gpu", devices=2)
    first = queued("held", device_kind="gpu", state="active")
    attempt = Attempt.objects.create(job=first, number=1, node=node, lease_expires_at=timezone.now())
    gpu = node.devices.get(kind="gpu")
    node.devices.filter(pk=gpu.pk).update(latest={"utilisation_ratio": 0.8})
    DeviceLease.objects.create(device=gpu, attempt=attempt)
    queued("hidden", other, device_kind="gpu", priority=100)
    queued("borrows", device_kind="gpu", min_devices=2, max_devices=2, priority=40)
    queued("own", device_kind="gpu")
    found = operator.ask("GET", "queue").json()
    assert [job["run_name"] for job in found["waiting"]] == ["borrows", "own"]
    assert found["waiting"][0]["outlook"] == {"starts_at": None, "by": "", "words": ""}
    assert found["shares"] == [
        {"project": "vision", "kind": "gpu", "used": 1, "quota": 2, "borrow": None, "waiting": 2,
         "utilisation_ratio": 0.8},
        {"project": None, "kind": "gpu", "used": 0, "quota": 0, "borrow": None, "waiting": 1,
         "utilisation_ratio": None},
    ]  # fmt: skip


def test_a_job_is_moved_next_to_another_and_takes_its_priority(operator, queued):
    a, b, c, d = (queued(name) for name in "abcd")
    Job.objects.filter(pk=a.pk).update(priority=7)
    assert names(operator) == ["a", "b", "c", "d"]
    assert operator.ask("POST", f"jobs/{d.code}/move", {"before": b.code}).json()["priority"] == 0
    assert names(operator) == ["a", "d", "b", "c"]
    operator.ask("POST", f"jobs/{b.code}/move", {"behind": c.code})
    assert names(operator) == ["a", "d", "c", "b"]
    assert operator.ask("POST", f"jobs/{b.code}/move", {"before": a.code}).json()["priority"] == 7
    assert names(operator) == ["b", "a", "d", "c"]
    queued("new")
    assert names(operator)[-1] == "new"


def test_moves_to_the_same_gap_never_run_out_of_numbers(queued):
    first, last = queued("first"), queued("last")
    for number in range(60):
        moving.move(queued(f"new {number}"), last, before=True)
    rows = [job.job for job in sorted(waiting_jobs(), key=lambda job: (job.order, job.job))]
    found = list(Job.objects.in_bulk(rows)[pk].run.name for pk in rows)
    assert found == ["first", *(f"new {number}" for number in range(60)), "last"]
    assert first.pk == rows[0]


def test_a_group_is_told_with_what_became_of_its_jobs_and_prioritised_as_one(operator, queued, project):
    jobs = [queued(name) for name in "abcd"]
    group = JobGroup.objects.create(
        experiment=jobs[0].run.experiment, name="sweep", kind="grid", count=3, axes={"lr": ["1", "2", "3"]}
    )
    Job.objects.filter(pk__in=[job.pk for job in jobs[1:]]).update(group=group)
    Job.objects.filter(pk=jobs[3].pk).update(state="failed")
    Job.objects.filter(pk=jobs[2].pk).update(priority=5)
    found = operator.ask("GET", "queue").json()
    assert [(each["code"], each["label"], each["count"]) for each in found["groups"]] == [
        (group.code, f"sweep · {group.code}", 3)
    ]
    assert found["groups"][0]["jobs"] == {"queued": 2, "active": 0, "done": 0, "failed": 1, "stopped": 0}
    answer = operator.ask("POST", f"job-groups/{group.code}/priority", {"priority": 100})
    assert answer.json() == {"changed": 2, "was": [0, 5]}
    assert names(operator) == ["b", "c", "a"]
    assert operator.ask("POST", f"job-groups/{group.code}/priority", {"priority": 5000}).status_code == 400


@pytest.mark.parametrize("body", [{}, {"before": "x", "behind": "y"}, {"before": 3}, {"after": "x"}])
def test_a_move_that_names_no_one_neighbour_is_refused(operator, queued, body):
    assert operator.ask("POST", f"jobs/{queued('a').code}/move", body).status_code == 400


def test_what_does_not_wait_has_no_place_in_the_queue_and_what_one_may_not_see_is_no_neighbour(
    operator, queued
):
    a, runs = queued("a"), queued("b", state="active")
    answer = operator.ask("POST", f"jobs/{a.code}/move", {"before": runs.code})
    assert (answer.status_code, runs.code in answer.json()["detail"]) == (409, True)
    hidden = queued("c", a_project("speech"))
    assert operator.ask("POST", f"jobs/{a.code}/move", {"before": hidden.code}).status_code == 404


def test_the_queue_from_the_command_line(monkeypatch, capsys, operator, queued, project):
    """Through the real views; only the socket is left out."""

    def call(url, path, token, body=None, method="", **other):
        from scaleweb_sdk.rest import Declined

        answer = client.ask(method or ("GET" if body is None else "POST"), path, body)
        if answer.status_code >= 400:
            raise Declined(answer.json()["detail"], answer.status_code)
        return answer.json()

    client = operator
    monkeypatch.setattr("scaleweb_sdk.cli.site.request", call)
    monkeypatch.setenv("SCALEWEB_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("SCALEWEB_TOKEN", "t")
    a, b = queued("a", waiting_reason="waits for 1 CPU slot"), queued("b")

    def said(*arguments, code=0):
        assert main(list(arguments)) == code
        out = capsys.readouterr()
        return out.out + out.err

    assert said("queue", "move", b.code, "--before", a.code) == f"job {b.code} is before {a.code}\n"
    assert said("queue", "priority", a.code, "high") == f"job {a.code} has priority 100\n"
    assert "expected low, normal, high, urgent or a whole number" in said(
        "queue", "priority", a.code, "x", code=1
    )
    shown = said("queue")
    assert shown.index(a.code) < shown.index(b.code)
    assert "waits for 1 CPU slot" in shown
    assert said("queue", "stop", b.code) == f"job {b.code} is stopped\n"
    assert said("queue", "requeue", b.run.code) == f"job {b.code} is queued again\n"
    group = submit_array(experiment=a.run.experiment, argv=["true"], array="0-2")
    assert said("queue", "priority", group.code, "high").startswith(
        f"3 jobs of group {group.code} that wait have"
    )
    assert said("queue", "stop", group.code) == f"3 jobs of group {group.code} are stopped or asked to stop\n"
    assert f"3 jobs of group {group.code} that failed" in said("queue", "requeue", group.code)
    assert "'nosuch' is no job, run, grid or array that you may see" in said(
        "queue", "stop", "nosuch", code=1
    )
    assert "needs a site administrator" in said("quota", project.slug, "4", code=1)
    client = client_of(a_user("root", is_superuser=True))
    assert said("quota", project.slug, "4", "--borrow", "2").split("\n")[1].split() == ["gpu", "4", "2", "0"]
    assert said("quota", project.slug, "--none").strip().count("\n") == 0


def test_the_devices_of_a_lost_node_are_not_counted_among_those_that_there_are(operator, node):
    there = operator.ask("GET", "queue").json()["devices"]["total"]
    assert there == node.devices.count() > 0
    Node.objects.filter(pk=node.pk).update(state="lost")
    assert operator.ask("GET", "queue").json()["devices"] == {"total": 0, "busy": 0}


def test_metrics_tell_waits_preemptions_and_use_against_reservation(queued, node):
    job = queued("a", device_kind="gpu", state="active")
    fields = {"job": job, "node": node, "lease_expires_at": timezone.now()}
    Attempt.objects.create(number=1, outcome="preempted", ended_at=timezone.now(), **fields)
    attempt = Attempt.objects.create(number=2, preempt_asked_at=timezone.now(), **fields)
    gpu = node.devices.get(kind="gpu")
    node.devices.filter(pk=gpu.pk).update(latest={"utilisation_ratio": 0.25})
    DeviceLease.objects.create(device=gpu, attempt=attempt)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in sharing()
        for sample in family.samples
    }
    assert found["scaleweb_preemptions_total",] == 1
    assert found["scaleweb_preemptions_asked",] == 1
    assert found["scaleweb_devices_busy_utilisation_ratio", "gpu"] == 0.25
    assert 0 <= found["scaleweb_queue_wait_seconds", "gpu", "0.99"] < 60


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("jobs", {"argv": ["true"], "min_devices": 64, "max_devices": 64}),
        ("jobs", {"argv": ["true"], "after": ["nosuch"]}),
        ("job-groups", {"argv": ["true"], "grid": {"a": list("ab"), "b": list("aa")}}),
        ("job-groups", {"argv": ["true"], "array": "0-999999"}),
    ],
)
def test_what_is_refused_leaves_no_experiment_of_its_name_behind(operator, node, path, asked):
    answer = operator.ask("POST", path, {"experiment_name": "never heard of"} | asked)
    assert answer.status_code == 400
    assert not Experiment.objects.filter(name="never heard of").exists()
    assert not Job.objects.exists()
