"""A saved view is the same for whoever opens its short link."""

# ruff: noqa: F811 (fixtures named as arguments)

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests.browser.panels import add, css, experiment, panel, points  # noqa: F401
from tests.support.domain import a_member, a_project
from tests.support.wait import until
from training.models import SavedView, ViewLink

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def seen(page: Page) -> dict[str, object]:
    """Columns with their widths, whose eyes are open and in which colour, and the page's smoothing."""
    heads = page.locator("thead .sort").evaluate_all(
        "all => all.map((each) => [each.ariaLabel, Math.round(each.closest('th').offsetWidth)])"
    )
    eyes = page.locator("[aria-pressed=true][aria-label^='Draw run']")
    return {
        "heads": heads,
        "eyes": {each.get_attribute("aria-label"): css(each.locator("i"), "backgroundColor") for each in eyes.all()},
        "smoothing": page.get_by_role("slider", name="Smoothing").input_value(),
    }  # fmt: skip


def choose(page: Page, run: str, name: str) -> None:
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=run, exact=True))
    row.hover()
    row.get_by_role("button", name=f"More for {run}").click()
    page.get_by_role("button", name=name, exact=True).click()


def test_another_person_sees_what_was_saved_whatever_they_looked_at_before(window, operator, experiment):
    page = window().log_in(operator).open(f"/experiments/{experiment}?find=%2F%5Erun%2F&sort=name")
    until(lambda: points(page, "loss") > 0, 20)
    loss = page.locator("thead").get_by_role("button", name="loss", exact=True)
    loss.focus()
    page.keyboard.press("Alt+ArrowLeft")
    page.keyboard.press("Shift+ArrowRight")
    choose(page, "run 0", "Colour 5")
    choose(page, "run 2", "Draw only this")
    page.get_by_role("slider", name="Smoothing").press("End")
    dialog = add(page, "Lines")
    dialog.get_by_label("Metric or calculation 1").fill("1 - loss")
    dialog.get_by_label("Title").fill("Turned over")
    dialog.get_by_role("button", name="Done").click()
    until(lambda: points(page, "Turned over") > 0)
    page.get_by_role("button", name="Saved views").click()
    page.get_by_role("button", name="Save as a new view").click()
    saving = page.get_by_role("dialog", name="Save this view")
    saving.get_by_label("Name").fill("Turned")
    saving.get_by_role("checkbox").check()
    saving.get_by_role("button", name="Save", exact=True).click()
    saving.get_by_role("button", name="Done").click()
    view = SavedView.objects.get()
    kept = seen(page)
    assert list(kept["eyes"]) == ["Draw run 2"]
    # The other one has looked at it in another way before.
    other = window().log_in(a_member(a_project(), "grace", "viewer")).open(f"/experiments/{experiment}")
    until(lambda: points(other, "loss") > 0, 20)
    other.get_by_role("button", name="Draw run 1", exact=True).click()
    other.goto(f"/v/{view.code}")
    until(lambda: points(other, "Turned over") > 0, 20)
    until(lambda: seen(other) == kept)
    expect(other.get_by_role("searchbox", name="Search runs")).to_have_value("/^run/")
    assert other.locator("tbody td.name a").all_inner_texts() == ["run 0", "run 1", "run 2"]
    # Who was drawn before one run was drawn alone comes back for them, too, each in the colour that it had.
    for each in (page, other):
        choose(each, "run 2", "Draw the others again")
        until(lambda each=each: len(seen(each)["eyes"]) == 3)
    assert seen(other) == seen(page)


def test_a_guest_sees_the_groups_of_a_shared_view_on_its_charts(window, operator, experiment):
    page = window().log_in(operator).open(f"/experiments/{experiment}?groups=config:depth&lines=[0]%0A[2]")
    until(lambda: points(page, "loss") > 0, 20)

    def lines(of: Page) -> dict[str, str]:
        """Name and colour of each line at the crosshair."""
        panel(of, "loss").locator(".u-over").hover(position={"x": 60, "y": 60})
        found = of.locator(".tip .reading").all()
        return {
            each.locator(".label").inner_text(): css(each.locator("i"), "backgroundColor") for each in found
        }

    until(lambda: set(lines(page)) == {"depth=0 (1)", "depth=2 (1)"})
    page.get_by_role("button", name="Saved views").click()
    page.get_by_role("button", name="Save as a new view").click()
    saving = page.get_by_role("dialog", name="Save this view")
    saving.get_by_label("Name").fill("By depth")
    saving.get_by_role("button", name="Save", exact=True).click()
    saving.get_by_role("button", name="Done").click()
    _, token = ViewLink.issue(
        SavedView.objects.get(), created_by=operator, expires_at=timezone.now() + timedelta(days=1)
    )
    guest = window().open(f"/shared#{token}")
    expect(guest.get_by_role("heading", name="By depth")).to_be_visible()
    until(lambda: points(guest, "loss") > 0, 20)
    until(lambda: lines(guest) == lines(page))
