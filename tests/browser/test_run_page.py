"""A training is seen and steered from its page: every click here reaches a process that really trains."""

import re
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from control import effects
from control.models import ControllerSettings
from tests.support.wait import until
from training import commands
from training.models import Command

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def loss_chart(page: Page):
    return page.get_by_role("region", name="loss", exact=True).locator(".canvas")


def drawn(page: Page, name: str) -> str:
    return loss_chart(page).get_attribute(f"data-{name}") or ""


@pytest.fixture
def page(window, operator, training):
    return window().log_in(operator).open(f"/runs/{training.code}")


def changes(page: Page):
    return page.get_by_role("list", name="Changes, newest first").get_by_role("listitem")


def test_points_appear_and_grow_without_a_reload(page, training):
    expect(page.get_by_role("heading", name="bold-otter")).to_be_visible()
    page.evaluate("window.untouched = true")
    until(lambda: drawn(page, "step"))
    first = int(drawn(page, "step"))
    until(lambda: int(drawn(page, "step")) > first + 20)
    assert int(drawn(page, "points")) > 20
    # The first read and the live points join without a hole.
    # Both in one look: the next point may be drawn between two.
    points, step = loss_chart(page).evaluate(
        "chart => [chart.dataset.points, chart.dataset.step].map(Number)"
    )
    assert points == step + 1
    for axis in ("Relative step", "Relative time", "Wall time", "loss"):
        page.get_by_label("Horizontal axis").select_option(label=axis)
        until(lambda: int(drawn(page, "points") or 0) > 20)
    page.get_by_role("link", name="Logs").click()
    log = page.get_by_role("log")
    expect(log).to_contain_text("loss 0.")
    count = page.get_by_text(re.compile(r"^[\d,]+ lines$"))
    expect(count).not_to_have_text(count.inner_text())
    assert page.evaluate("window.untouched"), "the page was loaded again"


def test_a_tunable_set_in_the_page_is_applied_at_a_step_and_marked_on_the_chart(page, training):
    page.get_by_role("link", name=re.compile("^Control")).click()
    field = page.get_by_role("textbox", name="lr")
    expect(field).to_have_value("0.1")
    field.fill("50")
    expect(page.get_by_text("lr=50 is outside 0.0001 to 10.")).to_be_visible()
    expect(page.get_by_role("button", name="Apply")).to_be_disabled()
    field.fill("0.02")
    page.get_by_role("textbox", name="Why (optional)").fill("it jumps about")
    page.get_by_role("button", name="Apply").click()
    expect(changes(page).first).to_contain_text(re.compile(r"applied at step [\d,]+: 0\.1 → 0\.02"))
    expect(changes(page).first).to_contain_text("ada")
    expect(changes(page).first).to_contain_text("it jumps about")
    command = Command.objects.get(run=training, verb="set")
    assert (command.state, command.new_value) == ("applied", 0.02)
    expect(loss_chart(page)).to_have_attribute("data-marks", re.compile(rf"command:{command.pk}\b"))
    page.get_by_role("switch", name="augment").click()
    expect(changes(page).first).to_contain_text("off → on")
    # It can be switched back while what it did is still being measured.
    effects.follow(timezone.now())
    expect(changes(page).first.get_by_role("list", name="How far it has come")).to_contain_text(
        "effect at step"
    )
    page.get_by_role("switch", name="augment").click()
    expect(changes(page).first).to_contain_text("on → off")
    page.get_by_role("button", name="print weights").click()
    expect(changes(page).first).to_contain_text("applied at step")


def test_several_settings_go_as_one_are_followed_undone_and_planned_for_a_step(page, training):
    page.get_by_role("link", name=re.compile("^Control")).click()
    page.get_by_role("textbox", name="lr").fill("0.5")
    expect(page.get_by_text("0.1 → 0.5, × 5")).to_be_visible()
    patience = page.get_by_role("textbox", name="patience")
    patience.fill("9")
    expect(page.get_by_role("button", name="Apply together")).to_be_visible()
    patience.fill("5")  # as it is: one change is left, with its own button
    expect(page.get_by_role("button", name="Apply together")).to_be_hidden()
    expect(page.get_by_role("button", name="Apply", exact=True)).to_be_enabled()
    patience.fill("9")
    tray = page.get_by_role("form", name="Change of several settings")
    expect(tray).to_contain_text("2 changes drafted")
    page.reload()  # nothing that was typed is lost
    expect(tray).to_contain_text("0.1 → 0.5")
    tray.get_by_label("Why (optional)").fill("quicker")
    tray.get_by_role("button", name="Apply together").click()
    newest = changes(page).first
    expect(newest).to_contain_text(re.compile(r"lr to 0\.5, patience to 9"))
    expect(newest).to_contain_text("quicker")
    first, second = Command.objects.filter(run=training).order_by("seq")
    until(lambda: Command.objects.filter(run=training, state="applied").count() == 2)
    first.refresh_from_db(), second.refresh_from_db()
    assert first.group == second.group != ""
    assert first.applied_step == second.applied_step
    expect(
        newest.get_by_role("list", name="How far it has come").or_(newest.get_by_text("applied"))
    ).not_to_have_count(0)
    # What others change meanwhile is told, and moves no button that somebody points at.
    together = changes(page).filter(has_text="lr to 0.5, patience to 9")
    undo = together.get_by_role("button", name="Undo")
    undo.hover()
    stood = undo.bounding_box()
    commands.issue(training, "set", tunable="augment", value=True, asked_by="bob")
    newer = page.get_by_role("button", name="1 newer change")
    expect(newer).to_be_visible()
    assert undo.bounding_box() == stood
    newer.click()
    expect(newer).to_be_hidden()
    expect(newest).to_contain_text("bob")
    undo.click()
    expect(newest).to_contain_text("takes back #1")
    expect(page.get_by_role("textbox", name="lr")).to_have_value("0.1")
    lr = page.get_by_role("form", name="lr")
    lr.get_by_role("button", name="History").click()
    expect(lr).to_contain_text("quicker")
    lr.get_by_role("button", name="Schedule…").click()
    dialog = page.get_by_role("dialog", name="Schedule lr")
    dialog.get_by_label("At step").fill("0")
    expect(dialog.get_by_text(re.compile("The run is at step"))).to_be_visible()
    training.refresh_from_db()
    step = training.last_step + 150
    dialog.get_by_label("At step").fill(str(step))
    expect(dialog.get_by_text("0.1 becomes 0.05")).to_be_visible()
    dialog.get_by_role("button", name="Plan it").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("region", name="Schedules")).to_contain_text(f"× 0.5 at step {step:,}")
    until(lambda: Command.objects.filter(run=training, at_step=step, state="applied").exists())
    assert Command.objects.get(run=training, at_step=step).applied_step == step
    expect(page.get_by_role("textbox", name="lr")).to_have_value("0.05")


def test_a_menu_and_a_number_without_bounds_are_sent_when_applied_and_not_before(page, training):
    page.get_by_role("link", name=re.compile("^Control")).click()
    menu = page.get_by_role("combobox", name="schedule")
    menu.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(menu).to_have_value('"linear"')
    assert not Command.objects.filter(run=training).exists(), "a key that runs through a menu sent it"
    page.get_by_role("button", name="Apply").click()
    expect(changes(page).first).to_contain_text(re.compile(r"applied at step [\d,]+: constant → linear"))
    expect(changes(page).first).to_contain_text(re.compile("sent after .+, applied after "))
    field = page.get_by_role("textbox", name="patience")
    field.fill("7.5")
    expect(page.get_by_text("patience takes whole numbers.")).to_be_visible()
    field.fill("-3")
    field.press("Enter")
    expect(changes(page).first).to_contain_text("5 → -3")


def test_what_the_process_refuses_shows_its_reason(page, training):
    page.get_by_role("button", name="Checkpoint", exact=True).click()
    page.get_by_role("link", name=re.compile("^Control")).click()
    back = page.get_by_role("button", name="Roll back")
    expect(back).to_be_visible()
    Path(training.checkpoints.get().path).unlink()  # a disk that was cleaned behind the site's back
    back.click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(changes(page).first).to_contain_text("refused")
    expect(changes(page).first).to_contain_text("No such file")
    until(lambda: int(drawn(page, "step")) > 0)
    assert training.process_handle.poll() is None, "a refused change ended the training"


def one_mark(page, run, verb: str, event) -> None:
    """The chart has the command's mark, and none of the event that it led to."""
    command = Command.objects.get(run=run, verb=verb)

    def marks() -> list[str]:
        return (loss_chart(page).get_attribute("data-marks") or "").split()

    until(lambda: f"command:{command.pk}" in marks() and f"event:{event.pk}" not in marks())


def test_a_roll_back_leaves_a_faded_branch(page, training):
    page.get_by_role("button", name="Checkpoint", exact=True).click()
    page.get_by_role("link", name=re.compile("^Checkpoints")).click()
    page.get_by_role("button", name=re.compile("^step ")).click()
    back = page.get_by_role("button", name="Roll back")
    expect(back).to_be_visible()
    saved = training.checkpoints.get().step
    page.get_by_role("link", name="Charts").click()
    until(lambda: int(drawn(page, "step") or 0) > saved + 15)
    page.get_by_role("link", name=re.compile("^Checkpoints")).click()
    page.get_by_role("button", name=re.compile(f"^step {saved}")).click()
    back.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nothing is erased")
    dialog.get_by_role("button", name="Roll back").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("link", name="Charts").click()
    expect(loss_chart(page)).to_have_attribute("data-faded", "1")
    expect(loss_chart(page)).to_have_attribute("data-marks", re.compile(r"checkpoint:\d+"))
    training.refresh_from_db()
    assert training.branches[-1]["from_step"] == saved
    one_mark(page, training, "rollback", training.events.get(kind="branch"))
    until(lambda: int(drawn(page, "step")) > saved)
    page.get_by_role("link", name="Story").click()
    page.get_by_text("With checkpoints", exact=True).click()
    told = page.get_by_role("list", name="What happened, newest first")
    for words in [f"Roll back to step {saved}", "Checkpoint saved", "Running"]:
        expect(told).to_contain_text(words)
    expect(told).not_to_contain_text("Went back")  # which is what the command did


def test_pause_resume_and_stop(page, training):
    page.get_by_role("button", name="Pause").click()
    state = page.locator("header").first
    expect(state.get_by_text("paused", exact=True)).to_be_visible()
    one_mark(page, training, "pause", training.events.get(kind="state", new="paused"))
    stood = int(drawn(page, "step"))
    page.get_by_role("button", name="Resume").click()
    expect(state.get_by_text("running", exact=True)).to_be_visible()
    until(lambda: int(drawn(page, "step")) > stood + 3)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop the run").click()
    expect(state.get_by_text(re.compile("stopped|finished"))).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    assert training.process_handle.wait(15) == 0


def test_the_controller_is_set_within_its_guards_and_replayed(page, window, training):
    window.allowed.append("status of 400")
    page.get_by_role("link", name=re.compile("^Decisions")).click()
    page.get_by_text("Observe", exact=True).click()
    expect(page.get_by_text("Decides and records, changes nothing")).to_be_visible()
    page.get_by_role("button", name="Policies and guards").click()
    dialog = page.get_by_role("dialog", name="Controller")
    dialog.get_by_label("Most changes").fill("-1")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_text(re.compile("must lie in 0"))).to_be_visible()
    dialog.get_by_label("Most changes").fill("5")
    dialog.get_by_role("switch", name="Use Learning rate").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    settings = ControllerSettings.objects.get(experiment=training.experiment)
    assert settings.mode == "observe"
    assert settings.guards == {"max_changes": 5}
    assert settings.policies == {"learning_rate": {"enabled": False}}
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text(re.compile(r"Asked at \d+ moments, they would have decided"))).to_be_visible()
