"""Which checkpoint to go back to: the newest sane one from well before the trouble."""

import math

from control.estimators.health import BLOCK, Trouble
from control.proposals import CheckpointView, Observation, PastDecision


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
