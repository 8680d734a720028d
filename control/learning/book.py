"""All beliefs at hand: what is known of each policy's actions, asked by context."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from control.proposals import Belief, Observation

from .contexts import context_of, levels_of
from .posterior import NOTHING_KNOWN, Posterior, Tally

Key: TypeAlias = tuple[str, str, str]  # policy, action, context


@dataclass(frozen=True)
class Lesson:
    """One verdict, and what it is about. gain: positive where the metric was better than not acting."""

    policy: str
    action: str
    context: str
    verdict: str
    gain: float | None = None

    @property
    def key(self) -> Key:
        return self.policy, self.action, self.context


@dataclass
class Book:
    """Tallies by (policy, action, context). Grows by `learn`; empty, it believes nothing and stops nobody."""

    tallies: dict[Key, Tally] = field(default_factory=dict)
    # The sums over contexts, over the models in a general one, and over actions: anew after `learn`, on first use.
    _sums: dict[tuple[str, ...], Tally] | None = field(default=None, repr=False)

    def learn(self, lesson: Lesson) -> None:
        old = self.tallies.get(lesson.key, Tally())
        self.tallies[lesson.key] = old.taught(lesson.verdict, lesson.gain)
        self._sums = None

    @property
    def sums(self) -> dict[tuple[str, ...], Tally]:
        if self._sums is None:
            found: dict[tuple[str, ...], Tally] = {}
            for (policy, action, context), tally in sorted(self.tallies.items()):
                within = [(policy, action, level) for level in levels_of(context)]
                for key in ((policy,), (policy, action), *within):
                    found[key] = found.get(key, Tally()).plus(tally)
            self._sums = found
        return self._sums

    def posterior(self, policy: str, action: str, context: str) -> Posterior:
        """What is believed of the action in this context; of the policy as a whole with an empty action."""
        whole = NOTHING_KNOWN.given(self.sums.get((policy,), Tally()))
        if not action:
            return whole
        known = whole.as_prior().given(self.sums.get((policy, action), Tally()))
        for tally in self._within(policy, action, context):
            known = known.as_prior().given(tally)
        return known

    def _within(self, policy: str, action: str, context: str) -> list[Tally]:
        """The action's verdicts in the context, from the general one to its own, each with those below it.

        One that holds no more than the next is left out: the same verdicts would count twice. One without verdicts
        adds nothing but a wider guess, once.
        """
        found: list[Tally] = []
        for level in levels_of(context):
            tally = self.sums.get((policy, action, level), Tally())
            if found and tally == found[-1]:
                continue
            found.append(tally)
        return found

    def clear_share(self, policy: str, action: str, context: str) -> float:
        """How often the action is judged clearly in this context; what it did elsewhere stands in for little data."""
        share = self.sums.get((policy, action), Tally()).clear_share()
        for tally in self._within(policy, action, context):
            share = tally.clear_share(share)
        return share

    def verdicts(self, policy: str, action: str) -> float:
        """How many verdicts on the action there are in all contexts together."""
        return self.sums.get((policy, action) if action else (policy,), Tally()).verdicts

    def belief(self, policy: str, action: str, context: str) -> Belief:
        known = self.posterior(policy, action, context)
        low, high = known.interval
        return Belief(
            action=action,
            context=context,
            better=known.chance_better,
            worse=known.chance_worse,
            gain=known.mu,
            low=low,
            high=high,
            verdicts=round(self.verdicts(policy, action), 1),
        )


class Shown(Mapping[str, Belief]):
    """A policy's beliefs as its observation shows them. Nothing is worked out before it is looked at."""

    def __init__(self, book: Book, policy: str, observation: Observation) -> None:
        self._book, self._policy, self._observation = book, policy, observation

    @cached_property
    def _context(self) -> str:
        return str(context_of(self._observation))

    @cached_property
    def _actions(self) -> tuple[str, ...]:
        return "", *sorted({key[1] for key in self._book.sums if len(key) == 2 and key[0] == self._policy})

    def __getitem__(self, action: str) -> Belief:
        if action not in self._actions or not self._book.verdicts(self._policy, action):
            raise KeyError(action)
        return self._book.belief(self._policy, action, self._context)

    def __iter__(self) -> Iterator[str]:
        return iter(action for action in self._actions if self._book.verdicts(self._policy, action))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def as_evidence(belief: Belief) -> dict[str, Any]:
    """A belief as a decision keeps it: short figures."""
    figures = {
        name: float(f"{getattr(belief, name):.4g}") for name in ("better", "worse", "gain", "low", "high")
    }
    return {"action": belief.action, "context": belief.context, "verdicts": belief.verdicts} | figures
