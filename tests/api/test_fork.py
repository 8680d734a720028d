"""A person forks a run from one of its checkpoints over REST."""

import hashlib

import pytest

from training.jobs import spec
from training.models import Attempt, Checkpoint, Command, Job, Run

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def saved(job, tmp_path):
    file = tmp_path / "step-5.pt"
    file.write_bytes(b"weights")
    Run.objects.filter(pk=job.run_id).update(config={"lr": 0.1, "depth": 2}, state="finished")
    Job.objects.filter(pk=job.pk).update(env={"A": "1", "B": "2"}, max_retries=3, state="done")
    return Checkpoint.objects.create(
        run=job.run, step=5, path=str(file), size_bytes=7, sha256=hashlib.sha256(b"weights").hexdigest()
    )


def fork(client, job, **body):
    return client.ask("POST", f"runs/{job.run.code}/fork", body)


def test_a_fork_is_a_run_with_a_parent_and_a_job_like_the_old_one(operator, job, saved):
    answer = fork(operator, job, checkpoint=saved.pk, env={"B": "3"}, config={"lr": 0.2})
    assert answer.status_code == 201, answer.content
    made = Job.objects.select_related("run").get(code=answer.json()["code"])
    assert (made.argv, made.env, made.max_retries, made.state) == (
        job.argv,
        {"A": "1", "B": "3"},
        3,
        "queued",
    )
    assert (made.run.parent_id, made.run.parent_step, made.run.config) == (
        job.run_id,
        5,
        {"lr": 0.2, "depth": 2},
    )
    other = fork(operator, job, checkpoint=saved.pk, name="wider", argv=["python", "wide.py"]).json()
    assert (other["run_name"], other["argv"]) == ("wider", ["python", "wide.py"])


def test_its_first_attempt_begins_from_that_very_file_or_not_at_all(operator, job, saved, node):
    made = Job.objects.get(code=fork(operator, job, checkpoint=saved.pk).json()["code"])
    attempt = Attempt.objects.create(job=made, number=1, node=node, lease_expires_at=made.submitted_at)
    environment = spec.build(attempt)["env"]
    assert (environment["SCALEWEB_RESUME"], environment["SCALEWEB_RESUME_STEP"]) == (saved.path, "5")
    attempt.refresh_from_db()
    assert attempt.resumed_from == saved
    with open(saved.path, "wb") as file:
        file.write(b"WEIGHTS")
    with pytest.raises(spec.CannotResume, match=r"step 5 of run .* SHA-256 is not the one"):
        spec.build(attempt)
    saved.delete()
    with pytest.raises(spec.CannotResume, match="was deleted with its run"):
        spec.build(attempt)


def test_what_cannot_be_forked_is_refused_in_words(operator, run, job, saved):
    alone = Checkpoint.objects.create(run=run, step=1, path="/c/1")
    answer = operator.ask("POST", f"runs/{run.code}/fork", {"checkpoint": alone.pk})
    assert (answer.status_code, "SCALEWEB_RESUME=/c/1" in answer.json()["detail"]) == (409, True)
    assert "has no checkpoint" in str(fork(operator, job, checkpoint=alone.pk).json())
    assert fork(operator, job, checkpoint=saved.pk, env={"SCALEWEB_TOKEN": "x"}).status_code == 400
    Checkpoint.objects.filter(pk=saved.pk).update(available=False)
    answer = fork(operator, job, checkpoint=saved.pk)
    assert (answer.status_code, "is gone" in answer.json()["detail"]) == (409, True)
    assert Job.objects.count() == 1


def test_devices_priority_and_a_variable_left_out_are_its_own(operator, job, saved):
    answer = fork(operator, job, checkpoint=saved.pk, env={"A": None}, max_devices=2, priority=7)
    made = Job.objects.get(code=answer.json()["code"])
    assert (made.env, made.min_devices, made.max_devices, made.priority) == ({"B": "2"}, 1, 2, 7)
    refused = fork(operator, job, checkpoint=saved.pk, min_devices=3, max_devices=2)
    assert (refused.status_code, "1 <= min <= max" in str(refused.json())) == (400, True)


def test_the_checkpoint_that_a_fork_begins_from_is_pinned_until_it_has_one_of_its_own(operator, job, saved):
    Run.objects.filter(pk=job.run_id).update(state="running")
    made = Job.objects.get(code=fork(operator, job, checkpoint=saved.pk).json()["code"])
    saved.refresh_from_db()
    told = Command.objects.get(run=job.run)
    assert (saved.pinned, told.verb, told.value["pinned"]) == (True, "pin", True)
    assert made.run.code in told.reason
    address = f"runs/{job.run.code}/checkpoints/{saved.pk}/pin"
    answer = operator.ask("POST", address, {"pinned": False})
    assert (answer.status_code, "still has to begin" in answer.json()["detail"]) == (409, True)
    Checkpoint.objects.create(run=made.run, step=6, path="/c/6")
    assert operator.ask("POST", address, {"pinned": False}).json()["pinned"] is False


def test_a_run_that_is_over_goes_on_from_an_older_checkpoint_of_its_own(operator, job, saved, node):
    newer = Checkpoint.objects.create(run=job.run, step=9, path=saved.path + "9", size_bytes=7)
    with open(newer.path, "wb") as file:
        file.write(b"weights")
    answer = operator.ask("POST", f"jobs/{job.code}/requeue", {"checkpoint": saved.pk})
    assert (answer.status_code, answer.json()["run_state"]) == (200, "queued"), answer.content
    job.refresh_from_db()

    def resumed(number):
        attempt = Attempt.objects.create(job=job, number=number, node=node, lease_expires_at=job.submitted_at)
        found = spec.resumable(attempt)
        return found and found.pk

    assert resumed(2) == saved.pk
    told = operator.ask("GET", f"jobs/{job.code}").json()["attempts"][-1]
    assert told["resumed_from"] == {"checkpoint": saved.pk, "run": job.run.code, "step": 5}
    own = Checkpoint.objects.create(run=job.run, step=7, path=saved.path + "7", size_bytes=7)
    with open(own.path, "wb") as file:
        file.write(b"weights")
    assert resumed(3) == own.pk, "what it saved since counts for more"
    own.delete()
    Job.objects.filter(pk=job.pk).update(state="done")
    Run.objects.filter(pk=job.run_id).update(state="finished")
    assert operator.ask("POST", f"jobs/{job.code}/requeue").status_code == 200
    job.refresh_from_db()
    assert resumed(4) == newer.pk, "without a choice, the newest"


def test_a_checkpoint_that_is_gone_or_another_runs_is_not_gone_on_from(operator, run, job, saved):
    alone = Checkpoint.objects.create(run=run, step=1, path="/c/1")
    address = f"jobs/{job.code}/requeue"
    Run.objects.filter(pk=job.run_id).update(state="finished")
    assert "has no checkpoint" in str(operator.ask("POST", address, {"checkpoint": alone.pk}).json())
    Checkpoint.objects.filter(pk=saved.pk).update(available=False)
    answer = operator.ask("POST", address, {"checkpoint": saved.pk})
    assert (answer.status_code, "is gone" in answer.json()["detail"]) == (409, True)
    job.refresh_from_db()
    assert job.state == "done"
