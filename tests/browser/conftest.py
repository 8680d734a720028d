"""A real Chromium before the real site, and a real training process behind it."""

# ruff: noqa: F811 (fixtures named as arguments)

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.support.domain import a_member, a_project, a_run, a_run_token
from tests.support.fixtures import broker, live_site  # noqa: F401
from tests.support.wait import until

# What is expected is waited for as long as what is clicked: a busy machine is several times slower than an idle one.
WAIT_MILLISECONDS = 15_000
expect.set_options(timeout=WAIT_MILLISECONDS)
NAMES = ("chromium", "chromium-browser", "google-chrome")
TRAINING = Path(__file__).with_name("training_digits.py")


def chromium() -> str:
    """The browser's executable. Fails, and never skips: an untested page is not a tested one."""
    chosen = os.environ.get("SCALEWEB_CHROMIUM", "")
    found = (
        chosen if chosen and Path(chosen).is_file() else next(filter(None, map(shutil.which, NAMES)), None)
    )
    if chosen and found != chosen:
        pytest.fail(f"SCALEWEB_CHROMIUM={chosen!r} is no file; give the path of a Chromium", pytrace=False)
    if not found:
        pytest.fail(
            "The browser tests need Chromium, and none is on PATH: install Debian's package `chromium`"
            " (apt-get install chromium), or set SCALEWEB_CHROMIUM to the path of one.",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="package")
def chrome():
    """One browser for the folder.

    Playwright keeps an event loop in this thread, which Django takes for asynchronous code: its guard is
    off until the browser is gone.
    """
    executable = chromium()
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            yield browser
            browser.close()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Window:
    """Pages of one browser profile; `complaints` collects what their consoles say."""

    def __init__(self, chrome, site, **options) -> None:
        self.site = site
        self.context = chrome.new_context(base_url=site.url, **options)
        self.context.set_default_timeout(WAIT_MILLISECONDS)
        self.complaints: list[str] = []
        self.context.on("console", self._heard)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _heard(self, message) -> None:
        # A violated content security policy is told as an error here too.
        if message.type in ("error", "warning"):
            self.complaints.append(
                f"{message.type} on {message.page.url if message.page else '?'}: {message.text}"
            )

    def log_in(self, user) -> "Window":
        name, value = self.site.login(user)["Cookie"].split("=", 1)
        self.context.add_cookies([{"name": name, "value": value, "url": self.site.url}])
        return self

    def open(self, path: str) -> Page:
        page = self.context.new_page()
        page.goto(path)
        return page


@pytest.fixture
def window(chrome, live_site, settings):
    """Makes windows; at the end none of them may have complained.

    No beat runs beside them, and none is missed.

    A browser writes each refused request into its console: a test that provokes one names it in `allowed`.
    """
    made: list[Window] = []
    settings.CELERY_BEAT_SCHEDULE = {}

    def make(**options) -> Window:
        made.append(Window(chrome, live_site, **options))
        return made[-1]

    make.allowed = []
    yield make
    complaints = [each for window in made for each in window.complaints]
    complaints = [each for each in complaints if not any(words in each for words in make.allowed)]
    for each in made:
        each.context.close()
    assert complaints == []


@pytest.fixture
def operator(live_site):
    return a_member(a_project(), "ada")


@pytest.fixture
def training(live_site, operator, tmp_path) -> Iterator:
    """The row of a run whose process is training now."""
    with trained(live_site, tmp_path) as row:
        yield row


@contextmanager
def trained(site, folder: Path, script: Path = TRAINING, name: str = "bold-otter") -> Iterator:
    """The row of a run that this script trains, until the end of the block."""
    row = a_run(state="starting", name=name)
    environment = {
        **os.environ,
        "SCALEWEB_URL": site.url,
        "SCALEWEB_TOKEN": a_run_token(row),
        "SCALEWEB_RUN": row.code,
        "SCALEWEB_SPOOL_DIR": str(folder / "spool" / row.code),
        "SCALEWEB_CHECKPOINT_DIR": str(folder / "checkpoints" / row.code),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    told = folder / f"{row.code}.log"
    with told.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(script)], env=environment, stdout=output, stderr=output
        )
    try:
        row.process_handle = process  # a test may look whether it still lives
        until(lambda: started(row) or process.poll() is not None, 30)
        assert process.poll() is None, told.read_text()
        yield row
    finally:
        process.terminate()
        process.wait(20)


def started(row) -> bool:
    row.refresh_from_db()
    return row.state == "running" and (row.last_step or 0) > 3
