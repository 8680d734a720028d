"""What a chart draws is what was logged: of a million points the exact ones, smoothed, fitted, gathered in bands."""

import csv
import json
import struct

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from monitoring.storage import fill, series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run
from tests.support.wait import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
MILLION = 1_000_000
SCREENFUL = 2000  # points in an answer: a bucket a pixel, and some


def panel(page: Page, name: str):
    return page.get_by_role("region", name=name, exact=True)


def canvas(page: Page, name: str):
    return panel(page, name).locator(".canvas")


def drawn(page: Page, name: str) -> list[dict[str, float]]:
    """What the chart shows, by its own file."""
    panel(page, name).get_by_label(f"More about {name}").click()
    with page.expect_download() as download:
        panel(page, name).get_by_role("button", name="Save as CSV").click()
    rows = csv.DictReader(download.value.path().read_text().splitlines())
    return [{key: float(value) for key, value in row.items() if key != "line"} for row in rows]


def zoom(page: Page, name: str, start: float, end: float) -> None:
    """By a drag; back once the points of the new range are there."""
    over = panel(page, name).locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    with page.expect_response("**/api/v1/series/read"):
        page.mouse.move(box["x"] + box["width"] * start, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * end, box["y"] + 60, steps=4)
        page.mouse.up()


# By column of the plot: how far down the ink of lines begins and ends, 0 at its top and 1 at its bottom; null where
# there is none. A line is opaque; bands, and what was measured behind a smoothed line, let the ground shine through.
INK = """(chart) => {
  const canvas = chart.querySelector("canvas"), plot = chart.querySelector(".u-over");
  if (!canvas || !plot) return null;
  const style = getComputedStyle(document.documentElement);
  const rgb = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  const colours = Array.from({ length: 12 }, (_, i) => rgb(style.getPropertyValue(`--series-${i + 1}`).trim()));
  const [outer, inner] = [canvas, plot].map((each) => each.getBoundingClientRect());
  const scale = canvas.width / outer.width;
  const at = [inner.left - outer.left, inner.top - outer.top, inner.width, inner.height];
  const [left, top, width, height] = at.map((each) => Math.round(each * scale));
  // Of a copy: a canvas that is read back is kept elsewhere by the browser, and complained of.
  const copy = Object.assign(document.createElement("canvas"), { width, height });
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, -left, -top);
  const { data } = context.getImageData(0, 0, width, height);
  const like = (i) => colours.some((colour) => colour.every((part, n) => Math.abs(part - data[i + n]) < 12));
  return Array.from({ length: width }, (_, x) => {
    const found = { line: null, any: null };
    for (let y = 0; y < height; y++) {
      const i = 4 * (y * width + x);
      if (data[i + 3] < 16 || !like(i)) continue;
      for (const [kind, least] of [["any", 16], ["line", 230]])
        if (data[i + 3] >= least) found[kind] = [found[kind]?.[0] ?? y / height, (y + 1) / height];
    }
    return found;
  });
}"""


def ink(page: Page, name: str, kind: str, start: float = 0.25, end: float = 0.75) -> tuple[float, float]:
    """(where the ink of lines begins, where it ends) over a part of the plot, from its top down; (1, 0) for none."""
    columns = canvas(page, name).evaluate(INK) or []
    part = columns[int(len(columns) * start) : int(len(columns) * end)]
    found = [column[kind] for column in part if column[kind]]
    return min((top for top, _ in found), default=1.0), max((bottom for _, bottom in found), default=0.0)


def high(page: Page, name: str, kind: str, start: float = 0.25, end: float = 0.75) -> float:
    """How much of the plot's height the ink takes there."""
    top, bottom = ink(page, name, kind, start, end)
    return bottom - top


def points_of(body: bytes) -> int:
    """How many points an answer of series/read holds: its prefix says how long its head is, which says the rest."""
    (length,) = struct.unpack("<I", body[4:8])
    return sum(part["length"] for part in json.loads(body[8 : 8 + length])["series"])


def test_a_million_points_are_zoomed_into_down_to_the_exact_ones(window, operator):
    run = a_run(state="finished", name="long", last_step=MILLION - 1)
    fill.fill_run(run.source, 1, MILLION, np.random.default_rng(1))
    (key,) = [info.key for info in series.keys(run.source)]
    (stored,) = series.raw(run.source, [key])
    page = window().log_in(operator).open(f"/runs/{run.code}")
    answers = []
    page.on(
        "response", lambda answer: answers.append(answer) if answer.url.endswith("/series/read") else None
    )
    until(lambda: int(canvas(page, key).get_attribute("data-points") or 0) > 0, 20)
    whole = drawn(page, key)
    # No point is lost to the picture: each is counted, and the extremes are its extremes.
    assert sum(row["count"] for row in whole) == MILLION
    assert min(row["min"] for row in whole) == stored.values.min()
    assert max(row["max"] for row in whole) == stored.values.max()
    for _ in range(4):
        zoom(page, key, 0.4, 0.48)
    low, high = (float(end) for end in canvas(page, key).get_attribute("data-range").split())
    assert 10 < high - low < 100
    seen = (stored.steps >= low) & (stored.steps <= high)
    until(lambda: int(canvas(page, key).get_attribute("data-points")) <= seen.sum() + 2)
    rows = drawn(page, key)
    assert [row["step"] for row in rows] == stored.steps[seen].tolist()
    assert [row["mean"] for row in rows] == stored.values[seen].tolist()
    assert {row["count"] for row in rows} == {1.0}
    panel(page, key).get_by_role("application").focus()
    page.keyboard.press("Home")
    # The point nearest the left edge, which may lie a part of a step before it.
    nearest = round(low)
    expect(panel(page, key).get_by_role("status")).to_have_text(
        f"step {nearest:,}: {stored.values[nearest]:.4g}"
    )
    # A screen's worth was read for each look, and never the million.
    read = [points_of(answer.body()) for answer in answers]
    assert len(read) >= 4
    assert max(read) <= SCREENFUL


@pytest.fixture
def experiment(live_site, operator):
    """Two runs of a level, 1 and 3; the first alone is jumpy, and has a spike."""
    steps = np.arange(400)
    for number in range(2):
        keys = {"level": np.full(400, 1.0 + 2 * number)}
        if number == 0:
            keys["jumpy"] = 10.0 + (-1.0) ** steps
            keys["spiked"] = np.where(steps == 200, 1000.0, 1 + steps / 400)
            keys["uneven"] = np.where(steps < 200, 0.0, 1.0)
        # A run's colour hangs on its code, and some shine through to another's where they cross a line of the ground.
        run = a_run(
            code=f"drawnrun{number}", state="finished", name=f"run {number}", last_step=399, config={"depth": 2},
            summary={key: float(values[-1]) for key, values in keys.items()},
        )  # fmt: skip
        # Of the second half of one of them every fifth step was logged alone.
        seen = {"uneven": (steps < 200) | (steps % 5 == 0)}
        columns = []
        for key, values in keys.items():
            there = steps[seen.get(key, steps >= 0)]
            columns.append(Column(key, there.tolist(), (1.7e9 + there).tolist(), values[there].tolist()))
        series.append(run.source, "s" * 32, [Batch(1, columns=columns)])
    return run.experiment_id


def test_smoothing_a_scale_without_outliers_and_a_groups_band_change_the_picture_and_lose_no_point(
    window, operator, experiment
):
    page = window().log_in(operator).open(f"/experiments/{experiment}")
    for name, points in (("jumpy", 400), ("spiked", 400), ("level", 800)):
        expect(canvas(page, name)).to_have_attribute("data-points", str(points))
    until(lambda: high(page, "jumpy", "line") > 0.8)
    page.get_by_role("slider", name="Smoothing").press("End")
    expect(page.locator("output").filter(has_text="0.99")).to_be_visible()
    until(lambda: "smoothed" in drawn(page, "jumpy")[0])
    rows = drawn(page, "jumpy")
    # The line lies calm in the middle; what was measured is still there, behind it.
    assert [row["smoothed"] for row in rows[100:]] == pytest.approx([10.0] * 300, abs=0.1)
    assert {row["mean"] for row in rows} == {9.0, 11.0}
    until(lambda: high(page, "jumpy", "line") < 0.1)
    top, bottom = ink(page, "jumpy", "line")
    assert top < 0.5 < bottom
    assert high(page, "jumpy", "any") > 0.8
    # By points the few of the second half hardly count; by their distance on the axis they do.
    canvas(page, "uneven").scroll_into_view_if_needed()
    expect(canvas(page, "uneven")).to_have_attribute("data-points", "240")
    by_points = drawn(page, "uneven")[-1]["smoothed"]
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Smoothing counts by").select_option(label="distance on the axis")
    page.get_by_text("Options", exact=True).click()
    until(lambda: drawn(page, "uneven")[-1]["smoothed"] > by_points + 0.02)
    canvas(page, "jumpy").scroll_into_view_if_needed()
    page.get_by_role("slider", name="Smoothing").press("Home")
    until(lambda: high(page, "jumpy", "line") > 0.8)
    # One spike presses the rest flat, until the axis goes by the others; it is still drawn, and counted.
    expect(panel(page, "spiked")).not_to_contain_text("outside")
    assert high(page, "spiked", "line", 0.05, 0.4) < 0.05
    assert high(page, "spiked", "line", 0.4, 0.6) > 0.8
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Fit the axis without outliers").check()
    expect(panel(page, "spiked")).to_contain_text("1 point lies outside")
    rows = drawn(page, "spiked")
    assert len(rows) == 400
    assert max(row["mean"] for row in rows) == 1000
    until(lambda: high(page, "spiked", "line", 0.05, 0.4) > 0.15)
    assert ink(page, "spiked", "line", 0.45, 0.55)[0] < 0.05, "the spike goes on beyond the top"
    page.goto(f"/experiments/{experiment}?groups=config:depth")
    expect(canvas(page, "level")).to_have_attribute("data-points", "400")
    page.get_by_text("Options", exact=True).click()
    tall = {}
    for band, least, most in (("none", 2, 2), ("deviation", 2 - 2**0.5, 2 + 2**0.5), ("range", 1, 3)):
        page.get_by_label("Band of a group").select_option(band)
        until(lambda least=least: drawn(page, "level")[0]["min"] == pytest.approx(least))
        for row in drawn(page, "level"):
            assert (row["mean"], row["min"], row["max"]) == pytest.approx((2, least, most))
        until(lambda band=band: (high(page, "level", "any") > 0.5) == (band != "none"))
        tall[band] = high(page, "level", "any")
        assert high(page, "level", "line") < 0.05, "the mean is a line"
    assert tall["none"] < 0.05
