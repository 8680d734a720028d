"""Three runs with metrics of every sort, and what tests of their panels look at and do with the mouse."""

import numpy as np
import pytest
from playwright.sync_api import Page

from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run

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


def add(page: Page, kind: str):
    page.get_by_role("button", name="Add a panel").click()
    page.get_by_role("dialog").get_by_role("button", name=kind).click()
    return page.get_by_role("dialog", name="Edit the panel")
