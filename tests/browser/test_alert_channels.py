"""Where alerts are told: a webhook's secret, messages that a receiver does not take at first, a rule that is muted."""

# ruff: noqa: F811 (fixtures named as arguments)

import hashlib
import hmac
import re
import time

import pytest
from playwright.sync_api import expect

from alerts.models import Channel, Delivery, Rule
from alerts.sending import queue, webhook
from alerts.tick import tick
from monitoring.storage import series
from scaleweb_sdk.protocol import Batch, Column
from tests.browser.axe import violations
from tests.support.domain import a_run
from tests.support.receivers import receiver  # noqa: F401

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]
HOUR = 3600


def a_run_at(*losses: tuple[float, float]):
    """A run that logs; losses: (hours ago, the loss then)."""
    run = a_run(state="running", name="bold-otter", summary={"loss": losses[-1][1]})
    at = [time.time() - hours * HOUR for hours, _ in losses]
    column = Column("loss", list(range(len(at))), at, [loss for _, loss in losses])
    series.append(run.source, "s", [Batch(1, columns=[column])])
    return run


def test_a_webhooks_secret_is_shown_once_and_what_it_does_not_take_is_tried_again_before_ones_eyes(
    window, operator, receiver
):
    run = a_run_at((0.001, 9.0))
    page = window().log_in(operator).open("/alerts?tab=channels")
    page.get_by_role("button", name="New channel").click()
    dialog = page.get_by_role("dialog", name="New channel")
    dialog.get_by_label("Name").fill("pager")
    dialog.get_by_label("URL").fill(f"http://127.0.0.1:{receiver.server_port}/hook")
    dialog.get_by_role("button", name="Create").click()
    shown = page.get_by_role("dialog", name="The channel's secret")
    expect(shown).to_contain_text("it is not shown again")
    secret = shown.locator("pre").inner_text()
    channel = Channel.objects.get()
    assert secret == channel.secret
    shown.get_by_role("button", name="Done").click()
    expect(shown).to_be_hidden()
    page.reload()
    expect(page.get_by_role("button", name="Send a test")).to_be_visible()
    assert secret not in page.content()
    assert secret not in page.request.get("/api/v1/alerts/channels").text()

    messages = page.get_by_role("region", name="Last messages").get_by_role("listitem")
    receiver.answers = [(410, {})]
    page.get_by_role("button", name="Send a test").click()
    # In the corner, and in the list.
    expect(page.get_by_text("127.0.0.1 answered 410 Gone")).to_have_count(2)
    expect(messages.first).to_contain_text(re.compile("pager.*answered 410 Gone.*failed", re.S))
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("The test went out over pager.")).to_be_visible()
    _, headers, body = receiver.got[-1]
    moment = headers[webhook.SIGNATURE].split(",")[0].removeprefix("t=")
    signed = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers[webhook.SIGNATURE] == f"t={moment},v1={signed}"
    page.mouse.move(5, 5)

    # An alert that its receiver does not take: how often it was tried, and when it is tried again, without a reload.
    page.evaluate("window.untouched = true")
    rule = Rule.objects.create(
        project=run.experiment.project, name="Too high", condition="run_figure",
        parameters={"key": "loss", "limit": 1, "is": "above"},
    )  # fmt: skip
    rule.channels.add(channel)
    receiver.answers = [(503, {}), (500, {})]
    tick()
    message = messages.filter(has_text="Too high")
    expect(message).to_contain_text("waiting")
    queue.deliver()
    expect(message).to_contain_text(re.compile("answered 503.*waiting.*next try", re.S))
    assert page.get_by_role("link", name="Firing").inner_text().endswith("1")
    Delivery.objects.filter(event="firing").update(tries=3)  # as much later, when a try is minutes away
    queue.send(Delivery.objects.get(event="firing"))
    # It was to be tried within 12 s: then the page looks what has become of it.
    told = re.compile(r"answered 500.*4 tries.*next try in \d+ min", re.S)
    expect(message).to_contain_text(told, timeout=30_000)
    assert page.evaluate("window.untouched"), "the page was loaded again"
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    expect(message.get_by_text("answered 500")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_rule_is_tried_on_as_much_of_the_past_as_one_chooses(window, operator):
    a_run_at((30, 9.0), (29, 9.0), (28, 0.5), (0.01, 0.5))
    page = window().log_in(operator).open("/alerts?tab=rules")
    page.get_by_role("button", name="New rule").click()
    dialog = page.get_by_role("dialog", name="New rule")
    dialog.get_by_label("Name").fill("Loss too high")
    dialog.get_by_label("Watches for").select_option(label="A run's figure")
    dialog.get_by_label("Key").fill("loss")
    dialog.get_by_label("Limit").fill("7.5")
    dialog.get_by_role("button", name="Try it on the past").click()
    expect(dialog.get_by_text("It would have held 0 times, in 1 that was looked at.")).to_be_visible()
    dialog.get_by_label("How far back").select_option(label="7 days")
    expect(dialog.get_by_text("It would have held once, in 1 that was looked at.")).to_be_visible()
    expect(dialog.get_by_role("img", name="held once")).to_be_visible()
    dialog.get_by_label("Limit").fill("0.1")
    expect(dialog.get_by_text("The rule was changed since.")).to_be_visible()
    dialog.get_by_label("Limit").fill("7.5")
    expect(dialog.get_by_text("It would have held once, in 1 that was looked at.")).to_be_visible()


def test_who_mutes_a_rule_is_told_that_what_fires_meanwhile_is_not_told_later(window, operator, receiver):
    run = a_run_at((0.001, 9.0))
    rule = Rule.objects.create(
        project=run.experiment.project, name="Too high", condition="run_figure",
        parameters={"key": "loss", "limit": 1, "is": "above"},
    )  # fmt: skip
    url = f"http://127.0.0.1:{receiver.server_port}/hook"
    rule.channels.add(Channel.objects.create(name="chat", kind="webhook", target=url, secret="s"))
    page = window().log_in(operator).open("/alerts?tab=rules")
    told = page.get_by_text("Its alerts show here, and no channel tells them, now or later.")
    page.get_by_role("button", name="Mute Too high").click()
    expect(told).to_be_visible()
    page.get_by_role("button", name="For an hour").click()
    expect(page.get_by_text("muted until")).to_be_visible()
    tick()
    page.get_by_role("link", name="Firing").click()
    expect(page.get_by_role("listitem").filter(has_text="Too high")).to_contain_text("loss 9, above 1")
    page.get_by_role("link", name="Rules").click()
    page.get_by_role("button", name="Unmute Too high").click()
    expect(page.get_by_role("button", name="Mute Too high")).to_be_visible()
    tick()
    assert queue.deliver() == 0
    assert receiver.got == []
