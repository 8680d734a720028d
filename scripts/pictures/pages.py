"""The pages, and how a picture of one is taken."""

import base64
import os
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import TimeoutError, sync_playwright

from .site import Site
from .story import Story

SIZES = {"1440": (1440, 900), "390": (390, 844)}
THEMES = ("light", "dark")
# A third smaller than a JPEG of the same looks; what is taken anew stays in the history of the project for ever.
FORMAT, QUALITY = "webp", 60
# What a link shows to who has no account.
AS_A_GUEST = {"shared"}
# Nothing is being read any more, and two frames in a row were drawn with nothing new in them.
DRAWN = """() => {
  const inView = (each) => each.offsetParent && each.getBoundingClientRect().top < innerHeight;
  const drawn = (chart) => chart.dataset.points || chart.parentElement.querySelector('.none');
  return !document.querySelector('.skeleton, [aria-busy=true]') && !!document.querySelector('main h1')
    && [...document.querySelectorAll('.chart > .canvas')].filter(inView).every(drawn);
}"""
STILL = """() => new Promise((done) => {
  let last = "", same = 0;
  const look = () => {
    const now = document.body.scrollHeight + ":" + document.querySelectorAll("*").length;
    same = now === last ? same + 1 : 0;
    last = now;
    same >= 20 ? done(true) : setTimeout(look, 40);
  };
  look();
})"""
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def pages(story: Story) -> dict[str, str]:
    """Name of the picture: address."""
    whole, rescued = f"/runs/{story.whole}", f"/runs/{story.rescued}"
    # Those that ended: beside one that trains on, they would be a sliver at the left of each chart.
    sweep = f"/experiments/{story.sweep}?draw={','.join(story.runs)}"
    return {
        "home": "/",
        "needs": "/needs",
        "experiment": sweep,
        "experiment-table": f"{sweep}&layout=table",
        "experiment-charts": f"{sweep}&layout=charts",
        "experiment-controller": f"/experiments/{story.rescue}?tab=controller",
        "compare": f"/compare?runs={','.join(story.runs[:6])}",
        "run": whole,
        "run-rescued": rescued,
        "run-overview": f"{rescued}?tab=overview",
        "run-control": f"/runs/{story.live}?tab=control",
        "run-decisions": f"{rescued}?tab=decisions",
        "run-logs": f"{whole}?tab=logs",
        "run-system": f"{rescued}?tab=system",
        "run-config": f"{whole}?tab=config",
        "run-checkpoints": f"{whole}?tab=checkpoints",
        "run-media": f"{whole}?tab=media",
        "run-notes": f"{whole}?tab=notes",
        "run-events": f"{rescued}?tab=events",
        "nodes": "/nodes",
        "node": "/nodes/gpu-01",
        "queue": "/queue",
        "submit": "/submit",
        "alerts": "/alerts",
        "alerts-rules": "/alerts?tab=rules",
        "settings": "/settings",
        "shared": f"/shared#{story.link}",
    }


def browser_path() -> str:
    found = os.environ.get("SCALEWEB_CHROMIUM") or shutil.which("chromium")
    if not found:
        raise SystemExit("no Chromium: apt-get install chromium, or set SCALEWEB_CHROMIUM to the path of one")
    return found


def take(site: Site, story: Story, into: Path, only: list[str], language: str = "en-US") -> None:
    into.mkdir(parents=True, exist_ok=True)
    wanted = {name: path for name, path in pages(story).items() if not only or name in only}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        for size, (width, height) in SIZES.items():
            for theme in THEMES:
                looks = {
                    "base_url": site.url, "color_scheme": theme, "viewport": {"width": width, "height": height},
                    "reduced_motion": "reduce", "timezone_id": "UTC", "locale": language,
                }  # fmt: skip
                member, guest = browser.new_context(**looks), browser.new_context(**looks)
                member.add_cookies(site.cookies())
                views = {context: context.new_page() for context in (member, guest)}
                for page in views.values():
                    page.on(
                        "console",
                        lambda said: said.type == "error" and print("the console said:", said.text),
                    )
                for name, path in wanted.items():
                    page = views[guest if name in AS_A_GUEST else member]
                    photograph(page, path, into / f"{name}-{size}-{theme}.{FORMAT}")
                member.close()
                guest.close()
        browser.close()


def photograph(page: Any, path: str, into: Path) -> None:
    page.goto(path)
    try:
        page.wait_for_function(DRAWN, timeout=20_000)
        page.evaluate(STILL)
        page.wait_for_function(DRAWN, timeout=20_000)  # what came late has made it anew
    except TimeoutError as error:  # the picture shows what is missing
        print(f"{into.name}: {str(error).splitlines()[0]}")
    if (over := page.evaluate(TOO_WIDE)) > 0:
        print(f"{into.name}: scrolls sideways by {over} pixels")
    # Playwright itself knows PNG and JPEG alone; the browser knows more.
    shot = page.context.new_cdp_session(page).send(
        "Page.captureScreenshot", {"format": FORMAT, "quality": QUALITY}
    )
    into.write_bytes(base64.b64decode(shot["data"]))
