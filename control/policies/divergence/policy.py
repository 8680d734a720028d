"""The policy itself: is the run in trouble, and what brings it back?"""

from collections.abc import Mapping
from typing import Any

from control.estimators.health import BLOCK, Kind, Limits, Trouble, find_collapse, find_trouble
from control.proposals import ACTED_STATES, Alternative, Change, Expected, Observation, PastDecision, Proposal

from .checkpoints import failed_rescues, last_good
from .rates import is_proven, rates_to_go_on_at
from .signs import began_with, gradient_trouble, often_told, remembered, slow_spike, suffers
from .words import sentence


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
        "proven_points": 100,
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
        rate = observation.with_role("learning_rate")
        if trouble is not None and trouble.kind is Kind.JUMP and began_with(rate, trouble, window.stride):
            trouble = None  # a higher rate's noise; whether it pays is for its trial to show
        reward = often_told(observation, window)
        if trouble is not None and reward is not None and not suffers(reward, trouble):
            trouble = None
        if trouble is None:
            gradient = observation.windows.get(str(parameters["gradient_metric"]))
            # An agent's gradients jump from one game to the next, and what its loss does says little.
            gradient = None if observation.goal.direction == "max" else gradient
            trouble = None if gradient is None else gradient_trouble(gradient, window, limits, after_step)
            cause = str(parameters["gradient_metric"])
        if trouble is None and reward is not None:
            trouble, cause = find_collapse(reward, limits.spreads, after_step), observation.goal.metric
        if trouble is None:
            trouble, cause = slow_spike(observation, metric, mine, limits.spreads, after_step), metric
        if trouble is None:
            trouble, cause = remembered(observation, mine, window), metric
        if trouble is None or any(past.is_open for past in mine):
            return []
        # What an agent's loss does says little: its rescue is judged by what collapsed.
        shown = cause if trouble.kind is Kind.COLLAPSE else metric
        proposal = self._rescue(observation, shown, cause, trouble, mine)
        return [] if proposal is None else [proposal]

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
        loss = observation.windows[observation.loss_metric(str(parameters["metric"]))]
        enough = int(parameters["proven_points"]) * loss.stride
        proven = checkpoint is not None and is_proven(observation, mine, rate, trouble, enough)
        sizes = rates_to_go_on_at(
            observation, rate, trouble, checkpoint, stride, never_healthy, proven, parameters
        )
        lower, proof, before = sizes.values[0], sizes.proof, sizes.before
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
        expected = hoped_for(trouble)

        def size(value: float | None) -> Alternative:
            slower = () if rate is None or value is None else (Change("set", rate.name, value),)
            told = sentence(cause, trouble, checkpoint, rate, value, None, proven)
            return Alternative((*changes[:1], *slower), told, expected, max(1, horizon) * stride)

        return Proposal(
            policy=self.name,
            changes=tuple(changes),
            reason=sentence(cause, trouble, checkpoint, rate, lower, proof, proven, before),
            evidence={
                "window": [trouble.onset_step, trouble.last_step],
                "kind": str(trouble.kind),
                "cause": cause,
                "onset_step": trouble.onset_step,
                "healthy_level": trouble.healthy_level,
                "level": trouble.level,
                "threshold": trouble.threshold,
                "checkpoint_step": None if checkpoint is None else checkpoint.step,
                "changed_step": None if before is None or rate is None else rate.changed_step,
                "value_before": before,
            }
            | ({} if proof is None else {"proven": proof.evidence}),
            expected=expected,
            metric=metric,
            judge_after_steps=max(1, horizon) * stride,
            urgency=True,
            broken=True,
            alternatives=tuple(map(size, sizes.values[1:])) if checkpoint is not None else (),
        )


def hoped_for(trouble: Trouble) -> Expected:
    """The healthy level again, against the present one."""
    if trouble.kind is Kind.COLLAPSE and trouble.ratio:
        gain = 1 / trouble.ratio - 1
        return Expected(effect=gain, low=0.5 * gain, high=1.5 * gain)
    gain = -0.9 if trouble.ratio is None or trouble.ratio <= 0 else min(-0.05, 1 / trouble.ratio - 1)
    return Expected(effect=gain, low=max(-1.0, 1.5 * gain), high=0.5 * gain)
