"""What alerts are about, made to happen: by a run's points, by a node's own agent, by the job engine."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psutil
import pynvml

from control.models import Decision
from monitoring import nodes
from monitoring.hardware import nvml
from monitoring.hardware.agent import Agent
from monitoring.hardware.host import Host
from monitoring.models import Node
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.hardware.fake_nvml import Card, FakeNvml
from training import states
from training.jobs import attempts, tasks
from training.jobs.submit import submit
from training.models import Attempt


class Clock:
    """The site's clock, hours behind the real one: what a test lets pass lies in the past all the same."""

    def __init__(self) -> None:
        self.at = datetime.fromtimestamp(int(time.time()) - 4 * 3600, UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class World:
    """One run that trains, one host of two GPUs, and the time, in the test's hand."""

    def __init__(self, run, folder, clock, root, monkeypatch) -> None:
        self.run, self.folder, self.clock, self.root, self.monkeypatch = run, folder, clock, root, monkeypatch
        self.step = self.batches = 0
        self.cards = [Card(0), Card(1)]
        self.nvml = FakeNvml(*self.cards)
        self.columns: dict[str, Column] = defaultdict(lambda: Column("", [], [], []))
        self.start_agent()

    def log(self, seconds: int, every: int = 10, steps: int = 1, **figures: float) -> None:
        """The run logs these figures every so often, until so many seconds have passed."""
        for _ in range(max(1, seconds // every)):
            self.clock.pass_(every if seconds else 0)
            self.step += steps
            for key, value in figures.items():
                self.point(key, self.step, value)
        self.store(self.run.source)
        self.run.summary |= {key: value if value == value else "NaN" for key, value in figures.items()}
        self.run.save(update_fields=["summary"])

    def start_agent(self) -> None:
        host = Host(self.folder, clock=lambda: self.clock.at.timestamp())
        self.agent = Agent(self, host, nvml.Gpus(self.nvml), slots=1, clock=lambda: self.clock.at.timestamp())

    def watch(self, seconds: int, every: int = 10) -> None:
        """The node's agent looks every so often, until so many seconds have passed."""
        for _ in range(max(1, seconds // every)):
            self.clock.pass_(every)
            self.agent.look()
        self.store("node:gpu-a")

    def send(self, columns, events) -> None:
        """The link, as the agent takes it."""
        for each in columns:
            self.point(each.key, each.steps[0], each.values[0])
        for event in events:
            nodes.register("gpu-a", event.data["system"], event.data["devices"])

    def point(self, key: str, step: int, value: float) -> None:
        column = self.columns[key]
        column.key = key
        column.steps.append(step)
        column.times.append(self.clock.at.timestamp())
        column.values.append(value)

    def store(self, source: str) -> None:
        self.batches += 1
        series.append(source, f"s{self.batches}", [Batch(1, columns=list(self.columns.values()))])
        self.columns.clear()

    def submit(self, **fields) -> None:
        submit(experiment=self.run.experiment, argv=["python", "train.py"], device_kind="gpu", **fields)
        tasks.place_tick()


@dataclass(frozen=True)
class Happening:
    preset: str  # the rule that watches for it
    said: str  # what its alert says, and of whom
    begin: Callable[[World], None]
    end: Callable[[World], None]

    @property
    def id(self) -> str:
        return self.preset


def hot(world: World, degrees: int) -> None:
    world.cards[1].temperature = degrees
    world.watch(120)


def throttled(world: World, why: int) -> None:
    world.cards[0].throttle = why
    world.watch(180)


def xid(world: World) -> None:
    world.nvml.report_xid(0, 79)
    world.watch(10)


def restart(world: World) -> None:
    world.start_agent()
    world.watch(10)


def ecc(world: World, errors: int) -> None:
    world.cards[0].ecc = errors
    world.watch(10)


def disk(world: World, used: float) -> None:
    real = type(psutil.disk_usage("/"))
    whole = 10**12
    part = int(used * whole)
    world.monkeypatch.setattr(psutil, "disk_usage", lambda _: real(whole, part, whole - part, 100 * used))
    world.watch(120)


def falls_silent(world: World) -> None:
    Node.objects.update(last_seen_at=world.clock())
    world.clock.pass_(75)


def reserved_and_idle(world: World) -> None:
    world.submit(name="idler")
    world.cards[0].utilisation = world.cards[1].utilisation = 1
    world.watch(1000, every=20)


def at_work_again(world: World) -> None:
    world.cards[0].utilisation = world.cards[1].utilisation = 93
    world.watch(10)


def waits(world: World) -> None:
    world.submit(name="holds both", min_devices=2, max_devices=2)
    world.submit(name="waits long")
    world.clock.pass_(3700)


def is_placed(world: World) -> None:
    holder = Attempt.objects.get(job__run__name="holds both")
    attempts.end(holder.pk, Attempt.Outcome.FINISHED, "done", exit_code=0)
    tasks.place_tick()


def proposes(world: World) -> None:
    Decision.objects.create(
        run=world.run, policy="divergence", state="proposed", mode="advise", reason="the loss explodes",
        decided_step=10, judge_at_step=20, tunable="lr", old_value=0.1, new_value=0.05,
    )  # fmt: skip


def is_answered(world: World) -> None:
    world.clock.pass_(30)
    decision = Decision.objects.get()
    answer = world.root.ask("POST", f"decisions/{decision.pk}/reject", {"reason": "not yet"})
    assert answer.status_code == 200, answer.content


def fails(world: World) -> None:
    states.move(world.run, "failed", "CUDA error: device lost\nmore")


def is_queued_again(world: World) -> None:
    world.clock.pass_(30)
    states.move(world.run, "queued", "requeued")


HAPPENINGS = [
    Happening(
        "Loss is NaN",
        "first: loss became nan at step 1",
        lambda w: w.log(10, loss=float("nan")),
        lambda w: w.log(10, loss=0.4),
    ),
    Happening(
        "Plateau",
        "first: loss has not improved on 0.5 for 2,000 steps",
        lambda w: w.log(300, steps=100, loss=0.5),
        lambda w: w.log(10, steps=100, loss=0.3),
    ),
    Happening(
        "Training has stalled",
        "first: no point for 600 s after step 3",
        lambda w: (w.log(30, loss=0.5), w.clock.pass_(700)),
        lambda w: w.log(0, loss=0.5),
    ),
    Happening(
        "Slow loader",
        "first: mean of _data_wait_seconds / _step_seconds over 120 s 0.5, above 0.3",
        lambda w: w.log(200, _data_wait_seconds=0.05, _step_seconds=0.1),
        lambda w: w.log(130, _data_wait_seconds=0.001, _step_seconds=0.1),
    ),
    Happening(
        "Hot device",
        "gpu-a gpu1/temperature_celsius: gpu1/temperature_celsius 91, above 85",
        lambda w: hot(w, 91),
        lambda w: hot(w, 60),
    ),
    Happening(
        "Throttled device",
        "gpu-a gpu0/throttle_ratio: mean of gpu0/throttle_ratio over 120 s",
        lambda w: throttled(w, pynvml.nvmlClocksThrottleReasonHwThermalSlowdown),
        lambda w: throttled(w, 0),
    ),
    Happening("Device errors", "gpu-a gpu0/xid_count: gpu0/xid_count 1, above 0", xid, restart),
    Happening(
        "Memory errors",
        "gpu-a gpu0/ecc_uncorrected_count: gpu0/ecc_uncorrected_count 2, above 0",
        lambda w: ecc(w, 2),
        lambda w: ecc(w, 0),
    ),
    Happening(
        "Disk nearly full",
        "gpu-a disk_used_bytes: disk_used_bytes / disk_total_bytes 0.97, above 0.95",
        lambda w: disk(w, 0.97),
        lambda w: disk(w, 0.5),
    ),
    Happening("Node silent", "gpu-a: not heard of for 60 s", falls_silent, lambda w: w.watch(10)),
    Happening(
        "Reserved and idle",
        "gpu0 of gpu-a, held by idler: used 0.01 of 1, below 0.05",
        reserved_and_idle,
        at_work_again,
    ),
    Happening(
        "Long in the queue",
        "job of waits long: waits for more than 3600 s",
        waits,
        is_placed,
    ),
    Happening("A run failed", "first: failed: CUDA error: device lost", fails, is_queued_again),
    Happening(
        "The controller waits",
        "first: divergence waits for a word: the loss explodes",
        proposes,
        is_answered,
    ),
]
