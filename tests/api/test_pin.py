"""A person pins a checkpoint over REST: at once in the record, at the next boundary in the process."""

import pytest

from training.commands import record_outcome
from training.models import Checkpoint, Command, Run

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def saved(run):
    return Checkpoint.objects.create(run=run, step=5, path="/c/5", sha256="a" * 64)


def pin(client, run, pk, pinned=True):
    return client.ask("POST", f"/api/v1/runs/{run.code}/checkpoints/{pk}/pin", {"pinned": pinned})


def test_a_running_process_is_told_and_one_that_cannot_takes_the_pin_back(operator, run, saved):
    Run.objects.filter(pk=run.pk).update(state="running")
    answer = pin(operator, run, saved.pk)
    assert (answer.status_code, answer.json()["pinned"]) == (200, True)
    command = Command.objects.get(run=run)
    assert (command.verb, command.value) == (
        "pin", {"checkpoint": saved.pk, "step": 5, "path": "/c/5", "pinned": True},
    )  # fmt: skip
    record_outcome(run, 0, 7, {"seq": command.seq, "ok": False, "message": "it was removed before"})
    saved.refresh_from_db()
    assert not saved.pinned


def test_where_no_process_runs_it_is_kept_in_the_record_for_the_next_one(operator, run, saved):
    Run.objects.filter(pk=run.pk).update(state="finished")
    assert pin(operator, run, saved.pk).json()["pinned"] is True
    assert pin(operator, run, saved.pk, pinned=False).json()["pinned"] is False
    assert not Command.objects.exists()


def test_a_checkpoint_that_is_gone_or_another_runs_is_refused(operator, run, saved):
    Checkpoint.objects.filter(pk=saved.pk).update(available=False)
    answer = pin(operator, run, saved.pk)
    assert answer.status_code == 409
    assert "is gone" in answer.json()["detail"]
    assert pin(operator, run, 10**30).status_code == 404
    assert operator.ask("POST", f"/api/v1/runs/{run.code}/checkpoints/{saved.pk}/pin", {}).status_code == 400
