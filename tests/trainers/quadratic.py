"""A loss whose gradient noise is known in closed form."""

import math

import torch


class Quadratic(torch.nn.Module):
    """Loss |w - x|^2 / 2: a sample's gradient is w - x, so signal and noise are known in closed form."""

    def __init__(self, dimensions, distance):
        super().__init__()
        self.first = torch.nn.Parameter(torch.full((dimensions // 2,), distance / math.sqrt(dimensions)))
        self.second = torch.nn.Parameter(torch.full((dimensions // 2,), distance / math.sqrt(dimensions)))

    def forward(self, samples):
        return ((torch.cat([self.first, self.second]) - samples) ** 2).sum(1).mean() / 2
