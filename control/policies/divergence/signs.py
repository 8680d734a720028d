"""What is trouble, beside a loss that explodes: by the gradient, by the goal, by what a guard held back."""

import math

import numpy as np

from control.estimators.health import BLOCK, Kind, Limits, Trouble, find_trouble
from control.estimators.median import median
from control.estimators.spike import find_spike
from control.estimators.trend import robust_sigma
from control.proposals import Observation, PastDecision, TunableView, Window

from .checkpoints import failed_rescues, last_good


def gradient_trouble(
    gradient: Window, loss: Window, limits: Limits, after_step: int | None
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


def began_with(rate: TunableView | None, trouble: Trouble, stride: int) -> bool:
    """Whether the trouble began where the learning rate was changed."""
    changed = None if rate is None else rate.changed_step
    return changed is not None and abs(trouble.onset_step - changed) <= 2 * BLOCK * stride


def slow_spike(
    observation: Observation, metric: str, mine: list[PastDecision], spreads: float, after_step: int | None
) -> Trouble | None:
    """A spike that has had as long to heal as going back would cost, and has not.

    Whoever waits just so long and then pays, pays twice the best at the most, whatever comes (the ski rental's rule:
    Karlin et al. 1988, Algorithmica 3). An agent's loss says little.
    """
    if observation.goal.direction == "max":
        return None
    window = observation.windows[metric]
    spike = find_spike(window, after_step, spreads)
    if spike is None or began_with(observation.with_role("learning_rate"), spike, window.stride):
        return None
    checkpoint = last_good(
        observation.checkpoints, metric, spike, window.stride, failed_rescues(observation, mine)
    )
    if checkpoint is None:
        return None
    cost = max(2 * BLOCK * window.stride, spike.onset_step - checkpoint.step)
    return spike if spike.last_step - spike.onset_step >= cost else None


def often_told(observation: Observation, loss: Window) -> Window | None:
    """The goal, where it is to grow and is logged nearly as often as the loss: an agent's reward, an accuracy."""
    goal = observation.goal
    window = observation.windows.get(goal.metric) if goal.direction == "max" else None
    return None if window is None or window.stride > 10 * loss.stride else window


def suffers(reward: Window, trouble: Trouble) -> bool:
    """Whether the goal fell with a loss that rose; an agent's loss rises with what there is to lose.

    True where too little is seen to say, and of what is no number.
    """
    if trouble.kind is Kind.NON_FINITE:
        return True
    before = reward.until(trouble.onset_step).last(3 * BLOCK).values
    since = reward.after(trouble.onset_step).last(BLOCK).values
    if len(before) < BLOCK or len(since) < BLOCK // 2:
        return True
    fallen = float(np.nanmedian(before)) - float(np.nanmedian(since))
    return fallen > robust_sigma(np.diff(before)) / math.sqrt(2)


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
