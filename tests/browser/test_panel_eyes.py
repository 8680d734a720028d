"""What the eyes in the table put on the charts, and in which colour."""

# ruff: noqa: F811 (fixtures named as arguments)

import re

import pytest
from playwright.sync_api import expect

from tests.browser.panels import css, experiment, panel, points  # noqa: F401
from tests.support.wait import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


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


def test_one_run_after_another_is_drawn_alone_in_a_colour_of_its_own_and_the_others_come_back(
    window, operator, experiment
):
    page = window().log_in(operator).open(f"/experiments/{experiment}")
    until(lambda: points(page, "loss") > 0, 20)
    pictured = page.get_by_role("region", name="loss", exact=True)

    def lines() -> dict[str, str]:
        """Name and colour of each line at the crosshair."""
        pictured.locator(".u-over").hover(position={"x": 60, "y": 60})
        return pictured.locator(".tip .reading").evaluate_all(
            """all => Object.fromEntries(all.map((each) => [
              each.querySelector(".label").textContent.trim(),
              getComputedStyle(each.querySelector("i")).backgroundColor]))"""
        )

    def row(run: str):
        return page.get_by_role("row").filter(has=page.get_by_role("link", name=run, exact=True))

    def choose(run: str, name: str) -> None:
        row(run).hover()
        row(run).get_by_role("button", name=f"More for {run}").click()
        page.get_by_role("button", name=name, exact=True).click()

    until(lambda: set(lines()) == {"run 0", "run 1", "run 2"})
    before = lines()
    # One that none of the three has: their own follow from their codes, which are others each time.
    row("run 0").hover()
    row("run 0").get_by_role("button", name="More for run 0").click()
    swatches = page.get_by_role("button", name=re.compile("^Colour "))
    expect(swatches).to_have_count(12)
    free = swatches.evaluate_all(
        """(all, taken) => all.filter((each) => !taken.includes(getComputedStyle(each.firstChild).backgroundColor))
          .map((each) => each.getAttribute("aria-label"))""",
        list(before.values()),
    )
    assert len(free) == 9
    page.get_by_role("button", name=free[0], exact=True).click()
    until(lambda: lines()["run 0"] not in before.values())
    own = lines()["run 0"]
    assert lines() == {**before, "run 0": own}  # nobody else's is another
    page.get_by_role("button", name="Draw run 1", exact=True).click()
    two = {"run 0": own, "run 2": before["run 2"]}
    until(lambda: lines() == two)
    # One alone, then another one instead: those of the beginning come back, and not the first of the two.
    for run in two:
        choose(run, "Draw only this")
        until(lambda run=run: lines() == {run: two[run]})
    page.reload()  # the address keeps who comes back
    until(lambda: points(page, "loss") > 0, 20)
    until(lambda: lines() == {"run 2": two["run 2"]})
    choose("run 2", "Draw the others again")
    until(lambda: lines() == two)
    page.get_by_role("button", name="Draw none", exact=True).click()
    expect(page.get_by_text("The eye beside a run puts it on the charts.")).to_be_visible()
    page.get_by_role("button", name="Draw the first 10").click()
    until(lambda: points(page, "loss") > 0)
    until(lambda: set(lines()) == {"run 0", "run 1", "run 2"})
    # A group's mean is that of all its runs, whichever of them are drawn.
    page.goto(f"/experiments/{experiment}?groups=state")
    until(lambda: points(page, "loss") > 0, 20)
    readings = pictured.locator(".tip .reading")
    pictured.locator(".u-over").hover(position={"x": 60, "y": 60})
    expect(readings).to_have_count(1)
    mean = readings.inner_text()
    assert "finished (3)" in mean
    page.get_by_role("button", name=re.compile("^finished")).click()
    page.get_by_role("button", name="Draw run 1", exact=True).click()
    expect(page.get_by_role("button", name="Draw run 1", exact=True)).to_have_attribute(
        "aria-pressed", "false"
    )
    pictured.locator(".u-over").hover(position={"x": 60, "y": 60})
    expect(readings).to_have_text(mean)
