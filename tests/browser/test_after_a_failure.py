"""What a run's page offers once its training has failed: the same again, and the same with another setting."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.support.domain import a_project, a_run
from tests.support.wait import until
from training.jobs.submit import submit
from training.models import Job, Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def test_a_run_that_failed_is_started_again_and_cloned_with_another_rate(window, operator):
    experiment = a_run(a_project(), name="beside", state="finished", ended_at=timezone.now()).experiment
    argv = ["python", "train.py", "--lr", "3"]
    job = submit(experiment=experiment, argv=argv, name="bold-otter", user=operator)
    Job.objects.filter(pk=job.pk).update(state="failed", ended_at=timezone.now())
    Run.objects.filter(pk=job.run_id).update(state="failed", ended_at=timezone.now())
    page = window().log_in(operator).open(f"/runs/{job.run.code}")
    header = page.locator("header").first
    expect(header.get_by_text("failed", exact=True)).to_be_visible()
    page.get_by_role("link", name="Config").click()
    page.get_by_role("region", name="Code and command").get_by_role("link", name="Clone and edit").click()
    expect(page).to_have_url(re.compile(rf"/submit\?from={job.code}$"))
    command = page.get_by_label("Command")
    expect(command).to_have_value("python train.py --lr 3")
    command.fill("python train.py --lr 0.3")
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page).to_have_url(re.compile(r"/runs/[a-z0-9]+$"))
    clone = Job.objects.exclude(pk=job.pk).get()
    assert (clone.argv, clone.run.experiment) == (["python", "train.py", "--lr", "0.3"], experiment)
    page.goto(f"/runs/{job.run.code}")
    page.get_by_role("button", name="Start again").click()
    asking = page.get_by_role("dialog", name="Start again?")
    expect(asking).to_contain_text("begins anew, as another attempt of this run")
    asking.get_by_role("button", name="Start again").click()
    expect(header.get_by_text("queued", exact=True)).to_be_visible()
    until(lambda: Job.objects.get(pk=job.pk).state == "queued", 10)
