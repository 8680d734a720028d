"""A training that was killed, tried again, put off its node and moved ends with the bits of one that never was."""

import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from scaleweb_sdk.run import Run
from tests.jobs.steady_training import train
from tests.trainers.small import same
from training import commands
from training.models import Attempt

pytestmark = [pytest.mark.processes, pytest.mark.django_db(databases="__all__", transaction=True)]
STEPS = 130


def losses_of(folder):
    """The last word on each step: what was trained after the checkpoint that it went back to is trained again."""
    lines = (folder / "losses").read_text().splitlines()
    return dict(line.split() for line in lines)


def test_killed_preempted_and_moved_a_training_ends_with_the_same_bits(bench, tmp_path, settings):
    settings.LEASE_SECONDS = 60  # a machine at its limit must not add a loss of its own
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    train(Run(), whole, STEPS, checkpoint_dir=tmp_path / "own")
    script = str(Path(__file__).with_name("steady_training.py"))
    job = bench.job(
        [sys.executable, script, str(broken), str(STEPS)],
        max_retries=1, max_devices=2, env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip

    def at_step(number, attempt):
        newest = bench.attempt(job)
        return newest and newest.number == attempt and (bench.fresh(job).run.last_step or 0) >= number

    bench.until(lambda: at_step(15, 1) and job.run.checkpoints.filter(step__gte=10).exists(), 60)
    os.killpg(bench.until_process(job).pid, signal.SIGKILL)
    bench.until(lambda: at_step(45, 2), 60)
    bench.loop.close(stop_jobs=True)  # the site is shut down: preempted, and queued again
    bench.loop = bench.worker()
    bench.until(lambda: at_step(70, 3) and bench.fresh(job).run.state == "running", 60)
    bench.until(lambda: bench.fresh(job).run.offers, 60)  # it runs before it has told all that it offers
    commands.issue(bench.fresh(job).run, "rescale", value={"devices": 1}, asked_by="ada")
    job = bench.until_over(job, 90)
    ended = Attempt.objects.filter(job=job).order_by("number").values_list("outcome", flat=True)
    told = [(e.kind, e.new, e.reason) for e in job.run.events.filter(kind__in=["attempt", "error"])]
    assert list(ended) == ["failed", "stopped", "rescaled", "finished"], told
    assert job.retries_used == 1
    assert losses_of(broken) == losses_of(whole)
    left, right = (torch.load(folder / "weights.pt", weights_only=True) for folder in (whole, broken))
    assert same(left, right)
