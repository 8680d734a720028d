"""Charts by mouse, keys and fingers, and live figures that leave in peace what a person looks at."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.wait import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]

# What moved without a person's doing: see developer.mozilla.org/docs/Web/API/LayoutShift
WATCH_SHIFTS = """
window.shifts = [];
const place = ({ x, y, width, height }) => [x, y, width, height].map(Math.round).join(" ");
const told = ({ node, previousRect, currentRect }) => {
  const element = node?.nodeType === Node.TEXT_NODE ? node.parentElement : node;
  const text = node?.textContent?.trim().slice(0, 40) ?? "";
  return `${element?.outerHTML.slice(0, 120) ?? "removed"} "${text}": ${place(previousRect)} -> ${place(currentRect)}`;
};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput) shifts.push([entry.value, ...entry.sources.map(told)]);
}).observe({ type: "layout-shift" });
"""


def chart(page: Page, key: str):
    return page.get_by_role("region", name=key, exact=True).get_by_role("application")


def step(page: Page, key: str = "loss") -> int:
    return int(chart(page, key).locator(".canvas").get_attribute("data-step") or 0)


@pytest.fixture
def page(window, operator, training):
    page = window().log_in(operator).open(f"/runs/{training.code}")
    until(lambda: step(page) > 20, 20)
    return page


def test_a_chart_is_read_and_zoomed_by_keys_and_the_others_follow(page):
    loss, rate = chart(page, "loss"), chart(page, "lr")
    loss.focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    said = loss.get_by_role("status")
    expect(said).to_have_text(re.compile(r"step 2: [\d.]+"))
    # The crosshair is linked: the other chart's heading tells its value there.
    expect(rate.locator(".u-cursor-x")).not_to_have_css("transform", "matrix(1, 0, 0, 1, -10, 0)")
    page.keyboard.press("+")
    reset = page.get_by_role("button", name="Reset zoom")
    expect(reset.first).to_be_visible()
    page.keyboard.press("0")
    expect(reset).to_have_count(0)
    page.keyboard.press("Escape")
    expect(said).to_be_empty()


def test_two_fingers_zoom_and_one_reads_within_the_screen(window, operator, training):
    phone = window(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True).log_in(operator)
    page = phone.open(f"/runs/{training.code}")
    until(lambda: step(page) > 20, 20)
    chart(page, "loss").scroll_into_view_if_needed()
    box = chart(page, "loss").locator(".u-over").bounding_box()
    devtools = phone.context.new_cdp_session(page)

    def touch(kind: str, *places: float) -> None:
        points = [{"x": box["x"] + x, "y": box["y"] + 60, "id": i} for i, x in enumerate(places)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 100)
    for x in (110, 125, 140):
        touch("touchMove", x)
    tip = chart(page, "loss").locator(".tip")
    expect(tip).to_contain_text("step")
    assert tip.evaluate("tip => tip.getBoundingClientRect().right <= innerWidth")
    touch("touchEnd")
    touch("touchStart", 100, 140)
    for apart in (10, 25, 40):
        touch("touchMove", 100 - apart, 140 + apart)
    touch("touchEnd")
    expect(page.get_by_role("button", name="Reset zoom").first).to_be_visible()


def test_every_point_of_a_chart_is_had_as_a_file(page):
    page.get_by_role("button", name="Enlarge loss").click()
    with page.expect_download() as download:
        page.get_by_role("dialog").get_by_role("link", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "key,branch,step,time,value"
    assert len(lines) > 20


def test_nothing_that_is_live_moves_what_a_person_looks_at(page):
    run = page.url
    read: list[str] = []
    page.on("request", lambda request: read.append(request.url.rpartition("/")[2]))
    for tab in ("charts", "control", "system"):
        page.goto(f"{run}?tab={tab}")
        seen = page.locator(".canvas[data-step]").first
        expect(seen).to_be_attached()
        page.wait_for_load_state("networkidle")
        page.evaluate(WATCH_SHIFTS)
        first = int(seen.get_attribute("data-step"))
        read.clear()
        until(lambda seen=seen, first=first: int(seen.get_attribute("data-step")) > first + 60, 20)
        assert page.evaluate("shifts") == [], tab
        assert not {"marks", "events", "checkpoints"} & set(read), (
            "figures that came had other things read again"
        )
        if tab == "charts":
            a_range_is_chosen_from_what_stood_there(page)


def a_range_is_chosen_from_what_stood_there(page: Page) -> None:
    """While one drags over a chart, the points that come move it in no way; afterwards they are there."""
    loss, rate = (chart(page, key).locator(".canvas") for key in ("loss", "lr"))
    box = chart(page, "loss").locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60, steps=4)
    whole = loss.get_attribute("data-range")
    low, high = (float(end) for end in whole.split())
    stood = int(rate.get_attribute("data-step"))
    until(lambda: int(rate.get_attribute("data-step")) > stood + 40, 20)
    assert loss.get_attribute("data-range") == whole
    page.mouse.up()
    until(lambda: loss.get_attribute("data-range") != whole)
    chosen = [float(end) for end in loss.get_attribute("data-range").split()]
    assert chosen == pytest.approx([low + (high - low) * part for part in (0.25, 0.75)], rel=0.05)
    page.get_by_role("button", name="Reset zoom").first.click()
