"""A real training of some milliseconds a step, steered in-process by the controller's own pure parts.

The network learns scikit-learn's digits. Nothing is faked but the distance: where production sends a command
over the link, `Steered` sets the optimiser's rate or loads a state directly, at the same boundary.
"""

import copy
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from sklearn.datasets import load_digits

from control.decide import consider
from control.guards import Limits
from control.policies.divergence import Divergence
from control.policies.learning_rate import LearningRate
from control.proposals import CheckpointView, Goal, Observation, PastDecision, TunableView, Window
from control.undo import Setting, undo
from control.verify import verdict_now

TAIL = 1000


class SmallTraining:
    """SGD with momentum on digits. `conv`: the demo's network in small; else one hidden layer."""

    def __init__(
        self, lr: float, seed: int, conv: bool = False, noise: float = 0.3, checkpoint_every: int = 100
    ):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        data = load_digits()
        images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
        self.images, self.labels = images[:1500], torch.tensor(data.target)[:1500]
        self.test_images, self.test_labels = images[1500:], torch.tensor(data.target)[1500:]
        if conv:
            self.net = torch.nn.Sequential(
                torch.nn.Conv2d(1, 32, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
                torch.nn.Flatten(), torch.nn.Linear(32 * 9, 10),
            )  # fmt: skip
        else:
            self.net = torch.nn.Sequential(
                torch.nn.Flatten(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
            )
        self.optimiser = torch.optim.SGD(self.net.parameters(), lr=lr, momentum=0.9)
        self.generator = torch.Generator().manual_seed(seed)
        self.noise = noise
        self.step = -1
        self.branch = 0
        self.points: list[tuple[int, float, float]] = []  # step, loss, gradient norm: the current branch
        self.all_losses: list[float] = []
        self.checkpoint_every = checkpoint_every
        self.checkpoints: list[CheckpointView] = []
        self.states: dict[int, tuple] = {}
        self.save()

    @property
    def lr(self) -> float:
        return self.optimiser.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        self.optimiser.param_groups[0]["lr"] = value

    def save(self) -> None:
        number = len(self.states) + 1
        state = copy.deepcopy(self.net.state_dict()), copy.deepcopy(self.optimiser.state_dict())
        self.states[number] = (self.step, *state)
        metrics = {"loss": self.points[-1][1]} if self.points else {}
        if self.checkpoint_every:
            self.checkpoints.append(CheckpointView(number, max(self.step, 0), self.branch, metrics))

    def roll_back(self, number: int) -> None:
        self.step, weights, optimiser = copy.deepcopy(self.states[number])
        self.net.load_state_dict(weights)
        self.optimiser.load_state_dict(optimiser)
        self.branch += 1
        self.points = [point for point in self.points if point[0] <= self.step]
        self.checkpoints = [c for c in self.checkpoints if c.step <= self.step or c.branch == self.branch]

    def train(self, steps: int, poison_at: int | None = None) -> None:
        for _ in range(steps):
            self.step += 1
            rows = torch.randint(0, len(self.images), (64,), generator=self.generator)
            images = self.images[rows]
            images = images + self.noise * torch.randn(images.shape, generator=self.generator)
            if poison_at is not None and self.step == poison_at:
                images = images * float("nan")
            loss = torch.nn.functional.cross_entropy(self.net(images), self.labels[rows])
            self.optimiser.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), float("inf"))
            self.optimiser.step()
            self.points.append((self.step, float(loss.detach()), float(norm)))
            self.all_losses.append(float(loss.detach()))
            if self.checkpoint_every and self.step and self.step % self.checkpoint_every == 0:
                self.save()

    def accuracy(self) -> float:
        with torch.no_grad():
            return float((self.net(self.test_images).argmax(1) == self.test_labels).float().mean())

    def recent_loss(self, points: int = 200) -> float:
        return float(np.median([loss for _, loss, _ in self.points[-points:]]))


@dataclass
class Open:
    past: PastDecision
    fixed: object
    horizon: int
    trial: bool
    effect: float


@dataclass
class Steered:
    """The tick's bookkeeping around a SmallTraining; decisions and verdicts come from production code."""

    training: SmallTraining
    limits: Limits = field(default_factory=Limits)
    settings: dict = field(default_factory=dict)
    policies: tuple = (Divergence(), LearningRate())
    low: float = 1e-7
    high: float = 10.0
    past: list[PastDecision] = field(default_factory=list)
    open: list[Open] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    changed_step: int | None = None
    initial: float | None = None

    def observe(self) -> Observation:
        tail = self.training.points[-TAIL:]
        steps = [step for step, _, _ in tail]
        rate = TunableView(
            "lr", "float", self.training.lr, self.initial, self.low, self.high, "log",
            role="learning_rate", changed_step=self.changed_step,
        )  # fmt: skip
        return Observation(
            run="small",
            step=self.training.step,
            goal=Goal("loss", "min"),
            windows={
                "loss": Window.of(steps, steps, [loss for _, loss, _ in tail]),
                "grad_norm": Window.of(steps, steps, [norm for _, _, norm in tail]),
            },
            tunables={"lr": rate},
            checkpoints=tuple(self.training.checkpoints),
            past=tuple(self.past),
        )

    def apply(self, changes) -> None:
        for change in changes:
            if change.verb == "rollback":
                self.training.roll_back(change.value["checkpoint"])
            else:
                self.training.lr = change.value
        self.changed_step = self.training.step

    def tick(self) -> None:
        for item in list(self.open):
            seen = self.observe()
            window = seen.windows["loss"]
            verdict = verdict_now(item.fixed, window, item.past.at_step, item.horizon, item.effect)
            if verdict is None:
                continue
            self.open.remove(item)
            back = undo(
                verdict, trial=item.trial, verb=item.past.verb,
                settings=[Setting(seen.tunables["lr"], item.past.old_value, item.past.new_value)],
                tunables=seen.tunables,
                broken=verdict.is_ruin,
                checkpoints=seen.checkpoints, before_step=item.past.at_step,
            )  # fmt: skip
            state = "judged" if back is None else "undone"
            index = next(i for i, p in enumerate(self.past) if p.id == item.past.id)
            self.past[index] = replace(
                item.past, state=state, verdict=verdict.verdict, effect=verdict.difference
            )
            self.told.append(f"  {self.training.step}: {verdict.verdict}: {verdict.sentence}")
            if back:
                self.told.append(f"  {self.training.step}: {back.reason}")
                self.apply(back.changes)
        considered, problems = consider(self.observe(), self.policies, self.settings, self.limits)
        assert not problems, problems
        for item in considered:
            proposal = item.proposal
            if item.refusal:
                self.told.append(f"{self.training.step}: blocked: {item.refusal.sentence}")
                continue
            self.told.append(f"{self.training.step}: {proposal.policy}: {proposal.reason}")
            decided, old = self.training.step, self.training.lr
            self.apply(proposal.changes)
            decision = PastDecision(
                len(self.past) + 1, proposal.policy, "applied", proposal.verb, proposal.tunable, old,
                self.training.lr, decided, decided + proposal.judge_after_steps, self.training.step,
                urgent=proposal.urgency, evidence=proposal.evidence,
            )  # fmt: skip
            self.past.append(decision)
            self.open.append(
                Open(
                    decision,
                    item.forecast,
                    proposal.judge_after_steps,
                    proposal.trial,
                    proposal.expected.effect,
                )
            )

    def run(self, steps: int, every: int = 160, poison_at: int | None = None) -> "Steered":
        """Train `steps` optimiser steps in all, with a tick every `every` of them."""
        self.initial = self.training.lr
        done = 0
        while done < steps:
            self.training.train(every, poison_at=poison_at)
            if poison_at is not None and self.training.step >= poison_at:
                poison_at = None
            done += every
            self.tick()
        return self
