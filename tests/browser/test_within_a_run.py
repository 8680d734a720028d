"""What a run left behind is looked into: its media, notes and logs, its ranks, its settings beside another's."""

import json
import re
import struct

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from monitoring.storage import logs, series
from scaleweb_sdk.protocol import Batch, Column, LogLine
from tests.browser.width import fits
from tests.support.domain import a_run
from tests.support.media import PNG, Sender
from tests.support.wait import until
from training.models import Command, Experiment, Rank, Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
HOSTILE = "<img src=x onerror=alert(1)>"
BEGAN = 1.7e9
METRICS = 5000
LONG = "k" * 300
NOTES = f"""# What was learnt
- [x] half a **warm-up** is too short
{HOSTILE} <script>alert(1)</script> [press me](javascript:alert(1)) [the paper](https://example.org/paper)
"""
LINES = [
    "\x1b]0;a title\x07\x1b[31;1mred alert\x1b[0m after it",
    "epoch 1:  10%\repoch 1: 100%",
    f"{HOSTILE}\x1b[2J\x1b[999;999H\x07",
    *(f"step {step} done" for step in range(3, 400)),
]
# A second of silence, 16 bits and 8,000 samples a second.
SECOND = b"\0" * 16_000
FORMAT = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16_000, 2, 16)
WAVE = (
    struct.pack("<4sI4s", b"RIFF", 36 + len(SECOND), b"WAVE")
    + FORMAT
    + struct.pack("<4sI", b"data", len(SECOND))
    + SECOND
)


@pytest.fixture
def run(settings, tmp_path, live_site):
    settings.MEDIA_DIR = tmp_path / "media"
    now = timezone.now()
    row = a_run(
        state="finished", name="n" * 200, config={"lr": 0.1, "model": {"depth": 2}, "seed": 1}, last_step=399,
        process={"world_size": 3}, started_at=now, ended_at=now,
        usage={"device_seconds": 7200.0, "cost": 3.5, "currency": "EUR", "energy_joules": 1.8e6, "settled": True},
    )  # fmt: skip
    Experiment.objects.update(goal_metric="loss", goal_direction="min", goal_target=0.01)
    Run.objects.create(
        experiment=row.experiment, name="wider", state="finished",
        config={"lr": 0.1, "model": {"depth": 8}, "dropout": 0.5},
    )  # fmt: skip
    steps = list(range(400))
    times = [BEGAN + step for step in steps]
    columns = [Column("loss", steps, times, [1 / (1 + step) for step in steps])]
    columns += [Column(f"layer/{place:04}", [399], [BEGAN + 399], [1.0]) for place in range(METRICS)]
    columns += [Column(name, steps, times, [0.5] * 400) for name in (HOSTILE, LONG)]
    for rank, apart in enumerate((0.010, 0.060, 0.010)):
        Rank.objects.create(
            run=row, rank=rank, world_size=3, connected_at=now, process={"hostname": f"host-{rank}", "device": "cpu"}
        )  # fmt: skip
        step_key = f"_step_seconds/rank{rank}" if rank else "_step_seconds"
        columns += [
            Column(step_key, steps, times, [0.1] * 400),
            Column(f"_apart_seconds/rank{rank}", steps, times, [apart] * 400),
        ]
    series.append(row.source, "s" * 32, [Batch(1, columns=columns)])
    logs.append(
        row.source, "l" * 32, 1, [LogLine(BEGAN + at, "stdout", text) for at, text in enumerate(LINES)]
    )
    answered = {str(rank): {"step": 300, "ok": True, "message": ""} for rank in range(2)}
    Command.objects.create(
        run=row,
        seq=1,
        verb="set",
        tunable="lr",
        value=0.2,
        asked_by="ada",
        state="sent",
        sent_at=now,
        acks=answered,
    )
    sender = Sender(row)
    for step in (3, 6, 9):
        table = {"columns": ["id", "label"], "rows": [[step, "cat"], [1, HOSTILE], [2, "dog"]]}
        told = {"step": step, "uid": f"i{step}", "key": "samples", "caption": f"a cat at {step}"}
        assert sender.send(PNG, **told, data={"width": 1, "height": 1}).json()["taken"] == 1
        told = {"step": step, "uid": f"t{step}", "key": "worst", "data": {"rows": 3, "rows_given": 3}}
        sender.send(json.dumps(table).encode(), "table", **told)
        bell = {"edges": [-step, 0, step], "counts": [1, 3]}
        sender.items({"kind": "histogram", "uid": f"h{step}", "step": step, "key": "weights", "data": bell})
    sender.send(WAVE, "audio", uid="a", key="tone", data={"seconds": 1.0})
    sender.send(HOSTILE.encode(), "text", uid="x", key="said")
    sender.send(HOSTILE.encode(), "file", uid="f", key="page.html", name="page.html")
    return row


def nothing_was_executed(page: Page) -> None:
    assert page.locator("main img[src=x]").count() == 0
    assert page.evaluate("document.querySelectorAll('main script, main [onerror]').length") == 0


def test_what_a_run_logged_beside_its_figures_is_seen_heard_read_and_noted(window, operator, run):
    seen = window().log_in(operator)
    page = seen.open(f"/runs/{run.code}?tab=media")
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    images = page.get_by_role("region", name="samples", exact=True)
    expect(images.get_by_role("img", name="a cat at 9")).to_be_visible()
    images.get_by_role("slider", name="Step of samples").press("Home")  # all of them go back to that step
    expect(images.get_by_role("img", name="a cat at 3")).to_be_visible()
    weights = page.get_by_role("region", name="weights", exact=True)
    expect(weights).to_contain_text("Step 3: from -3 to 3")
    expect(page.get_by_text("Up to step 3")).to_be_visible()
    images.get_by_role("button", name="Enlarge a cat at 3").click()
    large = page.get_by_role("dialog", name="samples · step 3")
    large.get_by_role("group").press("ArrowRight")
    expect(page.get_by_role("dialog", name="samples · step 6")).to_contain_text("a cat at 6")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Show the newest").click()
    table = page.get_by_role("region", name="worst", exact=True)
    table.get_by_role("button", name="id").click()
    expect(table.locator("tbody tr").first).to_contain_text(HOSTILE)
    table.get_by_role("searchbox").fill("cat")
    expect(table.locator("tbody tr")).to_have_count(1)
    sound = page.get_by_role("region", name="tone", exact=True).locator("audio")
    assert (
        sound.evaluate("""audio => new Promise((done) => {
      if (audio.readyState) done(audio.duration);
      else audio.onloadedmetadata = () => done(audio.duration);
    })""")
        == 1
    )
    expect(page.get_by_role("region", name="said", exact=True)).to_contain_text(HOSTILE)
    with page.expect_download() as download:
        page.get_by_role("link", name="page.html").click()
    assert download.value.path().read_text() == HOSTILE
    page.get_by_role("searchbox", name="Search media").fill("wei")
    expect(images).to_have_count(0)
    nothing_was_executed(page)
    page.get_by_role("link", name="Notes").click()
    page.get_by_role("button", name="Write notes").click()
    page.get_by_label("Notes in Markdown").fill(NOTES)
    expect(page.get_by_role("article", name="Preview").get_by_role("heading")).to_have_text("What was learnt")
    # Neither another part of the run nor a reload loses what was written, and another person's words are kept.
    page.get_by_role("link", name="Config").click()
    page.get_by_role("link", name="Notes").click()
    page.reload()
    written = page.get_by_label("Notes in Markdown")
    expect(written).to_have_value(NOTES)
    Run.objects.filter(pk=run.pk).update(notes="what bob found")
    written.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("Somebody else changed these notes meanwhile")
    expect(page.get_by_label("The notes as they stand now")).to_have_text("what bob found")
    written.press("Control+Enter")
    notes = page.get_by_role("article")
    expect(page.get_by_role("button", name="Edit the notes")).to_be_visible()
    expect(notes.get_by_role("checkbox")).to_be_disabled()
    expect(notes).to_contain_text(HOSTILE)
    expect(notes.get_by_role("link")).to_have_text("the paper")
    nothing_was_executed(page)
    run.refresh_from_db()
    assert run.notes == NOTES.strip()


def test_a_run_of_many_metrics_and_hostile_logs_is_searched_and_compared(window, operator, run):
    page = window(timezone_id="UTC").log_in(operator).context.new_page()
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    # While the run itself is read, what will be there is outlined.
    address, held = f"**/api/v1/runs/{run.code}", []
    page.route(address, lambda route: held.append(route))
    page.goto(f"/runs/{run.code}")
    expect(page.locator("main").get_by_role("status", name="Loading")).to_be_visible()
    until(lambda: page.evaluate("true") and held)
    held[0].continue_()
    page.unroute(address)
    header = page.locator("header").first
    for name, figure in (("Device time", "2 h 00 m"), ("Cost", "3.5 EUR"), ("Energy", "0.5 kWh")):
        expect(header).to_contain_text(re.compile(rf"{name}\s*{figure}"))
    loss = page.get_by_role("region", name="loss", exact=True)
    # While it is not known what there is, nothing is said of it.
    nothing = page.get_by_text("Nothing has been logged yet")
    expect(loss.or_(nothing)).to_be_visible(timeout=20_000)
    expect(nothing).to_have_count(0, timeout=1)
    expect(loss.locator(".canvas[data-step='399']")).to_be_attached()
    assert page.locator("section.panel").count() < 60
    page.get_by_label("Find a panel").fill("layer/4999")
    expect(page.locator("[data-panel]")).to_have_count(1)
    fits(page, "with a long name it")
    # A metric's name is text wherever it stands, and as long as it likes.
    for typed, name in (("onerror", HOSTILE), ("kkk", LONG)):
        page.get_by_label("Find a panel").fill(typed)
        expect(page.locator("[data-panel]")).to_have_count(1)
        found = page.get_by_role("region", name=name, exact=True)
        expect(found.locator(".canvas[data-step='399']")).to_be_attached()
        found.locator(".u-over").hover()
        found.get_by_label(f"More about {name}").click()
        expect(found.get_by_role("button", name="Save as CSV")).to_be_visible()
        page.keyboard.press("Escape")
        fits(page, f"with {name:.20} it")
        nothing_was_executed(page)
    # Each of them is in a table, too: found there, it leads to its curve.
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_role("region", name="Towards the goal")).to_contain_text(
        re.compile(r"Lowest loss\s*0\.0025.*Target\s*0\.01\s*reached")
    )
    metrics = page.get_by_role("region", name="Metrics")
    expect(metrics.get_by_role("row").nth(1)).to_contain_text(
        re.compile(r"loss\s*0\.0025\s*0\.0025\s*1\s*399\s*400")
    )
    metrics.get_by_label("Find a metric").fill("onerror")
    metrics.get_by_role("link", name=HOSTILE).click()
    expect(page.locator("[data-panel]")).to_have_count(1)
    expect(
        page.get_by_role("region", name=HOSTILE, exact=True).locator(".canvas[data-step='399']")
    ).to_be_attached()
    nothing_was_executed(page)
    page.get_by_label("Find a panel").fill("")
    page.get_by_role("link", name="Logs").click()
    log = page.get_by_role("log")
    place = page.get_by_label("Go to time or step")
    place.fill("step 0")
    page.keyboard.press("Enter")
    expect(log).to_contain_text("red alert after it")
    expect(log.locator(".fg-red.bold")).to_have_text("red alert")
    expect(log).to_contain_text("epoch 1: 100%")
    expect(log).not_to_contain_text("10%\r")
    expect(log).to_contain_text(HOSTILE)
    expect(log).not_to_contain_text("a title")
    nothing_was_executed(page)
    chosen = page.get_by_role("region", name="The chosen line")
    for words, line in (
        ("22:16:40", "step 200 done"),
        ("14 Nov 2023, 22:15", "step 100 done"),
        ("300", "step 300 done"),
    ):
        place.fill(words)
        page.keyboard.press("Enter")
        expect(chosen).to_contain_text(line)
        expect(log.get_by_role("button", name=line)).to_be_in_viewport()
    place.fill("half past ten")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Expected a time such as 14:05")).to_be_visible()
    place.fill("23:00")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The log ends before that, at 14 Nov 2023, 22:19:59")).to_be_visible()
    expect(log.get_by_role("button", name="step 399 done")).to_be_in_viewport()
    page.get_by_label("Search the log").fill("step 2")
    expect(page.get_by_text(re.compile(r"^\d+ of 110$"))).to_be_visible()
    page.get_by_label("Only matches").check()
    expect(page.get_by_text("110 lines of 400")).to_be_visible()
    log.get_by_role("button", name="step 200 done").click()
    line = page.get_by_role("region", name="The chosen line")
    line.get_by_role(
        "button", name="Show on the charts"
    ).click()  # from the time of a line to the step of then
    expect(page).to_have_url(re.compile("step=200"))
    expect(loss.locator(".canvas[data-marks]")).to_have_attribute("data-marks", re.compile("event:0"))
    box = loss.locator(".u-over").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 200 / 399, box["y"] + 40)  # and back from its mark
    expect(page).to_have_url(re.compile("tab=logs"))
    expect(log).to_contain_text("step 200 done")
    # A change that two of three ranks have answered.
    page.get_by_role("link", name="Control").click()
    stages = page.get_by_role("list", name="How far it has come")
    expect(stages).to_contain_text("2 of 3 ranks")
    page.get_by_role("link", name="System").click()
    ranks = page.get_by_role("region", name="Ranks")
    expect(ranks).to_contain_text("Rank 1 on host-1 cpu holds the others up by 50 ms, 50% of a step.")
    expect(ranks.get_by_role("row").filter(has_text="Straggler").last).to_contain_text("host-1")
    expect(page.get_by_role("region", name="Until a rank meets the others")).to_be_visible()
    page.get_by_role("link", name="Config").click()
    page.get_by_role("button", name="Compare with a run").click()
    page.get_by_role("dialog").get_by_role("button", name="wider").click()
    expect(page.get_by_text("3 differences")).to_be_visible()
    rows = page.get_by_role("row")
    expect(rows.filter(has_text="depth")).to_contain_text(re.compile("2.*8"))
    expect(rows.filter(has_text="lr")).to_have_count(0)
    page.get_by_role("switch", name="Only differences").click()
    expect(rows.filter(has_text="lr")).to_contain_text("0.1")
    # The same two side by side, with one that is not there: it is told, and spoils nothing.
    window.allowed.append("status of 404")
    for name, best in ((run.name, 0.5), ("wider", 0.25)):
        figures = {f"best/{place:02}": best + place for place in range(14)} | {"images": 640.0}
        Run.objects.filter(name=name).update(summary=figures)
    page.goto(f"/compare?runs={run.code},nosuchrun")
    expect(page.get_by_text(re.compile("nosuchrun: "))).to_be_visible()
    page.get_by_label("Add a run").fill("wider")
    page.get_by_role("button", name=re.compile("^wider")).click()
    differ = page.get_by_role("region", name="Differences").get_by_role("row")
    expect(differ.filter(has_text="depth")).to_contain_text(re.compile("2.*8"))
    expect(differ.filter(has_text="lr")).to_have_count(0)
    expect(differ.filter(has_text="best/")).to_have_count(12)
    page.get_by_role("button", name="Show 2 more").click()
    expect(differ.filter(has_text="best/13")).to_contain_text(re.compile(r"13\.5.*13\.25"))
    expect(differ.filter(has_text="images")).to_have_count(0)
    page.get_by_role("button", name="What is equal, too").click()
    expect(differ.filter(has_text="images")).to_contain_text("640")
    expect(differ.filter(has_text="lr")).to_contain_text("0.1")
    fits(page, "with a long name it")
    page.get_by_role("button", name="Take out wider").click()
    expect(differ).to_have_count(0)
    # Beside its table as many metrics are found by typing, and only the panels near the screen exist.
    Run.objects.filter(name="wider").update(summary={})
    Run.objects.filter(pk=run.pk).update(summary={f"layer/{place:04}": 1.0 for place in range(METRICS)})
    page.goto(f"/experiments/{run.experiment_id}")
    expect(page.get_by_role("button", name=f"Show all {METRICS} panels")).to_be_visible()
    assert page.locator("section.panel").count() < 60
    fits(page, "with a long name it")
    page.get_by_role("region", name="Runs").get_by_role("button", name="Filter").click()
    builder = page.get_by_role("dialog", name="Filter runs")
    builder.get_by_label("Comparison").select_option(label="contains")  # the columns are known by now
    expect(builder.locator("input[aria-label=Column]")).to_be_visible()
    builder.get_by_label("Column").fill("layer/4999")
    builder.get_by_label("Column").press("Tab")
    builder.get_by_label("Comparison").select_option("exists")
    expect(builder.get_by_text("1 run matches")).to_be_visible()
    window.allowed.append("status of 400")
    builder.get_by_label("Column").fill("layer 4999")  # is none: it is said, and what there is
    builder.get_by_label("Comparison").focus()
    expect(builder.get_by_role("status")).to_contain_text("is no column; expected")
