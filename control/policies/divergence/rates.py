"""At which learning rate to go on after a roll back: as it was, as it was before a change, or lower."""

from collections.abc import Mapping
from typing import Any

from control.estimators.health import BLOCK, Kind, Trouble
from control.proposals import ACTED_STATES, CheckpointView, Observation, PastDecision, TunableView


def is_proven(
    observation: Observation,
    mine: list[PastDecision],
    rate: TunableView | None,
    trouble: Trouble,
    enough_steps: int,
) -> bool:
    """Whether the run had been well at this rate for so long that something else broke it.

    Three times as long where the rate was changed on the way, or the run was rescued before: what comes again is no
    accident.
    """
    if trouble.kind is Kind.RUINED_START or trouble.onset_step < enough_steps:
        return False
    suspects = [past.at_step for past in mine if past.state in ACTED_STATES]
    if rate is not None and rate.changed_step is not None:
        suspects.append(rate.changed_step)
    return all(trouble.onset_step - step >= 3 * enough_steps for step in suspects)


def rates_to_go_on_at(
    rate: TunableView | None,
    trouble: Trouble,
    checkpoint: CheckpointView | None,
    stride: int,
    never_healthy: bool,
    proven: bool,
    parameters: Mapping[str, Any],
) -> list[float | None]:
    """What the policy would set the rate to, first choice first; None leaves it as it is. Never empty."""
    if rate is None:
        return [None]
    factors = [float(parameters["factor"]), float(parameters["factor_when_never_healthy"])]
    before = healthy_before(rate, trouble, checkpoint, stride)
    if before is not None:
        # At most a decade down at once: the guards' largest step.
        return [float(f"{max(before, 0.1 * float(rate.value)):.4g}")]
    smaller = [lowered(rate, factor) for factor in (reversed(factors) if never_healthy else factors)]
    wanted: list[float | None] = [None, *smaller] if proven else smaller
    return list(dict.fromkeys(wanted))


def healthy_before(
    rate: TunableView, trouble: Trouble, checkpoint: CheckpointView | None, stride: int
) -> float | None:
    """The rate from before the change that began the trouble, where the run was healthy under it; None without one.

    That needs a checkpoint from before the change.
    """
    value, before = float(rate.value), rate.before
    if checkpoint is None or rate.changed_step is None or not isinstance(before, int | float):
        return None
    soon = abs(trouble.onset_step - rate.changed_step) <= 2 * BLOCK * stride
    if not (soon and checkpoint.step < rate.changed_step) or not 0 < before < value:
        return None
    return float(before)


def lowered(rate: TunableView, factor: float) -> float | None:
    """The rate times `factor`, not below its bound; None where it cannot go lower."""
    value = float(rate.value) * factor
    if rate.low is not None:
        value = max(value, rate.low)
    return float(f"{value:.4g}") if 0 < value < float(rate.value) else None
