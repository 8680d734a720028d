"""The controller's side of one training, in the training's own process: production's decisions, a site's bookkeeping.

What the run told comes out of the SDK's own buffers (`Run.fill`), what is decided goes back as the SDK's own orders
and is applied at the next step boundary. Between the two stand the functions that the tick calls: `consider`
(policies, guards, forecasts), `verdict_now` and `undo`. Left out are the rows of a database and the five seconds
between two ticks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from control.base import AnyPolicy
from control.decide import Considered, consider
from control.forecasts import Forecast
from control.guards import Limits
from control.proposals import CheckpointView, Goal, Observation, PastDecision, TunableView, Window
from control.undo import Setting, undo
from control.verify import Judgement, verdict_now
from scaleweb_sdk import clock
from scaleweb_sdk.protocol import Event, EventKind, Order, PackedColumn
from scaleweb_sdk.run import Run
from training.values import BATCH_ROLES

TAIL_STEPS = 1000


@dataclass
class Track:
    """The points of one key on the present branch, in the order logged."""

    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def cut(self, from_step: int) -> None:
        """Forget what a roll back left behind."""
        count = len(self.steps)
        while count and self.steps[count - 1] > from_step:
            count -= 1
        del self.steps[count:], self.times[count:], self.values[count:]

    def tail(self) -> Window:
        return Window.of(self.steps[-TAIL_STEPS:], self.times[-TAIL_STEPS:], self.values[-TAIL_STEPS:])


@dataclass
class Made:
    """A decision that reached the run: what it asked for, and what it is judged by."""

    past: PastDecision
    item: Considered
    settings: list[tuple[str, Any, Any]]  # tunable, old value, new value
    seqs: list[int]
    judgement: Judgement | None = None


@dataclass
class Held:
    """A forecast that came true or not: what was measured against the interval, all in the forecast's y."""

    policy: str
    measured: float
    mean: float
    low: float
    high: float


class Site:
    """Observes one run, decides on it and judges what was decided."""

    def __init__(
        self,
        run: Run,
        policies: Sequence[AnyPolicy],
        goal: Goal,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        limits: Limits | None = None,
        optimiser: str = "",
    ) -> None:
        self.optimiser = optimiser
        self.run, self.policies, self.goal = run, policies, goal
        self.settings, self.limits = settings or {}, limits or Limits()
        self.tracks: dict[str, Track] = {}
        self.checkpoints: list[CheckpointView] = []
        self.made: list[Made] = []
        self.closed: list[PastDecision] = []  # what a guard refused
        self.changed: dict[str, tuple[int, Any]] = {}  # tunable: step of its last change, value before
        self.initial: dict[str, Any] = {}
        self.known: dict[str, Any] = {}  # tunable: its value as last told
        self.ordered: dict[int, str] = {}  # number of an order: the tunable it sets
        self.told: list[str] = []
        self.reflexes: dict[str, int] = {}
        self.step = 0
        self.seconds = 0.0
        self.ticks = 0
        self._seq = 0
        self._numbers = 0

    # -- observe -----------------------------------------------------------------------------------

    def read(self) -> None:
        """Everything that the run has told since the last time."""
        for parcel in self.run.fill():
            for event in parcel.events:
                self._hear(event)
            for column in parcel.columns:
                assert isinstance(column, PackedColumn)
                steps = np.frombuffer(column.steps, dtype="<i8").tolist()
                values = np.frombuffer(column.values, dtype="<f8").tolist()
                times = np.frombuffer(column.times, dtype="<f8").tolist()
                track = self.tracks.setdefault(column.key, Track())
                track.steps += steps
                track.times += times
                track.values += values
        self.step = self.run.current_step

    def _hear(self, event: Event) -> None:
        data = event.data
        if event.kind == EventKind.BRANCH:
            for track in self.tracks.values():
                track.cut(data["from_step"])
            self.checkpoints = [c for c in self.checkpoints if c.step <= data["from_step"]]
        elif event.kind == EventKind.CHECKPOINT:
            self._numbers += 1
            view = CheckpointView(
                self._numbers,
                event.step or 0,
                data["branch"],
                data["metrics"],
                data["path"],
                data["settings"],
            )
            self.checkpoints = [c for c in self.checkpoints if c.path != view.path] + [view]
        elif event.kind == EventKind.CHECKPOINT_GONE:
            self.checkpoints = [c for c in self.checkpoints if c.path != data["path"]]
        elif event.kind == EventKind.TUNABLE:
            name = data["name"]
            old = self.known.get(name, data["value"])
            if old != data["value"]:  # a reflex, or the script itself, set it
                self.changed[name] = (event.step or 0, old)
            self.initial.setdefault(name, data["value"])
            self.known[name] = data["value"]
        elif event.kind == EventKind.REFLEX:
            self.reflexes[data["name"]] = self.reflexes.get(data["name"], 0) + 1
            self.told.append(f"{event.step}: reflex: {data['reason']}")
        elif event.kind == EventKind.COMMAND:
            self._follow(event.step or 0, data)

    def _follow(self, step: int, data: Mapping[str, Any]) -> None:
        """A command's outcome: the decision that it belongs to is in force, or the run refused it."""
        name = self.ordered.get(data["seq"])
        if data["ok"] and name:
            self.changed[name] = (step, self.known.get(name))
            self.known[name] = data["new_value"]
        for made in self.made:
            if data["seq"] in made.seqs and made.past.state == "sent":
                if not data["ok"]:
                    self.told.append(f"{step}: the run refused it: {data['message']}")
                    made.past = replace(made.past, state="rejected")
                elif data["seq"] == made.seqs[-1]:
                    target = next(
                        (c.value["step"] for c in made.item.proposal.changes if c.verb == "rollback"), step
                    )
                    at = min(step, target)
                    horizon = made.item.proposal.judge_after_steps
                    made.past = replace(
                        made.past, state="applied", applied_step=at, judge_at_step=at + horizon
                    )
                    for name, old, _ in made.settings:
                        self.changed[name] = (at, old)

    def observe(self) -> Observation:
        return Observation(
            run="benchmark",
            step=self.step,
            goal=self.goal,
            windows={key: track.tail() for key, track in self.tracks.items() if track.steps},
            tunables={name: self._view(name) for name in self.run.tunables},
            checkpoints=tuple(self.checkpoints),
            past=tuple(sorted([*(m.past for m in self.made), *self.closed], key=lambda past: past.id)),
            optimiser=self.optimiser,
        )

    def _view(self, name: str) -> TunableView:
        spec = self.run.tunables[name].spec
        changed, before = self.changed.get(name, (None, None))
        return TunableView(
            name, spec.kind, spec.value, self.initial.get(name, spec.value), spec.low, spec.high, spec.scale,
            tuple(spec.choices), spec.role, changed, before=before, about=spec.about,
        )  # fmt: skip

    # -- judge, decide, act ------------------------------------------------------------------------

    def tick(self) -> None:
        """One round, as control.loop makes it; orders wait for the next step boundary."""
        began = clock.seconds()
        self.read()
        seen = self.observe()
        for made in self.made:
            if made.past.state == "applied":
                self._judge(made, seen)
        if self._is_quiet():
            self._decide(self.observe())
        self.seconds += clock.seconds() - began
        self.ticks += 1

    def _is_quiet(self) -> bool:
        """Whether no order is on its way: the run stands as it will."""
        return self.run.applied_seq >= self._seq

    def _judge(self, made: Made, seen: Observation) -> None:
        proposal, fixed = made.item.proposal, made.item.forecast
        window = seen.windows.get(proposal.metric)
        at = made.past.at_step
        found = verdict_now(
            fixed, window, at, proposal.judge_after_steps, proposal.expected.effect, seen.step, seen.windows
        )
        if found is None:
            return
        made.judgement = found
        back = undo(
            found,
            trial=proposal.trial,
            verb=proposal.verb,
            settings=[Setting(seen.tunables.get(name), old, new) for name, old, new in made.settings],
            tunables=seen.tunables,
            broken=found.is_ruin,
            checkpoints=seen.checkpoints,
            before_step=at,
        )
        state = "judged" if back is None else "undone"
        made.past = replace(made.past, state=state, verdict=found.verdict, effect=found.difference)
        self.told.append(f"{seen.step}: {found.verdict}: {found.sentence}")
        if back is not None:
            self.told.append(f"{seen.step}: {back.reason}")
            self._order(back.changes, "undo")

    def _decide(self, seen: Observation) -> None:
        considered, problems = consider(seen, self.policies, self.settings, self.limits)
        if problems:
            raise RuntimeError("; ".join(f"{problem.policy}: {problem.message}" for problem in problems))
        for item in considered:
            proposal = item.proposal
            settings = [
                (change.tunable, seen.tunables[change.tunable].value, change.value)
                for change in proposal.changes
                if change.verb == "set" and change.tunable in seen.tunables
            ]
            old, new = next(
                ((old, new) for name, old, new in settings if name == proposal.tunable), (None, None)
            )
            self._numbers += 1
            past = PastDecision(
                self._numbers, proposal.policy, "sent" if item.refusal is None else "blocked", proposal.verb,
                proposal.tunable, old, new, seen.step, seen.step + proposal.judge_after_steps,
                urgent=proposal.urgency, blocked_rule="" if item.refusal is None else str(item.refusal.rule),
                evidence=proposal.evidence, tunables=tuple(name for name, _, _ in settings),
            )  # fmt: skip
            if item.refusal is not None:
                self.told.append(f"{seen.step}: {proposal.policy} was blocked: {item.refusal.sentence}")
                self.closed.append(past)
                continue
            self.told.append(f"{seen.step}: {proposal.policy}: {proposal.reason}")
            self.made.append(Made(past, item, settings, self._order(proposal.changes, proposal.policy)))

    def _order(self, changes: Sequence[Any], by: str) -> list[int]:
        together = len(changes) > 1 and all(change.verb == "set" for change in changes)
        group, count = (f"{by}-{self._seq + 1}", len(changes)) if together else ("", 0)
        orders = []
        for change in changes:
            self._seq += 1
            if change.verb == "set":
                self.ordered[self._seq] = change.tunable
            orders.append(
                Order(
                    self._seq,
                    change.verb,
                    change.tunable,
                    change.value,
                    f"controller:{by}",
                    group=group,
                    group_of=count,
                )
            )
        self.run.receive(orders)
        return [order.seq for order in orders]

    # -- afterwards --------------------------------------------------------------------------------

    def decided_batch(self, began: int | None) -> int | None:
        """The effective batch that a training which began with `began` has by what was decided and not taken back."""
        if began is None:
            return None
        factor = Fraction(1)
        for made in self.made:
            if made.past.state in {"applied", "judged"}:
                for name, old, new in made.settings:
                    if self.run.tunables[name].spec.role in BATCH_ROLES:
                        factor *= Fraction(new, old)
        return int(began * factor)

    def forecasts(self) -> list[Forecast]:
        return [made.item.forecast for made in self.made if made.item.forecast is not None]
