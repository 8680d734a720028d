"""What is to happen to a run's settings at steps to come: drafted by slider, sent for a step, repeated, cancelled."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.wait import until
from training.models import Command, Schedule

pytestmark = [
    pytest.mark.browser,
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases="__all__"),
]


def test_settings_are_drafted_for_a_step_and_plans_are_made_cancelled_and_brought_back(
    window, operator, training
):
    page = window().log_in(operator).open(f"/runs/{training.code}?tab=control")
    field = page.get_by_role("textbox", name="lr")
    slider = page.get_by_role("slider", name="lr, slider")
    expect(field).to_have_value("0.1")
    # The slider runs over the bounds on the setting's own scale: 0.1 lies three fifths of the way from 0.0001 to 10.
    expect(slider).to_have_value("600")
    slider.press("Home")
    expect(field).to_have_value("0.0001")
    slider.press("End")
    expect(field).to_have_value("10")
    page.get_by_role("button", name="Reset").click()
    expect(field).to_have_value("0.1")
    # Two settings, both at one step to come, or neither.
    patience = page.get_by_role("textbox", name="patience")
    tray = page.get_by_role("form", name="Change of several settings")
    for discarded in (True, False):
        slider.press("Home")
        patience.fill("9")
        expect(tray).to_contain_text("2 changes drafted")
        at = tray.get_by_label("At step (empty: now)")
        at.fill("soon")
        expect(tray.get_by_role("alert")).to_have_text("A step is a whole number.")
        at.fill("1")
        expect(tray.get_by_role("alert")).to_have_text(re.compile(r"^The run is at step [\d,]+ already\.$"))
        expect(tray.get_by_role("button", name="Apply together")).to_be_disabled()
        if discarded:
            tray.get_by_role("button", name="Discard").click()
            expect(tray).to_have_count(0)
            expect(field).to_have_value("0.1")
            expect(patience).to_have_value("5")
    training.refresh_from_db()
    step = training.last_step + 400
    at.fill(str(step))
    tray.get_by_role("button", name="Apply together").click()
    expect(page.get_by_text(f"planned: 0.0001 at step {step:,}, by ada")).to_be_visible()
    expect(field).to_have_value("0.1")  # until then
    made = Command.objects.filter(run=training, at_step=step)
    until(lambda: made.filter(state="applied", applied_step=step).count() == 2)
    expect(field).to_have_value("0.0001")
    expect(patience).to_have_value("9")
    lr = page.get_by_role("form", name="lr", exact=True)
    lr.get_by_title("Put it into the field").click()
    expect(page.get_by_text("0.0001 → 0.1")).to_be_visible()
    lr.get_by_role("button", name="Reset").click()

    # Far ahead, so that none of it happens meanwhile.
    planned = page.get_by_role("region", name="Schedules")

    def plan(shape: str, **fields: str) -> None:
        lr.get_by_role("button", name="Schedule…").click()
        dialog = page.get_by_role("dialog", name="Schedule lr")
        dialog.get_by_role("radio", name=shape).check()
        for label, value in fields.items():
            dialog.get_by_label(label.replace("_", " "), exact=True).fill(value)
        dialog.get_by_role("button", name="Plan it").click()
        expect(dialog).to_be_hidden()

    plan("Repeat", From_step="50000", Times="2", Every_so_many_steps="1000", Until_step="52000")
    words = "every 1,000 steps × 2, from step 50,000 to step 52,000"
    expect(planned).to_contain_text(words)
    expect(planned).to_contain_text("next: 0.0002 at step 50,000 · 0 of 3 made · ada")
    planned.get_by_role("button", name="Cancel").click()
    expect(planned).to_have_count(0)
    assert Schedule.objects.get().cancelled_by == "ada"
    told = page.get_by_text("What was planned for lr was cancelled.").locator("..")
    told.get_by_role("button", name="Undo").click()
    expect(planned).to_contain_text(words)
    # Another plan for the same setting takes its place.
    plan("Cosine", From_step="50000", To="0.001", Until_step="60000")
    expect(planned.get_by_role("listitem")).to_have_text(
        [re.compile("along a cosine to 0.001, from step 50,000 to 60,000")]
    )
    # And it ends when somebody sets it by hand.
    field.fill("0.05")
    field.press("Enter")
    expect(planned).to_have_count(0)
    until(lambda: Command.objects.filter(run=training, state="applied", new_value=0.05).exists())
