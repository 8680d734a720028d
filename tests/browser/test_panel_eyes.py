"""What the eyes in the table put on the charts, and in which colour."""

# ruff: noqa: F811 (fixtures named as arguments)

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
