"""Real small trainings that say where they end: lowered towards it by the controller, they end lower."""

import torch
from torch.nn import functional as F

from control.policies.learning_rate import LearningRate
from tests.loop.steered import SteeredLoop
from tests.trainers.small import DIGITS, parts

HELD, LABELS = torch.tensor(DIGITS.data[1200:], dtype=torch.float32) / 16, torch.tensor(DIGITS.target[1200:])
STEPS = 1000


def trained(policies, seed):
    """(loss over held-back digits, the steered loop) of a training whose rate is good for its first half."""
    model, optimizer, _ = parts(seed, lr=0.3, momentum=0.9)
    rows = torch.utils.data.TensorDataset(
        torch.tensor(DIGITS.data[:1200], dtype=torch.float32) / 16 + 0.3 * torch.randn(1200, 64),
        torch.tensor(DIGITS.target[:1200]),
    )
    loader = torch.utils.data.DataLoader(rows, batch_size=16, shuffle=True)
    steered = SteeredLoop(model, optimizer, loader, policies)
    steered.run(lambda batch: F.cross_entropy(model(batch[0]), batch[1]), STEPS)
    model.eval()
    with torch.no_grad():
        return float(F.cross_entropy(model(HELD), LABELS)), steered


def test_a_training_that_is_lowered_towards_its_end_ends_lower():
    better = 0
    for seed in range(3):
        alone, _ = trained([], seed)
        led, steered = trained([LearningRate()], seed)
        ends = [made.past for made in steered.site.made if "ending" in made.past.evidence]
        assert ends, steered.site.told
        assert all(past.decided_step >= 0.8 * STEPS - 1 and past.new_value < past.old_value for past in ends)
        better += led < alone
    assert better == 3
