"""Whether a page is wider than its screen."""

from playwright.sync_api import Page

from tests.support.wait import until

TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def fits(page: Page, what: str) -> None:
    """Within a moment: a chart is drawn anew for a width that the screen has just got."""
    try:
        until(lambda: page.evaluate(TOO_WIDE) <= 0, 2)
    except AssertionError:
        raise AssertionError(f"{what} is {page.evaluate(TOO_WIDE)} px wider than the screen") from None
