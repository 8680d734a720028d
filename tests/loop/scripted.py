"""A run that logs what a test says, and a policy that asks for what a test says: the tick's rows without a training."""

import numpy as np

from control.loop import tick
from control.models import ControllerSettings, Decision
from control.proposals import Change, Expected, Proposal
from control.registry import Registry
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run
from training.commands import orders_after, record_outcome
from training.models import Checkpoint, Run, Tunable


class Scripted:
    """Asks for `changes` at every look until it is told not to."""

    name = "scripted"
    summary = "What the test says."
    defaults = {"enabled": True}

    def __init__(self, *changes: Change, **fields) -> None:
        self.changes, self.fields = changes, fields

    def propose(self, observation):
        self.seen = observation
        if not self.changes:
            return []
        fields = {"metric": "loss", "judge_after_steps": 100} | self.fields
        return [
            Proposal("scripted", self.changes, "The test says so.", {}, Expected(-0.1, -0.2, 0.0), **fields)
        ]


class ScriptedRun:
    """The process's end: points in, orders out, at the test's word. Starts with 200 steps of a level loss."""

    def __init__(self, clock, *changes: Change, mode: str = "act", guards=None, **fields) -> None:
        self.clock = clock
        self.policy = Scripted(*changes, **fields)
        self.run: Run = a_run(state="running")
        self.settings = ControllerSettings.objects.create(
            experiment=self.run.experiment, mode=mode, guards=guards or {}
        )
        for name, value in (("lr", 0.1), ("clip", 1.0)):
            Tunable.objects.create(
                run=self.run,
                name=name,
                kind="float",
                value=value,
                initial=value,
                low=1e-6,
                high=10.0,
                scale="log",
            )
        self.checkpoint = Checkpoint.objects.create(run=self.run, step=100, path="/c/100")
        self.seq, self.step, self.dice = 0, 0, np.random.default_rng(0)
        self.log(200)

    def log(self, count: int, level: float = 1.0, key: str = "loss", **also: float) -> None:
        """also: levels of further keys at the same steps."""
        steps = list(range(self.step, self.step + count))
        times = [self.clock.now.timestamp() + 0.01 * (i + 1) for i in range(count)]
        columns = [
            Column(name, steps, times, list(mean * np.exp(0.05 * self.dice.standard_normal(count))))
            for name, mean in ({key: level} | also).items()
        ]
        self.seq += 1
        branch = max((b["index"] for b in self.run.branches), default=0)
        series.append(self.run.source, "a" * 32, [Batch(self.seq, branch, columns=columns)])
        self.step += count
        Run.objects.filter(pk=self.run.pk).update(last_step=self.step - 1)
        self.clock.pass_seconds(0.01 * count)

    def obey(self) -> list[str]:
        """Apply what was ordered; what that was."""
        told = []
        for order in orders_after(self.run, 0):
            old, new, at = None, None, self.step - 1
            if order.verb == "set":
                old, new = self.value(order.tunable), order.value
            else:
                self.roll_back(order.value["step"])
            record_outcome(
                self.run, 0, at, {"seq": order.seq, "ok": True, "old_value": old, "new_value": new}
            )
            told.append(
                " ".join(str(each) for each in (order.verb, order.tunable, new) if each not in (None, ""))
            )
        return told

    def roll_back(self, step: int) -> None:
        self.run.refresh_from_db()
        index = 1 + max((b["index"] for b in self.run.branches), default=0)
        self.run.branches = [*self.run.branches, {"index": index, "from_step": step, "reason": "rollback"}]
        self.run.save(update_fields=["branches"])
        self.step = step + 1

    def tick(self):
        self.clock.pass_seconds(1)
        return tick(self.clock.now, Registry((self.policy,)))

    def rest(self) -> None:
        """Ask for nothing more."""
        self.policy.changes = ()

    def value(self, name: str = "lr") -> float:
        return self.run.tunables.get(name=name).value

    @property
    def decisions(self) -> list[Decision]:
        return list(Decision.objects.filter(run=self.run).order_by("id"))

    @property
    def last(self) -> Decision:
        return self.decisions[-1]
