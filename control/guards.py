"""What no policy may do, whoever wrote it. Pure: an observation and a proposal in, a refusal in words out."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from training.values import BadValue, check_value

from .proposals import (
    ACTED_STATES,
    ALGORITHMS,
    LASTING,
    VERBS,
    Change,
    Observation,
    PastDecision,
    Proposal,
    TunableView,
)
from .proven import is_return


class Rule(StrEnum):
    NOT_RUNNING = "not running"
    NO_TUNABLE = "no such tunable"
    NO_CHANGE = "no change"
    BOUNDS = "bounds"
    PERSON = "a person's hand"
    OPEN = "one open change"
    STEP = "largest step"
    COOLDOWN = "cool-down"
    BUDGET = "budget"
    CHECKPOINT = "no such checkpoint"
    VERB = "verb"
    VALUE = "value"
    CONSENT = "a person's word"
    BELIEF = "belief"
    ARBITER = "another policy"
    BEST = "the best of the group"
    EARLY = "too early to stop"


@dataclass(frozen=True)
class Refusal:
    rule: Rule
    sentence: str


class InvalidSetting(ValueError):
    """A guard or policy parameter that cannot be taken: which one, and what it must be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True)
class Limits:
    """The guards' figures, set per experiment."""

    max_factor: float = 10.0  # no single change multiplies or divides a value by more
    cooldown_steps: int = 50  # after a change of a tunable, before the next one of the same
    max_changes: int = 50  # per run, all policies together
    hands_off_seconds: float = 120.0  # after a person set a tunable, it is theirs for so long
    least_steps: int = 50  # no run is ended before it has made so many

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Limits":
        """The defaults with the given figures in place. Raises InvalidSetting, naming the figure."""
        known = {f.name for f in fields(cls)}
        for name, value in settings.items():
            if name not in known:
                raise InvalidSetting(name, f"is no guard; the guards are {', '.join(sorted(known))}")
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InvalidSetting(name, f"must be a number, got {value!r}")
            low, high, whole = RANGES[name]
            if whole and value != int(value):
                raise InvalidSetting(name, f"must be a whole number, got {value!r}")
            if not low <= value <= high:
                raise InvalidSetting(name, f"must lie in {low:g}..{high:g}, got {value!r}")
        figures: dict[str, Any] = {
            name: int(value) if RANGES[name][2] else float(value) for name, value in settings.items()
        }
        return cls(**figures)


RANGES: Mapping[str, tuple[float, float, bool]] = {
    "max_factor": (1.01, 1e6, False),
    "cooldown_steps": (0, 1e9, True),
    "max_changes": (0, 1e6, True),
    "hands_off_seconds": (0, 1e7, False),
    "least_steps": (0, 1e9, True),
}


# A search may change a tunable so often without waiting for the cool-down: enough to cross four decades and come back.
PLAN_CHANGES = 12


def check(proposal: Proposal, observation: Observation, limits: Limits) -> Refusal | None:
    """The first guard that stands against the proposal, or None when it may go on."""
    if observation.state != "running":
        return Refusal(Rule.NOT_RUNNING, f"the run is {observation.state}; only a running run is changed")
    if not proposal.changes:
        return Refusal(Rule.NO_CHANGE, "the proposal holds no change")
    for change in proposal.changes:
        refusal = _check_change(change, proposal, observation, limits)
        if refusal is not None:
            return refusal
    return _check_open(proposal, observation) or _check_pace(proposal, observation, limits)


def _check_change(
    change: Change, proposal: Proposal, observation: Observation, limits: Limits
) -> Refusal | None:
    if change.verb not in VERBS:
        return Refusal(Rule.VERB, f"a policy may ask for {', '.join(VERBS)}, not {change.verb!r}")
    if change.verb == "set":
        return _check_set(change, proposal, observation, limits)
    if change.verb == "rollback":
        wanted = change.value.get("checkpoint") if isinstance(change.value, Mapping) else None
        if any(checkpoint.id == wanted for checkpoint in observation.checkpoints):
            return None
        return Refusal(Rule.CHECKPOINT, f"this run has no restorable checkpoint {wanted!r}")
    return (
        _check_shape(change, observation)
        or _check_offer(change.verb, observation)
        or _check_consent(change, observation, limits)
        or _check_stop(change.verb, observation, limits)
    )


def _check_set(
    change: Change, proposal: Proposal, observation: Observation, limits: Limits
) -> Refusal | None:
    tunable = observation.tunables.get(change.tunable)
    if tunable is None:
        have = ", ".join(sorted(observation.tunables)) or "none"
        return Refusal(
            Rule.NO_TUNABLE, f"the run has not declared a tunable {change.tunable!r}; it has: {have}"
        )
    if tunable.role == "total_steps" and isinstance(tunable.value, int | float):
        return _check_value(tunable, change.value) or _check_end(tunable, change.value, observation, limits)
    refusal = _check_value(tunable, change.value) or _check_hand(tunable, limits)
    if refusal is not None:
        return refusal
    refusal = _check_size(tunable, change.value, limits)
    # The way back is bounded by what was measured there, not by its length.
    return None if refusal is None or is_return(change, proposal, observation) else refusal


def _check_shape(change: Change, observation: Observation) -> Refusal | None:
    """Whether the value of a verb is what `Change` says of it."""
    value = change.value if isinstance(change.value, Mapping) else {}
    why, source = value.get("why"), value.get("run")
    if change.verb == "stop" and not (isinstance(why, str) and why.strip()):
        return Refusal(Rule.VALUE, f'a stop says why: {{"why": sentence}}, not {change.value!r:.80}')
    if change.verb == "adopt":
        whole = isinstance(value.get("checkpoint"), int) and isinstance(value.get("step"), int)
        if not (whole and isinstance(source, str) and source and value.get("path")):
            expected = '{"run": code, "checkpoint": id, "step", "path"}'
            return Refusal(Rule.CHECKPOINT, f"an adoption names {expected}, not {change.value!r:.80}")
        if source == observation.run:
            return Refusal(Rule.CHECKPOINT, "a run's own checkpoint is rolled back to, not adopted")
    if change.value is not None and not isinstance(change.value, Mapping):
        return Refusal(Rule.VALUE, f"{change.verb} takes a map of settings, not {change.value!r:.80}")
    return None


def _check_offer(verb: str, observation: Observation) -> Refusal | None:
    if verb in ALGORITHMS and observation.algorithms is not None and verb not in observation.algorithms:
        return Refusal(
            Rule.VERB, f"this run offers no {verb}: its script does not call loop.offer_algorithms"
        )
    # Any process can be stopped: the site does that by its job where the process does not.
    if verb == "stop" or observation.offers is None or verb in observation.offers:
        return None
    offered = ", ".join(sorted(observation.offers)) or "nothing"
    return Refusal(Rule.VERB, f"the process does not offer {verb}; it offers {offered}")


def _check_consent(change: Change, observation: Observation, limits: Limits) -> Refusal | None:
    """What a person keeps to himself: a run that he has just touched, and what cannot be taken back."""
    ago = observation.person_seconds_ago
    if ago is not None and ago < limits.hands_off_seconds:
        return Refusal(
            Rule.PERSON,
            f"a person asked something of this run {ago:.0f} s ago; "
            f"it is theirs for {limits.hands_off_seconds:.0f} s",
        )
    verb = change.verb
    word = f"may_{verb}"
    if isinstance(change.value, Mapping) and change.value.get("dry") is True:
        return None
    if verb in LASTING and observation.mode == "act" and observation.parameters.get(word) is not True:
        return Refusal(
            Rule.CONSENT, f"{verb} cannot be taken back; set the policy's {word} to let it act by itself"
        )
    return None


def _check_stop(verb: str, observation: Observation, limits: Limits) -> Refusal | None:
    if verb != "stop":
        return None
    standing = observation.standing
    if standing is not None and standing.is_best:
        return Refusal(
            Rule.BEST, f"it is the best of the experiment's {standing.of} runs, and the best is never stopped"
        )
    return _check_age(observation, limits)


def _check_age(observation: Observation, limits: Limits) -> Refusal | None:
    if observation.step >= limits.least_steps:
        return None
    return Refusal(
        Rule.EARLY, f"the run is at step {observation.step}; none is ended before step {limits.least_steps}"
    )


def _check_end(tunable: TunableView, value: Any, observation: Observation, limits: Limits) -> Refusal | None:
    """Where a run ends is what it costs: it is moved by a person's word alone, and nearer only as a run is stopped."""
    refusal = _check_hand(tunable, limits) or _check_consent(Change("stop"), observation, limits)
    if value < tunable.value:
        return refusal or _check_age(observation, limits)
    if observation.mode == "act" and observation.parameters.get("may_extend") is not True:
        return Refusal(
            Rule.CONSENT, "a longer run costs more; set the policy's may_extend to let it act by itself"
        )
    return _check_hand(tunable, limits) or _check_size(tunable, value, limits)


def _check_value(tunable: TunableView, value: Any) -> Refusal | None:
    if value == tunable.value:
        return Refusal(Rule.NO_CHANGE, f"{tunable.name} is {value!r} already")
    try:
        check_value(tunable, value)
    except BadValue as error:
        return Refusal(Rule.BOUNDS, str(error))
    return None


def _check_hand(tunable: TunableView, limits: Limits) -> Refusal | None:
    ago = tunable.person_seconds_ago
    if ago is None or ago >= limits.hands_off_seconds:
        return None
    return Refusal(
        Rule.PERSON,
        f"a person set {tunable.name} {ago:.0f} s ago; it is theirs for {limits.hands_off_seconds:.0f} s",
    )


def _check_size(tunable: TunableView, value: Any, limits: Limits) -> Refusal | None:
    if tunable.kind not in {"float", "int"} or not isinstance(tunable.value, int | float):
        return None
    old, new = float(tunable.value), float(value)
    if old > 0 and new > 0:
        factor = max(new / old, old / new)
        # The last digits: values are rounded to four significant ones before they are proposed.
        if factor <= limits.max_factor * 1.001:
            return None
        return Refusal(
            Rule.STEP,
            f"{tunable.name} from {old:g} to {new:g} is a factor of {factor:.3g}; "
            f"the largest allowed is {limits.max_factor:g}",
        )
    if tunable.low is None or tunable.high is None:
        return Refusal(
            Rule.STEP,
            f"from {old:g} to {new:g} there is no factor, and {tunable.name} declares no range to measure the step by",
        )
    # Zero or a change of sign has no factor: at most half of the declared range at once.
    half = (tunable.high - tunable.low) / 2
    if abs(new - old) <= half:
        return None
    return Refusal(Rule.STEP, f"{tunable.name} from {old:g} to {new:g} crosses more than half of its range")


def _check_open(proposal: Proposal, observation: Observation) -> Refusal | None:
    touched = {change.tunable for change in proposal.changes if change.verb == "set"}
    # A roll back, a stop, another run's weights: whatever is being judged would not be the same run any more.
    whole = any(change.verb != "set" for change in proposal.changes)
    for past in observation.past:
        if not past.is_open or not (whole or past.verb != "set" or any(past.sets(name) for name in touched)):
            continue
        # A rescue need not wait for a person's answer to something smaller.
        if proposal.urgency and past.state == "proposed" and not past.urgent:
            continue
        if proposal.urgency and past.verb == "set" and not any(map(past.sets, touched)):
            continue
        what = past.tunable or past.verb
        return Refusal(Rule.OPEN, f"decision {past.id} of {past.policy} on {what} is not yet judged")
    return None


def _check_pace(proposal: Proposal, observation: Observation, limits: Limits) -> Refusal | None:
    spent = max(observation.changes_made, sum(past.state in ACTED_STATES for past in observation.past))
    if spent >= limits.max_changes:
        return Refusal(Rule.BUDGET, f"the run's budget of {limits.max_changes} changes is spent")
    if proposal.urgency:
        return None
    if proposal.plan:
        return _check_plan(proposal, observation)
    for change in proposal.changes:
        tunable = observation.tunables.get(change.tunable)
        last = last_touched(change, tunable, observation)
        if last is not None and observation.step - last < limits.cooldown_steps:
            return Refusal(
                Rule.COOLDOWN,
                f"{change.tunable or change.verb} was changed at step {last}; the cool-down is "
                f"{limits.cooldown_steps} steps and the run is at step {observation.step}",
            )
    return None


def _check_plan(proposal: Proposal, observation: Observation) -> Refusal | None:
    """A declared search goes step by step without the cool-down, and therefore only so many steps."""
    made = sum(
        past.policy == proposal.policy and past.plan == proposal.plan and past.state in ACTED_STATES
        for past in observation.past
    )
    if made < PLAN_CHANGES:
        return None
    return Refusal(
        Rule.BUDGET,
        f"the {PLAN_CHANGES} changes that one {proposal.plan} of {proposal.policy} may make are made",
    )


def last_touched(change: Change, tunable: TunableView | None, observation: Observation) -> int | None:
    """The last step on this branch at which what `change` changes was changed before; None for never."""
    steps = [
        past.at_step
        for past in observation.past
        if past.state in ACTED_STATES
        and observation.on_this_branch(past)
        and not past.leaves_training
        and (past.sets(change.tunable) or past.verb != "set")
    ]
    if tunable is not None and tunable.changed_step is not None and tunable.changed_step <= observation.step:
        steps.append(tunable.changed_step)
    return max(steps, default=None)


def already_said(proposal: Proposal, observation: Observation, limits: Limits) -> PastDecision | None:
    """An earlier decision of this policy on the same thing that this proposal would only repeat, or None.

    One that was recorded, blocked, refused or left unanswered holds until its horizon has passed, and at
    least for the cool-down: every tick would write it down again otherwise.
    """
    quiet = {"recorded", "blocked", "rejected", "expired"}
    for past in reversed(observation.past):
        if past.policy != proposal.policy or past.state not in quiet or not observation.on_this_branch(past):
            continue
        if past.tunable != proposal.tunable or past.verb != proposal.verb:
            continue
        hold = max(limits.cooldown_steps, past.judge_at_step - past.decided_step)
        # A person who said no means it for longer than a horizon.
        hold *= 10 if past.state == "rejected" else 1
        if observation.step - past.decided_step < hold:
            return past
    return None


def waits_for_a_word(refusal: Refusal | None, proposal: Proposal, observation: Observation) -> bool:
    """Whether this only says again that a person's word is missing, which is said once and then when the run is twice
    as long. Asked with the refusal of this moment: once the word is given nothing waits."""
    return (
        refusal is not None
        and refusal.rule is Rule.CONSENT
        and any(
            past.blocked_rule == Rule.CONSENT
            and (past.policy, past.verb, past.tunable) == (proposal.policy, proposal.verb, proposal.tunable)
            and observation.on_this_branch(past)
            and observation.step < 2 * past.decided_step
            for past in observation.past
        )
    )
