"""The run table arranged by the keyboard and from its menus, and put back as it was."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.domain import a_run
from tests.support.wait import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
WIDE = {"width": 1440, "height": 900}
USUAL = ["Run", "State", "lr", "optimizer", "loss", "Step", "Created"]


@pytest.fixture
def page(window, operator) -> Page:
    """The table of six runs, half of them with another optimizer, and all with the same data."""
    for number in range(6):
        run = a_run(
            state="finished", name=f"run {number}", last_step=100, summary={"loss": 1 / (number + 1)},
            config={"data": "digits", "lr": 10.0**-number, "optimizer": ("adam", "sgd")[number % 2]},
        )  # fmt: skip
    page = window(viewport=WIDE).log_in(operator).open(f"/experiments/{run.experiment_id}?layout=table")
    until(lambda: heads(page) == USUAL)
    return page


def heads(page: Page) -> list[str]:
    """Labels of the columns, from left to right."""
    return page.locator("thead .sort").evaluate_all("all => all.map((each) => each.ariaLabel)")


def focused(page: Page) -> str:
    return page.evaluate(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.tagName"
    )


def head(page: Page, name: str):
    return page.locator("thead th").filter(has=page.get_by_role("button", name=name, exact=True))


def width(page: Page, name: str) -> int:
    return round(head(page, name).bounding_box()["width"])


def from_menu(page: Page, name: str, choice: str) -> None:
    """Chosen from a column's menu, by keys alone."""
    page.get_by_role("button", name=f"Column {name}", exact=True).press("Enter")
    page.get_by_role("button", name=choice, exact=True).press("Enter")


def row_menu(row, name: str, choice: str) -> None:
    row.get_by_role("link", name=name, exact=True).focus()
    row.get_by_role("button", name=f"More for {name}").press("Enter")
    row.page.get_by_role("button", name=choice, exact=True).press("Enter")


def test_columns_are_moved_and_sized_by_keys_and_the_focus_stays_on_them(page):
    head(page, "loss").locator(".sort").focus()
    for names in (
        ["Run", "State", "lr", "loss", "optimizer", "Step", "Created"],
        ["Run", "State", "loss", "lr", "optimizer", "Step", "Created"],
    ):
        page.keyboard.press("Alt+ArrowLeft")
        until(lambda names=names: heads(page) == names)
        assert focused(page) == "loss"
    for _ in range(2):
        page.keyboard.press("Alt+ArrowRight")
    until(lambda: heads(page) == USUAL)
    assert focused(page) == "loss"
    before = width(page, "loss")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    until(lambda: width(page, "loss") == before + 36)
    page.keyboard.press("Shift+ArrowLeft")
    until(lambda: width(page, "loss") == before + 24)
    assert focused(page) == "loss"
    assert heads(page) == USUAL
    # The address keeps it, and so does the browser for an address that says nothing.
    page.reload()
    until(lambda: heads(page) == USUAL and width(page, "loss") == before + 24)
    page.goto(page.url.split("?")[0] + "?layout=table")
    until(lambda: heads(page) == USUAL and width(page, "loss") == before + 24)
    # The menu does the same, and gives the focus back to its column.
    from_menu(page, "loss", "Move left")
    until(lambda: heads(page)[3] == "loss")
    until(lambda: focused(page) == "Column loss")
    from_menu(page, "loss", "Keep it at the left")
    until(lambda: heads(page)[1] == "loss")
    until(lambda: focused(page) == "Column loss")
    expect(head(page, "loss")).to_have_css("left", re.compile(r"^[1-9]"))
    from_menu(page, "loss", "Let it scroll")
    expect(head(page, "loss")).to_have_css("left", "auto")
    until(lambda: focused(page) == "Column loss")
    from_menu(page, "loss", "Hide")
    until(lambda: "loss" not in heads(page))
    until(lambda: focused(page) != "BODY")
    # And all of it is put back at once.
    page.get_by_role("button", name="Columns", exact=True).click()
    page.get_by_role("dialog", name="Columns").get_by_role("button", name="Usual columns").click()
    page.get_by_role("dialog", name="Columns").get_by_role("button", name="Done").click()
    until(lambda: heads(page) == USUAL and width(page, "loss") == before)
    page.go_back()
    until(lambda: heads(page) == [each for each in USUAL if each != "loss"])


def test_a_column_is_moved_past_those_that_are_not_shown(page):
    page.get_by_role("button", name="Columns", exact=True).click()
    dialog = page.get_by_role("dialog", name="Columns")
    dialog.get_by_role("checkbox", name="data").click()
    dialog.get_by_role("button", name="Done").click()
    until(lambda: heads(page)[-1] == "data")
    head(page, "data").locator(".sort").focus()
    for _ in range(2):
        page.keyboard.press("Alt+ArrowLeft")
    until(lambda: heads(page)[-3] == "data")
    page.get_by_role("button", name="Columns", exact=True).click()
    dialog.get_by_role("switch", name="Hide settings that are the same for all").click()
    dialog.get_by_role("button", name="Done").click()
    until(lambda: heads(page) == USUAL)
    head(page, "Step").locator(".sort").focus()
    page.keyboard.press("Alt+ArrowLeft")
    until(lambda: heads(page)[4:] == ["Step", "loss", "Created"])


def test_runs_are_grouped_by_a_column_and_a_baseline_and_those_on_top_are_let_go(page):
    from_menu(page, "optimizer", "Group by it")
    expect(page.get_by_role("button", name=re.compile("^adam"))).to_contain_text("3")
    expect(page.get_by_role("button", name=re.compile("^sgd"))).to_contain_text("3")
    page.go_back()
    expect(page.get_by_role("link", name="run 5", exact=True)).to_be_visible()
    rows = page.locator("tbody").last.get_by_role("row")
    row = rows.filter(has=page.get_by_role("link", name="run 3", exact=True))
    row_menu(row, "run 3", "Use as the baseline")
    difference = page.get_by_title("Difference to run 3")
    expect(difference.first).to_be_visible()
    row_menu(row, "run 3", "No baseline")
    expect(difference).to_have_count(0)
    until(lambda: focused(page) == "More for run 3")
    row_menu(row, "run 3", "Keep on top")
    top = page.get_by_role("rowgroup", name="Kept on top").get_by_role("row")
    expect(top).to_have_count(1)
    row_menu(top, "run 3", "Do not keep on top")
    expect(top).to_have_count(0)
    until(lambda: focused(page) != "BODY")
    page.reload()
    expect(page.get_by_role("link", name="run 3", exact=True)).to_have_count(1)
    expect(difference).to_have_count(0)
