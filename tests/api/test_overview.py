"""What the first page tells: who needs a person, the controller's day and how runs ended; and every run in need."""

from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from training.api import in_need
from training.models import Run

pytestmark = [pytest.mark.django_db(databases="__all__"), pytest.mark.both_databases]


def test_the_overview_tells_what_the_controller_did_today_and_who_waits_for_an_answer(
    operator, outsider, run
):
    from control.models import Decision

    Run.objects.filter(pk=run.pk).update(state="running", last_seen_at=timezone.now())
    for state, verdict in (("judged", "better"), ("undone", "worse"), ("blocked", ""), ("proposed", "")):
        Decision.objects.create(
            run=run, policy="learning_rate", state=state, verdict=verdict, mode="act", tunable=state,
            decided_step=1, judge_at_step=2, reason="loss falls slowly",
        )  # fmt: skip
    old = Decision.objects.create(
        run=run, policy="divergence", state="judged", mode="act", decided_step=1, judge_at_step=2, reason="r"
    )
    Decision.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))
    seen = operator.ask("GET", "overview").json()
    latest = seen["controller"].pop("latest")
    assert seen["controller"] == {"changes": 2, "better": 1, "worse": 1, "undone": 1, "waiting": 1}
    # What was done, the newest first, and nothing that was only wanted.
    assert [(each["run"], each["run_name"], each["tunable"]) for each in latest] == [
        (run.code, run.name, "undone"), (run.code, run.name, "judged"),
    ]  # fmt: skip
    assert [(each["code"], each["attention"]) for each in seen["needs_attention"]] == [
        (run.code, "waits for your answer: loss falls slowly")
    ]
    others = outsider.ask("GET", "overview").json()
    assert others["controller"].pop("latest") == []
    assert set(others["controller"].values()) == {0}
    assert others["needs_attention"] == []


def test_a_run_whose_loss_is_broken_needs_a_person_though_no_controller_looks_after_it(
    operator, outsider, run
):
    Run.objects.filter(pk=run.pk).update(state="running", last_seen_at=timezone.now())
    well = Run.objects.create(
        experiment=run.experiment, name="well", state="running", last_seen_at=timezone.now()
    )
    steps = list(range(300))
    falling = [2.3 * 0.99**step for step in steps]
    for each, values in ((run, falling[:200] + [40.0] * 100), (well, falling)):
        column = Column("loss", steps, [1.0 * step for step in steps], values)
        series.append(each.source, "s", [Batch(1, columns=[column])])
    seen = operator.ask("GET", "overview").json()["needs_attention"]
    assert [(each["code"], each["attention"]) for each in seen] == [
        (run.code, "diverged: loss is broken since step 200")
    ]
    assert outsider.ask("GET", "overview").json()["needs_attention"] == []


def test_a_run_that_goes_on_is_told_of_before_many_that_failed_after_it(operator, outsider, run):
    now = timezone.now()
    Run.objects.filter(pk=run.pk).update(state="running", last_seen_at=now - timedelta(hours=1))
    Run.objects.bulk_create(
        Run(experiment=run.experiment, name=f"f{i}", code=f"failed{i}", state="failed", ended_at=now)
        for i in range(60)
    )
    seen = operator.ask("GET", "overview").json()
    assert (len(seen["needs_attention"]), seen["in_need"]) == (50, 61)
    assert [each["attention"] for each in seen["needs_attention"]] == ["silent"] + ["failed"] * 49
    assert outsider.ask("GET", "overview").json()["in_need"] == 0


def test_the_overview_tells_how_many_run_and_how_runs_ended_hour_by_hour(operator, outsider, run):
    now = timezone.now()
    ended = (("finished", 0), ("finished", 3), ("failed", 3), ("lost", 1), ("stopped", 1), ("finished", 30))
    for state, hours in ended:
        Run.objects.create(
            experiment=run.experiment, name=state, state=state, ended_at=now - timedelta(hours=hours)
        )
    Run.objects.filter(pk=run.pk).update(state="running", last_seen_at=now)
    seen = operator.ask("GET", "overview").json()
    assert seen["live"] == 1
    assert (seen["day"]["finished"], seen["day"]["failed"]) == (2, 2)
    assert seen["day"]["hours"] == [0] * 20 + [2, 0, 2, 1]
    assert sum(outsider.ask("GET", "overview").json()["day"]["hours"]) == 0


def all_in_need(client, limit):
    """[(code, attention)] of every page, one after the other."""
    address, rows = f"/api/v1/needs?limit={limit}", []
    while address:
        page = client.get(address).json()
        assert len(page["results"]) <= limit
        rows += [(each["code"], each["attention"]) for each in page["results"]]
        address = page["next"]
    return rows


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_every_run_in_need_is_on_one_page_of_them_whatever_it_needs(
    operator, outsider, run, limit, monkeypatch
):
    from control.models import Decision

    monkeypatch.setattr(in_need, "LOOKED_AT", 2)  # of four that run
    now = timezone.now()
    steps = list(range(300))
    falling = [2.3 * 0.99**step for step in steps]

    def another(name, state="running", seen=now, ended=None):
        return Run.objects.create(
            experiment=run.experiment, name=name, state=state, last_seen_at=seen, ended_at=ended
        )

    def logs(each, values):
        column = Column("loss", steps, [1.0 * step for step in steps], values)
        series.append(each.source, "s", [Batch(1, columns=[column])])
        return each

    Run.objects.filter(pk=run.pk).update(state="finished", ended_at=now)
    failed = another("failed", "failed", ended=now)
    another("failed long ago", "failed", ended=now - timedelta(days=4))
    broken = [logs(another(f"diverged {i}"), falling[:200] + [40.0] * 100) for i in range(2)]
    for i in range(2):
        logs(another(f"well {i}"), falling)
    asks = another("asks")
    Decision.objects.create(
        run=asks, policy="p", state="proposed", mode="advise", decided_step=1, judge_at_step=2, reason="why"
    )
    silent = another("silent", seen=now - timedelta(hours=1))
    lost = another("lost", "lost", ended=now)
    diverged = "diverged: loss is broken since step 200"
    assert all_in_need(operator, limit) == [
        (silent.code, "silent"), (asks.code, "waits for your answer: why"),
        (broken[1].code, diverged), (broken[0].code, diverged),
        (lost.code, "lost"), (failed.code, "failed"),
    ]  # fmt: skip
    assert all_in_need(outsider, limit) == []
