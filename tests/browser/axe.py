"""axe-core in a page: what stands against WCAG 2.2 AA, and against good practice, in the words of its rules."""

from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
IN_COLOURS = "(theme) => getComputedStyle(document.documentElement).colorScheme === theme"
# Two frames with the new colours.
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
RUN = """async ([chosen, within, named]) => {
  // Of axe's experiments, the one that is level A: who speaks to the computer says what stands on a button.
  const rules = named ? { "label-content-name-mismatch": { enabled: true } } : {};
  const options = { runOnly: chosen, rules, resultTypes: ["violations"] };
  const { violations } = await axe.run(document.querySelector(within), options);
  return violations.flatMap(({ id, nodes }) => nodes.map((each) => `${id} at ${each.target}: ${each.failureSummary}`));
}"""


@cache
def source() -> str:
    if not AXE.is_file():
        pytest.fail("axe-core is not installed: run `npm ci` in frontend/", pytrace=False)
    return AXE.read_text()


def violations(
    page: Page, contrast_alone: bool = False, within: str = "html", named: bool = False
) -> list[str]:
    """Empty where all is well. Contrast alone is for a second theme, in which nothing else differs.

    named: whether what a control is called begins with what stands on it, too.
    """
    # Not as a script of the page: its content security policy rightly refuses what is not the site's own.
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(source())
    chosen = (
        {"type": "rule", "values": ["color-contrast"]} if contrast_alone else {"type": "tag", "values": RULES}
    )
    found: list[str] = page.evaluate(RUN, [chosen, within, named])
    return found


def in_both_themes(page: Page, within: str = "html") -> list[str]:
    """The page as it stands, in light and then in dark: only colours differ, and it is light again afterwards."""
    found = violations(page, within=within, named=True)
    turn(page, "dark")
    dark = violations(page, contrast_alone=True, within=within)
    if dark:  # on a busy machine a part may have been painted late: what stays as it is, is wrong
        page.evaluate(DRAWN)
        dark = violations(page, contrast_alone=True, within=within)
    found += [f"dark: {each}" for each in dark]
    turn(page, "light")
    return found


def turn(page: Page, theme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(IN_COLOURS, arg=theme)
    page.evaluate(DRAWN)
