"""A node in the test's own process: its loop looks when the test says so; jobs are real processes."""

import sys
import textwrap

import pytest

from monitoring import nodes
from scaleweb_sdk import protocol
from tests.support.domain import a_project
from tests.support.fixtures import broker, live_site  # noqa: F401
from tests.support.wait import until
from training.jobs import submit as jobs
from training.jobs import tasks
from training.jobs.local import Local
from training.jobs.node_loop import NodeLoop
from training.models import Attempt, Experiment, Job

assert protocol.PROTOCOL_VERSION == 1


@pytest.fixture
def experiment(transactional_db):
    return Experiment.objects.create(project=a_project(), name="digits", slug="digits")


class Bench:
    """One node with two CPU slots, and the ticks of the site in the test's hand."""

    def __init__(self, experiment, folder) -> None:
        self.experiment, self.folder = experiment, folder
        self.loop = self.worker()

    def worker(self, name: str = "bench") -> NodeLoop:
        """A worker of the node, as after a restart."""
        loop = NodeLoop(name)
        loop.node = nodes.register(name, {"hostname": name}, [{"kind": "cpu", "index": i} for i in range(2)])
        return loop

    def python(self, code: str, **fields) -> Job:
        return self.job([sys.executable, "-c", textwrap.dedent(code)], **fields)

    def job(self, argv: list[str], **fields) -> Job:
        return jobs.submit(experiment=self.experiment, argv=argv, **fields)

    def turn(self) -> None:
        tasks.reap_tick()
        tasks.place_tick()
        self.loop.look()

    def until(self, condition, timeout: float = 30):
        def step():
            self.turn()
            return condition()

        return until(step, timeout, every=0.05)

    def until_over(self, job: Job, timeout: float = 30) -> Job:
        self.until(lambda: self.fresh(job).state in {"done", "failed", "stopped"}, timeout)
        return self.fresh(job)

    def fresh(self, job: Job) -> Job:
        return Job.objects.select_related("run").get(pk=job.pk)

    def until_process(self, job: Job):
        """The training process of the job's newest attempt, once it lives."""

        def found():
            attempt = self.attempt(job)
            training = attempt and self.local(attempt).training()
            return training if training and training.alive() else None

        return self.until(found)

    def attempt(self, job: Job) -> Attempt | None:
        return Attempt.objects.filter(job=job).select_related("job__run", "node").order_by("-number").first()

    def local(self, attempt: Attempt) -> Local:
        return Local(self.folder / f"{attempt.job.code}-{attempt.number}")

    def close(self) -> None:
        for local in Local.all_living():
            local.kill()
            until(lambda local=local: not local.status().living, 20)


@pytest.fixture
def bench(live_site, settings, tmp_path, experiment):  # noqa: F811
    settings.PUBLIC_URL = live_site.url
    settings.ATTEMPT_DIR = tmp_path / "attempts"
    settings.CHECKPOINT_DIR = tmp_path / "checkpoints"
    settings.STOP_GRACE_SECONDS = 2
    Local.over.clear()
    Local.sent.clear()
    made = Bench(experiment, settings.ATTEMPT_DIR)
    yield made
    made.close()
