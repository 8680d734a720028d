"""The log of a run that goes on: progress bars move in their places, and nobody who reads above them is moved."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from monitoring.storage import logs
from scaleweb_sdk.link import Link
from scaleweb_sdk.protocol import LogLine
from tests.browser.axe import violations
from tests.browser.conftest import trained
from tests.support.domain import a_run, a_run_token
from tests.support.wait import until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def test_progress_bars_move_before_their_lines_end_and_then_each_is_a_line_like_others(
    window, operator, live_site, tmp_path
):
    with trained(live_site, tmp_path, Path(__file__).with_name("training_bar.py"), "with-bars") as row:
        page = window().log_in(operator).open(f"/runs/{row.code}?tab=logs")
        log = page.get_by_role("log")
        bars = log.get_by_title("This line is being written")
        expect(bars).to_have_count(2)
        expect(bars.first).to_contain_text("all epochs")
        expect(log.locator(".rows > *").last).to_have_attribute("title", "This line is being written")
        inner = bars.last
        expect(inner.locator(".fg-green")).to_be_visible()  # followed: it is in view
        # In place: another state of it in the same line, below that of the bar around it.
        states = {inner.inner_text()}
        until(lambda: states.add(inner.inner_text()) or len(states) > 3)
        expect(bars).to_have_count(2)
        expect(bars.first).to_contain_text("all epochs")
        assert all("of many" in state for state in states)
        assert violations(page) == []
        assert logs.read(row.source).total == 200, "a state of one was stored"
        # Who reads further up stays there.
        log.evaluate("box => box.scrollTop = 1000")
        expect(page.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
        line = log.get_by_role("button", name="line 60", exact=False)
        before = line.bounding_box()
        (tmp_path / "spool" / "gate").touch()
        expect(page.get_by_text("201 lines")).to_be_visible()
        assert line.bounding_box() == before
        page.get_by_role("button", name="Follow").click()
        expect(log.get_by_role("button", name="all epochs are over")).to_be_visible()
        expect(bars).to_have_count(0)
        assert [line[2] for line in logs.read(row.source).lines][-1] == "all epochs are over"


def test_of_a_job_over_two_nodes_each_bar_says_whose_it_is_and_none_takes_the_place_of_another(
    window, operator, live_site, tmp_path
):
    row = a_run(state="running", name="over-two-nodes")
    token = a_run_token(row)
    texts = {"gpu-1": "loading", "gpu-2": "loading"}
    links = [
        Link(
            live_site.url, token, row.source, role="supervisor", spool_dir=tmp_path / node, flush_seconds=0.05,
            process={"node": node, "nodes": 2}, open_lines=lambda node=node: [LogLine(1.0, "stderr", texts[node])],
        )
        for node in reversed(texts)
    ]  # fmt: skip
    try:
        page = window().log_in(operator).open(f"/runs/{row.code}?tab=logs")
        bars = page.get_by_role("log").get_by_title("This line is being written")
        for node, text in [("gpu-1", "10 %"), ("gpu-2", "15 %"), ("gpu-1", "20 %")]:
            texts[node] = text
            expect(bars.first).to_contain_text(f"gpu-1{texts['gpu-1']}")
            expect(bars.last).to_contain_text(f"gpu-2{texts['gpu-2']}")
            expect(bars).to_have_count(2)
        assert violations(page) == []
    finally:
        for link in links:
            link.close(timeout=10)
