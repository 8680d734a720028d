"""The controller is tried before it is trusted: a policy in the shadow says what it would do, and does not do it."""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from control.models import ControllerSettings
from tests.loop.live import Clock, LiveRun
from training.models import Command

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
TOO_LOW = 0.0003


def test_a_policy_in_the_shadow_tells_what_it_would_have_done_and_what_came_without_it(
    window, operator, live_site
):
    clock = Clock()
    clock.now = datetime.now(UTC)
    live = LiveRun(clock, TOO_LOW, 12, mode="off")
    page = window().log_in(operator).open(f"/runs/{live.run.code}?tab=decisions")
    expect(page.get_by_text("Observe shows what it would do and changes nothing.")).to_be_visible()
    page.get_by_role("button", name="Policies and guards").click()
    dialog = page.get_by_role("dialog", name="Controller")
    dialog.get_by_text("Act", exact=True).click()
    rate = dialog.get_by_role("group").filter(
        has=page.get_by_role("switch", name="Use Learning rate", exact=True)
    )
    expect(rate).to_contain_text("acts")
    dialog.get_by_role("switch", name="Learning rate in the shadow").click()
    expect(rate).to_contain_text("observes")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    settings = ControllerSettings.objects.get(experiment=live.run.experiment)
    assert (settings.mode, settings.policies) == ("act", {"learning_rate": {"shadow": True}})
    page.evaluate("window.untouched = true")
    live.live(480)
    story = page.get_by_role("list", name="Decisions, newest first")
    first = story.locator("li.decision").last
    expect(first).to_contain_text("Learning rate")
    expect(first.get_by_text("shadow", exact=True)).to_be_visible()
    expect(first).to_contain_text(re.compile(r"Would do\s*lr 0\.0003 → 0\.\d+"))
    live.live(480)
    expect(first).to_contain_text(
        re.compile(
            r"Found\s*loss was [\d.]+ where [\d.]+ was forecast \([\d.]+ to [\d.]+\)\. Nothing was changed\."
        )
    )
    assert page.evaluate("window.untouched"), "the page was loaded again"
    assert live.tunable.value == live.training.lr == TOO_LOW
    assert not Command.objects.exists()
    page.get_by_role("link", name=re.compile("^Control")).click()
    expect(page.get_by_role("textbox", name="lr")).to_have_value(str(TOO_LOW))
