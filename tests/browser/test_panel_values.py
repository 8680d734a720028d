"""What panels show of values that are hard to draw, on which axis, and of several runs at one step."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.browser.panels import add, panel, points
from tests.support.domain import a_run
from tests.support.media import PNG, Sender
from tests.support.wait import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
STEPS = np.arange(100)


@pytest.fixture
def runs(live_site, operator, settings, tmp_path):
    """Three runs: one falls steadily, the second goes to NaN and infinity and back, the last one begins below 0."""
    settings.MEDIA_DIR = tmp_path / "media"
    found = []
    for number in range(3):
        loss = 10.0 ** (2 - STEPS / 25) if number == 0 else np.full(100, float(number))
        if number == 1:
            loss[40:50], loss[60], loss[70] = np.nan, np.inf, -np.inf
        if number == 2:
            loss[:10] = -1
        keys = {"loss": loss} | ({"gone": np.full(100, np.nan)} if number == 1 else {})
        more = {"score": (0.5, "NaN", -2.0)[number]} | ({"gone": "NaN"} if number == 1 else {})
        run = a_run(
            state="finished", name=f"run {number}", last_step=99, config={"lr": 10.0**-number, "depth": number},
            summary={key: float(values[-1]) for key, values in keys.items() if key == "loss"} | more,
        )  # fmt: skip
        columns = [
            Column(key, STEPS.tolist(), (1.7e9 + STEPS).tolist(), v.tolist()) for key, v in keys.items()
        ]
        series.append(run.source, "s" * 32, [Batch(1, columns=columns)])
        found.append(run)
    return found


@pytest.fixture
def page(window, operator, runs) -> Page:
    # So high that all its charts are in view: others wait until they are.
    tall = window(viewport={"width": 1280, "height": 1400})
    page = tall.log_in(operator).open(f"/experiments/{runs[0].experiment_id}")
    until(lambda: points(page, "loss") > 0, 20)
    return page


def edited(page: Page, name: str):
    panel(page, name).get_by_label(f"More about {name}").click()
    panel(page, name).get_by_role("button", name="Edit").click()
    return page.get_by_role("dialog", name="Edit the panel")


def test_a_panel_has_an_axis_of_its_own_and_says_what_has_no_place_on_it(page):
    own = "no place on a log axis"
    dialog = add(page, "Lines")
    dialog.get_by_label("Metric or calculation 1").fill("loss + 0")
    dialog.get_by_label("Title").fill("Other")
    dialog.get_by_role("button", name="Done").click()
    until(lambda: points(page, "Other") > 0)
    for scale, hidden in (("log", True), ("symlog", False), ("linear", False), ("log", True)):
        dialog = edited(page, "loss")
        dialog.get_by_label("Vertical axis").select_option(scale)
        dialog.get_by_role("button", name="Done").click()
        if hidden:
            expect(panel(page, "loss")).to_contain_text(f"10 points at or below 0 have {own}")
        else:
            expect(panel(page, "loss")).not_to_contain_text(own)
    # It is kept, goes before the page's, and other panels have theirs.
    expect(panel(page, "Other")).not_to_contain_text(own)
    page.reload()
    expect(panel(page, "loss")).to_contain_text(f"10 points at or below 0 have {own}")
    page.get_by_text("Symlog", exact=True).click()
    until(lambda: points(page, "Other") > 0)
    expect(panel(page, "loss")).to_contain_text(own)
    page.get_by_text("Log", exact=True).click()
    expect(panel(page, "Other")).to_contain_text(own)
    dialog = edited(page, "loss")
    dialog.get_by_label("Vertical axis").select_option(label="as the page")
    dialog.get_by_role("button", name="Done").click()
    expect(panel(page, "loss")).to_contain_text(own)
    page.get_by_text("Linear", exact=True).click()
    expect(panel(page, "loss")).not_to_contain_text(own)
    expect(panel(page, "Other")).not_to_contain_text(own)


def test_values_that_are_no_numbers_are_marked_on_charts_and_counted_in_other_panels(page):
    # A triangle where they were, and words for it; a metric that never was a number has a chart all the same.
    expect(panel(page, "loss")).to_contain_text("NaN or infinite at the triangles, first at step 40")
    expect(panel(page, "gone")).to_contain_text("NaN or infinite at the triangles, first at step 0")
    panel(page, "gone").locator(".u-over").hover(position={"x": 60, "y": 60})
    expect(panel(page, "gone").locator(".tip .reading")).to_contain_text("NaN")
    # By keys the same is read out.
    chart = panel(page, "gone").get_by_role("application")
    chart.focus()
    page.keyboard.press("Home")
    expect(panel(page, "gone").get_by_role("status")).to_have_text("step 0: NaN")
    with page.expect_download() as download:
        panel(page, "loss").get_by_label("More about loss").click()
        panel(page, "loss").get_by_role("button", name="Save as SVG").click()
    drawn = download.value.path().read_text()
    assert drawn.count("<svg") == 1
    assert "NaN" not in re.sub(r"<(title|desc|text)\b.*?</\1>", "", drawn)
    # What is calculated of them says so, too, and so does what becomes infinite by it.
    dialog = add(page, "Lines")
    dialog.get_by_label("Metric or calculation 1").fill("log(loss + 1)")
    dialog.get_by_label("Title").fill("Worked out")
    dialog.get_by_role("button", name="Done").click()
    expect(panel(page, "Worked out")).to_contain_text("first at step 0")
    for kind, field in (("Histogram", "Column"), ("Bars", "Column")):
        dialog = add(page, kind)
        dialog.get_by_label(field, exact=True).fill("metric:score")
        dialog.get_by_label("Title").fill(kind)
        dialog.get_by_role("button", name="Done").click()
        expect(panel(page, kind)).to_contain_text("1 run without a value")
    expect(panel(page, "Histogram").get_by_role("button", name=re.compile("^2 runs, "))).to_have_count(1)
    expect(panel(page, "Bars").get_by_role("listitem")).to_have_text(
        [re.compile("run 0.*0.5"), re.compile("run 2.*2")]
    )
    dialog = add(page, "Scatter")
    dialog.get_by_label("Across", exact=True).fill("config:lr")
    dialog.get_by_label("Upwards", exact=True).fill("metric:score")
    dialog.get_by_label("Title").fill("Dots")
    dialog.get_by_role("button", name="Done").click()
    dots = panel(page, "Dots")
    expect(dots.get_by_role("img")).to_have_accessible_name("Dots: 2 runs")
    expect(dots).to_contain_text("1 run without a value")
    expect(dots).to_contain_text("lr (log)")  # by itself, for its values lie far apart
    for name, scale in (("Scale across", "Linear"), ("Scale upwards", "Log")):
        dialog = edited(page, "Dots")
        dialog.get_by_role("radiogroup", name=name).get_by_text(scale, exact=True).click()
        dialog.get_by_role("button", name="Done").click()
    expect(dots).not_to_contain_text("lr (log)")
    expect(dots).to_contain_text("1 run at or below 0 has no place on a log axis")
    expect(dots).to_contain_text("1 run without a value")
    expect(dots.get_by_role("img")).to_have_accessible_name("Dots: 1 run")


def test_one_slider_moves_the_images_of_all_runs_and_notes_are_written_anew(page, runs):
    for run, steps in zip(runs, ((0, 10, 20), (0, 20), (5, 10)), strict=True):
        sender = Sender(run)
        for step in steps:
            sender.send(
                PNG, key="samples", uid=f"at {step}", step=step, caption=f"of {run.name} at {step}",
                data={"width": 1, "height": 1},
            )  # fmt: skip
    dialog = add(page, "Images and media")
    dialog.get_by_label("Media key").fill("samples")
    dialog.get_by_role("button", name="Done").click()
    captions = panel(page, "samples").get_by_role("figure")

    def at(*steps: int) -> None:
        """The newest run first, as in the table."""
        expect(captions).to_have_text([f"of run {2 - n} at {step}" for n, step in enumerate(steps)])

    at(10, 20, 20)
    slider = panel(page, "samples").get_by_role("slider", name="Step of run 0")
    slider.press("ArrowLeft")
    at(10, 0, 10)
    slider.press("ArrowLeft")  # before the first one of a run that one is shown, with its step
    at(5, 0, 0)
    expect(panel(page, "samples").locator(".step")).to_have_text(["step 5", "step 0", "step 0"])
    slider.press("End")
    at(10, 20, 20)
    dialog = add(page, "Text Notes")
    dialog.get_by_label("Text").fill("Before")
    dialog.get_by_role("button", name="Done").click()
    dialog = edited(page, "Before")
    dialog.get_by_label("Text").fill("After\nall")
    dialog.get_by_role("button", name="Done").click()
    expect(panel(page, "After")).to_contain_text("all")
    page.reload()
    expect(panel(page, "After")).to_contain_text("all")
    expect(panel(page, "Before")).to_have_count(0)


def test_a_run_that_is_hidden_still_counts_in_parallel_coordinates(page):
    add(page, "Parallel coordinates").get_by_role("button", name="Done").click()
    parallel = page.get_by_role("region", name=re.compile("^depth · lr"))
    expect(parallel).to_contain_text("3 runs")
    ticks = parallel.locator("svg text").all_inner_texts()
    page.get_by_role("button", name="Draw run 1", exact=True).click()
    expect(page.get_by_role("button", name="Draw run 1", exact=True)).to_have_attribute(
        "aria-pressed", "false"
    )
    expect(parallel).to_contain_text("3 runs")
    assert parallel.locator("svg text").all_inner_texts() == ticks
    lane = parallel.get_by_role("slider", name="Pick by lr")
    lane.press("ArrowDown")  # all but the greatest rate, the hidden one among them
    expect(parallel).to_contain_text("2 of 3 runs")
    parallel.get_by_role("button", name="Draw only these").click()
    drawn = page.locator("[aria-pressed=true][aria-label^='Draw run']")
    expect(drawn).to_have_count(2)
    labels = drawn.evaluate_all("all => all.map((each) => each.ariaLabel)")
    assert set(labels) == {"Draw run 1", "Draw run 2"}
