"""From counted verdicts to what may be believed, each level shrunk towards the one above it.

Verdicts (better, same, worse) are counted: a Dirichlet posterior, whose margins are Beta. Gains are measured: a
Normal-Gamma posterior, so their mean has a Student distribution. What is above (all of a policy's actions; the action
in any context) is the prior of what is below, worth STRENGTH verdicts: little data leans on much.

What was long ago counts for less: habits, data and hardware change. A tally holds at most MEMORY verdicts, the oldest
of them weighing ever less, and loses half of its weight in so many days without a new one.

Source: Gelman et al. 2013, Bayesian Data Analysis, 3rd ed., sections 3.3, 3.4 and 5.4; for the forgetting: Raj and
Kalyani 2017, arXiv 1707.09727 (discounted Thompson sampling).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Little, for from one kind of moment to the next the right size turns round; with 3 a simulated learner paid a seventh
# more for its choices (docs/learning.md).
STRENGTH = 1.0
# A gain is a logarithm of a ratio; beyond a factor of 20 it says no more than "broken".
LARGEST_GAIN = 3.0
Z80 = 1.2816
MEMORY = 200.0
SPREAD = 0.2  # of gains, before anything was measured


@dataclass(frozen=True)
class Tally:
    """Verdicts as they are stored: counts, and of those with a figure their number, mean and squared deviations.

    A count is a sum of weights: 1 for a new verdict, less for an old one.
    """

    better: float = 0
    same: float = 0
    worse: float = 0
    gains: float = 0
    mean: float = 0.0
    squares: float = 0.0
    # Judged, but within what chance gives. That teaches nothing of gain or harm, only that it is hard to see.
    unclear: float = 0

    @property
    def verdicts(self) -> float:
        return self.better + self.same + self.worse

    def learn(self, verdict: str, gain: float | None) -> Tally:
        """The tally with one verdict more. Anything but better, same and worse teaches nothing of gain or harm."""
        if verdict == "unclear":
            return self.plus(Tally(unclear=1))
        if verdict not in {"better", "same", "worse"}:
            return self
        one = Tally(**{verdict: 1})
        if gain is not None and math.isfinite(gain):
            one = Tally(**{verdict: 1}, gains=1, mean=max(-LARGEST_GAIN, min(LARGEST_GAIN, gain)))
        return self.plus(one)

    def aged(self, share: float) -> Tally:
        """With so much of its weight left; what the verdicts said stays the same."""
        if share >= 1:
            return self
        return Tally(
            share * self.better, share * self.same, share * self.worse, share * self.gains,
            self.mean, share * self.squares, share * self.unclear,
        )  # fmt: skip

    def taught(self, verdict: str, gain: float | None) -> Tally:
        """`learn`, the older verdicts giving way where there are MEMORY of them."""
        weight = self.verdicts + self.unclear
        kept = self.aged((MEMORY - 1) / weight) if weight > MEMORY - 1 else self
        return kept.learn(verdict, gain)

    def plus(self, other: Tally) -> Tally:
        """Both together, in either order the same (Chan et al. 1979 for the squares)."""
        gains = self.gains + other.gains
        apart = other.mean - self.mean
        share = other.gains / gains if gains else 0.0
        return Tally(
            self.better + other.better,
            self.same + other.same,
            self.worse + other.worse,
            gains,
            self.mean + share * apart,
            self.squares + other.squares + self.gains * share * apart * apart,
            self.unclear + other.unclear,
        )

    def clear_share(self, before: float = 1.0) -> float:
        """The share of clear verdicts, `before` being worth STRENGTH of them."""
        return (self.verdicts + STRENGTH * before) / (self.verdicts + self.unclear + STRENGTH)


def left_after(days: float, half_life_days: float) -> float:
    """The share of its weight that a verdict has left; all of it with a half-life of 0, which is never."""
    return 0.5 ** (max(0.0, days) / half_life_days) if half_life_days > 0 else 1.0


@dataclass(frozen=True)
class Posterior:
    """Dirichlet weights of better, same, worse; Normal-Gamma (mu, kappa, alpha, beta) of the gain."""

    better: float
    same: float
    worse: float
    mu: float
    kappa: float
    alpha: float
    beta: float

    def given(self, tally: Tally) -> Posterior:
        """After these verdicts."""
        n, kappa = tally.gains, self.kappa + tally.gains
        apart = tally.mean - self.mu
        return Posterior(
            self.better + tally.better,
            self.same + tally.same,
            self.worse + tally.worse,
            (self.kappa * self.mu + n * tally.mean) / kappa,
            kappa,
            self.alpha + n / 2,
            self.beta + tally.squares / 2 + self.kappa * n * apart * apart / (2 * kappa),
        )

    def as_prior(self) -> Posterior:
        """This belief as the starting point of a more special one: the same means, worth STRENGTH verdicts."""
        total = self.better + self.same + self.worse
        return Posterior(
            STRENGTH * self.better / total,
            STRENGTH * self.same / total,
            STRENGTH * self.worse / total,
            self.mu,
            STRENGTH,
            2.0,
            2.0 * self.beta / self.alpha,
        )

    @property
    def chance_better(self) -> float:
        return self.better / (self.better + self.same + self.worse)

    @property
    def chance_worse(self) -> float:
        return self.worse / (self.better + self.same + self.worse)

    @property
    def scale(self) -> float:
        """Of the Student distribution (2 alpha degrees of freedom) that the mean gain has."""
        return math.sqrt(self.beta / (self.alpha * self.kappa))

    @property
    def interval(self) -> tuple[float, float]:
        """Where the mean gain lies with 80 %."""
        freedom = 2 * self.alpha
        # Student's quantile from the normal one (Abramowitz and Stegun 1964, 26.7.5), good to 1 % from 4 degrees.
        first, second = (Z80**3 + Z80) / 4, (5 * Z80**5 + 16 * Z80**3 + 3 * Z80) / 96
        half = self.scale * (Z80 + first / freedom + second / freedom**2)
        return self.mu - half, self.mu + half

    def chance_of_harm(self) -> float:
        """How sure it is that worse comes more often than better: the tail of a Beta distribution beyond one half."""
        at = (np.arange(400) + 0.5) / 400
        logs = (self.worse - 1) * np.log(at) + (self.better - 1) * np.log1p(-at)
        weights = np.exp(logs - logs.max())
        return float(weights[200:].sum() / weights.sum())

    def draw(self, dice: np.random.Generator) -> float:
        """A gain as it may be, for the Thompson rule."""
        return float(self.mu + self.scale * dice.standard_t(2 * self.alpha))


NOTHING_KNOWN = Posterior(
    better=1.0, same=1.0, worse=1.0, mu=0.0, kappa=2.0, alpha=2.0, beta=2.0 * SPREAD * SPREAD
)
