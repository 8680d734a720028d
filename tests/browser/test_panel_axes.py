"""Charts of an experiment, zoomed, moved and read along any axis, and taken along as files."""

# ruff: noqa: F811 (fixtures named as arguments)

import re

import pytest
from playwright.sync_api import expect

from tests.browser.panels import css, drag, experiment, panel, points, shown  # noqa: F401
from tests.support.wait import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def across(x: int) -> str:
    """The transform of a crosshair so many pixels to the right."""
    return f"matrix(1, 0, 0, 1, {x}, 0)"


def test_charts_are_zoomed_moved_and_read_along_any_axis_and_taken_along_as_files(
    window, operator, experiment
):
    # So high that all its charts are in view, also below the button that a zoom brings: others wait until they are.
    high = window(viewport={"width": 1280, "height": 1400})
    page = high.log_in(operator).open(f"/experiments/{experiment}")
    until(lambda: points(page, "loss") > 0, 20)
    coarse, whole = points(page, "loss"), shown(page, "loss")
    assert whole[1] > 2900
    drag(page, "loss", 0.25, 0.5)  # zooms, and what was in buckets is read again point by point
    until(lambda: 500 < shown(page, "loss")[0] < 1000)
    until(lambda: shown(page, "epoch") == shown(page, "loss"))  # linked
    until(lambda: points(page, "loss") > coarse)
    for key in ("Shift", "Alt"):  # either moves what is shown, and keeps its length
        before = shown(page, "loss")
        page.keyboard.down(key)
        drag(page, "loss", 0.5, 0.25)
        page.keyboard.up(key)
        until(lambda before=before: shown(page, "loss")[0] > before[0] + 100)
        after = shown(page, "loss")
        assert after[1] - after[0] == pytest.approx(before[1] - before[0], rel=0.01)
    moved, top = shown(page, "loss"), page.evaluate("scrollY")
    page.mouse.wheel(0, 200)  # over the chart: scrolls the page and nothing else
    until(lambda: page.evaluate("scrollY") > top + 100)
    assert shown(page, "loss") == moved
    panel(page, "loss").locator(".u-over").dblclick(position={"x": 50, "y": 50})
    until(lambda: shown(page, "loss") == whole)
    assert moved != whole
    # The crosshair tells the lines in the order that one asks for.
    for order, told in (
        ("largest first", ["run 2", "run 1", "run 0"]),
        ("by name", ["run 0", "run 1", "run 2"]),
    ):
        page.get_by_text("Options", exact=True).click()
        page.get_by_label("Order at the crosshair").select_option(label=order)
        page.get_by_text("Options", exact=True).click()
        panel(page, "loss").locator(".u-over").hover(position={"x": 60, "y": 60})
        expect(panel(page, "loss").locator(".tip .label")).to_have_text(told)
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Order at the crosshair").select_option(label="nearest first")
    page.get_by_text("Options", exact=True).click()
    for y, told in ((4, ["run 2", "run 1", "run 0"]), (140, ["run 0", "run 1", "run 2"])):
        panel(page, "loss").locator(".u-over").hover(position={"x": 60, "y": y})
        expect(panel(page, "loss").locator(".tip .label")).to_have_text(told)
    # Unlinked, a zoom stays with its panel.
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Zoom and crosshair over all panels").uncheck()
    page.get_by_text("Options", exact=True).click()
    drag(page, "loss", 0.25, 0.5)
    until(lambda: shown(page, "loss")[0] > 500)
    assert shown(page, "epoch") == whole
    # So does the crosshair, until the switch links them again.
    other = panel(page, "epoch").locator(".u-cursor-x")
    panel(page, "loss").locator(".u-over").hover(position={"x": 60, "y": 60})
    expect(panel(page, "loss").locator(".u-cursor-x")).to_have_css("transform", across(60))
    assert css(other, "transform") != across(60)
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Zoom and crosshair over all panels").check()
    page.get_by_text("Options", exact=True).click()
    until(lambda: shown(page, "loss") == whole)
    panel(page, "loss").locator(".u-over").hover(position={"x": 60, "y": 60})
    expect(other).to_have_css("transform", across(60))
    # Values at or below 0 are counted on a log axis; a run without the axis is left out and named.
    page.get_by_text("Log", exact=True).click()
    page.get_by_label("Horizontal axis").select_option("epoch")
    expect(panel(page, "loss")).to_contain_text("1 run has no epoch and is left out")
    expect(panel(page, "loss")).to_contain_text(re.compile(r"[\d,]+ points? at or below 0"))
    assert shown(page, "loss")[1] < 31
    # What has no value of it at all is drawn by step, and says so.
    page.get_by_label("Find a panel").fill("solo")
    expect(panel(page, "solo")).to_contain_text(
        "No point of this has a value of epoch beside it: drawn by step"
    )
    assert shown(page, "solo")[1] > 2900
    page.get_by_label("Find a panel").fill("")
    expect(panel(page, "loss")).to_contain_text("1 run has no epoch and is left out")
    expect(panel(page, "loss")).not_to_contain_text("drawn by step")
    page.get_by_text("Symlog", exact=True).click()  # has a place for both signs
    expect(panel(page, "loss")).not_to_contain_text("at or below 0")
    for form, beginning in (("SVG", "<svg"), ("CSV", "line,x,step,time,mean"), ("PNG", "\x89PNG")):
        panel(page, "loss").get_by_label("More about loss").click()
        with page.expect_download() as download:
            panel(page, "loss").get_by_role("button", name=f"Save as {form}").click()
        assert download.value.path().read_bytes().decode("latin-1").startswith(beginning)
