"""What takes a decision back: the settings as they were, and the checkpoint from before where the loss is in ruins.

Pure. Asked after each verdict; the verdict itself is verify.py's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.values import BATCH_ROLES

from .batch_back import batch_back
from .proposals import Change, CheckpointView, TunableView
from .verify import Judgement


@dataclass(frozen=True)
class Setting:
    """A tunable that a decision set: as it stands now (None: no longer declared), and its values before and after."""

    tunable: TunableView | None
    old_value: Any
    new_value: Any

    @property
    def stands(self) -> bool:
        """Whether it is what the decision made it."""
        return self.tunable is not None and self.tunable.value == self.new_value

    @property
    def name(self) -> str:
        return "" if self.tunable is None else self.tunable.name


@dataclass(frozen=True)
class Undo:
    """What takes a decision back, and why in a sentence. No changes: nothing is to be undone."""

    changes: tuple[Change, ...]
    reason: str


def undo(
    judgement: Judgement,
    *,
    trial: bool,
    verb: str,
    settings: Sequence[Setting],
    tunables: Mapping[str, TunableView],
    broken: bool,
    checkpoints: Sequence[CheckpointView],
    before_step: int,
) -> Undo | None:
    """What to take back after a verdict; None when the change stays.

    Worse is undone, and a trial that is not better. A rescue is never undone: what it left was broken.
    A setting that somebody changed since is left as it is. What makes the batch goes back together, with the rate, or
    not at all: tunables, of the run as they stand, tell whether memory ran out since. broken: the loss is in ruins, so
    settings alone do not help: roll back to the newest of `checkpoints` saved before `before_step`.
    """
    # What the run was before a roll back, an adoption or a stop is gone.
    if verb in {"rollback", "adopt", "stop"}:
        return None
    if judgement.verdict != "worse" and not (trial and judgement.verdict != "better"):
        return None
    if verb in {"prune", "compile"}:
        return undo_algorithm(judgement, verb, checkpoints, before_step)
    back = settings_back(settings, tunables)
    if not back:
        return None
    changes: list[Change] = []
    also = ""
    if broken:
        earlier = [c for c in checkpoints if c.step <= before_step]
        if earlier:
            best = max(earlier, key=lambda c: (c.step, c.id))
            changes.append(
                Change("rollback", value={"checkpoint": best.id, "step": best.step, "path": best.path})
            )
            also = f", and the run goes back to step {best.step}"
    word = "worse" if judgement.verdict == "worse" else "not better"
    told = " and ".join(f"{change.tunable} goes back to {change.value}" for change in back)
    return Undo((*changes, *back), f"The change was {word}; {told}{also}.")


def settings_back(settings: Sequence[Setting], tunables: Mapping[str, TunableView]) -> list[Change]:
    """What sets them back, the last one first."""
    batch = [each for each in settings if each.tunable is not None and each.tunable.role in BATCH_ROLES]
    others = [each for each in settings if each not in batch and each.stands]
    back = [Change("set", each.name, each.old_value) for each in reversed(others)]
    if not batch:
        return back
    size = batch_back(batch, tunables)
    # The rate was moved for the batch: it stays where the batch stays.
    return [] if size is None else [*back, *size]


def undo_algorithm(
    judgement: Judgement, verb: str, checkpoints: Sequence[CheckpointView], before_step: int
) -> Undo | None:
    """Compiling is switched off; a pruning is gone with the state that it began in. None without a checkpoint of it."""
    word = "worse" if judgement.verdict == "worse" else "not better"
    if verb == "compile":
        change = Change("compile", value={"on": False})
        return Undo((change,), f"Compiled it was {word}; the model goes back to eager.")
    earlier = [each for each in checkpoints if each.step <= before_step]
    if not earlier:
        return None
    best = max(earlier, key=lambda each: (each.step, each.id))
    back = Change("rollback", value={"checkpoint": best.id, "step": best.step, "path": best.path})
    return Undo(
        (back,), f"Pruned it was {word}; the run goes back to step {best.step}, from before the pruning."
    )
