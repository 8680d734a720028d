"""What a first start queues: once, in the order a newcomer should see it, with commands that can run."""

import importlib
import sys

import pytest
from django.contrib.auth import get_user_model

from control.models import ControllerSettings, Mode
from scaleweb.demo import queue_demo
from training.models import Experiment, Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return get_user_model().objects.create_user("ada", is_superuser=True)


def test_the_demo_is_queued_once(ada):
    assert queue_demo(ada).name == "Digits"
    jobs = Job.objects.count()
    assert queue_demo(ada) is None
    assert Job.objects.count() == jobs


def test_a_demo_that_somebody_emptied_does_not_come_back(ada):
    queue_demo(ada)
    Job.objects.all().delete()
    assert queue_demo(ada) is None
    assert not Job.objects.exists()


def test_each_experiment_has_a_goal_and_the_digits_are_steered(ada):
    queue_demo(ada)
    goals = dict(Experiment.objects.values_list("name", "goal_metric"))
    assert goals == {"Digits": "val/accuracy", "Library sources": "val/loss", "CartPole": "val/moves"}
    modes = dict(ControllerSettings.objects.values_list("experiment__name", "mode"))
    assert modes == {"Digits": Mode.ACT, "Library sources": Mode.ADVISE, "CartPole": Mode.OBSERVE}


def test_every_command_is_one_that_its_trainer_takes_and_the_rescue_comes_first(ada):
    queue_demo(ada)
    jobs = list(Job.objects.order_by("pk"))
    for job in jobs:
        python, flag, module, *arguments = job.argv
        assert (python, flag) == (sys.executable, "-m")
        assert importlib.import_module(module).arguments(arguments).steps > 0
        assert (job.device_kind, job.min_devices, job.max_devices) == ("cpu", 1, 1)
    assert jobs[0].run.name == "learning rate far too high"
