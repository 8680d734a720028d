"""Divergence: when the loss is broken for good, go back to before it broke and train on more slowly.

Sees: the training loss, the gradient norm where it is logged, checkpoints, the learning rate.
Does: rolls back to the last sane checkpoint from before the trouble; lowers the learning rate too, unless the run had
been well at it for long: then the rate is not what broke it, and other batches come. Only lowers it where there is no
such checkpoint. Leaves alone what heals by itself.

Source: restarting from an earlier checkpoint with a lower learning rate is what the OPT-175B team did
by hand (Zhang et al. 2022, arXiv 2205.01068, section 2.5); a checkpoint some way before the spike, as
PaLM chose it, and went on at the same rate with other batches, where the trouble did not come again (Chowdhery et al.
2022, arXiv 2204.02311, section 5.1); by how much is backtracking,
a geometric cut that is repeated until the step holds (Armijo 1966, Pacific J. Math. 16(1)): about half
a decade where the run had been healthy at this rate, a decade where it never was. Where a raised rate began
it, the rate from before that.
"""

from .policy import Divergence

__all__ = ["Divergence"]
