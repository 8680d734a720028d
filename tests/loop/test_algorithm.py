"""A real training that the controller measures and prunes, through the real tables, the store and the tick."""

from collections import deque

import pytest
import torch

import scaleweb_sdk.torch
from control import actions
from control.loop import tick
from control.models import ControllerSettings, Decision
from control.policies.algorithm import Algorithm
from control.registry import Registry
from control.replay import Past
from monitoring.storage import series
from scaleweb_sdk.parcels import parted
from scaleweb_sdk.run import Run as Telling
from scaleweb_sdk.torch.algorithm import measure
from tests.support.domain import a_run, a_user
from tests.trainers.small import DIGITS, loss_of, parts
from training import events
from training.commands import orders_after
from training.models import Command

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]
IMAGES = torch.tensor(DIGITS.data[::5], dtype=torch.float32) / 16
LABELS = torch.tensor(DIGITS.target[::5])
SESSION = "a" * 32
EVERY = 20


def evaluate(model):
    return {"val/accuracy": (model(IMAGES).argmax(1) == LABELS).float().mean()}


class Site:
    """The site's end of one training, without the distance: what it tells goes into the tables, orders come back."""

    def __init__(self, clock, folder, bound, mode="act", **parameters):
        self.clock = clock
        self.row = a_run(state="running")
        self.settings = ControllerSettings.objects.create(
            experiment=self.row.experiment,
            mode=mode,
            policies={"algorithm": {"enabled": True, "may_prune": True, "horizon_steps": 120, **parameters}},
        )
        self.telling = Telling()
        model, optimizer, loader = parts(momentum=0.9)
        self.loop = scaleweb_sdk.torch.attach(
            self.telling, model, optimizer, loader, checkpoint_dir=folder, checkpoint_every=100
        )
        self.loop.offer_algorithms(evaluate, IMAGES[:64], bound=bound)
        self.seq = 0

    def live(self, steps):
        for step, batch in self.loop.batches(steps):
            self.loop.backward(loss_of(self.loop.model, batch))
            if step % EVERY == 0:
                self.look()
        self.look()
        return self

    def look(self):
        parcels = deque(self.telling.fill())
        while parcels:
            for batch in parted(parcels):
                self.seq += 1
                batch.seq = self.seq
                events.apply(self.row.pk, events.Sender(SESSION), self.seq, batch.events)
                series.append(self.row.source, SESSION, [batch])
        self.clock.pass_seconds(5)
        tick(self.clock.now, Registry((Algorithm(),)))
        self.telling.receive(orders_after(self.row, self.telling.applied_seq))

    @property
    def told(self):
        """What was decided, in short."""
        return [
            (d.verb, d.new_value.get("amount"), bool(d.new_value.get("dry")), d.state, d.verdict)
            for d in Decision.objects.filter(run=self.row).order_by("id")
        ]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(measure, "SECONDS", 0.0)


def test_a_training_is_measured_then_pruned_as_far_as_the_bound_allows_and_judged(clock, tmp_path):
    site = Site(clock, tmp_path, bound=0.03, amounts="0.98 0.5", late_share=0.4, may_quantise=True).live(420)
    assert site.told[:2] == [
        ("prune", 0.98, True, "judged", "unclear"),
        ("prune", 0.5, True, "judged", "unclear"),
    ]
    assert [told[:4] for told in site.told[3:]] == [
        ("quantise", None, True, "judged"),
        ("quantise", None, False, "judged"),
    ]
    assert len(list(tmp_path.glob("quantised-int8-weight-only-*.pt"))) == 1
    switch = Decision.objects.filter(run=site.row).order_by("id")[2]
    assert (switch.verb, switch.new_value) == ("prune", {"amount": 0.5, "structured": False})
    assert switch.state == "judged"
    assert switch.verdict in {"same", "unclear", "better"}
    assert sum(int(mask.sum()) for mask in site.loop.masks.pruned.values()) == 2368 // 2
    table = switch.command.new_value["table"]
    assert table["within"]
    assert switch.evidence["packed_bytes"][1] < 0.6 * switch.evidence["packed_bytes"][0]
    dry = Decision.objects.filter(run=site.row).order_by("id").first()
    assert dry.forecast == {}
    assert "Nothing was changed" in dry.measured["sentence"]
    assert not dry.measured["table"]["within"]
    site.row.refresh_from_db()
    # A replay knows the tables that there were by then, as the tick did.
    past, first = Past(site.row, [Algorithm()]), site.row.events.filter(kind="algorithm").first()
    assert [seen.step for seen in past.measured(first.at)] == [first.step]
    assert [seen.outcome for seen in past.measured(clock.now)][:3] == ["measured", "measured", "switched"]
    kinds = list(site.row.events.filter(kind="algorithm").values_list("new", flat=True))
    assert kinds == [
        "prune measured", "prune measured", "prune switched", "quantise measured", "quantise exported",
    ]  # fmt: skip


def test_a_pruning_that_proves_worse_is_rolled_back_to_before_it_and_not_tried_again(clock, tmp_path):
    # The script allows everything, so only the loss afterwards can tell.
    site = Site(clock, tmp_path, bound=1.0, amounts="0.97", late_share=0.4, try_quantise=False).live(420)
    assert site.told == [
        ("prune", 0.97, True, "judged", "unclear"),
        ("prune", 0.97, False, "undone", "worse"),
    ]
    switch = Decision.objects.get(run=site.row, state="undone")
    assert switch.undo_command.verb == "rollback"
    assert switch.undo_command.state == "applied"
    assert switch.undo_command.value["step"] == switch.applied_step
    assert "from before the pruning" in switch.measured["undo"]
    assert site.loop.masks.pruned == {}
    assert evaluate(site.loop.model)["val/accuracy"] > 0.85


def test_without_a_persons_word_it_measures_and_the_switch_waits(clock, tmp_path):
    site = Site(clock, tmp_path, bound=1.0, may_prune=False, amounts="0.5", late_share=0.4).live(300)
    assert site.told[0] == ("prune", 0.5, True, "judged", "unclear")
    assert site.told[1][:4] == ("prune", 0.5, False, "blocked")
    assert site.loop.masks.pruned == {}


def test_a_compilation_by_the_controller_is_taken_back_by_a_person(clock, published):
    row = a_run(state="running", offers=[{"verb": "compile", "parameters": [
        {"name": "on", "kind": "bool", "value": True}, {"name": "dry", "kind": "bool", "value": False},
    ]}])  # fmt: skip
    decision = Decision.objects.create(
        run=row, policy="algorithm", state="applied", mode="act", verb="compile", new_value={},
        changes=[{"verb": "compile", "tunable": "", "value": {}, "old_value": None}], reason="It gains.",
        decided_step=10, judge_at_step=100,
    )  # fmt: skip
    actions.undo(decision, a_user("ada"))
    (command,) = Command.objects.filter(run=row)
    assert (command.verb, command.value) == ("compile", {"on": False, "dry": False})
