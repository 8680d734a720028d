"""Login, the queue, submission, nodes, and every page in both themes and on a phone."""

import csv
import re

import pytest
from playwright.sync_api import expect

from monitoring import nodes
from tests.browser.axe import violations
from tests.browser.width import fits
from tests.support.domain import a_member, a_project
from tests.support.wait import until
from training.jobs import tasks
from training.jobs.submit import submit
from training.models import Command, Job

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


@pytest.fixture
def node():
    system = {"hostname": "node-a.lab", "os": "Debian 12", "cpu_count": 2, "memory_bytes": 8 * 2**30}
    latest = {"cpu_utilisation_ratio": 0.42, "memory_used_bytes": 2**30, "memory_total_bytes": 8 * 2**30}
    return nodes.register(
        "node-a", {**system, "latest": latest}, [{"kind": "cpu", "index": 0, "name": "CPU slot"}]
    )


def test_a_password_opens_the_site_and_a_wrong_one_is_told(window, operator):
    page = window().open("/queue")
    expect(page).to_have_url(re.compile(r"/login\?next=/queue$"))
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text(re.compile("enter a correct username and password", re.I))).to_be_visible()
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("x")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Queue")).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\d s ago$"))).to_be_visible()  # nothing happens, and that is told
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login"))
    page.goto("/queue")
    expect(page).to_have_url(re.compile("/login"))


def test_a_job_is_submitted_waits_with_its_reason_and_is_stopped(window, operator, live_site):
    page = window().log_in(operator).open("/submit")
    page.get_by_label("Command").fill("python -m training.trainers.cnn --lr '0.01'")
    expect(page.get_by_text("0.01", exact=True)).to_be_visible()
    page.get_by_role("combobox", name="Experiment", exact=True).select_option(label="A new experiment…")
    page.get_by_label("New experiment").fill("digits-cnn")
    expect(page.get_by_role("combobox", name="Project")).to_have_value("vision")  # where it goes is told
    page.get_by_role("button", name="Submit").click()
    expect(page).to_have_url(re.compile(r"/runs/[a-z0-9]+$"))
    job = Job.objects.get()
    assert job.argv == ["python", "-m", "training.trainers.cnn", "--lr", "0.01"]
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Queue").click()
    row = page.get_by_role("row").filter(has_text="training.trainers.cnn")
    expect(row).to_contain_text("queued")
    # The run's own page says why it waits, takes it out of the queue, and says then who did.
    tasks.place_tick()
    job.refresh_from_db()
    assert job.waiting_reason
    row.get_by_role("link").click()
    expect(page.get_by_text(job.waiting_reason)).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Stop the job").click()
    expect(page.get_by_text("stopped", exact=True)).to_be_visible()
    expect(page.get_by_text("stopped before it started · ada")).to_be_visible()
    expect(page.get_by_text("The run has ended before it logged a value.")).to_be_visible()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Queue").click()
    expect(page.get_by_text("Nothing waits")).to_be_visible()


def test_the_keyboard_alone_gets_about(window, operator):
    page = window().log_in(operator).open("/")
    expect(page.get_by_role("heading", name="Experiments", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="Nodes", exact=True)).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_whole_and_accessible_on_a_screen_and_on_a_phone(
    window, training, node, operator, theme
):
    """No error in the console, nothing against the content security policy, nothing wider than the screen, nothing
    against WCAG 2.2 AA."""
    window.allowed.append("status of 404")
    submit(experiment=training.experiment, argv=["python", "train.py", "--long", "x" * 200], user=operator)
    code, experiment = training.code, training.experiment_id
    tabs = [
        "overview",
        "control",
        "decisions",
        "logs",
        "media",
        "system",
        "config",
        "checkpoints",
        "notes",
        "events",
    ]
    paths = [
        "/",
        "/needs",
        f"/experiments/{experiment}",
        f"/experiments/{experiment}?tab=controller",
        f"/runs/{code}",
    ]
    paths += [f"/runs/{code}?tab={tab}" for tab in tabs]
    paths += [f"/compare?runs={code}", "/queue", "/alerts", "/submit"]
    paths += [f"/alerts?tab={tab}" for tab in ("past", "rules", "channels")]
    paths += ["/nodes", "/nodes/node-a", "/settings"]
    paths += ["/runs/none", "/experiments/999999", "/nodes/none"]
    seen = window(color_scheme=theme, viewport={"width": 390, "height": 844}).log_in(operator)
    page = seen.open("/")
    wrong: list[str] = []
    for path in paths:
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        expect(page.locator("main .skeleton")).to_have_count(0)
        fits(page, path)
        page.set_viewport_size({"width": 320, "height": 640})  # what 1280 px are at a zoom of 400 %
        fits(page, path)
        page.set_viewport_size({"width": 390, "height": 844})
        wrong += [f"{path} on a phone: {each}" for each in violations(page, contrast_alone=theme == "dark")]
        page.set_viewport_size({"width": 1440, "height": 900})
        fits(page, path)
        wrong += [f"{path}: {each}" for each in violations(page, contrast_alone=theme == "dark")]
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == theme
    page.context.clear_cookies()
    for path in ("/login", "/nothing"):
        page.goto(path)
        wrong += [f"{path}: {each}" for each in violations(page)]
    assert not wrong, "\n".join(wrong)


def test_a_server_that_is_away_is_told_and_the_page_catches_up_by_itself(
    window, training, operator, live_site
):
    window.allowed += ["ERR_CONNECTION_REFUSED", "WebSocket connection", "status of 503"]
    browser = window().log_in(operator)
    page = browser.open(f"/runs/{training.code}?tab=control")  # goes about meanwhile
    lr = page.get_by_role("textbox", name="lr")
    expect(lr).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    # One that stays where it is, for ten minutes by its own clock: a clock is that of all pages of a context.
    left = window().log_in(operator).context.new_page()
    left.clock.install()
    left.goto(f"/runs/{training.code}")
    chart = left.get_by_role("region", name="loss", exact=True)
    canvas = chart.locator(".canvas[data-step]")
    expect(canvas).to_be_attached()
    left.evaluate("window.untouched = true")
    live_site.stop()
    try:
        expect(left.get_by_text(re.compile(r"^Offline for \d+ s"))).to_be_visible()
        # The last points that came are drawn by timers of the page: all of them have run after ten of its minutes.
        left.clock.fast_forward("10:00")
        left.clock.run_for(1000)  # and what these asked the screen for
        expect(left.get_by_text(re.compile(r"^Offline for 10 m"))).to_be_visible()
        expect(left.get_by_text(re.compile(r"^No connection to the server since \d"))).to_be_visible()
        expect(left.get_by_text("What you see is as it was then. It catches up by itself.")).to_be_visible()
        shown = int(canvas.get_attribute("data-points"))
        left.clock.fast_forward("01:00")
        expect(left.get_by_text(re.compile(r"^Offline for 11 m"))).to_be_visible()
        assert int(canvas.get_attribute("data-points")) == shown
        expect(left.get_by_text("running", exact=True)).to_be_visible()
        expect(page.get_by_text(re.compile(r"^Offline for \d+ s"))).to_be_visible()
        expect(page.get_by_role("status").filter(has_text="Live updates are interrupted")).to_have_count(1)
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_text("The server cannot be reached.").first).to_be_visible()
        lr.fill("0.04")
        page.get_by_role("button", name="Apply", exact=True).click()
        expect(page.get_by_text("Your change is kept here; send it again")).to_be_visible()
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Queue").click()
        expect(page.get_by_text("This page opens by itself when it is back.")).to_be_visible()
    finally:
        live_site.start()
    expect(
        left.get_by_text(re.compile("^Live again after 11 m.*What was missed is being read."))
    ).to_be_visible()
    until(lambda: int(canvas.get_attribute("data-step")) > shown + 100, 20)

    def whole() -> bool:
        """Every step is in the picture, and once: what was logged meanwhile too, when it has been read."""
        chart.get_by_label("More about loss").click()
        with left.expect_download() as download:
            chart.get_by_role("button", name="Save as CSV").click()
        drawn = list(csv.DictReader(download.value.path().read_text().splitlines()))
        return sum(int(row["count"]) for row in drawn) == int(drawn[-1]["step"]) + 1

    until(whole, 20)
    assert left.evaluate("window.untouched"), "the page was loaded again"
    left.close()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Queue")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("alert")).to_have_count(0)
    page.go_back()
    expect(lr).to_have_value("0.04")
    page.get_by_role("button", name="Apply again").click()
    until(lambda: Command.objects.filter(state="applied", new_value=0.04).exists(), 20)
    assert Command.objects.filter(verb="set").count() == 1
    page.get_by_role("link", name="Charts").click()
    seen = page.get_by_role("region", name="loss", exact=True).locator(".canvas[data-step]")
    expect(seen).to_be_attached()
    seen.scroll_into_view_if_needed()
    before = int(seen.get_attribute("data-step"))
    until(lambda: int(seen.get_attribute("data-step")) > before + 10, 20)


def test_what_is_wrong_with_a_job_is_told_at_its_field(window, operator, training):
    window.allowed.append("status of 400")
    page = window().log_in(operator).open("/submit")
    expect(page.get_by_role("button", name="Submit")).to_be_disabled()  # nothing is asked for yet
    page.get_by_label("Command").fill("python train.py")
    page.get_by_label("Working folder on the node").fill("relative/folder")
    expect(
        page.get_by_text(re.compile("scaleweb submit --experiment digits --project vision"))
    ).to_be_visible()
    page.get_by_role("button", name="Submit").click()
    field = page.get_by_label("Working folder on the node")
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(field).to_have_accessible_description(re.compile("absolute", re.I))
    assert not Job.objects.exists()


def test_what_can_be_done_is_within_reach_on_a_phone(window, training, operator):
    submit(
        experiment=training.experiment,
        argv=["/opt/environment/bin/python", "train.py", "x" * 80],
        user=operator,
    )
    phone = window(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    page = phone.log_in(operator).open("/queue")
    within = "each => { const box = each.getBoundingClientRect(); return box.left >= 0 && box.right <= innerWidth; }"
    stop = page.get_by_role("button", name=re.compile("^Stop"))
    expect(stop).to_be_visible()
    assert stop.evaluate(within)
    expect(page.get_by_text(re.compile("^python train.py x"))).to_be_visible()
    page.goto(f"/runs/{training.code}?tab=checkpoints")
    page.get_by_role("button", name="Checkpoint", exact=True).click()
    page.get_by_role("button", name=re.compile("^step ")).click()
    back = page.get_by_role("button", name="Roll back")
    expect(back).to_be_visible()
    assert back.evaluate(within)
    assert page.get_by_role("link", name=re.compile("^Checkpoints")).evaluate(within), (
        "the tab in use is out of view"
    )


def test_what_is_not_there_says_so(window, live_site):
    stranger = a_member(a_project("speech"), "eve")
    window.allowed.append("status of 404")
    page = window().log_in(stranger).open("/runs/nosuchrun")
    expect(page.get_by_role("heading", name="No such run")).to_be_visible()
