"""A loss that broke: what stays in ruins is not called recovering, what mends is, soon."""

import numpy as np

from control.estimators.course import Stage, find_course
from control.estimators.health import Limits
from control.proposals import Window

HEALTHY, AFTER, EVERY = 300, 800, 20


def wander(dice, count, spread, memory):
    """Noise of this spread, each value so far like the one before."""
    pushes = dice.normal(0, spread * np.sqrt(1 - memory**2), count)
    values = [dice.normal(0, spread)]
    for push in pushes[1:]:
        values.append(memory * values[-1] + push)
    return np.array(values)


def broken(seed, after):
    """A loss that falls for 300 steps and then goes as `after` has it: a function of dice and steps to logarithms."""
    dice = np.random.default_rng(seed)
    sound = np.log(2.3 * np.exp(-np.arange(HEALTHY) / 150) + 0.2)
    logs = np.concatenate([sound, after(dice, np.arange(AFTER))])
    return np.exp(logs + wander(dice, len(logs), dice.choice([0.05, 0.15, 0.3]), dice.choice([0, 0.5, 0.9])))


def stages(values):
    """What it is called at each look after the first 60 broken steps."""
    found = []
    for end in range(HEALTHY + 60, HEALTHY + AFTER, EVERY):
        steps = np.arange(end)
        window = Window.of(steps, steps.astype(float), values[:end])
        course = find_course(window, window, Limits())
        found.append(None if course is None else course.stage)
    return found


def test_what_stays_in_ruins_is_hardly_ever_called_recovering():
    def plateau(dice, steps):
        return np.full(len(steps), np.log(dice.choice([2.3, 5, 30])))

    looks = [stage for seed in range(3000, 3030) for stage in stages(broken(seed, plateau))]
    assert looks.count(Stage.BROKEN) / len(looks) > 0.99
    assert looks.count(Stage.RECOVERED) == 0


def test_what_mends_is_called_so_while_it_is_on_its_way():
    def mending(dice, steps):
        return np.log(0.25 + (dice.choice([5, 30]) - 0.25) * np.exp(-steps / 150))

    firsts = []
    for seed in range(3000, 3020):
        better = [
            number for number, stage in enumerate(stages(broken(seed, mending))) if stage is not Stage.BROKEN
        ]
        firsts.append(60 + EVERY * better[0])
    assert np.median(firsts) <= 120  # of the 500 that it takes
    assert max(firsts) <= 300, firsts
