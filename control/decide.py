"""One run, one moment: ask the policies, hold their proposals against the guards, fix the forecasts.

    ask -> choose sizes by beliefs -> leave out what was said -> guards -> arbiter -> forecast of not acting

Pure, and the only way from observation to decision: the tick, the replay, the benchmark and the tests all go through
here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from monitoring.plain import text

from .arbiter import Claim, Lost, arbitrate
from .base import AnyPolicy, looks_at_one_run
from .forecasts import LEAST_POINTS, Forecast, forecast
from .guards import Limits, Refusal, Rule, already_said, check, waits_for_a_word
from .learning.book import Book, Shown
from .learning.choose import Chosen, choose
from .learning.offered import as_expected, as_kept
from .proposals import ACTED_STATES, SHADOW, Observation, Proposal, leaves_training
from .wellformed import proposals_of

# What every policy has beside its own parameters. shadow: it decides and is compared, and nothing of it is sent.
COMMON: Mapping[str, Any] = {"enabled": True, "shadow": False}


@dataclass(frozen=True, eq=False)
class Considered:
    """A proposal with its forecast of not acting, and the refusal where something stands against it."""

    proposal: Proposal
    forecast: Forecast | None
    refusal: Refusal | None
    shadow: bool = False


@dataclass(frozen=True)
class Problem:
    """A policy that failed, in words."""

    policy: str
    message: str


def directly(policy: AnyPolicy, observation: Observation) -> Iterable[object]:
    """As tests and replays ask: without a limit of time, and of one run alone."""
    return policy.propose(observation) if looks_at_one_run(policy) else ()


def consider(
    observation: Observation,
    policies: Sequence[AnyPolicy],
    settings: Mapping[str, Mapping[str, Any]],
    limits: Limits,
    book: Book | None = None,
    ask: Callable[[AnyPolicy, Observation], Iterable[object]] = directly,
) -> tuple[list[Considered], list[Problem]]:
    """What to decide for this run now, urgent proposals first.

    settings: {policy name: its parameters}; a policy not named runs on its defaults, one with {"enabled": false} is
    not asked, one with {"shadow": true} stands in nobody's way. book: what is believed; None for nothing, then sizes
    are the policies' own and nobody is held back. Proposals that only repeat an earlier decision are left out.
    """
    book = book or Book()
    asked: list[tuple[Chosen, Mapping[str, Any]]] = []
    problems: list[Problem] = []
    safe = read_only(observation)
    for policy in policies:
        parameters: Mapping[str, Any] = {**COMMON, **policy.defaults, **settings.get(policy.name, {})}
        if not parameters["enabled"]:
            continue
        shown = seen_by(policy.name, safe, parameters, book)
        try:
            answer = proposals_of(policy.name, ask(policy, shown))
        except (Exception, SystemExit) as error:  # noqa: BLE001  a plug-in may raise anything; the others must still be heard
            problems.append(Problem(policy.name, text(f"{type(error).__name__}: {error}", 500)))
            continue
        asked += [(choose(proposal, observation, book), parameters) for proposal in answer]
    asked.sort(key=lambda pair: not pair[0].proposal.urgency)
    considered: list[Considered] = []
    claims: list[tuple[int, Claim]] = []
    for chosen, parameters in asked:
        proposal, shadow = chosen.proposal, parameters["shadow"] is True
        if already_said(proposal, observation, limits) is not None:
            continue
        refusal = check(proposal, observation.but(parameters=parameters), limits)
        if waits_for_a_word(refusal, proposal, observation):
            continue
        if refusal is None and chosen.held_back:
            refusal = Refusal(Rule.BELIEF, chosen.held_back)
        if refusal is None and not shadow:
            claims.append((len(considered), Claim(proposal, chosen.belief)))
        considered.append(Considered(proposal, no_action(observation, proposal), refusal, shadow))
    silent: set[int] = set()
    overruled: dict[int, list[dict[str, Any]]] = {}  # by the place of what went ahead
    places = {id(claim.proposal): place for place, claim in claims}
    for (place, claim), lost in zip(claims, arbitrate([claim for _, claim in claims]), strict=True):
        if lost is None:
            continue
        considered[place] = replace(considered[place], refusal=Refusal(Rule.ARBITER, lost.why))
        if lost.matters:
            told = as_overruled(claim.proposal, lost, observation)
            overruled.setdefault(places[id(lost.winner)], []).append(told)
        else:
            silent.add(place)
    for place, those in overruled.items():
        winner = considered[place].proposal
        winner = replace(winner, evidence=dict(winner.evidence) | {"overruled": those})
        considered[place] = replace(considered[place], proposal=winner)
    return [item for place, item in enumerate(considered) if place not in silent], problems


def as_overruled(proposal: Proposal, lost: Lost, observation: Observation) -> dict[str, Any]:
    """What another policy wanted at the same moment, as the decision keeps it that went ahead."""
    return {
        "policy": proposal.policy,
        "changes": as_kept(proposal.changes, observation),
        "expected": {"metric": proposal.metric} | as_expected(proposal.expected),
        "why": lost.reason,
    }


def seen_by(policy: str, shown: Observation, parameters: Mapping[str, Any], book: Book) -> Observation:
    """The observation as this policy sees it: with its parameters and beliefs, and no other policy's shadow.

    shown: what `read_only` made.
    """
    past = shown.past
    if any(each.mode == SHADOW for each in past):
        past = tuple(each for each in past if each.mode != SHADOW or each.policy == policy)
    return shown.but(past=past, parameters=parameters, beliefs=Shown(book, policy, shown))


def read_only(observation: Observation) -> Observation:
    """The observation with nothing in it that a plug-in could write to: all policies and the guards look at it."""
    return observation.but(
        windows=MappingProxyType(dict(observation.windows)),
        tunables=MappingProxyType(dict(observation.tunables)),
    )


def no_action(observation: Observation, proposal: Proposal) -> Forecast | None:
    """The forecast of not acting on this proposal, from the points since the run was last changed.

    With those of the metrics that must not be harmed, where they are logged. None for what changes nothing.
    """
    if all(leaves_training(change.verb, change.value) for change in proposal.changes):
        return None
    changed, began = last_changed(observation), last_changed(observation, proposal.plan)

    def of(metric: str) -> Forecast | None:
        window = observation.windows.get(metric)
        if window is None:
            return None
        # The steps of a search may be ten points apart, too few for a trend each: what is said of the next one then
        # rests on all that came since the search began. That bends, so the newest stage is asked where it suffices.
        since = changed if len(window.after(changed)) >= LEAST_POINTS else began
        horizon, direction = proposal.judge_after_steps, observation.direction_of(metric)
        return forecast(metric, window.after(since), horizon, direction, proposal.broken)

    fixed = of(proposal.metric)
    guarded = [each for metric in proposal.unharmed if (each := of(metric)) is not None]
    return fixed if fixed is None or not guarded else replace(fixed, unharmed=tuple(guarded))


def last_changed(observation: Observation, plan: str = "") -> int:
    """The last step at which the run was changed, -1 for never. plan: a search whose own steps do not count."""
    earlier = [p for p in observation.past if p.state in ACTED_STATES and not p.leaves_training]
    tunables = list(observation.tunables.values())
    if plan:
        earlier = [past for past in earlier if past.plan != plan or past.verb == "rollback"]
        # What the search set itself is no news; what a person set is.
        tunables = [each for each in tunables if each.person_seconds_ago is not None]
    changed = [past.at_step for past in earlier]
    changed += [each.changed_step for each in tunables if each.changed_step is not None]
    return max((step for step in changed if step <= observation.step), default=-1)
