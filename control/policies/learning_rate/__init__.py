"""The learning rate: a search from the start of a run (search.py), single trials later (policy.py)."""

from .policy import LearningRate

__all__ = ["LearningRate"]
