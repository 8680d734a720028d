"""What a first start shows: real trainings on real data, one of them with a rate that its controller has to mend."""

import sys
from typing import Any

from django.conf import settings
from django.db import transaction

from control.models import ControllerSettings, Mode
from training.jobs.submit import submit
from training.models import Experiment, Project

SLUG = "demo"
DIGITS = (
    "Handwritten digits, brought to 28 x 28, turned, moved and covered with noise. One run starts with a learning "
    "rate at which nothing can be learned: watch its decisions. Or set a bad one yourself, under Control: what you set "
    "is left alone for 20 seconds, then the controller may mend it."
)
POLE = "An agent that plays: each step it plays some games with the policy it has, and learns from how they went."
LIBRARY = "A small GPT that learns to write Python from Python's own library, character by character."


@transaction.atomic
def queue_demo(user: Any) -> Experiment | None:
    """Create the demo's project and queue its trainings, once. None when it has been there before."""
    project, made = Project.objects.get_or_create(slug=SLUG, defaults={"name": "Demo"})
    if not made:
        return None
    digits = Experiment.objects.create(
        project=project, name="Digits", slug="digits", notes=DIGITS, goal_metric="val/accuracy",
        goal_direction="max", goal_target=0.97, created_by=user,
    )  # fmt: skip
    library = Experiment.objects.create(
        project=project, name="Library sources", slug="library-sources", notes=LIBRARY, goal_metric="val/loss",
        created_by=user,
    )  # fmt: skip
    # A visitor who sets a bad rate should see it mended before they look away: it is theirs for 20 s only.
    ControllerSettings.objects.update_or_create(
        experiment=digits, defaults={"mode": Mode.ACT, "guards": {"hands_off_seconds": 20}}
    )
    ControllerSettings.objects.update_or_create(experiment=library, defaults={"mode": Mode.ADVISE})
    pole = Experiment.objects.create(
        project=project, name="CartPole", slug="cartpole", notes=POLE, goal_metric="val/moves",
        goal_direction="max", goal_target=475, created_by=user,
    )  # fmt: skip
    ControllerSettings.objects.update_or_create(experiment=pole, defaults={"mode": Mode.OBSERVE})
    # In the order in which a newcomer should see them: on two cores the third waits its turn.
    train(digits, user, "learning rate far too high", "cnn", "--lr", "1", "--steps", "8000")
    train(library, user, "character GPT", "gpt", "--steps", "6000")
    train(digits, user, "learning rate 0.05", "cnn", "--lr", "0.05", "--steps", "6000")
    train(pole, user, "policy gradient", "cartpole", "--steps", "300")
    return digits


def train(experiment: Experiment, user: Any, name: str, trainer: str, *arguments: str) -> None:
    argv = [sys.executable, "-m", f"training.trainers.{trainer}", *arguments]
    submit(
        experiment=experiment, argv=argv, name=name, cwd=str(settings.BASE_DIR), tags=["demo"], user=user,
        max_retries=2,
    )  # fmt: skip
