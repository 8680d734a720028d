"""The panels of an experiment, walked through as a person does: look, zoom, combine, arrange, take along."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from monitoring.live.publish import publish_change
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run
from tests.support.media import PNG, Sender
from tests.support.wait import until
from training.models import Run
from training.states import move

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
    """Three runs; the second one has no epoch, and alone a metric, and the first one many metrics."""
    for number in range(3):
        loss = (number + 1) * np.exp(-STEPS / 1000) - 0.2
        keys = {"loss": loss, "val/loss": loss * 2, HOSTILE: loss, LONG: loss}
        if number != 1:
            keys["epoch"] = STEPS / 100
        else:
            keys["solo"] = loss
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


def css(what, name: str) -> str:
    return what.evaluate("(element, name) => getComputedStyle(element)[name]", name)


def across(x: int) -> str:
    """The transform of a crosshair so many pixels to the right."""
    return f"matrix(1, 0, 0, 1, {x}, 0)"


def pull(page: Page, what, x: float, y: float) -> None:
    """By the mouse, to a place of the window."""
    box = what.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(x, y, steps=4)
    page.mouse.up()


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


def add(page: Page, kind: str):
    page.get_by_role("button", name="Add a panel").click()
    page.get_by_role("dialog").get_by_role("button", name=kind).click()
    return page.get_by_role("dialog", name="Edit the panel")


def test_the_same_runs_are_seen_as_bars_dots_histograms_images_and_on_two_axes(
    window, operator, experiment, settings, tmp_path
):
    settings.MEDIA_DIR = tmp_path / "media"
    for run in Run.objects.exclude(name="run 2"):
        Sender(run).send(PNG, key="samples", caption=f"of {run.name}", data={"width": 1, "height": 1})
    page = window().log_in(operator).open(f"/experiments/{experiment}")
    until(lambda: points(page, "loss") > 0, 20)
    dialog = add(page, "Bars")
    dialog.get_by_label("Column").fill("config:depth")
    dialog.get_by_role("button", name="Done").click()
    bars = panel(page, "depth").get_by_role("listitem")
    expect(bars).to_have_text([re.compile("run 2.*2"), re.compile("run 1.*1"), re.compile("run 0.*0")])
    dialog = add(page, "Scatter")
    dialog.get_by_label("Across", exact=True).fill("config:lr")
    dialog.get_by_label("Upwards", exact=True).fill("metric:loss")
    dialog.get_by_role("button", name="Done").click()
    expect(page.get_by_role("img", name=re.compile("lr.*: 3 runs"))).to_be_visible()
    # What the table leaves out is in no panel. As words, "run 1" would be found in all three: the settings of
    # each hold a 1.
    finding = page.get_by_role("searchbox", name="Search runs")
    finding.fill("/^run 1$/")
    expect(bars).to_have_text([re.compile("run 1.*1")])
    expect(page.get_by_role("img", name=re.compile("lr.*: 1 run$"))).to_be_visible()
    finding.fill("")
    expect(bars).to_have_count(3)
    expect(page.get_by_role("img", name=re.compile("lr.*: 3 runs"))).to_be_visible()
    dialog = add(page, "Images and media")
    dialog.get_by_label("Media key").fill("samples")
    dialog.get_by_role("button", name="Done").click()
    expect(panel(page, "samples").get_by_role("img")).to_have_count(2)
    expect(panel(page, "samples")).to_contain_text("1 run without it")
    dialog = add(page, "Text Notes")
    dialog.get_by_label("Text").fill(f"What to look at\n{HOSTILE}")
    dialog.get_by_role("button", name="Done").click()
    expect(panel(page, "What to look at")).to_contain_text(HOSTILE)
    assert page.locator("main img[src=x]").count() == 0
    dialog = add(page, "Lines")
    dialog.get_by_label("Metric or calculation 1").fill("loss")
    dialog.get_by_role("button", name="Calculation").click()
    dialog.get_by_label("Metric or calculation 2").fill("1 - epoch")
    dialog.get_by_label("right axis").last.check()
    dialog.get_by_label("Title").fill("Both")
    dialog.get_by_role("button", name="Done").click()
    search = page.get_by_label("Find a panel")
    search.fill("both")
    until(lambda: points(page, "Both") > 0)
    expect(panel(page, "Both").locator(".u-axis")).to_have_count(3)
    # What is smoothed is drawn beside what was measured, and an outlier is left out of the scale alone.
    smoothing = page.get_by_role("slider", name="Smoothing")
    smoothing.press("End")
    expect(page.locator("output").filter(has_text="0.99")).to_be_visible()
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Fit the axis without outliers").check()
    page.get_by_text("Options", exact=True).click()
    panel(page, "Both").locator(".u-over").hover(position={"x": 90, "y": 60})
    first = panel(page, "Both").locator(".tip .reading").filter(has_text="run 0 · loss")
    expect(first).to_have_count(1)
    expect(first.locator("b, .raw")).to_have_count(2)  # smoothed, and as it was measured
    assert first.locator("b").inner_text() != first.locator(".raw").inner_text()
    # Zoomed, it does not start anew at the left edge: the smoothed line of a loss that falls stays above it.
    coarse = points(page, "Both")
    drag(page, "Both", 0.25, 0.35)
    until(lambda: points(page, "Both") != coarse)
    for weighting in ("points", "distance"):
        page.get_by_text("Options", exact=True).click()
        page.get_by_label("Smoothing counts by").select_option(weighting)
        page.get_by_text("Options", exact=True).click()
        panel(page, "Both").locator(".u-over").hover(position={"x": 3, "y": 60})
        expect(first.locator(".raw")).to_have_count(1)
        until(
            lambda: float(first.locator("b").inner_text()) > float(first.locator(".raw").inner_text()) + 0.05
        )
    panel(page, "Both").locator(".u-over").dblclick(position={"x": 50, "y": 50})
    until(lambda: shown(page, "Both")[0] < 500)
    # A bin of a histogram draws its runs alone; the groups of the table are the lines of the charts.
    dialog = add(page, "Histogram")
    dialog.get_by_label("Column").fill("config:depth")
    dialog.get_by_label("Bins").fill("3")
    dialog.get_by_role("button", name="Done").click()
    search.fill("over the runs")
    bins = page.get_by_role("button", name=re.compile("^1 run, "))
    expect(bins).to_have_count(3)
    finding.fill("/^run [12]$/")
    expect(bins).to_have_count(2)
    finding.fill("")
    expect(bins).to_have_count(3)
    # So does what is worked out by the server.
    dialog = add(page, "Importance")
    dialog.get_by_label("Metric").fill("loss")
    dialog.get_by_role("button", name="Done").click()
    search.fill("what matters")
    expect(page.get_by_text("Over 3 runs.")).to_be_visible()
    finding.fill("/^run [12]$/")
    expect(page.get_by_text("Over 2 runs that search and filter leave.")).to_be_visible()
    finding.fill("")
    expect(page.get_by_text("Over 3 runs.")).to_be_visible()
    # Runs that end meanwhile are told of, and counted in once somebody asks.
    fourth = a_run(state="running", name="run 3", config={"lr": 3.0, "depth": 3}, summary={"loss": 0.1})
    again = page.get_by_role("button", name="Work it out again")
    expect(again).to_have_count(0)
    assert move(fourth, "finished")
    expect(page.get_by_text("1 more run has ended.")).to_be_visible()
    expect(page.get_by_text("Over 3 runs.")).to_be_visible()
    again.press("Enter")
    expect(page.get_by_text("Over 4 runs.")).to_be_visible()
    expect(again).to_have_count(0)
    expect(page.locator("[data-panel]").filter(has_text="Over 4 runs.").locator(":focus")).to_have_count(1)
    fourth.delete()
    search.fill("over the runs")
    bins.first.click()
    expect(page.locator("[aria-pressed=true][aria-label^='Draw run']")).to_have_count(1)
    page.goto(f"/experiments/{experiment}?groups=config:depth")
    search.fill("/^loss$/")
    until(lambda: points(page, "loss") > 0, 20)
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Band of a group").select_option("range")
    page.get_by_text("Options", exact=True).click()
    panel(page, "loss").locator(".u-over").hover(position={"x": 90, "y": 60})
    expect(panel(page, "loss").locator(".tip")).to_contain_text("depth=2")


def test_the_eye_of_a_group_puts_it_on_the_charts_in_the_colour_that_the_table_shows(
    window, operator, experiment
):
    page = window().log_in(operator).open(f"/experiments/{experiment}?groups=config:depth")
    until(lambda: points(page, "loss") > 0, 20)

    def eye(depth: int):
        return page.get_by_role("button", name=f"Draw {depth}", exact=True)

    def eyes() -> dict[str, str]:
        """Name and colour of each group whose eye is open."""
        opened = [depth for depth in range(3) if eye(depth).get_attribute("aria-pressed") == "true"]
        return {f"depth={depth}": css(eye(depth).locator("i"), "backgroundColor") for depth in opened}

    def lines() -> dict[str, str]:
        """The same of each line at the crosshair."""
        panel(page, "loss").locator(".u-over").hover(position={"x": 60, "y": 60})
        readings = panel(page, "loss").locator(".tip .reading").all()
        return {
            each.locator(".label").inner_text().removesuffix(" (1)"): css(
                each.locator("i"), "backgroundColor"
            )
            for each in readings
        }

    every = eyes()
    assert len(set(every.values())) == len(every) == 3
    until(lambda: lines() == every)
    eye(1).click()
    expect(page.get_by_text("2 of 3 groups are drawn")).to_be_visible()
    two = {name: colour for name, colour in every.items() if name != "depth=1"}
    assert eyes() == two  # nobody's colour is another for it
    until(lambda: lines() == two)
    page.reload()  # the address keeps it
    until(lambda: points(page, "loss") > 0, 20)
    assert eyes() == two
    until(lambda: lines() == two)
    eye(1).click()
    until(lambda: lines() == every)
    assert eyes() == every


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
    # Parallel coordinates follow the table's search as the other panels do.
    parallel = page.get_by_role("region", name=re.compile("^depth · lr"))
    expect(parallel).to_contain_text("3 runs")
    page.get_by_role("searchbox", name="Search runs").fill("/^run [12]$/")
    expect(parallel).to_contain_text("2 runs")
