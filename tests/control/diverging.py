"""Losses that fall and break, and what the divergence policy proposes for them."""

import numpy as np

from control.policies.divergence import Divergence
from tests.control.make import a_checkpoint, a_rate, noisy, seen

POLICY = Divergence()
FALLING = noisy(2.3 * np.exp(-np.arange(300) / 150), 0.05)
BROKEN = np.concatenate([FALLING, 1.5 + np.zeros(60)])
CHECKPOINTS = tuple(a_checkpoint(step) for step in (0, 100, 200))
# A rate that was set not long ago is suspect, whatever it was before.
SUSPECT = a_rate(changed_step=10)


def ask(loss, **fields):
    fields = {"checkpoints": CHECKPOINTS} | fields
    return POLICY.propose(seen(loss, policy=POLICY, **fields))


def spike(height, length, after=60):
    return np.concatenate(
        [FALLING, FALLING[-1] * height * np.ones(length), noisy(0.3 * np.ones(after), 0.05)]
    )
