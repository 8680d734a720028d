"""The fleet as its people see it: what each device does, who has it, what went wrong there, who may change it."""

import os
import re
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from monitoring.models import Device, Node
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.support.domain import a_run, a_user
from tests.support.wait import until
from training.jobs.submit import submit
from training.models import ApiToken, Attempt, DeviceLease, Job, Run, TokenKind, Usage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
GIB = 2**30


@pytest.fixture
def run():
    """Holds the only GPU of a node, where an XID error met it some minutes ago."""
    now, at = timezone.now(), time.time()
    run = a_run(state="running", name="bold-otter", started_at=now - timedelta(minutes=50))
    latest = {"cpu_utilisation_ratio": 0.42, "memory_used_bytes": GIB, "memory_total_bytes": 8 * GIB}
    node = Node.objects.create(
        name="node-a", hostname="node-a.lab", state="online", last_seen_at=now, latest=latest,
        system={"os": "Debian 12"},
    )  # fmt: skip
    Device.objects.create(node=node, kind="cpu", index=0, name="CPU slot")
    gpu = Device.objects.create(
        node=node, kind="gpu", index=0, uuid="GPU-1", name="H100", memory_total_bytes=80 * GIB,
        latest={"utilisation_ratio": 0.9, "memory_used_bytes": 60 * GIB, "temperature_celsius": 71},
        processes=[
            {"pid": 4711, "memory_used_bytes": 60 * GIB, "run": run.code, "user": "ada", "command": "python train.py"},
            {"pid": 4712, "memory_used_bytes": GIB, "run": None, "user": "eve", "command": "python serve.py",
             "started_at": at - 7200},
        ],
    )  # fmt: skip
    job = Job.objects.create(run=run, argv=["true"], state="running", device_kind="gpu")
    attempt = Attempt.objects.create(
        job=job, number=1, node=node, state="running", lease_expires_at=now + timedelta(hours=1),
        started_at=now - timedelta(minutes=50),
    )  # fmt: skip
    attempt.devices.add(gpu)
    DeviceLease.objects.create(device=gpu, attempt=attempt)
    Usage.objects.create(
        attempt=attempt, node=node.name, device_seconds=3000, joules=3.6e6, cost=2.0, currency="EUR", counted_until=now
    )  # fmt: skip
    times = [at - 3000 + 60 * minute for minute in range(50)]
    xid = [0.0] * 40 + [79.0] + [0.0] * 9
    columns = [("gpu0/utilisation_ratio", [0.9] * 50), ("gpu0/xid_count", [float(each > 0) for each in xid])]
    columns += [("gpu0/ecc_uncorrected_count", [0.0] * 30 + [2.0] * 20)]
    columns += [("gpu0/throttle_ratio", [0.0] * 20 + [0.9] * 5 + [0.0] * 25)]
    before = [at - 3600 * hour for hour in range(7 * 24, 1, -1)]  # a node's history is longer than a run's
    past = [Column("gpu0/utilisation_ratio", list(range(len(before))), before, [0.9] * len(before))]
    steps = list(range(1000, 1050))
    series.append(
        node.source,
        "n",
        [
            Batch(1, columns=past),
            Batch(2, columns=[Column(key, steps, times, values) for key, values in columns]),
        ],
    )
    # Its first figure comes some minutes after it was started.
    loss = Column("loss", list(range(40)), times[10:], [1 / (1 + step) for step in range(40)])
    series.append(run.source, "r", [Batch(1, columns=[loss])])
    return run


def shown(page, name: str) -> list[float]:
    canvas = page.get_by_role("region", name=name, exact=True).locator(".canvas")
    return [float(end) for end in (canvas.get_attribute("data-range") or "").split()]


def test_a_fleet_is_read_cordoned_drained_and_grown_by_who_may(window, operator, run, settings):
    submit(experiment=run.experiment, argv=["true"], name="patient", user=operator, device_kind="gpu")
    Job.objects.filter(run__name="patient").update(
        waiting_reason="No GPU is free: bold-otter has gpu0 of node-a."
    )
    page = window().log_in(operator).open("/")
    tile = page.get_by_role("region", name="GPUs").get_by_role("link", name=re.compile("^node-a gpu0 · H100"))
    expect(tile).to_have_accessible_name(re.compile(r"90 % used · 60 GiB · 71 °C"))
    expect(page.get_by_role("region", name="Waiting for a place")).to_contain_text(
        "No GPU is free: bold-otter"
    )
    tile.click()
    expect(page).to_have_url(re.compile(f"/runs/{run.code}"))
    page.goto("/nodes")
    expect(page.get_by_role("button", name="Add a node")).to_have_count(0)  # an operator does not
    heat = page.get_by_role("region", name="GPUs over time")
    expect(heat.get_by_role("img", name="Utilisation, in the mean 90 %")).to_be_visible()
    heat.get_by_text("Temperature", exact=True).click()
    expect(heat.get_by_role("img", name=re.compile("^Temperature, of 90 °C"))).to_be_visible()
    page.get_by_role("heading", name="node-a").get_by_role("link").click()
    expect(page.get_by_role("heading", name="node-a")).to_be_visible()
    expect(page.get_by_text("CPU 0")).to_be_visible()
    expect(page.get_by_text("Debian 12")).to_be_visible()
    process = page.get_by_role("row").filter(has_text="4711").get_by_role("link", name="bold-otter")
    expect(process).to_have_attribute("href", f"/runs/{run.code}")
    by_hand = page.get_by_role("row").filter(has_text="4712")
    expect(by_hand).to_contain_text(re.compile(r"not ours.*python serve\.py.*eve.*1 GiB.*2 h ago"))
    past = page.get_by_role("region", name="Who was here")
    expect(past.get_by_role("listitem").get_by_role("link", name="bold-otter")).to_be_visible()
    expect(past).to_contain_text(re.compile("50 m 00 s.*1 kWh.*2 EUR"))
    for kind in ("memory error", "throttled"):
        row = past.get_by_role("row").filter(has_text=kind)
        expect(row.get_by_role("link", name="bold-otter")).to_be_visible()
    fault = past.get_by_role("row").filter(has_text="XID error")
    # What its GPU did all that time, drawn.
    drawn = page.get_by_role("region", name="GPU 0 · Utilisation").locator(".canvas")
    drawn.scroll_into_view_if_needed()
    expect(drawn).to_have_attribute("data-points", "217")  # of the last hour 50, of the week before it 167
    fault.get_by_role("link", name="bold-otter").click()
    expect(page.get_by_role("heading", name="bold-otter")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 1800})
    page.get_by_role("link", name="System").click()  # its device on the axis of its own figures
    expect(page.get_by_role("heading", name="Its node, node-a")).to_be_visible()
    expect(page.get_by_role("combobox", name="Metric")).to_have_value("loss")
    busy = "GPU 0 · Utilisation"
    began = run.started_at.timestamp()
    until(lambda: shown(page, "loss") and shown(page, busy) == shown(page, "loss"))
    assert shown(page, busy)[0] == pytest.approx(began, abs=5), "of the node's week the run's hour is seen"
    over = page.get_by_role("region", name="loss", exact=True).locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    with page.expect_response(  # a zoom of the one reads the exact points of the other
        lambda answer: (
            answer.url.endswith("/series/read") and "node:node-a" in (answer.request.post_data or "")
        )
    ):
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=4)
        page.mouse.up()
    until(lambda: shown(page, busy) == shown(page, "loss") and shown(page, busy)[0] > began + 600)
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto("/nodes/node-a")
    expect(page.get_by_role("button", name="Drain")).to_have_count(0)

    # A host that went away: what was heard of it last is not how it is, and its devices are nobody's to use.
    gone = Node.objects.create(
        name="node-b", hostname="node-b.lab", state="lost", last_seen_at=timezone.now() - timedelta(hours=2)
    )
    Device.objects.create(
        node=gone, kind="gpu", index=0, uuid="GPU-2", name="H100", memory_total_bytes=80 * GIB,
        latest={"utilisation_ratio": 0.7, "memory_used_bytes": 8 * GIB, "temperature_celsius": 64},
    )  # fmt: skip
    page.goto("/")
    last = page.get_by_role("region", name="GPUs").get_by_role("link", name=re.compile("^node-b gpu0 · H100"))
    expect(last).to_have_accessible_name(re.compile(r"· lost · 70 % used · .* · not heard of$"))
    page.goto("/queue")
    expect(page.get_by_text("jobs hold 1 of 2 devices")).to_be_visible()
    page.goto("/nodes")
    expect(page.get_by_text("2 nodes · 1 of 2 GPUs busy")).to_be_visible()
    card = page.get_by_role("region", name="node-b")
    expect(card.get_by_text("lost", exact=True)).to_be_visible()
    expect(card.get_by_role("article")).to_contain_text(re.compile("GPU 0.*not heard of", re.DOTALL))
    card.get_by_role("link", name="node-b").click()
    expect(page).to_have_url(re.compile("/nodes/node-b$"))
    expect(page.get_by_role("article").filter(has_text="GPU 0")).to_contain_text("not heard of")

    page = window().log_in(a_user("root", is_superuser=True, is_staff=True)).open("/nodes/node-a")
    closed = Node.objects.filter(name="node-a").values_list("cordoned", "draining")
    page.get_by_role("button", name="Cordon").click()
    told = page.get_by_text("node-a takes nothing new; what runs goes on.")
    expect(told).to_be_visible()
    assert closed.get() == (True, False)
    still = page.get_by_text("It takes nothing new. Still here:")
    expect(still.get_by_role("link", name="bold-otter")).to_have_attribute("href", f"/runs/{run.code}")
    page.get_by_role("button", name="Drain").click()
    expect(page.get_by_text("what runs leaves at a checkpoint and goes on elsewhere")).to_be_visible()
    expect(page.get_by_text("draining", exact=True)).to_be_visible()
    assert closed.get() == (True, True)
    page.get_by_role("button", name="Undo").last.click()
    expect(page.get_by_text("cordoned", exact=True)).to_be_visible()
    assert closed.get() == (True, False)
    page.get_by_role("button", name="Take jobs again").click()
    expect(page.get_by_role("button", name="Cordon")).to_be_visible()
    expect(still).to_have_count(0)
    assert closed.get() == (False, False)
    page.get_by_role("button", name="Add labels").click()
    labels = page.get_by_role("dialog", name="Labels of node-a")
    labels.get_by_label("Labels").fill("gpu type=h100")
    expect(labels.get_by_role("alert")).to_have_text("line 1 is not NAME=value")
    labels.get_by_label("Labels").fill("gpu-type=h100\nzone=a")
    labels.get_by_role("button", name="Save").click()
    expect(page.get_by_text("gpu-type=h100")).to_be_visible()
    assert Node.objects.get(name="node-a").labels == {"gpu-type": "h100", "zone": "a"}
    page.get_by_role("link", name="Nodes").first.click()
    window.allowed.append("status of 400")  # the answer of a site that no other host can reach
    page.get_by_role("button", name="Add a node").click()
    dialog = page.get_by_role("dialog", name="Add a node")
    dialog.get_by_role("button", name="Make a join token").click()
    expect(dialog.get_by_role("alert")).to_contain_text("run the site with PostgreSQL (DATABASE_URL)")
    settings.NODE_DATABASE_URL = "postgresql://scaleweb:secret@10.0.0.5/scaleweb"
    settings.NODE_REDIS_URL = "rediss://:secret@10.0.0.5:6380/0"
    dialog.get_by_role("button", name="Make a join token").click()
    line = dialog.locator("pre")
    expect(line).to_have_text(
        re.compile(r"^make environment && \.venv/bin/scaleweb node join http://127\.0\.0\.1:\d+ \S{30,}$")
    )
    first = line.inner_text()
    assert ApiToken.objects.filter(kind=TokenKind.JOIN).count() == 1
    dialog.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Add a node").click()
    expect(line).to_have_count(0)  # it is not shown again
    dialog.get_by_role("button", name="Make a join token").click()
    expect(line).not_to_have_text(first)


def test_a_site_without_runs_teaches_how_the_first_one_comes_and_makes_an_experiment(
    window, operator, live_site, tmp_path
):
    window.allowed.append("status of 400")
    page = window().log_in(operator).open("/")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    expect(page.get_by_text("Your first run is three lines away")).to_be_visible()
    # What the page says is done word for word, by somebody whose machine knows nothing yet.
    login, lines = page.get_by_role("main").locator("pre").all_inner_texts()
    page.get_by_role("main").get_by_role("button", name="Copy").last.click()
    assert page.evaluate("navigator.clipboard.readText()") == lines
    page.get_by_role("main").get_by_role("link", name="Settings").click()
    page.get_by_label("Name").fill("laptop")
    page.get_by_role("button", name="Create token").click()
    made = page.get_by_role("status").locator("pre")
    expect(made).to_have_count(2)
    token, again = made.all_inner_texts()
    assert login == again == f"scaleweb login {live_site.url}"
    home = {name: value for name, value in os.environ.items() if not name.startswith("SCALEWEB_")}
    home |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": os.getcwd()}
    shell = [sys.executable, "-m", "scaleweb_sdk", *login.split()[1:], "--token-stdin"]
    subprocess.run(shell, env=home, cwd=tmp_path, input=token, text=True, check=True, timeout=60)
    script = [sys.executable, "-c", lines]
    said = subprocess.run(script, env=home, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    run = Run.objects.get()
    assert said.stderr == f"scaleweb: {live_site.url}/runs/{run.code}\n"
    until(lambda: run.refresh_from_db() or run.state == "finished", 20)
    assert (run.last_step, run.experiment.name) == (999, "my first experiment")
    page.goto("/")
    expect(page.get_by_role("link", name="my first experiment")).to_be_visible()
    page.get_by_role("button", name="New experiment").click()
    dialog = page.get_by_role("dialog", name="New experiment")
    dialog.get_by_label("Name").fill("x" * 200)
    dialog.get_by_label("Target").fill("very low")
    expect(dialog.get_by_text("This is not a number. Write it like 0.98 or 1e-3.")).to_be_visible()
    dialog.get_by_label("Target").fill("1e-3")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).to_have_text("A target needs goal_metric: the key it is a figure of.")
    dialog.get_by_label("Goal metric").fill("loss")
    dialog.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile(r"/experiments/\d+"))
    expect(page.get_by_role("heading", name="x" * 200)).to_be_visible()
    expect(page.get_by_role("main").locator("pre").last).to_contain_text(f'experiment="{"x" * 80}", config=')
    page.goto("/nodes")
    expect(page.get_by_text("No node yet")).to_be_visible()
