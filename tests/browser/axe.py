"""axe-core in a page: what stands against WCAG 2.2 AA, and against good practice, in the words of its rules."""

from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async (chosen) => {
  const { violations } = await axe.run(document, { runOnly: chosen, resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) => nodes.map((each) => `${id} at ${each.target}: ${each.failureSummary}`));
}"""


@cache
def source() -> str:
    if not AXE.is_file():
        pytest.fail("axe-core is not installed: run `npm ci` in frontend/", pytrace=False)
    return AXE.read_text()


def violations(page: Page, contrast_alone: bool = False) -> list[str]:
    """Empty where all is well. Contrast alone is for a second theme, in which nothing else differs."""
    # Not as a script of the page: its content security policy rightly refuses what is not the site's own.
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(source())
    chosen = (
        {"type": "rule", "values": ["color-contrast"]} if contrast_alone else {"type": "tag", "values": RULES}
    )
    found: list[str] = page.evaluate(RUN, chosen)
    return found
