"""What a policy sees and what it answers: frozen values, numpy arrays, nothing that can reach the site.

    observation --- Policy.propose ---> proposals

All steps are optimiser steps of the run, all metrics in the unit they were logged in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .estimators.median import median

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

# A decision in one of these states has not come to its end: nothing else may change its tunable.
OPEN_STATES = frozenset({"proposed", "sent", "applied"})
# A decision in one of these states did reach the run (or is on its way): it counts against the budget.
ACTED_STATES = frozenset({"sent", "applied", "judged", "undone"})

# Tunables on which it hangs how fast samples come: two trials at once could not be told apart by it.
SPEED_ROLES = ("batch_size", "accumulation", "loader_workers", "prefetch", "precision")
# What is better the more of it there is, of the keys that are ours.
HIGHER_IS_BETTER = frozenset({"_samples_per_second"})
# The mode of a decision whose policy only runs beside the others.
SHADOW = "shadow"

LOSS_NAMES = ("loss", "train/loss", "train_loss", "training_loss")

# What a policy may ask for. Those in LASTING cannot be taken back: in mode act a policy needs the person's word, its
# parameter `may_<verb>`.
VERBS = ("set", "rollback", "stop", "adopt", "prune", "quantise", "compile")
LASTING = frozenset({"stop", "prune", "quantise"})
# Verbs that a process offers one by one, and measures before it follows them.
ALGORITHMS = frozenset({"prune", "quantise", "compile"})


def leaves_training(verb: str, value: Any) -> bool:
    """Whether the training goes on bit for bit as it would have: a dry measurement, an export beside it."""
    return verb == "quantise" or (
        verb in ALGORITHMS and isinstance(value, Mapping) and value.get("dry") is True
    )


@dataclass(frozen=True, eq=False)
class Window:
    """The newest points of one key on the run's current branch, in order of step.

    steps: int64, times: float64 seconds since the epoch, values: float64 with NaN and inf kept; one shape
    (points,).
    """

    steps: Ints
    times: Floats
    values: Floats

    @classmethod
    def of(cls, steps: npt.ArrayLike, times: npt.ArrayLike, values: npt.ArrayLike) -> Window:
        """A window from any sequences, sorted by step; of a step logged twice, the later point is kept."""
        step_array = np.asarray(steps, dtype=np.int64)
        time_array = np.asarray(times, dtype=np.float64)
        value_array = np.asarray(values, dtype=np.float64)
        if len(step_array) > 1 and not bool((step_array[1:] > step_array[:-1]).all()):
            order = np.argsort(step_array, kind="stable")
            step_array, time_array, value_array = step_array[order], time_array[order], value_array[order]
            last_of_step = np.append(np.diff(step_array) > 0, True)
            step_array, time_array, value_array = (
                step_array[last_of_step], time_array[last_of_step], value_array[last_of_step],
            )  # fmt: skip
        # Views that cannot be written to: all policies and the guards look at the same points.
        views = step_array.view(), time_array.view(), value_array.view()
        for view in views:
            view.flags.writeable = False
        return cls(*views)

    def __len__(self) -> int:
        return len(self.steps)

    def after(self, step: int) -> Window:
        """The points with a step above `step`."""
        return self._from(int(np.searchsorted(self.steps, step, side="right")))

    def until(self, step: int) -> Window:
        """The points with a step of at most `step`."""
        end = int(np.searchsorted(self.steps, step, side="right"))
        return Window(self.steps[:end], self.times[:end], self.values[:end])

    def last(self, points: int) -> Window:
        """The newest `points` points."""
        return self._from(max(0, len(self.steps) - points))

    def _from(self, start: int) -> Window:
        return Window(self.steps[start:], self.times[start:], self.values[start:])

    @cached_property
    def stride(self) -> int:
        """Steps between two neighbouring points: their median distance, at least 1."""
        return max(1, int(median(self.steps[1:] - self.steps[:-1]))) if len(self.steps) > 1 else 1

    @cached_property
    def finite(self) -> Window:
        """The points whose value is a number: the window itself where all are, which is nearly always."""
        good = np.isfinite(self.values)
        if good.all():
            return self
        kept = self.steps[good], self.times[good], self.values[good]
        for each in kept:
            each.flags.writeable = False
        return Window(*kept)


@dataclass(frozen=True)
class TunableView:
    """A setting of the run as it stands.

    person_seconds_ago: since a person last set it, None if never. before: its value before `changed_step`, None
    where no command changed it. about: facts that the process told of it.
    """

    name: str
    kind: str  # float, int, bool, choice
    value: Any
    initial: Any = None
    low: float | None = None
    high: float | None = None
    scale: str = "linear"  # linear, log
    choices: tuple[Any, ...] = ()
    role: str = ""
    changed_step: int | None = None
    person_seconds_ago: float | None = None
    before: Any = None
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PastDecision:
    """An earlier decision on this run. `verdict` is "" until it was judged."""

    id: int
    policy: str
    state: str
    verb: str
    tunable: str
    old_value: Any
    new_value: Any
    decided_step: int
    judge_at_step: int
    # The step from which the change was in force: for a roll back, the step it went back to.
    applied_step: int | None = None
    verdict: str = ""
    # What was measured against the forecast of not acting, as a ratio (-0.2: 20 % lower); None if not judged.
    effect: float | None = None
    urgent: bool = False
    # Which guard refused it, "" when none did.
    blocked_rule: str = ""
    # The figures it was based on, as its policy wrote them.
    evidence: Mapping[str, Any] = field(default_factory=dict)
    # All tunables it sets, where there are more than `tunable`.
    tunables: tuple[str, ...] = ()
    mode: str = ""  # observe, advise, act, shadow

    def sets(self, name: str) -> bool:
        return name == self.tunable or name in self.tunables

    @property
    def leaves_training(self) -> bool:
        return leaves_training(self.verb, self.new_value)

    @property
    def at_step(self) -> int:
        return self.decided_step if self.applied_step is None else self.applied_step

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def plan(self) -> str:
        """The search that it was a step of, "" for none."""
        return str(self.evidence.get("plan") or "")


@dataclass(frozen=True)
class CheckpointView:
    """A state that the run can be rolled back to. `metrics`: what the run logged when it was saved.

    settings: {tunable: {"value", "since": the step from which it was in force}} then; empty where nobody told.
    """

    id: int
    step: int
    branch: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Belief:
    """What verdicts taught about one action of a policy, in runs like this one (docs/learning.md).

    better, worse: the chance of that verdict. gain: how much better the metric was than not acting, a positive ratio
    where it helped, with its 80 % interval low..high. verdicts: how many it rests on; 0 for none at all.
    """

    action: str
    context: str
    better: float
    worse: float
    gain: float
    low: float
    high: float
    verdicts: float


@dataclass(frozen=True)
class Measurement:
    """A change of the algorithm as the run measured it on copies. table: see docs/contracts.md, "Offers"."""

    verb: str
    outcome: str  # measured, switched, exported, refused
    step: int
    table: Mapping[str, Any]

    @property
    def value(self) -> Mapping[str, Any]:
        value = self.table.get("value")
        return value if isinstance(value, Mapping) else {}

    @property
    def within(self) -> bool:
        """Whether the held-back metric stays within the bound that the script set."""
        return self.table.get("within") is True


@dataclass(frozen=True)
class Goal:
    """What the experiment is judged by. An empty metric: no goal was set."""

    metric: str = ""
    direction: str = "min"  # min, max
    target: float | None = None


@dataclass(frozen=True)
class Standing:
    """The run's place among its experiment's by the goal's metric: 1 for the best of `of`."""

    place: int
    of: int
    is_best: bool


@dataclass(frozen=True, eq=False)
class Observation:
    """One run as the controller sees it at one moment."""

    run: str
    step: int
    state: str = "running"
    goal: Goal = field(default_factory=Goal)
    windows: Mapping[str, Window] = field(default_factory=dict)
    tunables: Mapping[str, TunableView] = field(default_factory=dict)
    checkpoints: tuple[CheckpointView, ...] = ()
    past: tuple[PastDecision, ...] = ()  # oldest first; the newest 200 and all open ones
    changes_made: int = 0  # by the controller in this run, those that `past` no longer holds too
    parameters: Mapping[str, Any] = field(default_factory=dict)  # of the policy that is asked
    # Of the policy that is asked: {action: belief}, "" for all its actions together. What nobody judged is missing.
    beliefs: Mapping[str, Belief] = field(default_factory=dict)
    mode: str = "act"  # observe, advise, act
    # Since a person last asked anything of this run, None if never.
    person_seconds_ago: float | None = None
    # The verbs that the process says it can do; None: it did not say.
    offers: frozenset[str] | None = None
    # The verbs of ALGORITHMS that the process offers; None: it was not asked.
    algorithms: frozenset[str] | None = None
    measured: tuple[Measurement, ...] = ()  # on this branch, oldest first, the newest 20
    standing: Standing | None = None  # None: alone, or without a goal to compare by
    optimiser: str = ""  # adam, adamw, sgd, … as the run's config tells, "" when it does not

    def but(self, **fields: Any) -> Observation:
        """A copy with these fields in place: `dataclasses.replace`, at a tenth of its cost. Every policy gets one."""
        copy = object.__new__(Observation)
        copy.__dict__.update(self.__dict__, **fields)
        return copy

    def with_role(self, role: str) -> TunableView | None:
        """The tunable that was declared with this role, or None; the first where there are several."""
        return next((tunable for tunable in self.tunables.values() if tunable.role == role), None)

    def direction_of(self, metric: str) -> str:
        """Whether lower ("min") or higher ("max") is better for `metric`.

        What is neither the goal nor a key of ours of which more is better is a loss.
        """
        if metric == self.goal.metric:
            return self.goal.direction
        return "max" if metric in HIGHER_IS_BETTER else "min"

    def loss_metric(self, preferred: str = "") -> str:
        """The key that serves as training loss: `preferred`, else a usual name, else a goal to minimise.

        "" when the run logs none of them. A metric that is to grow is no loss, whatever its name.
        """
        wanted = (preferred,) if preferred else (*LOSS_NAMES, self.goal.metric)
        return next((key for key in wanted if key in self.windows and self.direction_of(key) == "min"), "")

    def is_open_on(self, *roles: str) -> bool:
        """Whether a roll back, or a change of a tunable with one of these roles, is not judged yet."""
        names = {tunable.name for tunable in self.tunables.values() if tunable.role in roles}
        return any(
            past.is_open and (past.verb == "rollback" or any(past.sets(name) for name in names))
            for past in self.past
        )

    def on_this_branch(self, past: PastDecision) -> bool:
        """False for a decision whose step was left behind by a later roll back."""
        return past.at_step <= self.step


@dataclass(frozen=True)
class Change:
    """One command. Its value is, by verb:

    set          the tunable's new value
    rollback     {"checkpoint": id, "step", "path"} of this run
    stop         {"why": sentence}
    adopt        {"run": code, "checkpoint": id, "step", "path"}: load a checkpoint of another run
    prune, quantise, compile   a map of settings
    """

    verb: str  # one of VERBS
    tunable: str = ""
    value: Any = None


@dataclass(frozen=True)
class Expected:
    """The change of the metric that is expected at the horizon, against not acting, with a 90 % interval.

    unit "ratio": -0.2 says 20 % lower than without the change. low80, high80: an 80 % interval inside of it, for a
    policy that has one.
    """

    effect: float
    low: float
    high: float
    unit: str = "ratio"
    low80: float | None = None
    high80: float | None = None


@dataclass(frozen=True)
class Alternative:
    """Another size of the same proposal that its policy would stand behind too."""

    changes: tuple[Change, ...]
    reason: str
    expected: Expected
    judge_after_steps: int


@dataclass(frozen=True)
class Proposal:
    """A change, the figures it rests on, what it should do, and when to look whether it did."""

    policy: str
    changes: tuple[Change, ...]  # applied in this order
    reason: str  # one sentence for a person, with figures
    evidence: Mapping[str, Any]  # {"window": [first step, last step], name: figure}
    expected: Expected
    metric: str
    judge_after_steps: int
    urgency: bool = False  # a rescue: may override the cool-down, never bounds or a person's hand
    trial: bool = False  # taken back unless it is judged better; else only when judged worse
    broken: bool = False  # the metric is beyond use now: forecast its ruin, not its trend
    # The name of a search that this change is a step of: its steps need not wait for the cool-down, and are counted.
    plan: str = ""
    unharmed: tuple[str, ...] = ()  # further metrics: the change is worse if any of these becomes worse
    # Other sizes: beliefs choose among them and this one, which is taken where nothing is known.
    alternatives: tuple[Alternative, ...] = ()
    run: str = ""  # a group policy names the run it means; "" is the run that was looked at

    @property
    def tunable(self) -> str:
        """The tunable this proposal sets, "" when it only rolls back."""
        return next((change.tunable for change in self.changes if change.verb == "set"), "")

    @property
    def verb(self) -> str:
        return self.changes[0].verb
