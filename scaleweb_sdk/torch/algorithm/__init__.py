"""Changing what a training computes while it runs: prune its weights, compile its model, export it quantised.

Each is measured on a copy first; `Loop.offer_algorithms` is the way in.
"""

from .quantised import load_quantised

__all__ = ["load_quantised"]
