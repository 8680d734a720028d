"""What an undoing makes of a batch that ran out of memory after the decision."""

import pytest

from control.undo import Setting, undo
from control.verify import Judgement
from tests.control.make import a_count, a_rate, named

RATE = (0.1, 0.14)  # before, after


def taken_back(size, parts, failed=None, batch=None, accumulation=None, rate=None):
    """The settings after the undoing of a decision that changed `batch`, `accumulation` and `rate`, each (old, new).

    size, parts: as they stand now. failed: the size that ran out of memory, as the process tells.
    """
    about = {} if failed is None else {"failed": failed}
    now = named(a_count("batch_size", size, about=about), a_count("accumulation", parts), a_rate(0.14))
    made = {"batch_size": batch, "accumulation": accumulation, "lr": rate}
    settings = [Setting(now[name], *values) for name, values in made.items() if values is not None]
    back = undo(
        Judgement("worse", "."), trial=True, verb="set", settings=settings, tunables=now, broken=False,
        checkpoints=[], before_step=0,
    )  # fmt: skip
    after = {"batch_size": size, "accumulation": parts, "lr": 0.14}
    after |= {change.tunable: change.value for change in back.changes} if back else {}
    return after["batch_size"], after["accumulation"], after["lr"]


@pytest.mark.parametrize(
    ("stands", "decision", "wanted"),
    [
        # Nothing happened since: the old values.
        ((128, 1), {"batch": (64, 128)}, (64, 1)),
        ((64, 1), {"batch": (32, 64), "accumulation": (2, 1)}, (32, 2)),
        # Memory ran out before the decision: that is none of its business.
        ((32, 2, 64), {"accumulation": (4, 2)}, (32, 4)),
        # A growth to 128 ran out of memory and stands as two of 64: one of 64 it was.
        ((64, 2, 128), {"batch": (64, 128)}, (64, 1)),
        # Twice; and with two to a step from the start.
        ((32, 4, 64), {"batch": (64, 128)}, (32, 2)),
        ((64, 4, 128), {"batch": (64, 128)}, (64, 2)),
        # A growth to fourfold whose quarter was halved fits less than what it began with.
        ((8, 8, 16), {"batch": (16, 64)}, (8, 2)),
        # A shrinking after which even the smaller batch was too large: as many samples in smaller ones.
        ((16, 2, 32), {"batch": (64, 32)}, (16, 4)),
        ((16, 4, 32), {"accumulation": (4, 2)}, (16, 8)),
        # A probe, and a trial of memory: the same effective batch before and after, and so again.
        ((16, 4, 32), {"batch": (64, 32), "accumulation": (1, 2)}, (16, 4)),
        ((32, 2, 64), {"batch": (32, 64), "accumulation": (2, 1)}, (32, 2)),
        # An odd size was divided by three.
        ((5, 3, 15), {"batch": (9, 15)}, (3, 3)),
    ],
)
def test_the_effective_batch_goes_back_to_what_it_was_before(stands, decision, wanted):
    assert taken_back(*stands, **decision, rate=RATE) == (*wanted, 0.1)


@pytest.mark.parametrize(
    ("stands", "decision"),
    [
        # Another size than memory explains: somebody's own.
        ((48, 2), {"batch": (64, 128)}),
        ((48, 2, 96), {"batch": (64, 128)}),
        ((64, 3, 128), {"batch": (64, 128)}),
        ((64, 2, 128), {"batch": (32, 128), "accumulation": (2, 2)}),
        ((32, 8), {"accumulation": (4, 2)}),
    ],
)
def test_a_batch_that_somebody_changed_since_stays_whole_with_its_rate(stands, decision):
    assert taken_back(*stands, **decision, rate=RATE) == (stands[0], stands[1], 0.14)


def test_a_rate_that_somebody_changed_since_stays_and_the_batch_goes_back():
    assert taken_back(64, 2, 128, batch=(64, 128), rate=(0.1, 0.2)) == (64, 1, 0.14)
