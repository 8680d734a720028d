"""An attempt that was given up, and whose script had finished: its own word and its exit record put it right."""

from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring import nodes
from scaleweb_sdk.protocol import Event
from tests.link.peer import hello
from training import events
from training.jobs import attempts, spec, tasks
from training.jobs import submit as jobs
from training.jobs.given_up import GivenUp
from training.jobs.local import Local
from training.jobs.processes import write_json
from training.link.admission import Identity, enter
from training.link.refusal import Refused
from training.models import Attempt, Experiment, Job, RunEvent

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__", transaction=True)]
SESSION = "a" * 32


@pytest.fixture(autouse=True)
def watched(monkeypatch):
    """As if this process had looked at the leases for long."""
    monkeypatch.setattr(tasks, "watch", tasks.Watch(since=float("-inf"), last=float("inf")))


@pytest.fixture
def node(transactional_db, settings, tmp_path):
    settings.ATTEMPT_DIR = tmp_path
    return nodes.register("n1", {"hostname": "n1"}, [{"kind": "cpu", "index": 0}])


@pytest.fixture
def begun(node, experiment: Experiment):
    """A job of which an attempt runs, by a process that is connected."""

    def make(retries: int = 0) -> Attempt:
        job = jobs.submit(experiment=experiment, argv=["python", "train.py"], max_retries=retries)
        return begin(job)

    return make


def begin(job: Job) -> Attempt:
    tasks.place_tick()
    attempt = Attempt.objects.select_related("job__run", "node").get(job=job, ended_at=None)
    assert attempts.claim(attempt)
    connect(attempt)
    return attempt


def connect(attempt: Attempt, session: str = SESSION) -> None:
    run = attempt.job.run
    enter(Identity(0, run.source, run=run.pk), hello(run.source, attempt=attempt.number, session=session))


def says(attempt: Attempt, word: str, rank: int = 0) -> None:
    sender = events.Sender(SESSION, rank=rank, attempt=attempt.number)
    events.apply(attempt.job.run_id, sender, 5, [Event("finish", 0.0, None, {"state": word})])


def unheard(*some: Attempt) -> None:
    """The lease runs out, and the reaper comes."""
    pks = [attempt.pk for attempt in some]
    Attempt.objects.filter(pk__in=pks).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert tasks.reap_tick() == len(some)


def seen(attempt: Attempt) -> tuple[str, str, str]:
    found = Attempt.objects.select_related("job__run").get(pk=attempt.pk)
    return found.outcome, found.job.state, found.job.run.state


def leaves(attempt: Attempt, code: int | None) -> Local:
    """What the supervisor has written at the end."""
    local = Local(spec.folder_of(attempt))
    local.folder.mkdir(parents=True)
    write_json(local.folder / "spec.json", {})
    write_json(local.folder / "exit.json", {"exit_code": code, "signal": "", "first_error_line": ""})
    return local


def worker_is_back(node) -> None:
    GivenUp().look(node, {attempt.pk for attempt in attempts.node_attempts(node)})


@pytest.mark.parametrize(
    ("word", "rank", "expected"),
    [
        ("finished", 0, ("finished", "done", "finished")),
        ("failed", 0, ("failed", "failed", "failed")),
        # Its host is shut down, say: it goes on elsewhere while retries are left.
        ("stopped", 0, ("lost", "failed", "lost")),
        ("finished", 1, ("lost", "failed", "lost")),
    ],
)
def test_what_the_process_said_of_its_end_counts_as_its_lease_runs_out(begun, word, rank, expected):
    attempt = begun()
    says(attempt, word, rank)
    unheard(attempt)
    assert seen(attempt) == expected
    told = RunEvent.objects.filter(run=attempt.job.run, kind="attempt").get().reason
    assert ("its process said that it has" in told) == (expected[0] == word)


def test_what_an_older_attempt_says_is_not_the_newer_ones_word(begun):
    first = begun(retries=1)
    unheard(first)
    second = begin(first.job)
    says(first, "finished")
    assert seen(second) == ("", "active", "running")
    unheard(second)
    assert seen(second) == ("lost", "failed", "lost")


@pytest.mark.parametrize("retries", [0, 1])
def test_an_attempt_that_was_given_up_and_says_then_that_it_has_finished_has(begun, retries):
    attempt = begun(retries)
    unheard(attempt)
    says(attempt, "finished")
    assert seen(attempt) == ("finished", "done", "finished")
    said = RunEvent.objects.filter(run=attempt.job.run, kind="attempt").last()
    assert (said.old, said.new) == ("lost", "finished")
    assert said.reason == (
        "its process said that it has finished; attempt 1 on n1 was given up as lost before that was known"
    )
    assert tasks.place_tick() == 0


def test_what_else_it_says_while_its_job_waits_to_run_again_changes_nothing(begun):
    attempt = begun(retries=1)
    unheard(attempt)
    says(attempt, "stopped")
    assert seen(attempt) == ("lost", "queued", "queued")
    assert begin(attempt.job).number == 2


@pytest.mark.parametrize("retries", [0, 1])
def test_the_exit_record_of_an_attempt_that_was_given_up_counts_when_the_worker_is_back(node, begun, retries):
    attempt = begun(retries)
    unheard(attempt)
    leaves(attempt, 0)
    worker_is_back(node)
    assert seen(attempt) == ("finished", "done", "finished")
    assert (
        "exit code 0; attempt 1 on n1 was given up" in RunEvent.objects.filter(kind="attempt").last().reason
    )
    assert Attempt.objects.get().exit_code == 0


def test_it_counts_for_a_worker_too_that_only_did_not_answer(node, begun):
    attempt, worker = begun(), GivenUp()
    worker.look(node, {attempt.pk})
    unheard(attempt)
    worker.look(node, set())  # its process lives, as far as its folder tells nothing yet
    assert seen(attempt) == ("lost", "failed", "lost")
    attempt = begun()
    worker.look(node, {attempt.pk})
    unheard(attempt)
    leaves(attempt, 0)
    worker.look(node, set())
    assert seen(attempt) == ("finished", "done", "finished")


def test_nothing_is_put_right_once_another_attempt_has_begun_or_a_person_has_decided(node, begun):
    followed = begun(retries=1)
    unheard(followed)
    second = begin(followed.job)
    leaves(followed, 0)
    worker_is_back(node)
    assert seen(followed) == ("lost", "active", "running")
    attempts.end(second.pk, "failed", "exit code 1", exit_code=1, again=False)
    worker_is_back(node)
    assert seen(followed) == ("lost", "failed", "failed")

    stopped = begun(retries=1)
    unheard(stopped)
    jobs.stop(stopped.job, "ada")
    leaves(stopped, 0)
    worker_is_back(node)
    assert seen(stopped) == ("lost", "stopped", "stopped")

    asked_again = begun()
    unheard(asked_again)
    jobs.requeue(asked_again.job, "ada")
    leaves(asked_again, 0)
    worker_is_back(node)
    assert seen(asked_again) == ("lost", "queued", "queued")


@pytest.mark.parametrize(
    "why", ["it failed", "this node ended it", "its last points were refused", "long ago"]
)
def test_an_exit_record_that_does_not_say_so_leaves_it_lost(node, begun, why):
    attempt = begun()
    unheard(attempt)
    local = leaves(attempt, 3 if why == "it failed" else 0)
    if why == "this node ended it":
        local.give_up(1)
    elif why == "its last points were refused":
        write_json(local.folder / "refused.json", {"reason": "stale"})
    elif why == "long ago":
        Attempt.objects.update(ended_at=timezone.now() - timedelta(hours=2))
    worker_is_back(node)
    assert seen(attempt) == ("lost", "failed", "lost")


def test_a_job_that_was_stopped_while_its_node_was_silent_stays_stopped_when_its_process_is_heard(begun):
    attempt = begun(retries=1)
    unheard(attempt)
    jobs.stop(attempt.job, "ada")
    connect(attempt, "b" * 32)
    assert seen(attempt) == ("lost", "stopped", "stopped")
    says(attempt, "stopped")
    assert seen(attempt) == ("lost", "stopped", "stopped")


def test_a_job_that_was_asked_to_stop_and_whose_node_is_silent_is_stopped_in_words(begun):
    attempt = begun(retries=1)
    jobs.stop(attempt.job, "ada")
    unheard(attempt)
    assert seen(attempt) == ("stopped", "stopped", "stopped")
    told = RunEvent.objects.filter(run=attempt.job.run, kind="state").last().reason
    assert told == "it was asked to stop, and then: nothing was heard from the worker of n1 for 10 s"
    connect(attempt, "b" * 32)
    assert seen(attempt) == ("stopped", "stopped", "stopped")


def test_a_lost_process_that_is_heard_and_then_ended_by_its_node_leaves_its_run_lost(begun):
    attempt = begun()
    unheard(attempt)
    connect(attempt, "b" * 32)
    assert seen(attempt) == ("lost", "failed", "running")
    says(attempt, "stopped")
    assert seen(attempt) == ("lost", "failed", "lost")


def test_a_process_that_goes_on_after_it_said_that_it_has_finished_is_taken_back(begun):
    attempt = begun()
    says(attempt, "finished")
    unheard(attempt)
    attempt.refresh_from_db()
    assert attempts.take_back(attempt)
    assert seen(attempt) == ("", "active", "running")


def test_a_process_of_a_job_that_waits_to_run_again_is_refused(begun):
    attempt = begun(retries=1)
    unheard(attempt)
    with pytest.raises(Refused, match="was given up"):
        connect(attempt, "b" * 32)
