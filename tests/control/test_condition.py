"""How a run does, in one word that its points bear out, and an ETA only where something says where it ends."""

import time
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from control.condition import condition
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run
from training.models import Tunable

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")
STEPS = 400
NOISE = np.random.default_rng(1).normal(size=STEPS)
FALLING = 2.0 * np.exp(-np.arange(STEPS) / 300) + 0.02 * NOISE


def judged(values=FALLING, state="running", ended_ago=0.0, seen_ago=0.0, goal="", **more):
    run = a_run(
        state=state,
        last_step=STEPS - 1,
        last_seen_at=timezone.now() - timedelta(seconds=seen_ago),
        config={"steps": 1000},
    )
    end = time.time() - ended_ago
    times = [end - 0.5 * (STEPS - 1 - n) for n in range(STEPS)]
    columns = []
    for key, found in ({"loss": values} | more).items():
        every = STEPS // len(found)
        columns.append(Column(key, list(range(0, STEPS, every)), times[::every], list(map(float, found))))
    series.append(run.source, "s", [Batch(seq=1, columns=columns)])
    run.experiment.goal_metric = goal
    return condition(run)


def test_a_falling_loss_is_healthy_and_ends_by_its_pace():
    found = judged()
    assert found.state == "healthy"
    assert found.total_steps == 1000
    assert found.eta_seconds == pytest.approx(601 * 0.5, rel=0.01)


def test_the_loss_tells_where_the_goal_is_measured_now_and_then():
    found = judged(goal="val/loss", **{"val/loss": np.linspace(0.9, 0.5, 8)})
    assert (found.state, found.figures["metric"]) == ("healthy", "loss")
    found = judged(goal="val/loss", **{"val/loss": np.linspace(0.9, 0.5, STEPS)})
    assert (found.state, found.figures["metric"]) == ("healthy", "val/loss")


@pytest.mark.parametrize(("expected", "given"), [
    ("diverged", {"values": np.where(np.arange(STEPS) > 350, np.nan, FALLING)}),
    ("diverged", {"values": np.where(np.arange(STEPS) > 300, 50.0, FALLING)}),
    ("plateau", {"values": 1.0 + 0.001 * NOISE}),
    ("stalled", {"ended_ago": 300.0}),
    ("silent", {"seen_ago": 300.0, "ended_ago": 300.0}),
    ("slow_loader", {"_step_seconds": np.full(STEPS, 0.5), "_data_wait_seconds": np.full(STEPS, 0.2)}),
    ("ended", {"state": "finished"}),
])  # fmt: skip
def test_what_is_wrong_is_named(expected, given):
    assert judged(**given).state == expected


def test_what_does_not_move_or_says_no_end_has_no_eta():
    assert judged(ended_ago=300.0).eta_seconds is None
    assert judged(state="paused").eta_seconds is None
    run = a_run(state="running", last_step=5)
    assert (condition(run).state, condition(run).total_steps, condition(run).eta_seconds) == (
        "early",
        None,
        None,
    )
    Tunable.objects.create(run=run, name="end", kind="int", value=77, initial=77, role="total_steps")
    assert condition(run).total_steps == 77
