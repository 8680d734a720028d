"""The panels of an experiment, walked through as a person does: look, zoom, combine, arrange, take along."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run
from tests.support.wait import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
HOSTILE = "<img src=x onerror=alert(1)>"
LONG = "long/" + "name" * 70
STEPS = np.arange(3000)


@pytest.fixture
def experiment(live_site, operator):
    """Three runs; the second one has no epoch, and the first one many metrics."""
    for number in range(3):
        loss = (number + 1) * np.exp(-STEPS / 1000) - 0.2
        keys = {"loss": loss, "val/loss": loss * 2, HOSTILE: loss, LONG: loss}
        if number != 1:
            keys["epoch"] = STEPS / 100
        many = {f"layer/weight{place}": float(place) for place in range(300)} if number == 0 else {}
        run = a_run(
            state="finished", name=f"run {number}", last_step=2999, config={"lr": 10.0**-number, "depth": number},
            summary={key: float(values[-1]) for key, values in keys.items()} | many,
        )  # fmt: skip
        columns = [
            Column(key, STEPS.tolist(), (1.7e9 + STEPS).tolist(), v.tolist()) for key, v in keys.items()
        ]
        series.append(run.source, "s" * 32, [Batch(1, columns=columns)])
    return run.experiment_id


def panel(page: Page, name: str):
    return page.get_by_role("region", name=name, exact=True)


def shown(page: Page, name: str) -> list[float]:
    text = panel(page, name).locator(".canvas").get_attribute("data-range") or ""
    return [float(end) for end in text.split()]


def points(page: Page, name: str) -> int:
    return int(panel(page, name).locator(".canvas").get_attribute("data-points") or 0)


def drag(page: Page, name: str, start: float, end: float) -> None:
    over = panel(page, name).locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.move(box["x"] + box["width"] * start, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, box["y"] + 60, steps=4)
    page.mouse.up()


def test_charts_are_zoomed_moved_and_read_along_any_axis_and_taken_along_as_files(
    window, operator, experiment
):
    page = window().log_in(operator).open(f"/experiments/{experiment}")
    until(lambda: points(page, "loss") > 0, 20)
    coarse, whole = points(page, "loss"), shown(page, "loss")
    assert whole[1] > 2900
    drag(page, "loss", 0.25, 0.5)  # zooms, and what was in buckets is read again point by point
    until(lambda: 500 < shown(page, "loss")[0] < 1000)
    assert shown(page, "epoch") == shown(page, "loss")  # linked
    until(lambda: points(page, "loss") > coarse)
    before = shown(page, "loss")
    page.keyboard.down("Shift")
    drag(page, "loss", 0.5, 0.25)
    page.keyboard.up("Shift")
    until(lambda: shown(page, "loss")[0] > before[0] + 100)
    page.mouse.wheel(0, 200)  # scrolls the page and nothing else
    moved = shown(page, "loss")
    panel(page, "loss").locator(".u-over").dblclick(position={"x": 50, "y": 50})
    until(lambda: shown(page, "loss") == whole)
    assert moved != whole
    # Unlinked, a zoom stays with its panel.
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Zoom and crosshair over all panels").uncheck()
    page.get_by_text("Options", exact=True).click()
    drag(page, "loss", 0.25, 0.5)
    until(lambda: shown(page, "loss")[0] > 500)
    assert shown(page, "epoch") == whole
    # Values at or below 0 are counted on a log axis; a run without the axis is left out and named.
    page.get_by_text("Log", exact=True).click()
    page.get_by_label("Horizontal axis").select_option("epoch")
    expect(panel(page, "loss")).to_contain_text("1 run has no epoch and is left out")
    expect(panel(page, "loss")).to_contain_text(re.compile(r"[\d,]+ points? at or below 0"))
    for form, beginning in (("SVG", "<svg"), ("CSV", "line,x,step,time,mean"), ("PNG", "\x89PNG")):
        panel(page, "loss").get_by_label("More about loss").click()
        with page.expect_download() as download:
            panel(page, "loss").get_by_role("button", name=f"Save as {form}").click()
        assert download.value.path().read_bytes().decode("latin-1").startswith(beginning)


def test_panels_are_made_found_arranged_and_still_so_after_a_reload(window, operator, experiment):
    page = window().log_in(operator).open(f"/experiments/{experiment}")
    until(lambda: points(page, "loss") > 0, 20)

    def add(kind: str):
        page.get_by_role("button", name="Add a panel").click()
        page.get_by_role("dialog").get_by_role("button", name=kind).click()
        return page.get_by_role("dialog", name="Edit the panel")

    dialog = add("Lines")
    expression = dialog.get_by_label("Metric or calculation 1")
    expression.fill("loss / (val/loss")
    expect(dialog.get_by_role("alert")).to_have_text("A “)” is missing at the end.")
    expression.fill("loss / val/loss")
    dialog.get_by_label("Title").fill("Ratio")
    dialog.get_by_role("button", name="Done").click()
    until(lambda: points(page, "Ratio") > 0)
    add("Parallel coordinates").get_by_role("button", name="Done").click()
    lane = page.get_by_role("slider", name="Pick by lr")
    lane.press("ArrowUp")
    expect(page.get_by_text("2 of 3 runs")).to_be_visible()
    add("Importance").get_by_role("button", name="Done").click()
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
    # By keys: moved behind the next one, made wider, as large as the window and on to the next.
    order = (
        "[...document.querySelectorAll('[data-section=\"\"] [data-panel]')].map((each) => each.dataset.panel)"
    )
    first = page.evaluate(order)
    page.get_by_label("Move Ratio with the arrow keys").press("ArrowRight")
    until(lambda: page.evaluate(order)[:2] == [first[1], first[0]])
    page.get_by_label("Size of Ratio, with the arrow keys").press("ArrowDown")
    page.get_by_role("button", name="Enlarge loss").click()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog").get_by_role("heading")).not_to_have_text("loss")
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
