"""Every key of the list of shortcuts, the way back to a server that was away, and many jobs of one form."""

import re
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.support.domain import a_run
from training.models import Experiment, Job

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def test_every_key_of_the_list_does_what_the_list_says(window, operator):
    a_run(state="finished", name="bold-otter")
    page = window(color_scheme="light").log_in(operator).open("/")
    heading = page.get_by_role("heading", level=1)
    expect(page.get_by_role("heading", name="Experiments", exact=True)).to_be_visible()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog.locator("dd").first).to_be_visible()
    listed = dialog.locator("dl").first.evaluate(
        """list => [...list.querySelectorAll("dt")].map((each) =>
          [[...each.querySelectorAll("kbd")].map((key) => key.textContent), each.nextElementSibling.textContent])"""
    )
    page.keyboard.press("g")  # behind a dialog no key leads away
    page.keyboard.press("q")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page).to_have_url(re.compile(r"/$"))
    pages = {words: keys for keys, words in listed if keys[0] == "g"}
    for words in ("Queue", "Nodes", "Alerts", "Submit", "Settings"):
        for key in pages.pop(words):
            page.keyboard.press(key)
        expect(heading).to_have_text("Submit a job" if words == "Submit" else words)
        page.locator("main").focus()
    for key in pages.pop("Experiments"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="Experiments", exact=True)).to_be_visible()
    assert pages == {}, "a page has a key that is not tried here"
    others = {tuple(keys): words for keys, words in listed if keys[0] != "g"}
    assert set(others) == {("?",), ("Ctrl", "k"), ("/",), ("t",)}

    page.goto(f"/experiments/{Experiment.objects.get().pk}")
    search = page.get_by_role("region", name="Runs").get_by_role("searchbox")
    expect(search).to_be_visible()
    page.keyboard.press("/")
    expect(search).to_be_focused()
    page.keyboard.type("t?gq")  # into the field, and nothing else
    expect(search).to_have_value("t?gq")
    page.locator("main").focus()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Go to, or do")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("main").focus()
    for name, scheme in (("light", "light"), ("dark", "dark"), ("system", "light")):
        page.keyboard.press("t")
        expect(page.get_by_text(f"Theme: {name}", exact=True).last).to_be_visible()
        expect(page.get_by_role("button", name=f"Theme: {name}")).to_be_visible()
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme").split()[0] == scheme


def test_who_does_not_want_to_wait_for_the_next_try_tries_now(window, operator, live_site):
    window.allowed += ["ERR_CONNECTION_REFUSED", "WebSocket connection", "status of 503"]
    page = window().log_in(operator).context.new_page()
    page.clock.install(time=datetime.now())
    page.goto("/")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.evaluate("window.untouched = true")
    live_site.stop()
    try:
        expect(page.get_by_text(re.compile(r"^Offline for \d+ s"))).to_be_visible()
        page.clock.fast_forward("10:00")
        now = page.get_by_role("button", name="Try now")
        expect(now).to_be_visible()
        # Its clock stands still: nothing is tried but by hand.
        page.clock.pause_at(datetime.now() + timedelta(minutes=20))
        now.click()
        expect(now).to_be_visible()
    finally:
        live_site.start()
    now.click()
    expect(now).to_be_hidden()
    page.clock.resume()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    assert page.evaluate("window.untouched"), "the page was loaded again"


def test_a_grid_and_an_array_make_as_many_runs_as_the_form_counts_each_with_its_settings(window, operator):
    experiment = a_run(state="finished").experiment
    page = window().log_in(operator).open("/submit")
    counted = page.get_by_role("status").filter(has_text=re.compile("job"))
    page.get_by_label("Command").fill("python train.py --lr {lr}")
    page.get_by_text("A grid", exact=True).click()
    send = page.get_by_role("button", name="Submit")
    expect(send).to_be_disabled()
    values = page.get_by_label("Values")
    values.fill("lr=1e-4,1e-3\nseed")
    expect(page.get_by_text("line 2 is not NAME=V1,V2")).to_be_visible()
    expect(send).to_be_disabled()
    values.fill("lr=1e-4,1e-3\nseed=1,2,3")
    expect(counted).to_have_text("6 jobs")
    page.get_by_label("At most at one time").fill("2")
    send.click()
    expect(page.get_by_text("6 jobs are queued.")).to_be_visible()
    expect(page).to_have_url(re.compile(rf"/experiments/{experiment.pk}\?filter="))
    expect(page.get_by_role("region", name="Runs").get_by_text(re.compile(r"^6 runs|^6 of"))).to_be_visible()
    made = Job.objects.select_related("run", "group")
    pairs = {(str(job.run.config["lr"]), str(job.run.config["seed"])) for job in made}
    assert len(pairs) == made.count() == 6
    for job in made:
        lr = job.argv[job.argv.index("--lr") + 1]
        seed = job.argv[job.argv.index("--seed") + 1]
        assert (float(lr), int(seed)) == (float(job.run.config["lr"]), int(job.run.config["seed"]))
        assert job.group.at_once == 2
    page.goto("/submit")
    page.get_by_label("Command").fill("python fold.py {index}")
    page.get_by_text("An array", exact=True).click()
    indices = page.get_by_label("Indices")
    indices.fill("4-0")
    expect(page.get_by_text("expected 0-99, 0-99:10 or 0-99%8")).to_be_visible()
    indices.fill("0-4:2")
    expect(counted).to_have_text("3 jobs")
    send.click()
    expect(page.get_by_text("3 jobs are queued.")).to_be_visible()
    folds = [job for job in made.all() if job.argv[1] == "fold.py"]
    assert sorted((job.argv[-1], job.run.config["array_index"]) for job in folds) == [
        ("0", 0),
        ("2", 2),
        ("4", 4),
    ]
