"""The same runs in each kind of panel."""

# ruff: noqa: F811 (fixtures named as arguments)

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.panels import HOSTILE, add, drag, experiment, panel, points, shown  # noqa: F401
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


def test_runs_are_picked_by_a_brush_and_opened_from_their_dot(window, operator, experiment):
    page = window().log_in(operator).open(f"/experiments/{experiment}")
    until(lambda: points(page, "loss") > 0, 20)
    dialog = add(page, "Parallel coordinates")
    axes = dialog.get_by_role("listitem")
    expect(axes).to_have_text(["depth", "lr", "loss"])
    dialog.get_by_role("button", name="Take depth out").click()
    column = dialog.get_by_label("Add a column")
    column.fill("config:dept")
    column.press("Tab")
    expect(dialog.get_by_role("alert")).to_contain_text("config:dept is none that can be added here")
    expect(column).to_have_value("config:dept")  # to be mended
    column.fill("config:depth")
    column.press("Tab")
    expect(column).to_have_value("")
    expect(dialog.get_by_role("alert")).to_have_count(0)
    expect(axes).to_have_text(["lr", "loss", "depth"])
    dialog.get_by_role("button", name="Move depth one to the left").click()
    dialog.get_by_role("button", name="Done").click()
    parallel = page.get_by_role("region", name="lr · depth · loss")
    expect(parallel).to_contain_text("3 runs")
    # From below the middle run of the axis to beyond its upper end: those that lie between are picked.
    lane = page.get_by_role("slider", name="Pick by lr")
    lane.scroll_into_view_if_needed()
    box = lane.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.7)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 20, steps=4)
    page.mouse.up()
    expect(parallel).to_contain_text("2 of 3 runs")
    parallel.get_by_role("button", name="Draw only these").click()
    drawn = page.locator("[aria-pressed=true][aria-label^='Draw run']")
    expect(drawn).to_have_count(2)
    labels = drawn.evaluate_all("all => all.map((each) => each.ariaLabel)")
    assert set(labels) == {"Draw run 0", "Draw run 1"}
    parallel.get_by_role("button", name="Clear").click()
    expect(parallel).to_contain_text("3 runs")
    lane.press("ArrowDown")  # by keys the same: the greatest is left out, and all come back
    expect(parallel).to_contain_text("2 of 3 runs")
    lane.press("Delete")
    expect(parallel.get_by_role("button", name="Clear")).to_have_count(0)
    dialog = add(page, "Scatter")
    for name in ("Across", "Upwards"):
        dialog.get_by_label(name, exact=True).fill("config:depth")
    dialog.get_by_role("button", name="Done").click()
    dots = page.get_by_role("img", name=re.compile("depth.*: 3 runs"))
    dots.scroll_into_view_if_needed()
    # The middle one of three along both axes, whose words take room at the left and below.
    box = dots.bounding_box()
    middle = {"x": (62 + box["width"] - 14) / 2, "y": (8 + box["height"] - 38) / 2}
    dots.hover(position=middle)
    expect(dots).to_contain_text("run 1depth 1")
    dots.click(position=middle)
    run = Run.objects.get(name="run 1")
    expect(page).to_have_url(re.compile(f"/runs/{run.code}$"))


def test_what_ended_since_importance_was_worked_out_is_counted_heard_of_or_not(window, operator, experiment):
    page = window().log_in(operator).open(f"/experiments/{experiment}?find=%2F%5Erun%2F")
    until(lambda: points(page, "loss") > 0, 20)
    add(page, "Importance").get_by_role("button", name="Done").click()
    page.get_by_label("Find a panel").fill("what matters for loss")  # which it begins with
    expect(page.get_by_text("Over 3 runs that search and filter leave.")).to_be_visible()
    unheard, heard, other = (
        a_run(state="running", name=name, config={"lr": 3.0, "depth": 3}, summary={"loss": 0.1})
        for name in ("run 3", "run 4", "left out")
    )
    again = page.get_by_role("button", name="Work it out again")
    Run.objects.filter(pk=unheard.pk).update(state="finished", ended_at=timezone.now())
    assert move(other, "finished")
    expect(page.get_by_text("1 more run has ended.")).to_be_visible()
    assert move(heard, "finished")
    expect(page.get_by_text("2 more runs have ended.")).to_be_visible()
    expect(page.get_by_text("Over 3 runs that search and filter leave.")).to_be_visible()
    again.click()
    expect(page.get_by_text("Over 5 runs that search and filter leave.")).to_be_visible()
    expect(again).to_have_count(0)
