"""What a run cost: from leases and its devices' power readings to the API, whatever comes late or is deleted."""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from monitoring import nodes
from monitoring.models import Device
from monitoring.storage import series
from scaleweb import env
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_user
from training import ledger
from training.energy import drawn
from training.jobs import attempts
from training.jobs import submit as jobs
from training.jobs.placement import Assignment
from training.models import Attempt, Run, Usage

NAME = "NVIDIA H100 80GB HBM3"
HOUR = timedelta(hours=1)


def test_the_area_under_readings_is_cut_at_the_lease_and_gaps_are_not_counted():
    times = np.arange(100.0)
    watts = np.full(100, 200.0)
    assert (drawn(times, watts, 10, 20).joules, drawn(times, watts, 10, 20).covered_seconds) == (2000, 10)
    assert drawn(times, times, 10.5, 20.5).joules == pytest.approx(155)
    kept = (times < 30) | (times > 60)
    found = drawn(times[kept], watts[kept], 0, 90)
    assert (found.joules, found.covered_seconds) == (58 * 200, 58.0)


@pytest.mark.parametrize(
    ("times", "watts"), [([], []), ([5], [100]), ([1, 2, 3], [float("nan")] * 3), ([1, 100], [100, 100])]
)
def test_too_few_readings_are_no_energy(times, watts):
    assert drawn(times, watts, 0, 200).covered_seconds == 0


def test_readings_twice_and_in_any_order_count_once():
    times = [3, 1, 2, 2, 4, 1]
    assert drawn(times, [100] * 6, 0, 10).joules == 300


pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def begun(experiment, settings, now):
    """An attempt on two GPUs, an hour old, whose node tells 300 W a GPU over its first 1,000 seconds."""
    settings.DEVICE_RATES = {"h100": 3.0, "gpu": 1.0, "cpu": 0.5}
    node = nodes.register("n1", {}, [{"kind": "gpu", "index": i, "name": NAME} for i in range(2)])
    job = jobs.submit(experiment=experiment, argv=["true"], device_kind="gpu", min_devices=2, max_devices=2)
    made = attempts.begin(Assignment(job.pk, node.pk, tuple(node.devices.values_list("pk", flat=True))))
    Attempt.objects.filter(pk=made.pk).update(created_at=now - HOUR)
    made.refresh_from_db()
    tell(made, 0, 1000)
    return made


def tell(attempt, first, last, watts=300.0, seq=1):
    at = [attempt.created_at.timestamp() + second for second in range(first - 1, last + 1)]
    columns = [
        Column(f"gpu{index}/power_watts", [int(t) for t in at], at, [watts] * len(at)) for index in range(2)
    ]
    series.append(f"node:{attempt.node.name}", "s" * 32, [Batch(seq, columns=columns)])


def ended(attempt, seconds):
    attempts.end(attempt.pk, "finished", "exit code 0", exit_code=0)
    Attempt.objects.filter(pk=attempt.pk).update(ended_at=attempt.created_at + timedelta(seconds=seconds))


def usage_of(attempt):
    return Usage.objects.get(attempt=attempt)


def test_a_live_attempt_is_counted_a_little_behind_the_clock_and_added_to(begun, now):
    at = begun.created_at + timedelta(seconds=520)
    assert ledger.tick(at) == 1
    first = usage_of(begun)
    assert first.device_seconds == pytest.approx(1000)
    assert first.joules == pytest.approx(2 * 300 * 500)
    assert first.cost == pytest.approx(2 * 3.0 * 500 / 3600)
    assert ledger.tick(at + timedelta(seconds=5)) == 0, "nothing to add yet"
    assert ledger.tick(at + timedelta(seconds=100)) == 1
    again = usage_of(begun)
    assert (again.joules, again.settled) == (pytest.approx(2 * 300 * 600), False)
    assert Run.objects.get(job__attempts=begun).usage["energy_joules"] == pytest.approx(2 * 300 * 600)


def test_an_ended_attempt_is_settled_once_its_last_readings_are_in(begun, now):
    ended(begun, 900)
    assert ledger.tick(begun.created_at + timedelta(seconds=930)) == 0
    assert ledger.tick(now) == 1
    found = usage_of(begun)
    assert found.settled
    assert (found.device_seconds, found.joules) == (pytest.approx(1800), pytest.approx(2 * 300 * 900))
    run = Run.objects.get(job__attempts=begun)
    assert run.summary["_energy_joules"] == pytest.approx(2 * 300 * 900)
    assert run.summary["_cost"] == pytest.approx(2 * 3.0 * 900 / 3600)
    assert run.usage["energy_covered_ratio"] == pytest.approx(1)
    assert ledger.tick(now + HOUR) == 0, "settled is settled"


def test_readings_that_come_late_are_counted_in_the_end(begun, now):
    ended(begun, 2000)
    end = begun.created_at + timedelta(seconds=2000)
    ledger.tick(end + timedelta(seconds=70))
    assert not usage_of(begun).settled
    assert usage_of(begun).joules == pytest.approx(2 * 300 * 1000, rel=0.01)
    tell(begun, 1001, 2001, seq=2)
    ledger.tick(end + timedelta(seconds=130))
    assert usage_of(begun).settled
    assert usage_of(begun).joules == pytest.approx(2 * 300 * 2000, rel=0.01)


def test_readings_that_never_come_are_said_to_be_missing(begun, now):
    ended(begun, 2000)
    ledger.tick(now)
    found = usage_of(begun)
    assert found.settled
    assert Run.objects.get(job__attempts=begun).usage["energy_covered_ratio"] == pytest.approx(0.5, abs=0.01)


def test_a_processors_slots_have_a_price_and_no_energy(experiment, settings, now):
    settings.DEVICE_RATES = {"cpu": 0.36}
    node = nodes.register("n1", {}, [{"kind": "cpu", "index": 0, "name": "some CPU"}])
    job = jobs.submit(experiment=experiment, argv=["true"])
    attempt = attempts.begin(Assignment(job.pk, node.pk, (node.devices.get().pk,)))
    Attempt.objects.filter(pk=attempt.pk).update(created_at=now - HOUR)
    attempt.refresh_from_db()
    ended(attempt, 1000)
    ledger.tick(now)
    found = usage_of(attempt)
    assert (found.settled, found.joules, found.cost) == (True, None, pytest.approx(0.1))


def test_without_a_rate_the_cost_is_unknown_and_not_zero(begun, settings, now):
    settings.DEVICE_RATES = {"cpu": 1.0}
    ended(begun, 900)
    ledger.tick(now)
    assert usage_of(begun).cost is None
    assert "_cost" not in Run.objects.get(job__attempts=begun).summary


def test_the_figures_outlive_the_devices_and_a_change_of_the_rates(begun, settings, now):
    ledger.tick(begun.created_at + timedelta(seconds=200))
    ended(begun, 900)
    Device.objects.all().delete()
    settings.DEVICE_RATES = {"gpu": 99.0}
    ledger.tick(now)
    found = usage_of(begun)
    assert (found.joules, found.cost) == (pytest.approx(2 * 300 * 900), pytest.approx(2 * 3.0 * 900 / 3600))


def test_an_attempt_that_lives_after_all_is_counted_on(begun, now):
    attempts.end(begun.pk, "lost", "silence")
    Attempt.objects.filter(pk=begun.pk).update(ended_at=begun.created_at + timedelta(seconds=300))
    ledger.tick(now)
    assert usage_of(begun).settled
    begun.refresh_from_db()
    assert attempts.take_back(begun)
    ledger.tick(begun.created_at + timedelta(seconds=920))
    assert usage_of(begun).joules == pytest.approx(2 * 300 * 900)


def test_a_run_adds_its_attempts_up_and_the_api_shows_them(begun, now):
    ended(begun, 900)
    ledger.tick(now)
    client = APIClient()
    client.force_login(a_user("root", is_superuser=True))
    job = begun.job
    run = client.get(f"/api/v1/runs/{job.run.code}").json()
    assert run["usage"] == {
        "device_seconds": pytest.approx(1800), "energy_joules": pytest.approx(540_000),
        "energy_covered_ratio": pytest.approx(1), "cost": pytest.approx(1.5), "currency": "EUR", "settled": True,
    }  # fmt: skip
    shown = client.get(f"/api/v1/jobs/{job.code}").json()
    assert shown["usage"] == run["usage"]
    assert shown["attempts"][0]["usage"]["joules"] == pytest.approx(540_000)
    second = Attempt.objects.create(
        job=job, number=2, node=begun.node, lease_expires_at=now, ended_at=now, created_at=now
    )
    Attempt.objects.filter(pk=second.pk).update(created_at=now - HOUR, ended_at=now - HOUR / 2)
    Usage.objects.create(attempt=second, node="n1", counted_until=now, device_seconds=100, settled=True)
    ledger.total(job.run_id)
    assert Run.objects.get(pk=job.run_id).usage["cost"] is None, "part of a sum is not the sum"
    assert Run.objects.get(pk=job.run_id).usage["device_seconds"] == pytest.approx(1900)


def test_rates_are_read_from_a_list_and_nonsense_is_refused(monkeypatch):
    monkeypatch.setenv("RATES", "h100=3.2, gpu=2,CPU=0")
    assert env.rates("RATES") == {"h100": 3.2, "gpu": 2.0, "cpu": 0.0}
    for bad in ("gpu", "gpu=-1", "=3", "gpu=much", "gpu=nan"):
        monkeypatch.setenv("RATES", bad)
        with pytest.raises(env.BadSetting, match="expected NAME=PRICE"):
            env.rates("RATES")
