"""Population based training: the worst of a group go on from the weights of the best, with settings moved a little.

Sees: the goal's metric of the running runs, their settings and checkpoints. Does: every `ready_steps` a run of the
worst `quantile` loads the newest checkpoint of one of the best `quantile` and takes its settings over, each
multiplied by 0.8 or 1.25 or, now and then, drawn anew within its bounds. Step and data order stay its own.
Source: Jaderberg et al. 2017, "Population based training of neural networks", arXiv 1711.09846 (truncation selection,
perturb and resample).
Limits: it spends the whole budget of the group on fewer settings, so it finds a schedule and a good model rather than
the best setting; it needs checkpoints that all processes can reach. Which run and which factor is told by a hash of
experiment, run and step, so that a look at the same group decides the same.
"""

import math
import zlib
from collections.abc import Mapping
from typing import Any

from control.groups import Group, Member, figure, window_of
from control.proposals import Change, CheckpointView, Expected, Proposal, TunableView


class Population:
    name = "population"
    summary = (
        "The worst runs of a group go on from the best ones' weights, with their settings moved a little."
    )
    defaults: Mapping[str, Any] = {
        "enabled": False,
        "ready_steps": 500,
        "quantile": 0.2,
        "least_runs": 4,
        "factor": 1.25,
        "resample": 0.1,
        "largest_step": 10.0,
        "roles": "learning_rate weight_decay",
    }

    def propose_group(self, group: Group) -> list[Proposal]:
        parameters = group.parameters
        ready = int(parameters["ready_steps"])
        running = [member for member in group.running if member.observation is not None and len(member.curve)]
        if not group.goal.metric or len(running) < int(parameters["least_runs"]):
            return []
        ranked = group.ranked(running)
        count = max(1, int(len(ranked) * min(0.5, float(parameters["quantile"]))))
        found = []
        for member in ranked[-count:]:
            last = max((a.step for a in member.adoptions if a.step <= member.step), default=0)
            if member.step - last < ready or was_refused(self.name, member, ready):
                continue
            # Only who is as far on: the weights of a run that has just begun are no gain.
            givers = [m for m in ranked[:count] if m.step >= ready and newest(m) is not None]
            givers = [m for m in givers if group.is_better(m.level, member.level)]
            if givers:
                giver = givers[int(chance(group, member, "giver") * len(givers))]
                found.append(self._proposal(group, member, giver))
        return found

    def _proposal(self, group: Group, member: Member, giver: Member) -> Proposal:
        parameters = group.parameters
        saved = newest(giver)
        assert saved is not None
        assert member.observation is not None
        assert giver.observation is not None
        source = {"run": giver.run, "checkpoint": saved.id, "step": saved.step, "path": saved.path}
        changes = [Change("adopt", value=source)]
        told = []
        for tunable in member.observation.tunables.values():
            theirs = giver.observation.tunables.get(tunable.name)
            if theirs is None or tunable.role not in str(parameters["roles"]).split():
                continue
            value = self._explored(group, member, tunable, theirs.value)
            if value is not None and value != tunable.value:
                changes.append(Change("set", tunable.name, value))
                told.append(f"{tunable.name} {value:.4g} (there {theirs.value:.4g})")
        metric = group.goal.metric
        gain = relative_gain(group, member.level, giver.level)
        shown = "no number" if math.isnan(member.level) else f"{member.level:.4g}"
        reason = (
            f"{metric} is {shown}, in the last {100 * float(parameters['quantile']):.0f} % of the running runs; "
            f"go on from step {saved.step} of {giver.label}, where it is {giver.level:.4g}"
            + (f", with {', '.join(told)}." if told else ".")
        )
        return Proposal(
            policy=self.name,
            changes=tuple(changes),
            reason=reason,
            evidence={
                "window": window_of(member), "value": figure(member.level), "giver": giver.run,
                "giver_value": figure(giver.level), "giver_step": saved.step,
            },
            # It starts from where the other is; what the moved settings add is not known.
            expected=Expected(0.5 * gain, min(gain, 0.0), max(gain, 0.0)),
            metric=metric,
            judge_after_steps=max(1, int(parameters["ready_steps"])),
            run=member.run,
        )  # fmt: skip

    def _explored(self, group: Group, member: Member, tunable: TunableView, theirs: Any) -> Any:
        """Their value moved a little, or one drawn anew within the bounds; None where it cannot be moved."""
        if isinstance(theirs, bool) or not isinstance(theirs, int | float) or not theirs > 0:
            return None
        parameters = group.parameters
        low, high = tunable.low, tunable.high
        factor = max(1.01, float(parameters["factor"]))
        if chance(group, member, f"{tunable.name} anew") < float(parameters["resample"]):
            # Near what is known to work: the whole declared range may be ten powers wide.
            spread = 2 * math.log(factor) * 3
            value = theirs * math.exp((chance(group, member, f"{tunable.name} where") - 0.5) * spread)
        else:
            value = theirs * (factor if chance(group, member, tunable.name) < 0.5 else 1 / factor)
        own = tunable.value
        if isinstance(own, int | float) and own > 0:
            # What the guards let pass at once: the weights need not wait for a rate that is further away.
            step = max(1.01, float(parameters["largest_step"]))
            value = min(max(value, own / step), own * step)
        value = min(max(value, low if low is not None else value), high if high is not None else value)
        return round(value) if tunable.kind == "int" else float(f"{value:.4g}")


def chance(group: Group, member: Member, what: str) -> float:
    """A number in 0..1 that the moment decides."""
    return zlib.crc32(f"{group.experiment}/{member.run}/{member.step}/{what}".encode()) / 2**32


def newest(member: Member) -> CheckpointView | None:
    """The checkpoint that is nearest to what the run is now."""
    if member.observation is None:
        return None
    saved = [c for c in member.observation.checkpoints if c.step > 0 and c.path]
    return max(saved, key=lambda c: (c.branch, c.step, c.id), default=None)


def was_refused(policy: str, member: Member, ready: int) -> bool:
    """Whether the run's process refused an adoption lately: what does not fit will not fit in five seconds either."""
    assert member.observation is not None
    return any(
        past.policy == policy
        and past.state in {"rejected", "sent"}
        and member.step - past.decided_step < ready
        for past in member.observation.past
    )


def relative_gain(group: Group, mine: float, theirs: float) -> float:
    """The change of the metric from mine to theirs, as a ratio within -0.95..0.95."""
    if math.isnan(mine) or mine == 0:
        return 0.0 if not math.isnan(mine) else (-0.95 if group.goal.direction == "min" else 0.95)
    return min(0.95, max(-0.95, (theirs - mine) / abs(mine)))
