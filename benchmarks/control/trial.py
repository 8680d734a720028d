"""One training from a seed, with the controller or without, through the SDK's own loop; how many steps to the target?

The loop is `scaleweb_sdk.torch.attach`'s: skipped steps, its own roll backs and smaller batches are those of
production. Steps are counted as they are done: those that a roll back throws away count as well. Their time is the
process's own on the processor, so that what else the machine does decides nothing.
"""

import logging
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import scaleweb_sdk.torch
from control.base import AnyPolicy, looks_at_one_run
from control.proposals import Goal, Window
from control.registry import BUILT_IN
from scaleweb_sdk import clock
from scaleweb_sdk.run import Run

from . import faults, methods
from .calibration import held
from .site import Site
from .workload import Workload, load

TICK_EVERY = 10  # steps between two looks of the controller
CHECKPOINT_EVERY = 50


@dataclass(frozen=True)
class Trial:
    """workload: a name or a file. rate: of the start. most: optimiser steps to do at the most.

    method: "fixed" (the rate stays), "control", or a peer of methods.py. fault: one of faults.py, "" for none.
    policies: those that are asked; () for what a site asks, each as its defaults have it.
    """

    workload: str
    seed: int
    rate: float
    most: int
    method: str = "fixed"
    fault: str = ""
    policies: tuple[str, ...] = ()
    every: int = TICK_EVERY
    batch: int = 0  # samples in a micro-batch, 0 for the workload's own
    accumulate: int = 1  # of which so many make a step
    settings: tuple[tuple[str, str, Any], ...] = ()  # (policy, parameter, value)
    says_its_end: bool = False  # declares that it ends after `most` steps, as a script does that knows


@dataclass
class Outcome:
    trial: Trial
    reached: int | None  # steps done when the target was reached
    steps: int  # done in all
    best: float  # progress
    rate: float  # at the end
    effective_batch: int | None
    began_with_batch: int | None
    decided_batch: int | None  # what it began with, and what was decided and kept since
    seconds: float
    control_seconds: float
    samples: int
    ticks: int
    decisions: int
    reflexes: dict[str, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    curve: list[tuple[int, float]] = field(default_factory=list)  # steps done, progress
    held: list[bool] = field(default_factory=list)  # of a watched training: calibration.held
    applying_seconds: float = 0.0  # spent at step boundaries on what the controller ordered


def run(trial: Trial) -> Outcome:
    """The training from its seed to the target, or until `most` steps are done."""
    return led(trial, load(trial.workload))


def led(trial: Trial, workload: Workload) -> Outcome:
    """The same for a workload that no name or file stands for."""
    logging.getLogger("scaleweb").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="sw-trial-", dir=memory_disk()))
    try:
        with timed_by(time.process_time):
            return Driver(trial, workload, folder).drive()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def timed_by(seconds: Callable[[], float]) -> Iterator[None]:
    """The SDK takes the time of steps by this clock."""
    before, clock.seconds = clock.seconds, seconds
    try:
        yield
    finally:
        clock.seconds = before


def policies_of(names: tuple[str, ...]) -> list[AnyPolicy]:
    """A site's own policies of single runs, or those of them that are named. Who is off by default stays so."""
    built_in = [policy() for policy in BUILT_IN.values()]
    return [each for each in built_in if looks_at_one_run(each) and (not names or each.name in names)]


def memory_disk() -> str | None:
    """A folder in memory where there is one: checkpoints are written and read as ever, and no disk is waited for."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


class Driver:
    def __init__(self, trial: Trial, workload: Workload, folder: Path) -> None:
        self.trial, self.workload, self.folder = trial, workload, folder
        torch.manual_seed(trial.seed)
        self.built = workload.build(trial.seed)
        self.method = methods.make(trial.method, self.built, trial.rate, trial.most)
        self.sdk_run = Run()
        self.loop = scaleweb_sdk.torch.attach(
            self.sdk_run, self.built.model, self.method.optimizer, loader=self.built.loader,
            scheduler=self.method.scheduler, checkpoint_dir=folder, checkpoint_every=CHECKPOINT_EVERY,
            lr_bounds=(1e-8, 100.0),
        )  # fmt: skip
        goal = Goal("progress", workload.direction, workload.target)
        policies = policies_of(trial.policies) if trial.method == "control" else []
        settings: dict[str, dict[str, Any]] = {}
        for policy_name, parameter, value in trial.settings:
            settings.setdefault(policy_name, {})[parameter] = value
        optimiser = type(self.method.optimizer).__name__.lower()
        self.site = Site(self.sdk_run, policies, goal, settings, optimiser=optimiser)
        if trial.batch and self.loop.feed is not None:
            self.loop.controls.change("batch_size", trial.batch)
        if trial.accumulate > 1:
            self.loop.controls.change("accumulation", trial.accumulate)
        self.samples = 0
        self.fault = faults.make(trial.fault, self.loop, folder)
        self.done = 0
        self.applying = 0.0
        self._time_orders()
        self.best = math.inf if workload.direction == "min" else -math.inf
        self.curve: list[tuple[int, float]] = []

    def drive(self) -> Outcome:
        began = clock.seconds()
        batch_before = self._effective_batch()
        reached = None
        latest: dict[str, float] = {}
        end = self.trial.most if self.trial.says_its_end else None
        steps: Any = (
            self.loop.batches(end)
            if self.built.loader is not None
            else ((s, None) for s in self.loop.steps(end))
        )
        for _, batch in steps:
            before = self.loop.step
            with self.loop.guard():
                batch = self.fault.before(self.done, batch)
                feed = self.loop.feed
                self.samples += 0 if feed is None else feed.batch_size or 0
                self.loop.backward(self.fault.loss(self.done, self.built.loss(batch)), latest)
            if self.loop.step == before:
                continue  # gradients gather, or memory ran out and the samples come again
            latest = {}
            self.done += 1
            self.method.after_step(self.built.model)
            if self.done % self.workload.measure_every == 0:
                latest = {"progress": self._measure()}
                if self._is_there() and self.trial.method != "watched":
                    reached = self.done
                    break
            if self.trial.method == "control" and self.done % self.trial.every == 0:
                self.site.tick()
            if self.done >= self.trial.most:
                break
        self.site.read()
        return Outcome(
            self.trial, reached, self.done, self.best, self.loop.rates.now, self._effective_batch(), batch_before,
            self.site.decided_batch(batch_before),
            clock.seconds() - began, self.site.seconds, self.samples, self.site.ticks, len(self.site.made),
            self.site.reflexes, self.site.told, self.curve, self._held(), self.applying,
        )  # fmt: skip

    def _held(self) -> list[bool]:
        track = self.site.tracks.get("loss")
        if self.trial.method != "watched" or track is None:
            return []
        return held(Window.of(track.steps, track.times, track.values))

    def _time_orders(self) -> None:
        """Take the time that step boundaries spend on orders."""
        serve = self.sdk_run.desk.serve

        def timed(step: int) -> None:
            began = clock.seconds()
            serve(step)
            self.applying += clock.seconds() - began

        self.sdk_run.desk.serve = timed  # type: ignore[method-assign]

    def _is_there(self) -> bool:
        """By the median of the last three measurements: one lucky step is no arrival."""
        last = [progress for _, progress in self.curve[-3:]]
        return len(last) == 3 and self.workload.reached(
            sorted(last, key=lambda each: (math.isnan(each), each))[1]
        )

    def _measure(self) -> float:
        with self.method.evaluating(self.built.model):
            progress = self.built.progress()
        if math.isfinite(progress):
            better: Callable[..., float] = min if self.workload.direction == "min" else max
            self.best = better(self.best, progress)
        self.curve.append((self.done, progress))
        return progress

    def _effective_batch(self) -> int | None:
        feed = self.loop.feed
        return (
            None
            if feed is None or feed.batch_size is None
            else feed.batch_size * self.loop.controls.accumulate
        )
