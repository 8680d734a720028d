"""Stop and adopt, from the table of commands over the real link to a real torch training, and back."""

import threading

import pytest
import torch

import scaleweb_sdk
import scaleweb_sdk.torch
from tests.support.domain import a_run, a_run_token
from tests.support.wait import until
from tests.trainers.small import loss_of, parts
from training.commands import issue
from training.models import Checkpoint, Command, Run, Tunable

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]


@pytest.fixture
def begin(live_site, monkeypatch, tmp_path):
    """Attaches a small training to a run of the site."""
    made = []

    def begin(row, seed, lr):
        monkeypatch.setenv("SCALEWEB_RUN", row.code)
        run = scaleweb_sdk.init(
            url=live_site.url, token=a_run_token(row), dir=tmp_path / "spool" / row.code, capture=False
        )
        made.append(run)
        model, optimizer, loader = parts(seed=seed, lr=lr, momentum=0.9)
        loop = scaleweb_sdk.torch.attach(
            run, model, optimizer, loader, checkpoint_dir=tmp_path / row.code, checkpoint_every=50
        )
        return run, loop

    yield begin
    for run in made:
        run.finish(timeout=5)


def test_a_run_takes_over_a_better_ones_weights_under_a_new_rate_and_is_then_stopped(begin):
    good, bad = a_run(name="good"), a_run(name="bad")
    run, loop = begin(good, 1, 0.05)
    for _, batch in loop.batches(100):
        loop.backward(loss_of(loop.model, batch))
    run.finish(timeout=30)
    saved = until(lambda: Checkpoint.objects.filter(run=good, step=100).first())

    run, loop = begin(bad, 2, 1e-6)
    losses = []

    def train():
        for _, batch in loop.batches(10**9):
            loss = loss_of(loop.model, batch)
            losses.append(float(loss.detach()))
            loop.backward(loss)
        run.finish(timeout=30)

    # Orders come while it trains, as in life: the end is far away, and only the stop ends it.
    thread = threading.Thread(target=train)
    thread.start()
    try:
        until(lambda: Tunable.objects.filter(run=bad, name="total_steps").exists())
        by = {"asked_by": "controller:population", "by_person": False, "reason": "It was the last of two."}
        adoption = issue(bad, "adopt", value={"checkpoint": saved.pk}, **by)
        rate = issue(bad, "set", tunable="lr", value=0.0625, **by)
        until(lambda: Command.objects.filter(pk__in=[adoption.pk, rate.pk], state="applied").count() == 2)
    finally:
        issue(
            bad,
            "stop",
            value={"why": "enough"},
            asked_by="controller:budget",
            reason="It cannot reach the best.",
        )
        thread.join(60)
    assert not thread.is_alive()
    adoption.refresh_from_db()
    at = adoption.applied_step
    assert losses[at - 1] > 2 > 1 > torch.tensor(losses[at : at + 20]).mean()
    assert loop.rates.now == 0.0625
    row = until(lambda: Run.objects.filter(pk=bad.pk, state="stopped").first())
    (lineage,) = row.events.filter(kind="lineage")
    assert (lineage.step, lineage.data["run"], lineage.data["step"]) == (at, good.code, 100)
    assert row.branches[-1]["reason"] == "adopt"
    assert row.events.filter(kind="state", new="stopped").get().reason == "It cannot reach the best."
