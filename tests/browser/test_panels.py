"""The panels of an experiment are made, found, arranged, and still so after a reload."""

# ruff: noqa: F811 (fixtures named as arguments)

import re

import pytest
from playwright.sync_api import Page, expect

from monitoring.live.publish import publish_change
from tests.browser.panels import add, experiment, panel, points  # noqa: F401
from tests.support.wait import until
from training.models import Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def pull(page: Page, what, x: float, y: float) -> None:
    """By the mouse, to a place of the window."""
    box = what.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(x, y, steps=4)
    page.mouse.up()


def test_panels_are_made_found_arranged_and_still_so_after_a_reload(window, operator, experiment):
    page = window().log_in(operator).open(f"/experiments/{experiment}")
    until(lambda: points(page, "loss") > 0, 20)
    began = page.evaluate("performance.now()")

    dialog = add(page, "Lines")
    expression = dialog.get_by_label("Metric or calculation 1")
    expression.fill("loss / (val/loss")
    expect(dialog.get_by_role("alert")).to_have_text("A “)” is missing at the end.")
    expression.fill("loss / val/loss")
    dialog.get_by_label("Title").fill("Ratio")
    dialog.get_by_role("button", name="Done").click()
    until(lambda: points(page, "Ratio") > 0)
    add(page, "Parallel coordinates").get_by_role("button", name="Done").click()
    lane = page.get_by_role("slider", name="Pick by lr")
    lane.press("ArrowUp")
    expect(page.get_by_text("2 of 3 runs")).to_be_visible()
    add(page, "Importance").get_by_role("button", name="Done").click()
    expect(page.get_by_text("Too few for a forest: correlation alone.")).to_be_visible(timeout=30_000)
    # Hostile and endless names are words like others, and are found by pattern.
    search = page.get_by_label("Find a panel")
    search.fill("/^<img|^long/")
    expect(page.locator("[data-panel]")).to_have_count(2)
    assert page.locator("main img").count() == 0
    search.fill("/(/")
    expect(page.get_by_role("alert")).to_contain_text("Not a regular expression")
    # Of three hundred panels in a section only those near the screen exist.
    search.fill("weight")
    page.get_by_role("button", name="Show all 300 panels").click()
    expect(page.locator("[data-panel]")).to_have_count(300)
    assert page.locator("section.panel").count() < 60
    search.fill("")
    order = (
        "[...document.querySelectorAll('[data-section=\"\"] [data-panel]')].map((each) => each.dataset.panel)"
    )
    # A metric that comes now moves none of them, until it is put in its place. In the first three seconds it would.
    until(lambda: page.evaluate("performance.now()") > began + 3000)
    first = page.evaluate(order)
    run = Run.objects.get(name="run 1")
    run.summary["aaa"] = 1.0
    run.save(update_fields=["summary"])
    publish_change(f"experiment:{experiment}", "run", {"code": run.code, "summary": {"aaa": 1.0}})
    places = page.get_by_role("button", name="Put them in their places")
    expect(places).to_be_visible()
    assert page.evaluate(order) == first
    places.press("Enter")
    expect(places).to_have_count(0)
    assert page.evaluate(order) != first
    # The button is gone: the focus goes on where the metric has its place, and is seen.
    section = page.locator("[data-section='']").get_by_role("button", name=re.compile("^Metrics"))
    expect(section).to_be_focused()
    expect(section).to_be_in_viewport()
    first = page.evaluate(order)
    # By keys: moved behind the next one, made wider, as large as the window and on to the next. The button was
    # below three hundred panels, where those of the beginning do not exist: one goes back to them first.
    page.locator(f'[data-panel="{first[0]}"]').scroll_into_view_if_needed()
    page.get_by_label("Move Ratio with the arrow keys").press("ArrowRight")
    until(lambda: page.evaluate(order)[:2] == [first[1], first[0]])
    page.get_by_label("Size of Ratio, with the arrow keys").press("ArrowDown")
    # By the mouse: carried back before the other one, and drawn taller at its corner.
    before = page.locator(f'[data-panel="{first[1]}"]')
    before.scroll_into_view_if_needed()
    other = before.bounding_box()
    pull(page, page.get_by_label("Move Ratio with the arrow keys"), other["x"] + 20, other["y"] + 60)
    until(lambda: page.evaluate(order)[:2] == first[:2])
    corner = page.get_by_label("Size of Ratio, with the arrow keys")
    height, box = panel(page, "Ratio").bounding_box()["height"], corner.bounding_box()
    pull(page, corner, box["x"] + 8, box["y"] + 68)
    until(lambda: panel(page, "Ratio").bounding_box()["height"] > height + 40)
    page.get_by_role("button", name="Enlarge loss").click()
    title = page.get_by_role("dialog").get_by_role("heading")
    expect(title).to_have_text("loss")  # it is fetched when it is first asked for
    page.keyboard.press("ArrowRight")
    expect(title).not_to_have_text("loss")
    page.keyboard.press("Escape")
    arranged = page.evaluate(order)
    page.reload()
    until(lambda: points(page, "Ratio") > 0, 20)
    assert page.evaluate(order) == arranged
    panel(page, "Ratio").get_by_label("More about Ratio").click()
    panel(page, "Ratio").get_by_role("button", name="Remove").click()
    expect(panel(page, "Ratio")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(panel(page, "Ratio")).to_be_visible()
    # Parallel coordinates follow the table's search as the other panels do.
    parallel = page.get_by_role("region", name=re.compile("^depth · lr"))
    expect(parallel).to_contain_text("3 runs")
    page.get_by_role("searchbox", name="Search runs").fill("/^run [12]$/")
    expect(parallel).to_contain_text("2 runs")


def test_sections_are_folded_and_panels_edited_moved_between_them_and_put_away(window, operator, experiment):
    page = window().log_in(operator).open(f"/experiments/{experiment}")
    until(lambda: points(page, "loss") > 0, 20)
    section = page.locator("[data-section='layer']")
    head = section.get_by_role("button", name=re.compile("^layer"))
    expect(section.locator("[data-panel]").first).to_be_attached()
    head.click()
    expect(section.locator("[data-panel]")).to_have_count(0)
    # One panel gets a second metric, a name and a place of its own.
    panel(page, "loss").get_by_label("More about loss").click()
    panel(page, "loss").get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Edit the panel")
    more = dialog.get_by_label("Add a metric")
    more.fill("val/loss")
    more.press("Tab")
    expect(dialog.get_by_label("Metric or calculation 2")).to_have_value("val/loss")
    expect(more).to_have_value("")  # ready for another one
    dialog.get_by_label("Title").fill("Both losses")
    dialog.get_by_label("Section").fill("Curves")
    dialog.get_by_role("button", name="Done").click()
    curves = page.locator("[data-section='Curves']")
    expect(curves.get_by_role("region", name="Both losses", exact=True)).to_be_visible()
    panel(page, "Both losses").scroll_into_view_if_needed()
    until(lambda: points(page, "Both losses") > 0)
    panel(page, "Both losses").locator(".u-over").hover(position={"x": 90, "y": 60})
    expect(panel(page, "Both losses").locator(".tip .reading")).to_have_count(6)
    panel(page, "epoch").get_by_label("More about epoch").click()
    panel(page, "epoch").get_by_role("button", name="Put away").click()
    expect(panel(page, "epoch")).to_have_count(0)
    page.reload()
    expect(head).to_have_attribute("aria-expanded", "false")
    curves.locator("[data-panel]").scroll_into_view_if_needed()
    until(lambda: points(page, "Both losses") > 0, 20)
    expect(panel(page, "epoch")).to_have_count(0)
    page.get_by_role("button", name="Show 1 put away").click()
    expect(panel(page, "epoch")).to_be_attached()
    # What is folded is found all the same.
    page.get_by_label("Find a panel").fill("weight77")
    expect(section.locator("[data-panel]")).to_have_count(1)
    page.get_by_label("Find a panel").fill("")
    expect(section.locator("[data-panel]")).to_have_count(0)
    page.get_by_role("button", name="Enlarge Both losses").click()
    large = page.get_by_role("dialog")
    title = large.get_by_role("heading", name="Both losses", exact=True)
    expect(title).to_be_visible()
    large.get_by_role("button", name="Next panel").click()
    expect(title).to_have_count(0)
    large.get_by_role("button", name="Panel before").click()
    expect(title).to_be_visible()
    large.get_by_role("button", name="Close").click()
    expect(large).to_be_hidden()
    expect(page.get_by_role("button", name="Enlarge Both losses")).to_be_focused()
