"""Who gives way when two policies want what does not go together. Pure.

Two proposals conflict when they set the same tunable, or when one of them changes the whole run (stop, adopt, roll
back, prune, quantise, compile): what the other saw would not be there any more. Then, in this order:

1. a rescue before anything else: a run that is broken is mended first, and whether to stop it is asked again;
2. by what they do: stop, adopt, roll back, then changes of the model, then settings;
3. the one that is believed to gain more; fewer than five verdicts count as no gain;
4. the policy that was asked first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .proposals import Belief, Proposal

# The first wins.
ORDER = ("stop", "adopt", "rollback", "quantise", "prune", "compile", "set")
NAMES = {
    "stop": "a stop",
    "adopt": "an adoption",
    "rollback": "a roll back",
    "quantise": "quantising",
    "prune": "pruning",
    "compile": "compiling",
    "set": "a setting",
}
ENOUGH_VERDICTS = 5


@dataclass(frozen=True)
class Claim:
    """A proposal that no guard stands against, and what is believed of it."""

    proposal: Proposal
    belief: Belief | None = None

    @property
    def gain(self) -> float:
        known = self.belief is not None and self.belief.verdicts >= ENOUGH_VERDICTS
        return self.belief.gain if known and self.belief is not None else 0.0

    @property
    def weight(self) -> int:
        """The place in ORDER of the weightiest thing it does."""
        known = [ORDER.index(change.verb) for change in self.proposal.changes if change.verb in ORDER]
        return min(known, default=len(ORDER) - 1)


@dataclass(frozen=True)
class Lost:
    """A claim that gives way: to whom, by which reason, in words, and whether that is worth a record.

    It is not where a policy gives way to itself, or where both ask for the same.
    """

    winner: Proposal
    reason: str
    why: str
    matters: bool


def arbitrate(claims: Sequence[Claim]) -> list[Lost | None]:
    """For each claim, in the order asked: None when it may go ahead, else to whom it gives way and why."""
    places = sorted(
        range(len(claims)),
        key=lambda at: (not claims[at].proposal.urgency, claims[at].weight, -claims[at].gain, at),
    )
    lost: list[Lost | None] = [None] * len(claims)
    kept: list[Claim] = []
    for place in places:
        claim = claims[place]
        winner = next((other for other in kept if conflict(other.proposal, claim.proposal)), None)
        if winner is None:
            kept.append(claim)
        else:
            first, second = winner.proposal, claim.proposal
            what = NAMES.get(first.verb, first.verb) if first.verb != "set" else first.tunable
            because = reason(winner, claim)
            why = f"{first.policy} asks for {what} at the same moment, and {because}"
            matters = first.policy != second.policy and first.changes != second.changes
            lost[place] = Lost(first, because, why, matters)
    return lost


def conflict(one: Proposal, other: Proposal) -> bool:
    """Whether two proposals cannot both be carried out and judged."""
    first, second = ({change.tunable or change.verb for change in each.changes} for each in (one, other))
    whole = any(change.verb != "set" for each in (one, other) for change in each.changes)
    return whole or bool(first & second)


def reason(winner: Claim, loser: Claim) -> str:
    if winner.proposal.urgency and not loser.proposal.urgency:
        return "a rescue comes first"
    if winner.weight != loser.weight:
        return f"{NAMES[ORDER[winner.weight]]} comes before {NAMES[ORDER[loser.weight]]}"
    if winner.gain > loser.gain:
        return f"its gain is believed to be {100 * winner.gain:+.3g} % against {100 * loser.gain:+.3g} %"
    return "it was asked first"
