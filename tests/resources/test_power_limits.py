"""From a policy's parameter to a card's limit and back: asked, tried, kept, put back; never without being let."""

from datetime import timedelta

import pytest
from django.utils import timezone

from control import power_limits
from control.models import ControllerSettings
from control.rescale import parameters
from monitoring import nodes
from monitoring.hardware import nvml
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.hardware.fake_nvml import Card, FakeNvml
from tests.support.domain import a_project
from training.jobs import attempts
from training.jobs import submit as jobs
from training.jobs.placement import Assignment
from training.jobs.power import PowerKeeper
from training.models import Attempt, Experiment, RunEvent
from training.states import RunState

pytestmark = pytest.mark.django_db(databases="__all__")


class Bench:
    """A job on the two GPUs of a node, its node's keeper of limits, and a clock."""

    def __init__(self, folder, **policy):
        experiment = Experiment.objects.create(project=a_project(), name="digits", slug="digits")
        self.settings = ControllerSettings.objects.create(
            experiment=experiment, mode="act", policies={"resources": policy}
        )
        self.node = nodes.register("n1", {}, [{"kind": "gpu", "index": i, "name": "H100"} for i in range(2)])
        self.job = jobs.submit(
            experiment=experiment, argv=["true"], device_kind="gpu", min_devices=2, max_devices=2
        )
        devices = tuple(self.node.devices.values_list("pk", flat=True))
        self.pk = attempts.begin(Assignment(self.job.pk, self.node.pk, devices)).pk
        assert attempts.claim(self.attempt)
        attempts.bring(self.job.run, RunState.RUNNING, "it runs")
        self.nvml = FakeNvml(Card(0), Card(1))
        self.nvml.root = True
        self.file = folder / "power.json"
        self.now = timezone.now()
        Attempt.objects.filter(pk=self.pk).update(started_at=self.now)
        self.seq = 0

    @property
    def attempt(self):
        return Attempt.objects.select_related("job__run").prefetch_related("devices").get(pk=self.pk)

    @property
    def limits(self):
        return [card.limit_milliwatts / 1000 for card in self.nvml.cards]

    def decide(self):
        watched = {self.settings.experiment_id: self.settings}
        return power_limits.tick(watched, parameters, self.now)

    def look(self):
        # Each time as a worker that has just been started.
        PowerKeeper(self.file, lambda: nvml.Gpus(self.nvml)).keep(attempts.node_attempts(self.node))

    def train(self, pace, watts, seconds=60):
        """A minute under the present limit: a sample costs least in the middle."""
        times = [self.now.timestamp() + i for i in range(1, seconds)]
        steps = [int(time) for time in times]
        self.now += timedelta(seconds=seconds)
        self.seq += 1

        def send(source, values):
            columns = [Column(key, steps, times, [value] * len(times)) for key, value in values.items()]
            series.append(source, "s" * 32, [Batch(self.seq, columns=columns)])

        send(self.job.run.source, {"_samples_per_second": pace})
        cards = {f"gpu{i}/power_watts": watts for i in range(2)}
        cards |= {f"gpu{i}/power_limit_watts": limit for i, limit in enumerate(self.limits)}
        send(self.node.source, cards)


PACE = {700: (1000, 690), 575: (980, 570), 450: (930, 445), 325: (600, 320), 200: (400, 200)}


def test_limits_are_tried_from_the_top_and_the_cheapest_is_kept_then_put_back(tmp_path):
    bench = Bench(tmp_path, may_limit_power=True, energy_weight=0.7)
    assert bench.decide() == 1, "what the cards allow is asked first"
    bench.look()
    assert bench.limits == [700, 700]
    seen = []
    for _ in range(6):
        bench.decide()
        bench.look()
        seen.append(bench.limits[0])
        bench.train(*PACE[round(bench.limits[0])])
    assert seen == [700, 575, 450, 325, 450, 450]
    assert bench.limits == [450, 450]
    attempts.end(bench.pk, "finished", "exit code 0")
    bench.look()
    assert bench.limits == [700, 700]
    bench.look()
    assert bench.file.read_text() == "{}"


def test_nobody_who_may_not_has_a_card_limited_and_switching_off_puts_it_back(tmp_path):
    bench = Bench(tmp_path)
    assert bench.decide() == 0
    bench.look()
    assert not bench.file.exists()
    bench.settings.policies = {"resources": {"may_limit_power": True}}
    bench.decide()
    bench.look()
    bench.train(*PACE[700])
    bench.decide()
    bench.look()
    bench.train(*PACE[700])
    bench.decide()
    bench.look()
    assert bench.limits == [450, 450]
    bench.settings.mode = "advise"
    bench.decide()
    bench.look()
    assert bench.limits == [700, 700]


def test_a_driver_that_lets_nobody_leaves_the_job_alone_and_says_so_once(tmp_path):
    bench = Bench(tmp_path, may_limit_power=True)
    bench.nvml.root = False
    bench.decide()
    bench.look()
    for _ in range(3):
        bench.train(*PACE[700])
        bench.decide()
        bench.look()
    assert bench.limits == [700, 700]
    note = RunEvent.objects.get(run=bench.job.run, kind="note")
    assert "lets only root set a power limit" in note.reason
    assert "only root" in bench.attempt.power["problem"]
