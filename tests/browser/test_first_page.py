"""The first page, where there is more than it lists, and where what it lists is removed by others."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.support.domain import a_run
from training.models import Run

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
