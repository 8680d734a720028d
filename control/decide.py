"""One run, one moment: ask the policies, hold their proposals against the guards, fix the forecasts.

Pure, and the only way from observation to decision: the tick, the replay and the tests all go through here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from monitoring.plain import text

from .base import Policy
from .guards import Limits, Refusal, already_said, check
from .proposals import ACTED_STATES, Observation, Proposal
from .verify import Forecast, forecast
from .wellformed import proposals_of


@dataclass(frozen=True, eq=False)
class Considered:
    """A proposal with its forecast of not acting, and the refusal where a guard stands against it."""

    proposal: Proposal
    forecast: Forecast | None
    refusal: Refusal | None


@dataclass(frozen=True)
class Problem:
    """A policy that failed, in words."""

    policy: str
    message: str


def consider(
    observation: Observation,
    policies: Sequence[Policy],
    settings: Mapping[str, Mapping[str, Any]],
    limits: Limits,
) -> tuple[list[Considered], list[Problem]]:
    """What to decide for this run now.

    settings: {policy name: its parameters}; a policy not named runs on its defaults, one with
    {"enabled": false} is not asked. At most one proposal per tunable is taken, urgent ones first.
    Proposals that only repeat an earlier decision are left out.
    """
    asked: list[Proposal] = []
    given: dict[str, Mapping[str, Any]] = {}
    problems: list[Problem] = []
    # A plug-in that writes into what it sees must not change what the others and the guards see.
    shown = replace(
        observation,
        windows=MappingProxyType(dict(observation.windows)),
        tunables=MappingProxyType(dict(observation.tunables)),
    )
    for policy in policies:
        parameters = {**policy.defaults, **settings.get(policy.name, {})}
        if not parameters.get("enabled", True):
            continue
        given[policy.name] = parameters
        try:
            asked += proposals_of(policy.name, policy.propose(replace(shown, parameters=parameters)))
        except (Exception, SystemExit) as error:  # noqa: BLE001  a plug-in may raise anything; the others must still be heard
            problems.append(Problem(policy.name, text(f"{type(error).__name__}: {error}", 500)))
    asked.sort(key=lambda proposal: not proposal.urgency)
    taken: set[str] = set()
    considered: list[Considered] = []
    for proposal in asked:
        touches = {change.tunable or change.verb for change in proposal.changes}
        if touches & taken or already_said(proposal, observation, limits) is not None:
            continue
        refusal = check(proposal, replace(observation, parameters=given[proposal.policy]), limits)
        if refusal is None:
            taken |= touches
        considered.append(Considered(proposal, no_action(observation, proposal), refusal))
    return considered, problems


def no_action(observation: Observation, proposal: Proposal) -> Forecast | None:
    """The forecast of not acting on this proposal, from the points since the run was last changed.

    With those of the metrics that must not be harmed, where they are logged.
    """
    changed = [t.changed_step for t in observation.tunables.values() if t.changed_step is not None]
    changed += [past.at_step for past in observation.past if past.state in ACTED_STATES]
    since = max((step for step in changed if step <= observation.step), default=-1)

    def of(metric: str) -> Forecast | None:
        window = observation.windows.get(metric)
        if window is None:
            return None
        horizon, direction = proposal.judge_after_steps, observation.direction_of(metric)
        return forecast(metric, window.after(since), horizon, direction, proposal.broken)

    fixed = of(proposal.metric)
    guarded = [each for metric in proposal.unharmed if (each := of(metric)) is not None]
    return fixed if fixed is None or not guarded else replace(fixed, unharmed=tuple(guarded))
