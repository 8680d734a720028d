"""The first page, where there is more than it lists, and where what it lists is removed by others."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from monitoring import nodes
from tests.browser.test_answers import WATCH
from tests.support.domain import a_run
from training.deleting import delete_experiment
from training.models import Experiment, Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def test_all_runs_that_need_a_person_are_reached_from_the_first_page(window, operator):
    now = timezone.now()
    first = a_run(name="oldest", state="failed", ended_at=now)
    Run.objects.bulk_create(
        Run(experiment=first.experiment, name=f"broken {i}", code=f"broken{i}", state="failed", ended_at=now)
        for i in range(119)
    )
    page = window().log_in(operator).open("/")
    card = page.get_by_role("region", name="Needs you")
    card.get_by_role("button", name="Show all 50").click()
    expect(card.get_by_role("listitem")).to_have_count(50)
    card.get_by_role("link", name="and 70 more: all runs that need you").click()
    every = page.get_by_role("region", name="Runs that need you")
    lines = every.get_by_role("listitem")
    expect(lines).to_have_count(100)
    expect(lines.first).to_contain_text("broken 118")
    expect(lines.first).to_contain_text("It ended with an error")
    every.get_by_role("button", name="Show more").press("Enter")
    expect(lines).to_have_count(120)
    expect(lines.nth(100).get_by_role("link", name="broken 18")).to_be_focused()
    expect(every.get_by_role("button")).to_have_count(0)
    lines.last.get_by_role("link", name="oldest").click()
    expect(page).to_have_url(re.compile(rf"/runs/{first.code}\?tab=events$"))


def test_what_others_remove_keeps_its_place_says_so_and_leads_nowhere(window, operator):
    window.allowed.append("status of 404")  # of their own pages, which look again
    first = a_run(name="bold-otter", state="finished", ended_at=timezone.now())
    other = Experiment.objects.create(project=first.experiment.project, name="letters", slug="letters")
    made = {}
    for name in ("node-a", "node-b"):
        gpu = {"kind": "gpu", "index": 0, "name": "H100", "uuid": f"GPU-{name}"}
        made[name] = nodes.register(name, {"hostname": name, "latest": {}}, [gpu])
    opened = window().log_in(operator)
    home, fleet, own, within = (
        opened.open(path) for path in ("/", "/nodes", "/nodes/node-a", f"/experiments/{other.pk}")
    )
    for page in (home, fleet):
        page.evaluate(WATCH)
        expect(page.locator("main [data-holds=true]")).to_be_attached()
    expect(own.get_by_role("heading", name="node-a", level=1)).to_be_visible()
    expect(within.get_by_role("heading", name="letters", level=1)).to_be_visible()
    for page in (home, fleet):
        page.mouse.move(500, 300)
    nodes.remove(made["node-a"])
    delete_experiment(other)
    gpus = home.get_by_role("region", name="GPUs")
    expect(gpus).to_contain_text(re.compile("node-a not there any more"))
    expect(gpus.get_by_role("link", name=re.compile("node-a"))).to_have_count(0)
    expect(gpus.get_by_role("link", name="node-b", exact=True)).to_be_visible()
    experiments = home.get_by_role("region", name="All experiments")
    expect(experiments).to_contain_text("letters · deleted")
    expect(experiments.get_by_role("link", name="letters")).to_have_count(0)
    assert home.evaluate("moved") == []
    home.get_by_role("button", name="Show 2 changes").click()
    expect(gpus).not_to_contain_text("node-a")
    expect(experiments).not_to_contain_text("letters")
    card = fleet.get_by_role("region", name="node-a")
    expect(card).to_contain_text("not there any more")
    expect(fleet.get_by_role("link", name=re.compile("node-a"))).to_have_count(0)
    assert fleet.evaluate("moved") == []
    fleet.get_by_role("button", name="Show 1 change").click()
    expect(card).to_have_count(0)
    # Who is on its own page reads on, and is told.
    expect(own.locator("main")).to_contain_text("not there any more")
    expect(within.locator("main")).to_contain_text("deleted")
