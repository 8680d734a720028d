"""A small training whose points, checkpoints and commands go through the real tables and store."""

from datetime import UTC, datetime, timedelta

from control.loop import tick
from control.models import ControllerSettings
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.loop.small_training import SmallTraining
from tests.support.domain import a_run
from training.commands import orders_after, record_outcome
from training.models import Checkpoint, Run, Tunable

STEP_SECONDS = 0.03


class Clock:
    """The site's time in a test: moves when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class LiveRun:
    """The process's end of the link, without the link: orders in at a step boundary, points and outcomes out."""

    def __init__(self, clock: Clock, lr: float, seed: int, mode: str = "act", **fields) -> None:
        self.clock = clock
        self.training = SmallTraining(lr, seed, **fields)
        self.run: Run = a_run(state="running")
        self.run.experiment.goal_metric = "loss"
        self.run.experiment.save()
        self.settings = ControllerSettings.objects.create(experiment=self.run.experiment, mode=mode)
        Tunable.objects.create(
            run=self.run, name="lr", kind="float", value=lr, initial=lr, low=1e-7, high=10.0, scale="log",
            role="learning_rate",
        )  # fmt: skip
        self.seq = self.applied_seq = self.told_checkpoints = 0
        self.ids: dict[int, int] = {}  # the training's number of a checkpoint: its row
        self.report_checkpoints()

    def report_checkpoints(self) -> None:
        for number, (step, *_) in list(self.training.states.items())[self.told_checkpoints :]:
            seen = next(c for c in self.training.checkpoints if c.id == number)
            row = Checkpoint.objects.create(
                run=self.run, step=max(step, 0), branch=self.training.branch, path=f"/c/{number}",
                metrics={key: value for key, value in seen.metrics.items() if value == value},
            )  # fmt: skip
            self.ids[number] = row.pk
            self.told_checkpoints += 1

    def train(self, steps: int, poison_at: int | None = None) -> None:
        """Obey, train `steps` steps, report: what happens between two ticks."""
        self.obey()
        before = len(self.training.all_losses)
        started = self.clock.now.timestamp()
        self.training.train(steps, poison_at=poison_at)
        points = self.training.points[-(len(self.training.all_losses) - before) :]
        times = [started + STEP_SECONDS * (i + 1) for i in range(len(points))]
        numbers = [step for step, _, _ in points]
        self.seq += 1
        columns = [
            Column("loss", numbers, times, [loss for _, loss, _ in points]),
            Column("grad_norm", numbers, times, [norm for _, _, norm in points]),
        ]
        batch = Batch(seq=self.seq, branch=self.training.branch, columns=columns)
        series.append(self.run.source, "a" * 32, [batch])
        Run.objects.filter(pk=self.run.pk).update(last_step=self.training.step)
        self.clock.pass_seconds(STEP_SECONDS * steps)
        self.report_checkpoints()

    def obey(self) -> None:
        for order in orders_after(self.run, self.applied_seq):
            old = self.training.lr
            at = self.training.step
            if order.verb == "rollback":
                number = next(n for n, pk in self.ids.items() if pk == order.value["checkpoint"])
                # As the SDK does it: a roll back takes back weights, not settings.
                self.training.roll_back(number)
                self.training.lr = old
                self.run.branches = [
                    *self.run.branches,
                    {
                        "index": self.training.branch,
                        "from_step": max(self.training.step, 0),
                        "reason": "rollback",
                    },
                ]
                self.run.save(update_fields=["branches"])
            elif order.verb == "set":
                self.training.lr = order.value
            record_outcome(
                self.run, 0, max(at, 0),
                {"seq": order.seq, "ok": True, "old_value": old, "new_value": order.value},
            )  # fmt: skip
            self.applied_seq = order.seq

    def live(self, steps: int, every: int = 160, poison_at: int | None = None) -> "LiveRun":
        """Train with a tick every `every` steps."""
        for _ in range(0, steps, every):
            self.train(every, poison_at)
            if poison_at is not None and self.training.step >= poison_at:
                poison_at = None
            tick(self.clock.now)
        return self

    @property
    def decisions(self) -> list:
        return list(self.run.decisions.order_by("id"))

    @property
    def tunable(self) -> Tunable:
        return self.run.tunables.get(name="lr")
