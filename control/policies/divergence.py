"""Divergence: when the loss is broken for good, go back to before it broke and train on more slowly.

Sees: the training loss, the gradient norm where it is logged, checkpoints, the learning rate.
Does: rolls back to the last sane checkpoint from before the trouble and lowers the learning rate; only
lowers it where there is no such checkpoint. Leaves alone what heals by itself.

Source: restarting from an earlier checkpoint with a lower learning rate is what the OPT-175B team did
by hand (Zhang et al. 2022, arXiv 2205.01068, section 2.5); a checkpoint some way before the spike, as
PaLM chose it (Chowdhery et al. 2022, arXiv 2204.02311, section 5.1); by how much is backtracking,
a geometric cut that is repeated until the step holds (Armijo 1966, Pacific J. Math. 16(1)): about half
a decade where the run had been healthy at this rate, a decade where it never was. Where a raised rate began
it, the rate from before that.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from control.estimators.health import BLOCK, Kind, Limits, Trouble, find_trouble
from control.estimators.median import median
from control.proposals import (
    ACTED_STATES,
    Change,
    CheckpointView,
    Expected,
    Observation,
    PastDecision,
    Proposal,
    TunableView,
    Window,
)


class Divergence:
    name = "divergence"
    summary = "Rolls back and lowers the learning rate when the loss or gradient explodes or is NaN."
    defaults: Mapping[str, Any] = {
        "enabled": True,
        "metric": "",
        "gradient_metric": "grad_norm",
        "ratio": 1.5,
        "spreads": 6.0,
        "factor": 0.3,
        "factor_when_never_healthy": 0.1,
        "horizon_steps": 100,
    }

    def propose(self, observation: Observation) -> list[Proposal]:
        parameters = observation.parameters
        metric = observation.loss_metric(str(parameters["metric"]))
        if not metric:
            return []
        window = observation.windows[metric]
        mine = [past for past in observation.past if past.policy == self.name]
        # What was rescued is looked at afresh: only points after the last change may show new trouble.
        handled = [
            p.at_step for p in observation.past if p.state in ACTED_STATES and observation.on_this_branch(p)
        ]
        after_step = max(handled, default=None)
        limits = Limits(ratio=float(parameters["ratio"]), spreads=float(parameters["spreads"]))
        trouble = find_trouble(window, limits, after_step)
        cause = metric
        if trouble is None:
            gradient = observation.windows.get(str(parameters["gradient_metric"]))
            # An agent's gradients jump from one game to the next, and what its loss does says little.
            gradient = None if observation.goal.direction == "max" else gradient
            trouble = (
                None if gradient is None else self._gradient_trouble(gradient, window, limits, after_step)
            )
            cause = str(parameters["gradient_metric"])
        if trouble is None:
            trouble, cause = remembered(observation, mine, window), metric
        if trouble is None or any(past.is_open for past in mine):
            return []
        proposal = self._rescue(observation, metric, cause, trouble, mine)
        return [] if proposal is None else [proposal]

    def _gradient_trouble(
        self, gradient: Window, loss: Window, limits: Limits, after_step: int | None
    ) -> Trouble | None:
        """An exploded gradient norm, if the loss suffers too: a large one alone may be a steep place."""
        trouble = find_trouble(gradient, Limits(ratio=10.0, spreads=limits.spreads), after_step)
        if trouble is None or trouble.kind is Kind.NON_FINITE:
            return trouble
        before = loss.until(trouble.onset_step - 1).last(5 * BLOCK).values
        since = loss.after(trouble.onset_step - 1).last(2 * BLOCK).values
        if len(before) < BLOCK or len(since) < BLOCK:
            return None
        rise = float(np.nanmedian(since)) - float(np.nanmedian(before))
        spread = float(np.nanmedian(np.abs(before - np.nanmedian(before))))
        return trouble if rise > 3 * 1.4826 * spread else None

    def _rescue(
        self, observation: Observation, metric: str, cause: str, trouble: Trouble, mine: list[PastDecision]
    ) -> Proposal | None:
        parameters = observation.parameters
        stride = observation.windows[metric].stride
        checkpoint = last_good(
            observation.checkpoints, metric, trouble, stride, failed_rescues(observation, mine)
        )
        rate = observation.with_role("learning_rate")
        changes: list[Change] = []
        if checkpoint is not None:
            target = {"checkpoint": checkpoint.id, "step": checkpoint.step, "path": checkpoint.path}
            changes.append(Change("rollback", value=target))
        never_healthy = trouble.kind is Kind.RUINED_START or trouble.onset_step <= 2 * BLOCK * stride
        factor = float(parameters["factor_when_never_healthy" if never_healthy else "factor"])
        lower = None
        if rate is not None:
            lower = healthy_before(rate, trouble, checkpoint, 2 * BLOCK * stride) or lowered(rate, factor)
        if rate is not None and lower is not None:
            changes.append(Change("set", rate.name, lower))
        tried = [p for p in mine if p.state in ACTED_STATES and p.verdict != "better" and p.verb == "set"]
        # Without a checkpoint the weights stay as they are: NaN stays NaN, and a dead network does not care
        # about the rate. One cut, or two, will have shown it.
        hopeless = checkpoint is None and len(tried) >= (1 if trouble.kind is Kind.NON_FINITE else 2)
        if not changes or hopeless:
            return None
        # A run that never was healthy shows soon whether it is now, and has no time to lose.
        horizon = int(parameters["horizon_steps"]) // (4 if never_healthy else 1)
        gain = -0.9 if trouble.ratio is None or trouble.ratio <= 0 else min(-0.05, 1 / trouble.ratio - 1)
        return Proposal(
            policy=self.name,
            changes=tuple(changes),
            reason=sentence(cause, trouble, checkpoint, rate, lower),
            evidence={
                "window": [trouble.onset_step, trouble.last_step],
                "kind": str(trouble.kind),
                "cause": cause,
                "onset_step": trouble.onset_step,
                "healthy_level": trouble.healthy_level,
                "level": trouble.level,
                "threshold": trouble.threshold,
                "checkpoint_step": None if checkpoint is None else checkpoint.step,
            },
            expected=Expected(effect=gain, low=max(-1.0, 1.5 * gain), high=0.5 * gain),
            metric=metric,
            judge_after_steps=max(1, horizon) * stride,
            urgency=True,
            broken=True,
        )


def remembered(observation: Observation, mine: list[PastDecision], window: Window) -> Trouble | None:
    """The trouble of a rescue that a guard held back, if the loss has not been below its threshold since.

    While a person's hand protects a setting, the healthy past runs out of the window: what was a jump then
    looks like a plateau.
    """
    newest = max((p for p in mine if observation.on_this_branch(p)), key=lambda p: p.id, default=None)
    if newest is None or newest.state != "blocked":
        return None
    known = newest.evidence
    figures = [known.get(name) for name in ("onset_step", "healthy_level", "threshold")]
    if known.get("kind") == Kind.NON_FINITE or not all(isinstance(each, int | float) for each in figures):
        return None
    onset, healthy, threshold = (float(each) for each in figures if each is not None)
    since = window.after(newest.decided_step - BLOCK)
    blocks = len(since) // BLOCK
    if blocks < 2:
        return None
    levels = np.nanmedian(since.last(blocks * BLOCK).values.reshape(blocks, BLOCK), axis=1)
    if not bool((levels > threshold).all()):
        return None
    level = median(levels[-2:])
    return Trouble(Kind(known["kind"]), int(onset), int(window.steps[-1]), healthy, level, threshold)


def failed_rescues(observation: Observation, mine: list[PastDecision]) -> list[int]:
    """Checkpoint steps of roll backs that did not help, although tried: going there again will not either."""
    return [
        past.at_step
        for past in mine
        if past.verb == "rollback" and past.state in {"judged", "undone"} and past.verdict != "better"
    ]


def last_good(
    checkpoints: tuple[CheckpointView, ...], metric: str, trouble: Trouble, stride: int, failed: list[int]
) -> CheckpointView | None:
    """The newest checkpoint from well before the trouble with sane metrics, older than failed attempts.

    A checkpoint less than one block before the onset is taken only where none is older.
    """
    sane = [c for c in checkpoints if c.step < trouble.onset_step and is_sane(c, metric, trouble.threshold)]
    clear = [c for c in sane if c.step <= trouble.onset_step - BLOCK * stride]
    untried = [c for c in clear if not failed or c.step < min(failed)]
    if untried or clear:
        return max(untried or clear, key=lambda c: (c.step, c.id))
    return min(sane, key=lambda c: (c.step, -c.id), default=None)


def is_sane(checkpoint: CheckpointView, metric: str, threshold: float | None) -> bool:
    """Whether no metric saved with the checkpoint is non-finite, and the loss is below the threshold."""
    for key, value in checkpoint.metrics.items():
        if isinstance(value, str) and value in {"NaN", "Infinity", "-Infinity"}:
            return False
        if isinstance(value, int | float) and not isinstance(value, bool):
            if not math.isfinite(value):
                return False
            # 3: one batch's loss scatters about the level that the threshold is for.
            if key == metric and threshold is not None and threshold > 0 and value > 3 * threshold:
                return False
    return True


def healthy_before(
    rate: TunableView, trouble: Trouble, checkpoint: CheckpointView | None, slack: int
) -> float | None:
    """The rate from before the change that began the trouble, where the run was healthy under it.

    That needs a checkpoint from before the change. At most a decade down at once: the guards' largest step.
    """
    value, before = float(rate.value), rate.before
    if checkpoint is None or rate.changed_step is None or not isinstance(before, int | float):
        return None
    caused = checkpoint.step < rate.changed_step and abs(trouble.onset_step - rate.changed_step) <= slack
    if not caused or not 0 < before < value:
        return None
    return float(f"{max(float(before), 0.1 * value):.4g}")


def lowered(rate: TunableView, factor: float) -> float | None:
    """The rate times `factor`, not below its bound; None where it cannot go lower."""
    value = float(rate.value) * factor
    if rate.low is not None:
        value = max(value, rate.low)
    return float(f"{value:.4g}") if 0 < value < float(rate.value) else None


def sentence(
    cause: str,
    trouble: Trouble,
    checkpoint: CheckpointView | None,
    rate: TunableView | None,
    lower: float | None,
) -> str:
    if trouble.kind is Kind.NON_FINITE:
        what = f"{cause} is no longer a number since step {trouble.onset_step}"
    elif trouble.kind is Kind.RUINED_START:
        what = (
            f"{cause} shot up at step {trouble.onset_step} and has not come below its start since: "
            f"{trouble.level:.4g} against {trouble.healthy_level:.4g}"
        )
    else:
        what = (
            f"{cause} rose from {trouble.healthy_level:.4g} to {trouble.level:.4g} since step "
            f"{trouble.onset_step} and does not come back"
        )
    back = (
        f"roll back to the checkpoint of step {checkpoint.step}"
        if checkpoint is not None
        else "there is no checkpoint from before it"
    )
    if rate is None:
        slower = "no tunable has the role learning_rate"
    elif lower is None:
        slower = f"{rate.name} stays at {rate.value:.4g}, its lowest value"
    else:
        slower = f"lower {rate.name} from {rate.value:.4g} to {lower:.4g}"
    return f"{what}; {back}, and {slower}."
