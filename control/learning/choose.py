"""Which size of a change, and whether at all, by what is believed of it.

The size is chosen by the Thompson rule: draw a gain from each size's posterior, take the largest. So sizes that may
be better than they look are tried now and then, and those that are known to be worse are not. The dice are seeded by
run, step and policy: the same observation gives the same choice.

A rescue is chosen otherwise. Against a run in ruins every size that works gains all there is to gain, so gains tell
nothing; and what lowers more than it must costs steps that no verdict shows. So the first size in the policy's order
that is good enough is taken: whose chance of helping, drawn, is above one half.

Source: Thompson 1933, Biometrika 25, pp. 285-294; for contexts: Agrawal and Goyal 2013, ICML (arXiv 1209.3352); good
enough in place of best: Russo and Van Roy 2022, Math. of Operations Research 47(4) (arXiv 1803.02855).
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from control.proposals import Belief, Observation, Proposal

from .actions import action_of
from .book import Book, as_evidence
from .contexts import context_of
from .offered import GOOD_ENOUGH, Compared, as_kept, as_offered, percent, why_not

# So many verdicts at least before an action is held back, and so sure of harm.
ENOUGH_VERDICTS = 5
SURE_OF_HARM = 0.9
# What is held back may try again in one case of so many, or it could never show that times have changed.
ONE_IN = 20


@dataclass(frozen=True)
class Chosen:
    """The proposal in the size that was chosen, what is believed of it, and why it is held back ("" if it is not)."""

    proposal: Proposal
    belief: Belief
    held_back: str = ""


def choose(proposal: Proposal, observation: Observation, book: Book) -> Chosen:
    """Settle the proposal's size; its evidence then names the belief that was used, and the other sizes."""
    context = str(context_of(observation))
    roles = {name: tunable.role for name, tunable in observation.tunables.items()}
    dice = dice_of(observation, proposal)
    sizes = [proposal, *(sized(proposal, other) for other in proposal.alternatives)]
    names = [action_of(as_kept(size.changes, observation), roles) for size in sizes]
    # Two sizes of one name are one action: the policy's own comes first and is taken.
    first = [index for index, name in enumerate(names) if name not in names[:index]]
    draws: dict[int, float] = {}
    if len(first) > 1 and any(book.verdicts(proposal.policy, names[index]) for index in first):
        draw = drawn_help if proposal.urgency else drawn
        draws = {index: draw(proposal.policy, names[index], context, book, dice) for index in first}
    best = max(first, key=lambda index: (draws.get(index, 0.0), -index))
    if proposal.urgency:
        best = next((index for index in first if draws.get(index, 0.0) > GOOD_ENOUGH), best)

    def known(index: int) -> dict[str, Any]:
        """What is believed of a size, and what was drawn for it where anything was."""
        told = as_evidence(book.belief(proposal.policy, names[index], context))
        return told if index not in draws else told | {"drawn": float(f"{draws[index]:.4g}")}

    belief = book.belief(proposal.policy, names[best], context)
    evidence = dict(proposal.evidence) | {"belief": known(best)}
    if len(sizes) > 1:
        compared = Compared(names, draws, best, proposal.urgency)
        evidence["alternatives"] = [
            known(index) | as_offered(sizes[index], observation) | why_not(index, compared)
            for index in range(len(sizes))
            if index != best
        ]
    settled = replace(sizes[best], evidence=evidence, alternatives=())
    return Chosen(settled, belief, held_back(settled, names[best], context, book, dice))


def drawn(policy: str, action: str, context: str, book: Book, dice: np.random.Generator) -> float:
    """A gain as it may be, times how often one sees it: what stays unclear is taken back or brings nothing."""
    return book.posterior(policy, action, context).draw(dice) * book.clear_share(policy, action, context)


def drawn_help(policy: str, action: str, context: str, book: Book, dice: np.random.Generator) -> float:
    """The chance that it helps as it may be; a size that was never judged is given the benefit of the doubt."""
    if not book.verdicts(policy, action):
        return 1.0
    known = book.posterior(policy, action, context)
    return float(dice.beta(known.better, known.same + known.worse))


def held_back(proposal: Proposal, action: str, context: str, book: Book, dice: np.random.Generator) -> str:
    """Why the proposal should not be acted on, "" when nothing known speaks against it. A rescue is never held back."""
    known = book.posterior(proposal.policy, action, context)
    seen = book.verdicts(proposal.policy, action)
    if proposal.urgency or seen < ENOUGH_VERDICTS or known.chance_better >= known.chance_worse:
        return ""
    harm = known.chance_of_harm()
    low, high = known.interval
    if harm < SURE_OF_HARM or known.mu > 0 or dice.integers(ONE_IN) == 0:
        return ""
    tally = book.sums[proposal.policy, action]
    return (
        f"of {seen:.3g} verdicts on {action} {tally.worse:.3g} were worse and {tally.better:.3g} better; in runs "
        f"like this one ({context}) it harms more often than it helps with {100 * harm:.0f} %, its gain is "
        f"{percent(known.mu)} ({percent(low)} to {percent(high)}); one try in {ONE_IN} is left to it"
    )


def sized(proposal: Proposal, other: Any) -> Proposal:
    return replace(
        proposal,
        changes=other.changes,
        reason=other.reason,
        expected=other.expected,
        judge_after_steps=other.judge_after_steps,
    )


def dice_of(observation: Observation, proposal: Proposal) -> np.random.Generator:
    seed = f"{observation.run}:{observation.step}:{proposal.policy}:{proposal.tunable or proposal.verb}"
    return np.random.default_rng(
        int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=8).digest(), "big")
    )
