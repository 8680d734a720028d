"""A group of real small trainings through tables, store and tick: the bad ones are stopped, the best is found."""

import numpy as np
import pytest

from benchmarks.control.many import Many, Setting
from control import gathering
from control.loop import tick
from control.models import ControllerSettings, Decision
from control.policies.asha import Asha
from control.policies.budget import Budget
from control.policies.median_stopping import MedianStopping
from control.policies.population import Population
from control.registry import Registry
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run
from training.commands import issue, orders_after, record_outcome
from training.models import Checkpoint, Run, Tunable
from training.states import move

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(databases="__all__")]
STEPS, EVERY = 240, 20
RATES = (0.0003, 0.003, 0.03, 0.1, 30.0)


class LiveGroup:
    """The processes' ends of the links of several runs of one experiment: points up, stops and settings down."""

    def __init__(self, clock, policy, rates=RATES, mode="act", **parameters):
        self.clock, self.registry = clock, Registry((policy,))
        self.nets = Many([Setting(rate, 0.9, 1e-4) for rate in rates], seed=1)
        self.runs = [a_run(state="running", name=f"rate {rate:g}", started_at=clock.now) for rate in rates]
        experiment = self.runs[0].experiment
        experiment.goal_metric = "val_loss"
        experiment.save()
        for run in self.runs:
            run.experiment = experiment
        ControllerSettings.objects.create(
            experiment=experiment, mode=mode, policies={policy.name: {"enabled": True, **parameters}}
        )
        for run, rate in zip(self.runs, rates, strict=True):
            made = {"run": run, "scale": "log"}
            Tunable.objects.create(
                name="lr",
                kind="float",
                value=rate,
                initial=rate,
                low=1e-6,
                high=100.0,
                role="learning_rate",
                **made,
            )
            Tunable.objects.create(
                name="total_steps", kind="int", value=STEPS, initial=STEPS, low=1, high=10 * STEPS,
                role="total_steps", **made,
            )  # fmt: skip
        self.seq = 0

    def live(self, steps=STEPS):
        while self.nets.step < steps and any(run.state == "running" for run in self.runs):
            for _ in range(EVERY // 4):
                self.nets.train(4)
                self.report()
            self.save()
            tick(self.clock.now, self.registry)
            for number, run in enumerate(self.runs):
                self.obey(number, run)
        tick(self.clock.now, self.registry)
        return self

    def report(self):
        self.clock.pass_seconds(1)
        self.seq += 1
        for run, loss in zip(self.runs, self.nets.held_out(), strict=True):
            if run.state == "running":
                column = Column("val_loss", [self.nets.step], [self.clock.now.timestamp()], [float(loss)])
                series.append(run.source, "a" * 32, [Batch(seq=self.seq, columns=[column])])
                Run.objects.filter(pk=run.pk).update(last_step=self.nets.step)

    def save(self):
        for number, run in enumerate(self.runs):
            Checkpoint.objects.create(
                run=run, step=self.nets.step, path=f"/c/{number}/{self.nets.step}", sha256="a" * 64
            )

    def obey(self, number, run):
        for order in orders_after(run, 0):
            if order.verb == "adopt":
                giver = next(i for i, other in enumerate(self.runs) if other.code == order.value["run"])
                self.nets.adopt(number, giver)
            elif order.tunable == "lr":
                settings = list(self.nets.settings)
                settings[number] = Setting(order.value, 0.9, 1e-4)
                self.nets.set(settings)
            record_outcome(run, 0, self.nets.step, {"seq": order.seq, "ok": True})
            if order.verb == "stop":
                move(run, "stopping", order.reason)
                move(run, "stopped", order.reason)

    def states(self):
        return [Run.objects.get(pk=run.pk).state for run in self.runs]


def test_the_bad_ones_are_stopped_and_the_best_is_found(clock):
    group = LiveGroup(clock, Budget(), may_stop=True).live()
    ends = group.nets.held_out()
    best = int(np.nanargmin(ends))
    states = group.states()
    assert states[best] == "running"
    assert states[0] == states[4] == "stopped"
    for decision in Decision.objects.filter(verb="stop"):
        assert (decision.state, decision.verdict) == ("judged", "unclear")
        assert f"of {STEPS} steps" in decision.measured["sentence"]
        run = decision.run
        assert run.events.filter(kind="state", new="stopped").get().reason == decision.reason
        assert run.last_step < STEPS


@pytest.mark.parametrize(
    ("policy", "parameters", "fewest_left"),
    [(Asha(), {"first_steps": 60}, 1), (MedianStopping(), {"grace_steps": 100, "least_runs": 3}, 3)],
    ids=["successive halving", "median rule"],
)
def test_a_simple_stopping_rule_ends_the_bad_ones_early_and_leaves_the_best(
    clock, policy, parameters, fewest_left
):
    group = LiveGroup(clock, policy, may_stop=True, **parameters).live()
    states = group.states()
    assert states[int(np.nanargmin(group.nets.held_out()))] == "running"
    assert states[0] == states[4] == "stopped"
    assert states.count("running") >= fewest_left
    for number in (0, 4):
        decision = group.runs[number].decisions.get(verb="stop")
        stopped = Run.objects.get(pk=group.runs[number].pk)
        assert decision.policy == policy.name
        assert stopped.last_step < STEPS
        assert stopped.events.filter(kind="state", new="stopped").get().reason == decision.reason


def test_without_a_persons_word_nobody_is_stopped_and_the_record_says_why(clock):
    group = LiveGroup(clock, Budget()).live(120)
    assert set(group.states()) == {"running"}
    blocked = Decision.objects.filter(verb="stop")
    assert blocked
    assert all(d.state == "blocked" and "may_stop" in d.blocked_by for d in blocked)


def test_a_run_that_a_person_has_just_touched_is_not_stopped(clock):
    group = LiveGroup(clock, Budget(), may_stop=True)
    group.live(40)
    issue(group.runs[0], "set", tunable="lr", value=0.0004, asked_by="ada")
    group.live(80)
    assert group.states()[0] == "running"
    assert all("ada" in d.blocked_by or "person" in d.blocked_by for d in group.runs[0].decisions.all())


def test_the_worst_takes_over_the_best_ones_weights_and_the_lineage_is_kept(clock):
    group = LiveGroup(
        clock, Population(), rates=(0.03, 0.05, 0.1, 0.02), ready_steps=100, quantile=0.25, resample=1e-9
    ).live(140)
    run = group.runs[3]
    (line,) = run.events.filter(kind="lineage")
    assert line.data["run"] in {other.code for other in group.runs[:3]}
    giver = next(i for i, other in enumerate(group.runs) if other.code == line.data["run"])
    rate = group.nets.settings[3].rate
    ratio = rate / group.nets.settings[giver].rate
    assert ratio == pytest.approx(1.25, rel=1e-3) or ratio == pytest.approx(0.8, rel=1e-3)
    losses = group.nets.held_out()
    assert losses[3] < 2 * losses[giver]
    decision = run.decisions.get(verb="adopt")
    assert [c["verb"] for c in decision.changes] == ["adopt", "set"]


def test_of_a_run_longer_than_the_window_the_whole_curve_is_seen_and_read_once(clock, monkeypatch):
    run, other = a_run(state="running", name="long"), a_run(state="finished", name="ended")
    run.experiment.goal_metric = "val_loss"
    run.experiment.save()
    ControllerSettings.objects.create(experiment=run.experiment, mode="observe")
    steps = np.arange(1, 3001)
    for each, level in ((run, 1.0), (other, 2.0)):
        column = Column("val_loss", steps.tolist(), (steps * 0.1).tolist(), (level + 10 / steps).tolist())
        series.append(each.source, "a" * 32, [Batch(seq=1, columns=[column])])
    read, asked, groups = series.read, [], []
    monkeypatch.setattr(series, "read", lambda *a, **k: asked.append(a) or read(*a, **k))
    monkeypatch.setattr(gathering, "CURVES", gathering.Curves())

    class Watching:
        name, summary, defaults = "watching", "", {"enabled": True}

        def propose_group(self, group):
            groups.append(group)
            return []

    for _ in range(3):
        tick(clock.now, Registry((Watching(),)))
    assert len(asked) == 2
    members = {member.name: member for member in groups[-1].members}
    for name, level in (("long", 1.0), ("ended", 2.0)):
        curve = members[name].curve
        assert len(curve) <= 128
        assert curve.steps[0] < 30 < 2950 < curve.steps[-1]
        assert curve.values[0] > level + 0.5
        assert members[name].level == pytest.approx(level, abs=0.01)
    assert groups[-1].best.name == "long"
