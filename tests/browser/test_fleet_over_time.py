"""The page of nodes: the map of what GPUs did, by each figure and as far back as asked, and the site's workers."""

import re
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from monitoring.models import Device, Node
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from training.jobs import at_work, ticks

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
GIB = 2**30


@pytest.fixture
def node():
    """One GPU: for 50 minutes half of its memory and 40 % of its power are used, hours ago a tenth of both."""
    at = time.time()
    node = Node.objects.create(
        name="node-a", hostname="node-a.lab", state="online", last_seen_at=timezone.now()
    )
    Device.objects.create(
        node=node, kind="gpu", index=0, uuid="GPU-1", name="H100", memory_total_bytes=80 * GIB,
        latest={"power_limit_watts": 700, "memory_used_bytes": 40 * GIB, "power_watts": 280},
    )  # fmt: skip
    before = [at - 5 * 3600 + 60 * minute for minute in range(180)]
    lately = [at - 3000 + 60 * minute for minute in range(50)]
    for session, times, memory, power in (("b", before, 8 * GIB, 70.0), ("l", lately, 40 * GIB, 280.0)):
        steps = list(range(len(times)))
        columns = [
            Column("gpu0/memory_used_bytes", steps, times, [memory] * len(times)),
            Column("gpu0/power_watts", steps, times, [power] * len(times)),
        ]
        series.append(node.source, session, [Batch(1, columns=columns)])
    return node


def test_the_heat_map_shows_memory_and_power_as_far_back_as_asked(window, operator, node):
    page = window().log_in(operator).open("/nodes")
    heat = page.get_by_role("region", name="GPUs over time")
    # What no agent has told is neither busy nor idle.
    expect(heat.get_by_role("img", name="Utilisation, in the mean –")).to_be_visible()
    heat.get_by_role("radio", name="GPU memory").check()
    expect(heat.get_by_role("img", name="GPU memory, in the mean 50 %")).to_be_visible()
    heat.get_by_role("radio", name="Power").check()
    expect(heat.get_by_role("img", name="Power, of the limit, in the mean 40 %")).to_be_visible()
    back = heat.get_by_role("combobox", name="How far back")
    back.select_option(label="6 hours")
    # Of six hours three were at 10 % and less than one at 40 %.
    expect(
        heat.get_by_role("img", name=re.compile(r"^Power, of the limit, in the mean (1[1-9]|2\d)(\.\d)? %"))
    ).to_be_visible()
    heat.get_by_role("radio", name="GPU memory").check()
    expect(
        heat.get_by_role("img", name=re.compile(r"^GPU memory, in the mean (1[1-9]|2\d)(\.\d)? %"))
    ).to_be_visible()
    back.select_option(label="1 hour")
    expect(heat.get_by_role("img", name="GPU memory, in the mean 50 %")).to_be_visible()
    heat.get_by_role("link", name=re.compile("^node-a")).click()
    expect(page.get_by_role("heading", name="node-a", level=1)).to_be_visible()


def test_the_site_s_workers_are_told_with_what_they_do_and_what_is_wrong(window, operator, node, monkeypatch):
    now = timezone.now()
    control = {
        "name": "control@a", "hostname": "a.lab", "pid": 7, "queues": ["control"], "running": ["control.tick"],
        "done": 12345, "uptime_seconds": 7200,
    }  # fmt: skip
    of_node = control | {"name": "node@a", "queues": ["node.node-a"], "running": [], "done": 3}
    found, rows = [control, of_node], [ticks.Tick("training.place", 60.0, now)]
    monkeypatch.setattr(at_work, "workers", lambda: list(found))
    monkeypatch.setattr(ticks, "read", lambda: (list(rows), 0))
    page = window().log_in(operator).open("/nodes")
    card = page.get_by_role("region", name="The site's own workers")
    line = card.get_by_role("row").filter(has_text="control@a")
    expect(line.get_by_role("cell")).to_have_text(
        ["control@a", "a.lab", "control", "control.tick", "12,345", re.compile("^2 h")]
    )
    expect(card.get_by_role("row").filter(has_text="node@a").get_by_role("cell").nth(3)).to_have_text("–")
    expect(card.get_by_role("listitem").filter(has_text="training.place")).to_contain_text("every 1 m")
    expect(card.get_by_role("alert")).to_have_count(0)
    found.remove(control)
    rows[:] = [ticks.Tick("training.place", 2.0, now - timedelta(hours=2))]
    page.reload()
    expect(card).to_contain_text("No worker takes the queue control: nothing is placed, judged or compacted.")
    expect(card).to_contain_text(re.compile("Nothing has been placed for .*it is due every 2 s"))
    expect(line).to_have_count(0)
    expect(card.get_by_role("listitem").filter(has_text="training.place")).to_contain_text("2 h ago")
