"""A person forks a run from one of its checkpoints over REST."""

import hashlib

import pytest

from training.jobs import spec
from training.models import Attempt, Checkpoint, Job, Run

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
