"""By how much a start is to be raised, by the way its weights walk.

Where the rate is too low by a decade or more, ten steps lead on in the direction of the ten before, with SGD, with
momentum, with Adam: a mean cosine of 0.74 to 0.99 on four small trainings, against 0.1 to 0.73 at a good rate. And they
lead nowhere: 0.1 to 4 % of the weights' length (9 with momentum), against 2 to 70 %. So a run that began well is not
touched, whatever its loss does, and one that began low is raised within its first twenty steps.
"""

from control.estimators.motion import Motion

from .values import percent

# The mean cosine above which a run walks straight, by how many angles it is the mean of.
BEGIN, BEGIN_LATER = {1: 0.9, 2: 0.85}, 0.8
# After so many angles in all, of which none was enough, more is asked: by then a good run may have found a long valley.
OPENING, SURE = 12, 0.88
# The same once it is known that the run began too low.
CARRY_ON, CARRY_ON_LATER = {1: 0.8, 2: 0.72}, 0.65
# Moves of ten steps, as a share of the weights' length: up to where a straight walk is a slow one, and is carried on.
TINY, MIDDLE, LARGE = 0.01, 0.1, 0.2
# First moves that are long, and so long that next to nothing is left of how the weights began. On four small trainings:
# 5 to 28 % at the best rate, 13 to 67 % at three times it, 84 % and more at ten times it (an agent's 42 to 55, at
# thirty times 70 to 90).
FAR, UPROOTED = 0.35, 0.75
# An agent's games change with its weights, and what they teach leads it the same way for long.
AGENT = 0.3
DECADE, HALF = 10.0, 2.0


def climb(moving: Motion, last_factor: float, factor: float, of_agent: bool = False) -> float:
    """What to multiply the rate by; 1 where it may stay.

    last_factor: by what the search raised it before, 1 where it did not. factor: of an ordinary step.
    """
    # What is found long after the last step may be the training's own way, and is held to what a beginning is.
    share = AGENT if of_agent else 1.0
    carries_on = last_factor > 1 and moving.count <= 4
    if carries_on:
        needed, most = CARRY_ON.get(moving.count, CARRY_ON_LATER), (2 * AGENT if of_agent else 1.0) * MIDDLE
    else:
        needed, most = (
            BEGIN.get(moving.count, BEGIN_LATER if moving.looks <= OPENING else SURE),
            share * MIDDLE,
        )
    if moving.reach < TINY and moving.cosine > max(0.6, needed - 0.3):
        return DECADE
    creeps = moving.count >= 4 and moving.reach < 0.5 * TINY
    if creeps or (moving.cosine > needed and moving.reach < most and last_factor != HALF):
        return factor
    # The steps were coarse: the last rate at which it walked straight on may have been well below a good one.
    if carries_on and moving.count >= 2 and last_factor > HALF and moving.reach < share * LARGE:
        return HALF
    return 1.0


def words(moving: Motion) -> str:
    mean = f", mean of {moving.count}" if moving.count > 1 else ""
    wide = (
        f" (which reaches as far as {percent(moving.reach)} of a narrow model's)"
        if moving.breadth > 1
        else ""
    )
    return (
        f"ten steps move the weights by {percent(moving.ratio)} of their length{wide}, at a cosine of "
        f"{moving.cosine:.2f} to the ten before{mean}"
    )
