"""Prune and measure, from the API over the real link to a real torch training, and back as rows that people read."""

import threading

import pytest
import torch
from django.test import Client
from torch.nn import functional as F

import scaleweb_sdk
import scaleweb_sdk.torch
from scaleweb_sdk.torch.algorithm import measure
from tests.support.domain import a_member, a_run, a_run_token
from tests.support.wait import until
from tests.trainers.small import DIGITS, loss_of, parts
from training.models import Command, Run

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]
IMAGES = torch.tensor(DIGITS.data[::5], dtype=torch.float32) / 16
LABELS = torch.tensor(DIGITS.target[::5])


def evaluate(model):
    logits = model(IMAGES)
    return {"val/accuracy": (logits.argmax(1) == LABELS).float().mean().item(),
            "val/loss": F.cross_entropy(logits, LABELS).item()}  # fmt: skip


@pytest.fixture
def training(live_site, monkeypatch, tmp_path):
    """A training that goes on until it is stopped, the row of its run, and how to ask for something over REST."""
    monkeypatch.setattr(measure, "SECONDS", 0.05)
    row = a_run()
    client = Client()
    client.force_login(a_member(row.experiment.project))
    monkeypatch.setenv("SCALEWEB_RUN", row.code)
    run = scaleweb_sdk.init(url=live_site.url, token=a_run_token(row), dir=tmp_path / "spool", capture=False)
    model, optimizer, loader = parts(momentum=0.9)
    loop = scaleweb_sdk.torch.attach(run, model, optimizer, loader, checkpoint_dir=tmp_path / row.code)
    loop.offer_algorithms(evaluate, IMAGES[:64], bound=0.05)

    def train():
        for _, batch in loop.batches(10**9):
            loop.backward(loss_of(loop.model, batch))
        run.finish(timeout=30)

    def ask(**fields):
        return client.post(f"/api/v1/runs/{row.code}/commands", fields, content_type="application/json")

    thread = threading.Thread(target=train)
    thread.start()
    yield row, loop, ask, client
    ask(verb="stop")
    thread.join(60)
    assert not thread.is_alive()


def test_a_training_is_measured_pruned_and_not_pruned_too_far_while_it_runs(training):
    row, loop, ask, client = training
    until(lambda: loop.step > 150 and len(Run.objects.get(pk=row.pk).offers) == 3)
    sizes = {}
    for number, (amount, dry) in enumerate([(0.5, True), (0.5, False), (0.98, False)], start=1):
        answer = ask(verb="prune", value={"amount": amount, "dry": dry}, reason="smaller")
        assert answer.status_code == 201, answer.content
        final = Command.objects.filter(run=row, seq=number).exclude(state__in=["pending", "sent"])
        found = until(final.first)
        sizes[amount, dry] = found, len(loop.masks.pruned)
    (dry, unchanged), (done, held), (refused, still) = sizes.values()
    assert (dry.state, done.state, refused.state) == ("applied", "applied", "rejected")
    assert (unchanged, held, still) == (0, 2, 2)
    assert "beyond the bound of 0.05" in refused.message
    assert dry.new_value["table"]["value"] == {"amount": 0.5, "structured": False}
    events = client.get(f"/api/v1/runs/{row.code}/events").json()["results"]
    told = [each for each in events if each["kind"] == "algorithm"]
    assert [each["new"] for each in reversed(told)] == ["prune measured", "prune switched", "prune refused"]
    for each in told:
        assert each["data"]["table"]["before"]["metrics"]["val/accuracy"] > 0.5
    answer = ask(verb="prune", value={"amount": 7})
    assert answer.status_code == 400
    assert "outside 0..0.99" in answer.json()["fields"]["value"][0]
