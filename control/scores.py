"""How well the controller does: per policy over time, per experiment in all. Figures from decisions, none guessed.

A gain is the logarithm of measured against forecast, positive where the metric was better; its mean is over decisions
whose metric is compared by ratio. Steps saved: how much sooner than at its horizon a better change had the metric where
not acting was forecast to bring it; only what was measured counts, so it is a lower bound. Steps lost: those that ran
under a change that was judged worse or taken back. Steps gone back: those that roll backs threw away; they were made
again, and what the run had learned in them was given up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from django.db.models import Count

from training.models import Command, CommandState, Experiment
from training.models.command import Verb

from .beliefs import gain_of
from .describe import describe
from .models import Decision, DecisionMode, DecisionState, Verdict
from .verify import size_of

S = DecisionState
IN_FORCE = (S.SENT, S.APPLIED, S.JUDGED, S.UNDONE)
MOST_DAYS = 400


@dataclass
class Tallied:
    """Counts of verdicts with the mean gain of those that have a figure."""

    better: int = 0
    same: int = 0
    worse: int = 0
    unclear: int = 0
    mean_gain: float | None = None
    gains: int = 0

    def add(self, verdict: str, gain: float | None) -> None:
        setattr(self, verdict, getattr(self, verdict) + 1)
        if gain is not None:
            self.gains += 1
            before = self.mean_gain or 0.0
            self.mean_gain = before + (gain - before) / self.gains


@dataclass
class Forecasts:
    """How often forecasts of not acting held, where nothing was done. Shares are None where none was compared."""

    compared: int = 0
    held80: int = 0
    held90: int = 0

    def add(self, held80: bool | None, held90: bool | None) -> None:
        if held80 is not None:
            self.compared += 1
            self.held80 += held80
            self.held90 += bool(held90)

    def as_json(self) -> dict[str, Any]:
        shares = {
            name: getattr(self, count) / self.compared if self.compared else None
            for name, count in (("share80", "held80"), ("share90", "held90"))
        }
        return asdict(self) | shares


@dataclass
class Score:
    """One policy's record."""

    policy: str
    decisions: int = 0
    acted: int = 0
    blocked: int = 0
    shadow: int = 0
    taken_back: int = 0
    verdicts: Tallied = field(default_factory=Tallied)
    forecasts: Forecasts = field(default_factory=Forecasts)
    days: dict[date, Tallied] = field(default_factory=dict)

    def add(self, row: Decision) -> None:
        self.decisions += 1
        self.acted += row.state in IN_FORCE
        self.blocked += row.state == S.BLOCKED
        self.shadow += row.mode == DecisionMode.SHADOW
        self.taken_back += row.state == S.UNDONE
        self.forecasts.add(row.held80, row.held90)
        if row.verdict and row.judged_at is not None:
            gain = gain_of(row)
            self.verdicts.add(row.verdict, gain)
            self.days.setdefault(row.judged_at.date(), Tallied()).add(row.verdict, gain)

    def as_json(self) -> dict[str, Any]:
        days = sorted(self.days.items())[-MOST_DAYS:]
        plain = {
            name: getattr(self, name)
            for name in ("policy", "decisions", "acted", "blocked", "shadow", "taken_back")
        }
        return plain | {
            "verdicts": asdict(self.verdicts),
            "forecasts": self.forecasts.as_json(),
            "days": [{"day": day.isoformat()} | asdict(tally) for day, tally in days],
        }


# No more of a decision than the scores need: forecasts and evidence are large.
FIELDS = (
    "policy", "state", "mode", "verdict", "judged_at", "measured", "held80", "held90", "forecast", "urgent", "trial",
    "applied_step", "decided_step", "judge_after_steps", "run", "verb",
)  # fmt: skip


def scores(decisions: Any) -> list[Score]:
    """Each policy's record over these decisions (a queryset), by name."""
    found: dict[str, Score] = {}
    for row in decisions.only(*FIELDS).order_by("id").iterator(chunk_size=2000):
        found.setdefault(row.policy, Score(row.policy)).add(row)
    return [found[name] for name in sorted(found)]


def summary(experiment: Experiment) -> dict[str, Any]:
    """What the controller did for an experiment."""
    mine = Decision.objects.filter(run__experiment=experiment)
    rows = list(mine.only(*FIELDS).order_by("id"))
    acted = [row for row in rows if row.state in IN_FORCE]
    best = max(
        (row for row in acted if row.verdict == Verdict.BETTER and row.state == S.JUDGED),
        key=lambda row: gain_of(row) or 0.0,
        default=None,
    )
    rescues = [row for row in acted if row.urgent]
    restarts = [row for row in acted if not row.urgent and row.verb == "rollback"]
    trials = [row for row in acted if row.trial]
    saved = [row for row in acted if row.state == S.JUDGED and row.measured.get("saved_steps")]
    totals, forecasts = Tallied(), Forecasts()
    for row in rows:
        forecasts.add(row.held80, row.held90)
        if row.verdict:
            totals.add(row.verdict, gain_of(row))
    told = {
        "runs": len({row.run_id for row in rows}),
        "decisions": dict(mine.order_by().values_list("state").annotate(Count("id"))),
        "shadow": sum(row.mode == DecisionMode.SHADOW for row in rows),
        "changes": len(acted),
        "verdicts": asdict(totals),
        "rescues": {"made": len(rescues), "better": count(rescues, verdict=Verdict.BETTER)},
        "restarts": {"made": len(restarts), "better": count(restarts, verdict=Verdict.BETTER)},
        "trials": {
            "made": len(trials),
            "kept": sum(row.state == S.JUDGED and row.verdict == Verdict.BETTER for row in trials),
            "taken_back": count(trials, state=S.UNDONE),
            "open": sum(row.state in (S.SENT, S.APPLIED) for row in trials),
        },
        "taken_back": count(acted, state=S.UNDONE),
        "saved_steps": sum(int(row.measured["saved_steps"]) for row in saved) if saved else None,
        "saved_seconds": sum(float(row.measured.get("saved_seconds") or 0) for row in saved)
        if saved
        else None,
        "lost_steps": sum(
            steps_under(row) for row in acted if row.verdict == Verdict.WORSE or row.state == S.UNDONE
        ),
        "steps_back": steps_back(experiment),
        "forecasts": forecasts.as_json(),
        "best": None if best is None else in_full(best.pk),
    }
    return {"experiment": experiment.pk} | told | {"sentence": sentence(told, best)}


def count(rows: Iterable[Decision], **wanted: Any) -> int:
    return sum(all(getattr(row, name) == value for name, value in wanted.items()) for row in rows)


def steps_under(row: Decision) -> int:
    """How many steps ran from a change's coming into force to its verdict, as far as the verdict tells."""
    window = row.measured.get("window")
    if not window or row.applied_step is None:
        return 0
    return max(0, min(int(window[1]) - row.applied_step, row.judge_after_steps))


def steps_back(experiment: Experiment) -> int:
    """How many steps the controller's roll backs threw away, those by which it took a change back among them."""
    applied = Command.objects.filter(
        run__experiment=experiment,
        verb=Verb.ROLLBACK,
        state=CommandState.APPLIED,
        asked_by__startswith="controller:",
    )
    return sum(
        max(0, step - int(value["step"]))
        for step, value in applied.values_list("applied_step", "value")
        if step is not None and isinstance(value, dict)
    )


def in_full(pk: int) -> dict[str, Any]:
    return describe(
        Decision.objects.select_related("run", "command", "undo_command", "decided_by").get(pk=pk)
    )


def sentence(told: Mapping[str, Any], best: Decision | None) -> str:
    """The summary in words. Says no more than the figures do."""
    if not told["changes"]:
        return "The controller has changed nothing here so far."
    rescues, restarts, trials = told["rescues"], told["restarts"], told["trials"]
    parts = []
    if rescues["made"]:
        parts.append(f"{counted(rescues['made'], 'rescue')}, {rescues['better']} of them judged better")
    if trials["made"]:
        parts.append(
            f"{counted(trials['made'], 'trial')}: {trials['kept']} kept, {trials['taken_back']} taken back"
        )
    if restarts["made"]:
        parts.append(
            f"{counted(restarts['made'], 'fresh start')} from a checkpoint, {restarts['better']} of them judged better"
        )
    others = told["changes"] - rescues["made"] - restarts["made"] - trials["made"]
    if others > 0:
        parts.append(counted(others, "further change"))
    words = f"In {counted(told['runs'], 'run')}: {'; '.join(parts)}."
    difference = None if best is None else best.measured.get("difference")
    if best is not None and isinstance(difference, int | float) and best.forecast.get("log"):
        metric = best.forecast.get("metric") or "its metric"
        size = size_of(difference, True)
        words += f" The best of them brought {metric} to {size} what not acting was forecast to bring."
    if told["saved_steps"]:
        words += f" At least {counted(told['saved_steps'], 'step')} saved; {told['lost_steps']:,} ran under changes "
        words += "that were worse or taken back."
    if told["steps_back"]:
        words += f" Roll backs threw away {counted(told['steps_back'], 'step')}."
    return words


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
