"""Two workers under one name: on two hosts, in two folders of one host, in one folder; and one that comes back."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from monitoring import nodes
from monitoring.models import Node
from tests.support.wait import until
from training.jobs import tasks
from training.jobs.local import Local
from training.jobs.node_loop import NodeLoop
from training.models import Attempt


class Worker:
    """A worker with a data folder of its own, as its host's settings have it."""

    def __init__(self, settings, home: Path) -> None:
        self.settings, self.home = settings, home
        self.at_home()
        self.loop = NodeLoop("twin")

    def at_home(self) -> None:
        self.settings.HOME, self.settings.ATTEMPT_DIR = self.home, self.home / "attempts"

    def look(self) -> None:
        self.at_home()
        self.loop.look()

    def is_refused(self, words: str) -> None:
        with pytest.raises(nodes.NameTaken, match=words):
            self.look()

    def close(self) -> None:
        self.at_home()
        self.loop.close(stop_jobs=True)


@pytest.fixture
def workers(bench, settings, tmp_path):
    settings.CPU_SLOTS = 1
    Node.objects.filter(name="bench").update(cordoned=True)
    made = [Worker(settings, tmp_path / name) for name in ("first", "second")]
    yield made
    for each in made:
        each.at_home()
        bench.close()


def test_of_two_data_folders_on_one_host_one_is_the_node_and_the_one_that_was_away_ends_what_it_lost(
    bench, workers
):
    first, second = workers
    first.look()
    job = bench.python("import time; time.sleep(600)")
    tasks.place_tick()

    def at_work():
        first.look()
        return (training := bench_local(first, bench, job).training()) and training.alive() and training

    training = until(at_work, 30, every=0.05)
    attempt = bench.attempt(job)
    second.is_refused(
        f"online on this host with the data folder {first.home}.*SCALEWEB_NODE.*or stop the one"
    )
    assert second.loop.start(attempt.pk) is False
    second.close()
    first.look()
    assert Node.objects.get(name="twin").state == Node.State.ONLINE
    assert bench.attempt(job).ended_at is None
    assert training.alive()

    # The first is not heard of any more, another takes its name, and then it is back.
    Node.objects.filter(name="twin").update(last_seen_at=timezone.now() - timedelta(minutes=1))
    second.look()
    assert bench.attempt(job).outcome == Attempt.Outcome.LOST
    assert first.loop.start(attempt.pk) is False
    first.is_refused(f"with the data folder {second.home}")

    def ended():
        first.is_refused("with the data folder")
        return not training.alive()

    until(ended, 20, every=0.05)
    first.close()
    assert Node.objects.get(name="twin").state == Node.State.ONLINE


def bench_local(worker: Worker, bench, job) -> Local:
    attempt = bench.attempt(job)
    return Local(worker.home / "attempts" / f"{job.code}-{attempt.number}")


def test_a_second_worker_in_the_folder_of_the_first_does_nothing_until_that_one_has_ended(bench, workers):
    first, _ = workers
    first.look()
    again = NodeLoop("twin")
    first.at_home()
    again.home = first.home
    with pytest.raises(
        nodes.NameTaken, match=r"a worker of node twin \(process \d+\) is at work in the same"
    ):
        again.look()
    again.close(stop_jobs=True)
    assert Node.objects.get(name="twin").state == Node.State.ONLINE
    first.close()
    assert Node.objects.get(name="twin").state == Node.State.SILENT
    NodeLoop("twin").look()
    assert Node.objects.get(name="twin").state == Node.State.ONLINE


def test_a_worker_whose_name_is_another_hosts_starts_none_of_its_jobs_and_does_not_close_it(bench, workers):
    first, _ = workers
    first.look()
    Node.objects.filter(name="twin").update(hostname="elsewhere")
    job = bench.python("print('here')")
    tasks.place_tick()
    attempt = bench.attempt(job)
    # Both take tasks out of the node's queue; this one came to the wrong host.
    assert first.loop.start(attempt.pk) is False
    first.is_refused("online on host elsewhere, and this is host")
    first.close()
    assert Node.objects.get(name="twin").state == Node.State.ONLINE
    assert bench.attempt(job).state == Attempt.State.ASSIGNED
