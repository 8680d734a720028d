"""What waits for an answer is answered from the bell and from the first page, by who may, and counted live."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from alerts.models import Alert, Rule
from alerts.tick import announce as tell_pages
from control.describe import announce
from control.models import ControllerSettings, Decision
from monitoring.models import Node
from tests.support.domain import a_member, a_run, a_user
from tests.support.wait import until
from training.jobs.submit import submit
from training.models import Command, Role, Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]

# What went up or down by itself, by its words: a message over the page lies on no one's line.
WATCH = """
window.moved = [];
new PerformanceObserver((list) => {
  for (const { hadRecentInput, sources } of list.getEntries())
    for (const { node, previousRect, currentRect } of sources)
      if (
        !hadRecentInput && node?.isConnected && previousRect.top !== currentRect.top
        && !(node.closest ? node : node.parentElement).closest(".toasts")
      )
        moved.push(node.textContent.slice(0, 80));
}).observe({ type: "layout-shift" });
"""


def propose(run, value: float, now: float = 0.1) -> Decision:
    decision = Decision.objects.create(
        run=run, policy="learning_rate", state="proposed", mode="advise", tunable="lr", reason="The loss stands still.",
        old_value=now, new_value=value, changes=[{"verb": "set", "tunable": "lr", "value": value, "old_value": now}],
        expected={"metric": "loss"}, decided_step=10, judge_at_step=110, judge_after_steps=100,
    )  # fmt: skip
    announce(decision)
    return decision


def fire(run, name: str) -> Alert:
    now, project = timezone.now(), run.experiment.project
    rule = Rule.objects.create(project=project, name=name, condition="run_figure", severity="critical")
    alert = Alert.objects.create(
        rule=rule, subject=f"run:{run.code}", label=run.name, project=project, run=run, message="It stands at 9.",
        step=10, started_at=now, fired_at=now,
    )  # fmt: skip
    tell_pages([alert])
    return alert


def test_a_proposal_and_an_alert_are_answered_from_the_bell_and_from_the_first_page(
    window, operator, training
):
    ControllerSettings.objects.create(experiment=training.experiment, mode="advise")
    first = propose(training, 0.05)
    Run.objects.update(config={"total_steps": 100_000})  # so that its end is known
    page = window().log_in(operator).open("/")
    bell = page.get_by_role("button", name="1 waits for an answer")
    bell.click()
    dialog = page.get_by_role("dialog", name="Waits for an answer")
    expect(dialog).to_contain_text("lr 0.1 → 0.05")
    dialog.get_by_role("button", name="Reject…").click()
    dialog.get_by_label("Why not (optional)").fill("not before the weekend")
    dialog.get_by_role("button", name="Reject", exact=True).click()
    expect(dialog.get_by_text(re.compile("^Nothing waits"))).to_be_visible()
    first.refresh_from_db()
    assert first.state == "rejected"
    page.get_by_role("button", name="Undo").click()  # a slip: it waits again, and is answered again
    expect(dialog).to_contain_text("lr 0.1 → 0.05")
    dialog.get_by_role("button", name="Reject…").click()
    dialog.get_by_label("Why not (optional)").fill("not before the weekend")
    dialog.get_by_role("button", name="Reject", exact=True).click()
    expect(dialog.get_by_text(re.compile("^Nothing waits"))).to_be_visible()
    first.refresh_from_db()
    assert first.blocked_by.endswith("not before the weekend")
    dialog.get_by_role("button", name="Close").click()
    # What runs is told with its curve and how far it is.
    line = (
        page.get_by_role("region", name="Running now").get_by_role("listitem").filter(has_text="bold-otter")
    )
    expect(line.get_by_role("img", name="loss over the run")).to_be_visible()
    expect(line).to_contain_text(re.compile(r"0\.\d+ ?loss.*% · .* left"))
    # What comes while somebody is at the page is told at once, and moves nothing until they say so.
    expect(page.locator("main [data-holds=true]")).to_be_attached()
    page.evaluate(WATCH)
    page.mouse.move(500, 300)
    alert = fire(training, "Loss is high")
    a_run(training.experiment.project, state="running", name="late-heron")
    submit(experiment=training.experiment, argv=["true"], name="patient", user=operator)
    waiting = page.get_by_role("region", name="Needs you")
    queue = page.get_by_role("region", name="Waiting for a place")
    show = page.get_by_role("button", name="Show 3 changes")
    expect(show).to_be_visible()
    expect(page.get_by_role("button", name="1 waits for an answer")).to_be_visible()
    assert page.evaluate("moved") == []
    expect(page.get_by_text("It stands at 9.").or_(queue)).to_have_count(0)
    show.click()
    expect(queue).to_contain_text("patient")
    expect(page.get_by_role("region", name="Running now").get_by_role("listitem")).to_have_count(2)
    expect(waiting).to_contain_text("bold-otter: It stands at 9.")
    waiting.get_by_role("button", name="Acknowledge").click()
    expect(waiting).to_contain_text("Nothing waits for you any more.")
    alert.refresh_from_db()
    assert alert.acknowledged_by.get_username() == "ada"
    second = propose(training, 0.02)
    page.get_by_role("button", name="Show 1 change").click()
    expect(waiting).to_contain_text("lr 0.1 → 0.02")
    # In the open bell each keeps its place: what comes stands below, what somebody else answered says so.
    page.get_by_role("button", name="1 waits for an answer").click()
    expect(dialog.get_by_role("button", name="Approve")).to_be_visible()
    stood = dialog.get_by_role("button", name="Approve").bounding_box()
    late = fire(training, "Loss is high again")
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    expect(dialog.get_by_role("listitem").last).to_contain_text("Loss is high again")
    assert dialog.get_by_role("button", name="Approve").bounding_box() == stood
    Alert.objects.filter(pk=late.pk).update(resolved_at=timezone.now())
    tell_pages([late])
    expect(dialog.get_by_role("listitem").last).to_contain_text("It waits no more")
    dialog.get_by_role("button", name="Close").click()
    viewer = window().log_in(a_member(training.experiment.project, "vera", Role.VIEWER)).open("/")
    expect(viewer.get_by_text("Your role there is viewer: an operator may answer.")).to_be_visible()
    expect(viewer.get_by_role("button", name="Approve")).to_have_count(0)
    waiting.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("Approved: lr 0.1 → 0.02")).to_be_visible()
    expect(waiting).to_contain_text("Nothing waits for you any more.")
    page.get_by_role("button", name="Show 1 change").click()  # what the controller did
    expect(waiting).to_be_hidden()
    expect(page.get_by_role("button", name="Nothing waits for an answer")).to_be_visible()
    did = page.get_by_role("region", name="What the controller did").get_by_role("listitem")
    expect(did).to_contain_text(re.compile("bold-otter.*Learning rate · lr 0.1 → 0.02"))
    # A run that failed and a node that is not heard of need somebody too.
    a_run(state="failed", name="out of memory", ended_at=timezone.now())
    node = Node.objects.create(name="node-a", hostname="node-a", state="silent")
    rule = Rule.objects.create(name="Node silent", condition="node_silent", severity="critical")
    now = timezone.now()
    Alert.objects.create(
        rule=rule, subject="node:node-a", label="node-a", node=node, message="not heard of for 60 s",
        started_at=now, fired_at=now,
    )  # fmt: skip
    page = window().log_in(a_user("root", is_superuser=True, is_staff=True)).open("/")
    waiting = page.get_by_role("region", name="Needs you")
    expect(waiting).to_contain_text("It ended with an error")
    expect(waiting.get_by_role("link", name="out of memory")).to_be_visible()
    expect(waiting.get_by_role("link", name="node-a")).to_have_attribute("href", "/nodes/node-a")
    expect(waiting).to_contain_text("not heard of for 60 s")
    until(
        lambda: Command.objects.filter(run=training, tunable="lr", state="applied", new_value=0.02).exists()
    )
    second.refresh_from_db()
    assert (second.state, second.decided_by.get_username()) == ("sent", "ada")
    # The same from the run's own page, once that one is judged.
    Decision.objects.filter(pk=second.pk).update(state="judged", verdict="same")
    third = propose(training, 0.01, now=0.02)
    page = window().log_in(operator).open(f"/runs/{training.code}?tab=decisions")
    card = page.get_by_role("list", name="Decisions, newest first").get_by_role("listitem").first
    expect(card).to_contain_text("lr 0.02 → 0.01")
    card.get_by_role("button", name="Approve").click()
    expect(card.get_by_role("button", name="Approve")).to_have_count(0)
    until(lambda: Command.objects.filter(run=training, state="applied", new_value=0.01).exists())
    third.refresh_from_db()
    assert third.decided_by.get_username() == "ada"
    # And what the controller did is taken back from there, while it stands as it left it.
    Decision.objects.filter(pk=third.pk).update(state="judged", verdict="same")
    page.reload()
    expect(card).to_contain_text("sets lr to 0.02 again")
    card.get_by_role("button", name="Undo").click()
    until(lambda: Command.objects.filter(run=training, state="applied", old_value=0.01).exists())
    assert Command.objects.filter(run=training).latest("seq").asked_by == "ada"
    expect(card.get_by_role("button", name="Undo")).to_have_count(0)
    expect(card).to_contain_text("undone")
    page.get_by_role("link", name=re.compile("^Control")).click()
    expect(page.get_by_role("textbox", name="lr")).to_have_value("0.02")
    # From the bell one is approved, too; how long the run has yet to go stands above every tab.
    expect(page.get_by_text(re.compile(r"\d % · [\d.,]+ steps/s · .+ left$"))).to_be_visible()
    fourth = propose(training, 0.015, now=0.02)
    page.get_by_role("button", name="2 wait for an answer").click()  # beside the silent node
    dialog = page.get_by_role("dialog", name="Waits for an answer")
    expect(dialog).to_contain_text("lr 0.02 → 0.015")
    dialog.get_by_role("button", name="Approve").click()
    expect(dialog.get_by_role("listitem").filter(has_text="bold-otter")).to_contain_text("It waits no more")
    expect(page.get_by_role("button", name="1 waits for an answer")).to_be_attached()
    until(lambda: Command.objects.filter(run=training, state="applied", new_value=0.015).exists())
    fourth.refresh_from_db()
    assert fourth.decided_by.get_username() == "ada"
