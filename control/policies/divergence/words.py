"""A rescue in words."""

import math

from control.estimators.health import Kind, Trouble
from control.proposals import CheckpointView, TunableView
from control.proven import Proof


def sentence(
    cause: str,
    trouble: Trouble,
    checkpoint: CheckpointView | None,
    rate: TunableView | None,
    lower: float | None,
    proof: Proof | None = None,
    proven: bool = False,
    before: float | None = None,
) -> str:
    """before: the healthy rate from before a change, where that is what is gone back to."""
    if trouble.kind is Kind.NON_FINITE:
        what = f"{cause} is no longer a number since step {trouble.onset_step}"
    elif trouble.kind is Kind.RUINED_START:
        what = (
            f"{cause} shot up at step {trouble.onset_step} and has not come below its start since: "
            f"{trouble.level:.4g} against {trouble.healthy_level:.4g}"
        )
    elif trouble.kind is Kind.COLLAPSE:
        what = (
            f"{cause} fell from {trouble.healthy_level:.4g} to {trouble.level:.4g} since step "
            f"{trouble.onset_step} and does not come back"
        )
    elif trouble.kind is Kind.SPIKE:
        what = (
            f"{cause} was thrown from {trouble.healthy_level:.4g} up at step {trouble.onset_step} and is at "
            f"{trouble.level:.4g} after as long as going back costs"
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
    elif lower is None and proven:
        slower = f"go on at {rate.name} {rate.value:.4g}, at which it had been well for long"
    elif lower is None:
        slower = f"{rate.name} stays at {rate.value:.4g}, its lowest value"
    elif proof is not None:
        slower = (
            f"go back with {rate.name} from {rate.value:.4g} to {lower:.4g}, at which it had been well for "
            f"{proof.steps} steps there"
        )
    else:
        slower = f"lower {rate.name} from {rate.value:.4g} to {lower:.4g}"
        if before is not None:
            slower += f", {where_from(rate, before, lower)}"
    return f"{what}; {back}, and {slower}."


def where_from(rate: TunableView, before: float, lower: float) -> str:
    """Why just this rate, where the one from before a change is gone back to."""
    if math.isclose(before, lower, rel_tol=1e-3):
        return f"what it was before it was changed at step {rate.changed_step}"
    way = f"a tenth is the most at once on the way to the {before:.4g} that it was before it was changed"
    return f"{way} at step {rate.changed_step}"
