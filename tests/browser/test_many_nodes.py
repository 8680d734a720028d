"""A run whose ranks are on two nodes: which of them is waited for, and each node's figures over the run's own time."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from monitoring.models import Device, Node
from monitoring.storage import series
from scaleweb_sdk.link import Link
from scaleweb_sdk.protocol import Batch, Column
from tests.browser.axe import violations
from tests.support.domain import a_run
from tests.support.wait import until
from training.models import ApiToken, Attempt, Job, Rank, TokenKind

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
MINUTES = 20
SLOW = 2  # the first rank of the second node


def a_node(name: str, times: list[float], utilisation: float) -> Node:
    """Two GPUs, read once a minute; its history is an hour longer than the run's."""
    node = Node.objects.create(name=name, hostname=f"{name}.lab", state="online", last_seen_at=timezone.now())
    for index in range(2):
        Device.objects.create(node=node, kind="gpu", index=index, uuid=f"GPU-{name}-{index}", name="H100")
    columns = [
        Column(f"gpu{index}/utilisation_ratio", list(range(len(times))), times, [utilisation] * len(times))
        for index in range(2)
    ]
    columns.append(Column("cpu_utilisation_ratio", list(range(len(times))), times, [0.3] * len(times)))
    series.append(node.source, "n", [Batch(1, columns=columns)])
    return node


@pytest.fixture
def run():
    at, now = time.time() - MINUTES * 60, timezone.now()
    run = a_run(
        state="running",
        name="wide-heron",
        process={"world_size": 4},
        started_at=now - timedelta(minutes=MINUTES),
    )
    times = [at - 3600 + 60 * minute for minute in range(60 + MINUTES)]
    nodes = [a_node("rack-1", times, 0.95), a_node("rack-2", times, 0.6)]
    job = Job.objects.create(
        run=run, argv=["true"], state="running", device_kind="gpu", min_devices=4, max_devices=4, max_nodes=2
    )
    attempt = Attempt.objects.create(
        job=job, number=1, node=nodes[0], state="running", started_at=run.started_at,
        lease_expires_at=now + timedelta(hours=1),
    )  # fmt: skip
    attempt.members.create(
        node=nodes[1], node_rank=1, state="running", lease_expires_at=now + timedelta(hours=1)
    )
    gpus = [gpu for node in nodes for gpu in node.devices.order_by("index")]
    attempt.devices.set(gpus)
    steps, moments = list(range(120)), [at + 10 * step for step in range(120)]
    columns = [Column("loss", steps, moments, [1 / (1 + step) for step in steps])]
    for rank, gpu in enumerate(gpus):
        Rank.objects.create(
            run=run, rank=rank, world_size=4, attempt=1, connected_at=now,
            process={"hostname": gpu.node.hostname, "device": gpu.uuid, "local_rank": gpu.index, "pid": 900 + rank},
        )  # fmt: skip
        apart = 0.31 if rank == SLOW else 0.1
        step_key = f"_step_seconds/rank{rank}" if rank else "_step_seconds"
        columns.append(Column(step_key, steps, moments, [0.4] * 120))
        columns.append(Column(f"_apart_seconds/rank{rank}", steps, moments, [apart] * 120))
    series.append(run.source, "r", [Batch(1, columns=columns)])
    return run


def seen(page, name: str):
    return page.get_by_role("region", name=name, exact=True).locator(".canvas")


def test_a_run_on_two_nodes_shows_who_is_waited_for_and_both_nodes_beside_it(
    window, operator, run, live_site, tmp_path
):
    page = (
        window(viewport={"width": 1280, "height": 4000}).log_in(operator).open(f"/runs/{run.code}?tab=system")
    )
    main = page.get_by_role("main")

    devices = page.get_by_role("region", name="Devices", exact=True)
    expect(devices).to_contain_text("gpu0, gpu1, rack-2/gpu0, rack-2/gpu1 on rack-1, rack-2")
    expect(devices).to_contain_text("4 GPU on up to 2 nodes")
    ranks = page.get_by_role("region", name="Ranks")
    expect(ranks).to_contain_text("Rank 2 on rack-2 gpu0 holds the others up by 210 ms, 52% of a step.")
    rows = ranks.get_by_role("row")
    expect(rows).to_have_count(5)
    expect(rows.filter(has_text="Straggler").last).to_contain_text("3.1 ×")
    expect(rows.nth(4).get_by_role("link")).to_have_attribute("href", "/nodes/rack-2")

    # Every rank is a line of one chart, and both nodes have theirs over the run's own time, not over all their history.
    until(lambda: seen(page, "Time of a step, by rank").get_attribute("data-points") == "480")
    for node in ("rack-1", "rack-2"):
        expect(main.get_by_role("heading", name=f"Its node, {node}")).to_be_visible()
    both = main.get_by_role("region", name="Utilisation of each GPU, rack-").locator(".canvas")
    expect(both).to_have_count(2)

    def ranges() -> set[str]:
        charts = [seen(page, "loss"), both.nth(0), both.nth(1)]
        return {chart.get_attribute("data-range") or "" for chart in charts}

    until(lambda: len(ranges()) == 1 and "" not in ranges())
    low, high = (float(end) for end in ranges().pop().split())
    started = run.started_at.timestamp()
    assert low == pytest.approx(started, abs=70)
    assert high - low < (MINUTES + 2) * 60
    assert violations(page) == []

    # What the second node reads comes by itself, into its own chart alone.
    points = [int(both.nth(i).get_attribute("data-points")) for i in range(2)]
    token = ApiToken.issue(TokenKind.NODE, node=Node.objects.get(name="rack-2"))[1]
    link = Link(url=live_site.url, token=token, source="node:rack-2", role="agent", spool_dir=tmp_path)
    moment = time.time()
    link.send(columns=[Column(f"gpu{i}/utilisation_ratio", [10_000], [moment], [0.2]) for i in range(2)])
    until(lambda: int(both.nth(1).get_attribute("data-points")) == points[1] + 2)
    assert int(both.nth(0).get_attribute("data-points")) == points[0]
    link.close(timeout=2)

    # A zoom of one is a zoom of all.
    loss = page.get_by_role("region", name="loss", exact=True).get_by_role("application")
    loss.focus()
    before = ranges()
    page.keyboard.press("+")
    until(lambda: len(ranges()) == 1 and ranges() != before)


def test_a_run_on_two_nodes_fits_a_phone(window, operator, run):
    page = (
        window(viewport={"width": 390, "height": 844}).log_in(operator).open(f"/runs/{run.code}?tab=system")
    )
    expect(page.get_by_role("region", name="Ranks")).to_contain_text(
        "Rank 2 on rack-2 gpu0 holds the others up"
    )
    seen(page, "Time of a step, by rank").scroll_into_view_if_needed()
    until(lambda: seen(page, "Time of a step, by rank").get_attribute("data-points") == "480")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    table = page.get_by_role("region", name="Ranks")
    assert table.evaluate("card => card.scrollWidth <= card.clientWidth"), "a rank's pace is out of sight"
