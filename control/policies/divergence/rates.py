"""At which learning rate to go on after a roll back: as it was, as it was before a change, or lower."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control.estimators.health import BLOCK, Kind, Trouble
from control.proposals import ACTED_STATES, CheckpointView, Observation, PastDecision, TunableView
from control.proven import Proof, proof_at


@dataclass(frozen=True)
class Sizes:
    """What the rate may be set to, first choice first, None to leave it as it is; never empty.

    before: the rate from before the raise that began the trouble. proof: where the first choice is a return to what the
    run was well at.
    """

    values: list[float | None]
    before: float | None = None
    proof: Proof | None = None


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
    observation: Observation,
    rate: TunableView | None,
    trouble: Trouble,
    checkpoint: CheckpointView | None,
    stride: int,
    never_healthy: bool,
    proven: bool,
    parameters: Mapping[str, Any],
) -> Sizes:
    """What the policy would set the rate to."""
    if rate is None:
        return Sizes([None])
    factors = [float(parameters["factor"]), float(parameters["factor_when_never_healthy"])]
    if checkpoint is not None and is_caused_by_raise(rate, trouble, checkpoint, 2 * BLOCK * stride):
        return before_the_raise(observation, rate, checkpoint)
    smaller = [lowered(rate, factor) for factor in (reversed(factors) if never_healthy else factors)]
    wanted: list[float | None] = [None, *smaller] if proven else smaller
    return Sizes(list(dict.fromkeys(wanted)))


def is_caused_by_raise(rate: TunableView, trouble: Trouble, checkpoint: CheckpointView, slack: int) -> bool:
    """Whether a raise after the checkpoint began the trouble."""
    changed, before = rate.changed_step, rate.before
    if changed is None or not isinstance(before, int | float) or not 0 < before < float(rate.value):
        return False
    # A process that went back by itself since has left the step of the change behind: the rate came along.
    left_behind = changed > trouble.last_step
    return checkpoint.step < changed and (left_behind or abs(trouble.onset_step - changed) <= slack)


def before_the_raise(observation: Observation, rate: TunableView, checkpoint: CheckpointView) -> Sizes:
    """The rate from before the raise; where that is further than a decade, one that is proven, else a decade."""
    value, before = float(rate.value), float(rate.before)
    proof = proof_at(observation, rate.name, checkpoint)
    returns = proof is not None and 0 < proof.value < value
    # A second change on the way, of which nothing was measured, says nothing for the value between.
    judged = any(
        past.sets(rate.name) and past.new_value == before and past.verdict in {"better", "same", "unclear"}
        for past in observation.past
    )
    if proof is not None and returns and not (judged and before >= 0.1 * value):
        return Sizes([proof.value], before, proof)
    # A decade is the guards' largest step into what is not proven.
    return Sizes([rounded(max(before, 0.1 * value))], before)


def lowered(rate: TunableView, factor: float) -> float | None:
    """The rate times `factor`, not below its bound; None where it cannot go lower."""
    value = float(rate.value) * factor
    if rate.low is not None:
        value = max(value, rate.low)
    value = rounded(value)
    return value if 0 < value < float(rate.value) else None


def rounded(value: float) -> float:
    return float(f"{value:.4g}")
