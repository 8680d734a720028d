"""The queue by hand: a grid as one row, moves by pointer and by key, priorities and stops, and their Undo."""

import re
import time

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from tests.support.domain import a_member, a_project, a_run
from training.jobs import ticks
from training.jobs.groups import submit_grid
from training.jobs.submit import submit
from training.models import Job, Quota

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def test_a_grid_unfolds_and_is_stopped_as_one_and_jobs_are_moved_and_moved_back(
    window, operator, broker, settings
):
    experiment = a_run(name="made before").experiment
    first, second = (
        submit(experiment=experiment, argv=["python", "train.py"], name=name, user=operator)
        for name in ("first", "second")
    )
    group = submit_grid(
        experiment=experiment, argv=["python", "train.py"], name="sweep", grid={"lr": ["1", "2", "3"]}, user=operator
    )  # fmt: skip
    page = window().log_in(operator).open("/queue")
    names = page.locator("tbody td.run a")
    expect(names).to_have_text(["first", "second", "sweep"])
    row = page.get_by_role("row").filter(has_text="sweep")
    expect(row).to_contain_text("3 queued")
    page.get_by_role("button", name="Jobs of sweep").click()
    expect(names).to_have_text(["first", "second", "sweep", "sweep lr=1", "sweep lr=2", "sweep lr=3"])
    # By key: down past the other, and back by the message's Undo.
    page.get_by_role("button", name=re.compile("^Move first:")).press("ArrowDown")
    expect(names.first).to_have_text("second")
    expect(page.get_by_role("button", name=re.compile("^Move first:"))).to_be_focused()  # for the next key
    page.get_by_role("button", name="Undo").click()
    expect(names.first).to_have_text("first")
    # By pointer, out of the grid: it is the first of its group then, which stands where that does.
    page.get_by_role("row").filter(has_text="sweep lr=3").drag_to(
        page.get_by_role("row").filter(has_text="first")
    )
    expect(names).to_have_text(["sweep", "sweep lr=3", "sweep lr=1", "sweep lr=2", "first", "second"])
    page.get_by_role("button", name="Jobs of sweep").click()
    expect(names).to_have_text(["sweep", "first", "second"])
    page.get_by_label("Priority of sweep").select_option(label="high")
    expect(page.get_by_text("sweep now has priority 100.")).to_be_visible()
    assert set(Job.objects.filter(group=group).values_list("priority", flat=True)) == {100}
    page.get_by_role("button", name="Stop all of sweep").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 leave the queue and do not run; 0 are asked")
    dialog.get_by_role("button", name="Stop all of them").click()
    expect(names).to_have_text(["first", "second"])
    assert set(Job.objects.filter(group=group).values_list("state", flat=True)) == {"stopped"}
    assert {job.state for job in Job.objects.filter(pk__in=[first.pk, second.pk])} == {"queued"}
    # Its runs are found by the column that names it.
    page.goto(f"/experiments/{experiment.pk}?columns=group")
    expect(page.get_by_role("columnheader", name="Grid or array")).to_be_visible()
    expect(page.get_by_text(f"sweep · {group.code}")).to_have_count(3)
    # With the ticks late nothing is placed, and the pages where one waits for that say so.
    settings.CELERY_BEAT_SCHEDULE = {"place": {"task": "training.place", "schedule": 2.0}}
    broker.client().hset(ticks.KEY, "training.place", time.time() - 40)
    stalled = page.get_by_role("alert").filter(has_text="Nothing has been placed for")
    for path in ("/", "/queue"):
        page.goto(path)
        expect(stalled).to_contain_text("nobody sends the ticks; is beat running?")
    ticks.note("training.place", 0.01, well=True)
    expect(stalled).to_have_count(0, timeout=30_000)  # the page looks by itself


def test_an_administrator_sets_a_projects_quota_and_takes_it_back(window, live_site, broker):
    project = a_project()
    user = a_member(project, "ada")
    user.is_superuser = user.is_staff = True
    user.save()
    a_member(project, "eve")
    page = window().log_in(user).open("/queue")
    page.get_by_role("button", name="Set a quota").click()
    dialog = page.get_by_role("dialog", name="Quota of a project")
    dialog.get_by_label("Devices").select_option("cpu")
    dialog.get_by_label("Its own").fill("-1")
    dialog.get_by_role("button", name="Save").click()
    assert not Quota.objects.exists(), "the field says what it takes"
    dialog.get_by_label("Its own").fill("2")
    dialog.get_by_label("May borrow").fill("3")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    row = page.get_by_role("region", name="Who uses what").get_by_role("row").filter(has_text=project.slug)
    expect(row).to_contain_text("0 of 2")
    assert Quota.objects.values_list("kind", "devices", "borrow").get() == ("cpu", 2, 3)
    page.get_by_role("button", name="Undo").click()
    expect(row).to_have_count(0)
    assert not Quota.objects.exists()
    eve = window().log_in(User.objects.get(username="eve")).open("/queue")
    expect(eve.get_by_role("heading", name="Running")).to_be_visible()
    expect(eve.get_by_role("button", name="Set a quota")).to_have_count(0)
