"""How a run does, in one word that its points bear out, and an ETA only where something says where it ends."""

import time
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from control.condition import condition
from control.needs import diverged
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run
from training.models import Command, Tunable

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


def broken_and_mended(bad: int, good: int):
    """A loss that falls for 300 steps, grows by 4 % a step for `bad`, and falls by 3 % a step for `good`."""
    up = np.log(0.7) + 0.04 * np.arange(bad)
    down = up[-1] - 0.03 * np.arange(1, good + 1)
    logs = np.concatenate(
        [np.log(0.7 + 1.3 * np.exp(-np.arange(300) / 60)), up, np.maximum(down, np.log(0.7))]
    )
    return np.exp(logs + 0.02 * np.random.default_rng(2).normal(size=len(logs)))


def after(values):
    """A run whose loss has come so far, and how it does."""
    steps = list(range(len(values)))
    end = time.time()
    run = a_run(state="running", last_step=steps[-1], last_seen_at=timezone.now())
    run.experiment.goal_metric = ""
    columns = [
        Column("loss", steps, [end - 0.5 * (len(values) - n) for n in steps], list(map(float, values)))
    ]
    series.append(run.source, "s", [Batch(seq=1, columns=columns)])
    return run, condition(run)


def test_a_cure_is_seen_within_a_few_points_and_said_with_the_change_that_made_it():
    run, found = after(broken_and_mended(200, 5))
    assert (found.state, found.figures["step"]) == ("diverged", pytest.approx(305, abs=12))
    Command.objects.create(
        run=run, seq=1, verb="set", tunable="lr", value=0.03, new_value=0.03, state="applied",
        applied_step=500, asked_by="ada",
    )  # fmt: skip
    for good in (15, 100, 200):
        series.delete(run.source)
        values = broken_and_mended(200, good)
        steps = list(range(len(values)))
        times = [time.time() - 0.5 * (len(values) - n) for n in steps]
        series.append(
            run.source, "t", [Batch(seq=1, columns=[Column("loss", steps, times, values.tolist())])]
        )
        found = condition(run)
        assert found.state == "recovering", good
        assert found.figures["since"] == pytest.approx(500, abs=3)
        assert found.figures["peak"] > 1000 > found.figures["healthy"]
        assert found.figures["change"] == {"tunable": "lr", "value": 0.03, "step": 500}
        assert not diverged([run]), "what is on its way back needs nobody"


def test_a_loss_that_is_back_is_called_recovered_for_a_while_and_healthy_or_flat_again_then():
    _, found = after(broken_and_mended(100, 220))
    assert found.state == "recovered"
    assert found.figures["step"] == pytest.approx(305, abs=12)
    assert 400 < found.figures["since"] < 540
    assert after(broken_and_mended(100, 600))[1].state in {"plateau", "healthy"}


def test_what_broke_long_ago_and_stays_broken_is_not_forgotten_with_its_healthy_past():
    logs = np.log(broken_and_mended(60, 0))
    values = np.exp(np.concatenate([logs, logs[-1] + 0.05 * np.random.default_rng(3).normal(size=4000)]))
    run, found = after(values)
    assert (found.state, found.figures["step"]) == ("diverged", pytest.approx(305, abs=40))
    said = diverged([run])[run.pk]
    assert said == f"diverged: loss is broken since step {found.figures['step']}"


def test_the_beginning_of_a_trouble_stays_where_it_was_however_far_it_goes():
    found = {after(broken_and_mended(bad, 0))[1].figures["step"] for bad in (60, 150, 300, 600, 690)}
    assert max(found) - min(found) <= 20


def test_a_falling_loss_is_healthy_and_ends_by_its_pace():
    found = judged()
    assert found.state == "healthy"
    assert found.total_steps == 1000
    assert found.eta_seconds == pytest.approx(601 * 0.5, rel=0.01)


def test_a_loss_that_is_nearly_gone_fell_by_no_more_than_all_of_it():
    gain = judged(2.0 * np.exp(-np.arange(STEPS) / 60) + 0.002 * NOISE).figures["gain"]
    assert 0.6 < gain <= 1


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
