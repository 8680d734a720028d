"""Did other devices help? A rescaled job is judged by what it makes of them, and goes back where it was worse.

Compared are useful samples a second of the attempt before with those of the attempt after, each as its median over a
stretch of steady training. A job that was to gain is judged against what it had; one that gave devices up for others,
against what was expected of it: that it is slower than before is no news.
"""

from dataclasses import dataclass
from datetime import datetime

from training.models import Attempt, Run
from training.states import ENDED, LIVE

from . import actions
from .measuring import Stretch, stretch, worth
from .models import ControllerSettings, Decision, DecisionState, Mode, Verdict
from .proposals import Change
from .verify import Judgement

METRIC = "_samples_per_second"
# Less than this is the scatter of one job's pace from hour to hour.
MARGIN = 0.05
S = DecisionState


@dataclass(frozen=True)
class Pace:
    """Useful samples a second before and after, and what share was to be gained (0.9 for 90 % more)."""

    before: float
    after: float
    expected: float
    expected_low: float

    @property
    def ratio(self) -> float:
        return self.after / self.before

    @property
    def verdict(self) -> str:
        if self.expected < 0:
            return Verdict.WORSE if self.ratio < 1 + self.expected_low - MARGIN else Verdict.SAME
        if self.ratio > 1 + MARGIN:
            return Verdict.BETTER
        return Verdict.WORSE if self.ratio < 1 - MARGIN else Verdict.SAME

    @property
    def sentence(self) -> str:
        told = (
            f"{self.before:.3g} useful samples a second before, {self.after:.3g} after: {self.ratio - 1:+.0%}"
        )
        return f"{told}, where {self.expected:+.0%} was expected."


def judge(decision: Decision, settings: ControllerSettings | None, judge_after: float, now: datetime) -> bool:
    """APPLIED -> JUDGED or UNDONE, once the job has trained on its new devices for long enough. True when it was."""
    run = decision.run
    job = run.job
    before = int(decision.evidence.get("attempt") or 0)
    newer = list(job.attempts.filter(number__gt=before).order_by("number"))
    if run.state in ENDED and not newer:
        return close(decision, "the run ended before it had other devices", now)
    if not newer:
        return False
    after = newer[-1]
    if len(newer) > 1:
        # Something else came between: a failure, or another change of devices. It is judged by the first of them.
        after = newer[0]
    lost = began_anew(run, after)
    if lost is not None:
        back, why = taking_back(decision, Verdict.WORSE, after)
        return settle(decision, Judgement(Verdict.WORSE, lost, metric=METRIC), back, why, settings, now)
    found = measured_after(run, after, judge_after, now)
    if found is None:
        if after.ended_at is not None or run.state not in LIVE | {"queued"}:
            return close(decision, "its attempt ended before enough of it could be measured", now)
        return False
    old = stretch(run.source, attempt_of(job, before), judge_after)
    if old is None:
        return close(decision, "too little was measured before it", now)
    noise = decision.evidence.get("noise_scale")
    effect = decision.expected.get("effect")
    low = decision.expected.get("low")
    pace = Pace(
        old.rate, found.rate * worth(noise, old.batch, found.batch),
        effect if isinstance(effect, float) else 0.0, low if isinstance(low, float) else 0.0,
    )  # fmt: skip
    told = Judgement(
        pace.verdict, pace.sentence, measured=pace.after, forecast=pace.before, difference=pace.ratio - 1,
        metric=METRIC,
    )  # fmt: skip
    back, why = taking_back(decision, pace.verdict, after)
    return settle(decision, told, back, why, settings, now)


def settle(
    decision: Decision, told: Judgement, back: list[Change], why: str, settings: ControllerSettings | None,
    now: datetime,
) -> bool:  # fmt: skip
    """Write the verdict down, and take the change back where the mode lets the controller do that."""
    if back and (settings is None or settings.mode != Mode.ACT or decision.run.state in ENDED):
        back, why = [], f"{why} That is a person's to do."
    return actions.settle(decision, told, back, why, now, last_seq(decision.run))


def began_anew(run: Run, after: Attempt) -> str | None:
    """What is to be said where the job has lost what it had trained: its new node has none of its checkpoints."""
    if after.started_at is None or after.resumed_from_id is not None:
        return None
    saved = run.checkpoints.filter(created_at__lt=after.created_at).order_by("-id").first()
    if saved is None:
        return None
    return (
        f"It began anew on {after.node.name}: the checkpoint of step {saved.step} that it saved is not there. Nodes "
        "that jobs are moved between need one folder of checkpoints."
    )


def measured_after(run: Run, attempt: Attempt, seconds: float, now: datetime) -> Stretch | None:
    """What the new attempt makes of its devices; None while it has not trained for so long."""
    if attempt.started_at is None:
        return None
    end = attempt.ended_at or now
    if (end - attempt.started_at).total_seconds() < seconds:
        return None
    return stretch(run.source, attempt, seconds)


def attempt_of(job, number: int) -> Attempt:
    return job.attempts.get(number=number)


def was_a_move(decision: Decision) -> bool:
    """Whether it sent the job to another node."""
    return bool((decision.changes[0].get("value") or {}).get("elsewhere"))


def taking_back(decision: Decision, verdict: str, after: Attempt) -> tuple[list[Change], str]:
    if verdict != Verdict.WORSE:
        return [], ""
    had, has = (decision.old_value or {}).get("devices"), after.devices.count()
    moved = was_a_move(decision)
    if not isinstance(had, int) or (had == has and not moved):
        return [], ""
    value = {"devices": had, "elsewhere": moved}
    if had == has:
        return [
            Change("rescale", value=value)
        ], f"It was worse on {after.node.name}: moved to another node again."
    where = " on another node" if moved else ""
    return [Change("rescale", value=value)], f"It was worse on {has} devices: back to {had}{where}."


def close(decision: Decision, why: str, now: datetime) -> bool:
    measured = {"sentence": f"Not judged: {why}."}
    return actions.move(
        decision, S.APPLIED, S.JUDGED, verdict=Verdict.UNCLEAR, judged_at=now, measured=measured
    )


def last_seq(run: Run) -> int:
    return run.commands.order_by("-seq").values_list("seq", flat=True).first() or 0
