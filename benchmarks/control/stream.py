"""A stream of small simulated trainings on which a controller may learn which size of change helps where.

Each is gradient descent with noise on a quadratic (Hessian eigenvalues over two decades), so that all sizes of a change
can be tried from the same state with the same noise: the regret of a choice is known exactly, which no real training
tells. What makes learning possible is what makes it possible in a team: trainings of one kind start alike. Those with
SGD start far too low, those with Adam about right, those with LAMB somewhat too low; some are noisier than others.

Decided by `consider` with its guards and beliefs, judged by `verdict_now`, learned by `Book`: production's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from control.decide import consider
from control.guards import Limits
from control.learning.book import Book, Lesson
from control.proposals import (
    Alternative,
    Change,
    Expected,
    Floats,
    Goal,
    Observation,
    PastDecision,
    Proposal,
    TunableView,
    Window,
)
from control.verify import verdict_now

DIMENSIONS = 24
HESSIAN = np.logspace(-2, 0, DIMENSIONS)  # rates above 2 diverge; about 1 is best
WARM_UP, HORIZON, PAUSE, DECISIONS = 200, 150, 100, 4
# A gain is a logarithm of a ratio; a training that is wrecked is wrecked.
WRECKED = 3.0
KINDS = {"sgd": (0.01, 0.03), "adam": (0.6, 1.2), "lamb": (0.1, 0.3)}
NOISES = (0.02, 0.15)
SIZES = (3.0, 1.5, 10.0, 1 / 3)  # the first is the policy's own


class Resize:
    """Asks to change the rate at every look, in one of four sizes, but for those that failed in this run."""

    name = "resize"
    summary = "Raises the rate by 3, or by another size that proved better."
    defaults: Mapping[str, Any] = {"enabled": True}

    def propose(self, observation: Observation) -> list[Proposal]:
        rate = observation.with_role("learning_rate")
        assert rate is not None
        sizes = [self._size(rate, size) for size in SIZES if not self._failed(observation, rate.value * size)]
        if not sizes:
            return []
        first, *others = sizes
        return [
            Proposal(
                self.name, first.changes, first.reason, {}, first.expected, "loss", HORIZON,
                trial=True, alternatives=tuple(others),
            )
        ]  # fmt: skip

    def _failed(self, observation: Observation, value: float) -> bool:
        """Whether this run has tried that rate, or one further out, and it was not better."""
        return any(
            past.verdict != "better"
            and (
                value >= 0.9 * past.new_value
                if past.new_value > past.old_value
                else value <= 1.1 * past.new_value
            )
            for past in observation.past
        )

    def _size(self, rate: TunableView, size: float) -> Alternative:
        change = Change("set", rate.name, float(f"{rate.value * size:.4g}"))
        return Alternative((change,), f"x{size:.3g}.", Expected(-0.1, -0.5, 0.0), HORIZON)


@dataclass
class Training:
    """One simulated training with its log."""

    number: int
    optimiser: str
    noise: float
    rate: float
    dice: np.random.Generator
    first_rate: float = field(init=False)
    weights: Floats = field(default_factory=lambda: np.ones(DIMENSIONS))
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.first_rate = self.rate

    def train(self, rates: Sequence[float], steps: int) -> tuple[Floats, Floats, Floats]:
        """From here with each of these rates, all with the same noise: weights (rate, i), true losses (step, rate)
        and logged ones."""
        weights = np.repeat(self.weights[None], len(rates), axis=0)
        step_sizes = np.asarray(rates)[:, None]
        true, logged = np.empty((steps, len(rates))), np.empty((steps, len(rates)))
        for step in range(steps):
            pull = HESSIAN * weights + 0.05 * np.sqrt(HESSIAN) * self.dice.standard_normal(DIMENSIONS)
            weights = np.clip(weights - step_sizes * pull, -1e6, 1e6)
            true[step] = 0.5 * (HESSIAN * weights**2).sum(axis=1) + 1e-3
            logged[step] = true[step] * np.exp(self.noise * self.dice.standard_normal())
        return weights, true, logged

    def go_on(self, steps: int) -> None:
        weights, _, logged = self.train([self.rate], steps)
        self.weights = weights[0]
        self.losses += logged[:, 0].tolist()


@dataclass(frozen=True)
class Record:
    """regret: of each decision, in logarithms of loss against the best choice, not acting being one of them."""

    regrets: tuple[float, ...]
    acted: int


def stream(seed: int, runs: int, learns: bool = True) -> list[Record]:
    """The records of `runs` trainings in a row."""
    dice = np.random.default_rng(seed)
    book = Book()
    records = []
    for number in range(runs):
        kind = list(KINDS)[dice.integers(len(KINDS))]
        low, high = KINDS[kind]
        rate = float(np.exp(dice.uniform(np.log(low), np.log(high))))
        noise = float(dice.choice(NOISES))
        training = Training(number, kind, noise, rate, np.random.default_rng((seed, number)))
        records.append(live(training, book if learns else None, seed))
    return records


def live(training: Training, book: Book | None, seed: int) -> Record:
    """A training with five decisions, each judged before the next."""
    training.go_on(WARM_UP)
    past: list[PastDecision] = []
    changed: int | None = None
    regrets, acted = [], 0
    for _ in range(DECISIONS):
        training.go_on(PAUSE)  # without points since the last change there is no forecast
        seen = observe(training, past, changed, seed)
        considered, problems = consider(seen, [Resize()], {}, Limits(cooldown_steps=0), book)
        if problems:
            raise RuntimeError(problems[0].message)
        item = next((each for each in considered if each.refusal is None), None)
        choice = training.rate if item is None else float(item.proposal.changes[0].value)
        rates = [training.rate, *dict.fromkeys([float(f"{training.rate * s:.4g}") for s in SIZES] + [choice])]
        weights, true, logged = training.train(rates, HORIZON)
        late = np.log(true[int(0.4 * HORIZON) :]).mean(axis=0)
        gains = np.clip(late[0] - late, -WRECKED, WRECKED)
        taken = rates.index(choice)
        regrets.append(float(gains.max() - gains[taken]))
        at = len(training.losses) - 1
        before = training.weights
        training.losses += logged[:, taken].tolist()
        training.weights = weights[taken]
        if item is None:
            continue
        acted += 1
        changed = at
        old, training.rate = training.rate, choice
        window = observe(training, past, changed, seed).windows["loss"]
        found = verdict_now(item.forecast, window, at, HORIZON, item.proposal.expected.effect, at + HORIZON)
        assert found is not None
        if book is not None:
            belief = item.proposal.evidence["belief"]
            gain = None if found.difference is None or not found.log else -float(np.log1p(found.difference))
            book.learn(Lesson("resize", belief["action"], belief["context"], found.verdict, gain))
        state = "judged"
        if found.verdict != "better":
            # As production takes a trial back: the rate, and the weights too where the loss is in ruins.
            state, training.rate = "undone", old
            changed = len(training.losses) - 1
            if found.is_ruin:
                training.weights = before
        past.append(
            PastDecision(
                len(past) + 1, "resize", state, "set", "lr", old, choice, at, at + HORIZON, at, found.verdict
            )
        )
    return Record(tuple(regrets), acted)


def observe(training: Training, past: list[PastDecision], changed: int | None, seed: int) -> Observation:
    steps = np.arange(len(training.losses))[-1000:]
    return Observation(
        run=f"{seed}-{training.number}",
        step=len(training.losses) - 1,
        goal=Goal("loss", "min"),
        windows={"loss": Window.of(steps, steps * 0.01, training.losses[-1000:])},
        tunables={
            "lr": TunableView(
                "lr", "float", training.rate, initial=training.first_rate, low=1e-6, high=100.0, scale="log",
                role="learning_rate", changed_step=changed,
            )
        },
        past=tuple(past),
        optimiser=training.optimiser,
    )  # fmt: skip
